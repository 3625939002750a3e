"""Writes long lists of words compactly. Leaf module."""

from __future__ import annotations


def listed(text: str) -> tuple[str, ...]:
    """The words of a text; where words hold spaces of their own, they are parted by ``|``."""
    return tuple(text.split("|") if "|" in text else text.split())
