"""Small helpers for the XML of office documents."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

W = "{http://schemas.openxmlformats.org/wordprocessingml/2006/main}"
A = "{http://schemas.openxmlformats.org/drawingml/2006/main}"
R = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"


def children(element: Any) -> Iterator[Any]:
    """The child elements, comments and processing instructions left out."""
    return (child for child in element if isinstance(child.tag, str))


def local(element: Any) -> str:
    """The tag without its namespace; "" for comments."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def value_of(element: Any, name: str) -> str | None:
    """The ``w:val`` of the child ``name``, or None where there is none."""
    child = element.find(f"{W}{name}")
    return None if child is None else child.get(f"{W}val")
