"""Writes long lists of words compactly."""

from __future__ import annotations


def listed(text: str) -> tuple[str, ...]:
    """The words of a text; entries with spaces in them are separated by ``|``."""
    return tuple(text.split("|") if "|" in text else text.split())
