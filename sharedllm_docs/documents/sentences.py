"""Sentences of a text, words shared with a question, and sentences that the grid of leaves cuts. Pure."""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass

from sharedllm_docs.documents.terms import terms

_SENTENCE_END = re.compile(r"(?<=[.!?:])\s+(?=[^a-z])|\n\s*\n")
_REACH = 600
"""Characters on either side in which the sentence around a place is looked for: longer ones count as cut there."""


def sentence_spans(text: str) -> list[tuple[int, int]]:
    """Spans (start, end) of the sentences of ``text``, outer white space left out."""
    spans, start = [], 0
    for cut in [*(m.span() for m in _SENTENCE_END.finditer(text)), (len(text), len(text))]:
        piece = text[start : cut[0]]
        if piece.strip():
            left = len(piece) - len(piece.lstrip())
            spans.append((start + left, start + len(piece.rstrip())))
        start = cut[1]
    return spans


@dataclass(frozen=True)
class Cut:
    """What a span of text cuts in two, as far as a question is concerned.

    Attributes:
        start: where the sentence begins that the span's start cuts, when that one matters more; else None.
        end: where the sentence ends that the span's end cuts, when that one matters more; else None.
    """

    start: int | None = None
    end: int | None = None


def cut_by(text: str, start: int, end: int, wanted: Set[str]) -> Cut:
    """Which of the two sentences that ``text[start:end]`` cuts at its ends holds more of a question's words.

    Args:
        text: around the span.
        start: of the span.
        end: one past it.
        wanted: terms of the question (``terms``).

    Returns:
        at most one of the two; none where neither cut sentence holds a wanted word, or both as many.
    """
    first, last = _around(text, start), _around(text, end)
    before = _shared(text, first, wanted)
    after = _shared(text, last, wanted)
    if first is not None and before > after:
        return Cut(start=first[0])
    if last is not None and after > before:
        return Cut(end=last[1])
    return Cut()


def _around(text: str, place: int) -> tuple[int, int] | None:
    """The sentence that ``place`` stands inside of, neither at its start nor at its end."""
    low = max(0, place - _REACH)
    for start, end in sentence_spans(text[low : place + _REACH]):
        if low + start < place < low + end:
            return low + start, low + end
    return None


def _shared(text: str, span: tuple[int, int] | None, wanted: Set[str]) -> int:
    return len(wanted & set(terms(text[slice(*span)]))) if span else 0
