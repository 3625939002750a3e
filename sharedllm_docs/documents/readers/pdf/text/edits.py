"""Changes to the text of a page, each at its position in PDFium's text, and how they are applied. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sharedllm_docs.documents.traced import Traced, aligned, joined, marks_of


@dataclass(frozen=True)
class Edit:
    """Replace ``[start, end)`` of PDFium's page text."""

    start: int
    end: int
    text: str


def applied(text: str, edits: Sequence[Edit], spans: Sequence[tuple[int, int]]) -> str:
    """``spans`` of the text with the edits made; what takes a character's place has its mark."""
    parts = list[str]()
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.end))
    for start, end in spans:
        position = start
        for edit in ordered:
            if edit.start < position:
                continue
            parts += [text[position : edit.start], _replacing(text[edit.start : edit.end], edit.text)]
            position = edit.end
        parts.append(text[position:end])
    return joined("", filter(None, parts))


def _replacing(before: str, text: str) -> str:
    """The text of an edit, with the marks of what it replaces."""
    if isinstance(text, Traced) or not before or not text:
        return text
    return Traced(text, aligned(before, marks_of(before), text))


def inside(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether every word of ``[start, end)`` is among the (few) ``spans``."""
    return bool(spans) and any(a <= start and end <= b for a, b in spans)


def gaps(spans: Sequence[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    """What ``spans`` leave of ``[0, length)``."""
    start = 0
    for a, b in spans:
        yield start, a
        start = b
    yield start, length
