"""The text of an XFA form: its labels and values, in order. Its layout is left to the viewers that know it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from xml.etree import ElementTree

_ENTITY = re.compile(rb"<!ENTITY", re.IGNORECASE)
_MAX_BYTES = 20 << 20
_MAX_LINES = 20_000


def xfa_lines(data: bytes) -> list[str]:
    """Lines of the form, ``label: value`` for its fields; none where it cannot be read.

    Args:
        data: all packets of the form, one after another.
    """
    if len(data) > _MAX_BYTES or _ENTITY.search(data):
        return []
    try:
        root = ElementTree.fromstring(data)
    except ElementTree.ParseError:
        return []
    template = next((one for one in root.iter() if _name(one) == "template"), None)
    found = next((one for one in root.iter() if _name(one) == "data"), None)
    values: dict[str, list[str]] = {}
    for leaf in found.iter() if found is not None else ():
        text = _text(leaf)
        if not len(leaf) and text:
            values.setdefault(_name(leaf), []).append(text)
    lines = list(_template_lines(template, values)) if template is not None else []
    lines += [f"{name}: {value}" for name, left in values.items() for value in left]
    return lines[:_MAX_LINES]


def _template_lines(template: ElementTree.Element, values: dict[str, list[str]]) -> Iterator[str]:
    """What the form prints, field by field; takes the values that it shows out of ``values``."""
    for element in template.iter():
        if element.get("presence") in ("hidden", "invisible", "inactive"):
            continue
        kind = _name(element)
        if kind == "draw":
            text = _text(_child(element, "value"))
            if text:
                yield text
        elif kind == "field":
            name = element.get("name", "")
            filled = values.get(name, [])
            value = filled.pop(0) if filled else _text(_child(element, "value"))
            label = _text(_child(element, "caption")) or name
            if value:
                yield f"{label.rstrip(': ')}: {value}"


def _child(element: ElementTree.Element, name: str) -> ElementTree.Element | None:
    return next((child for child in element if _name(child) == name), None)


def _text(element: ElementTree.Element | None) -> str:
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def _name(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
