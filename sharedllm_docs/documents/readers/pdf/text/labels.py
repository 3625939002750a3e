"""Which words of a page label its form fields, so that a value is written after its label."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sharedllm_docs.documents.readers.pdf.fields import Field
from sharedllm_docs.documents.readers.pdf.text.characters import Characters
from sharedllm_docs.documents.readers.pdf.text.edits import Edit
from sharedllm_docs.documents.readers.pdf.text.lines import TextLine

_BOX_GAP = 2.0  # font sizes: between a check box and its label
_LABEL_GAP = 1.0  # font sizes: between words of one label
_ABOVE_GAP = 12.0  # points: between a field and the label above it
_WORD = re.compile(r"\S+")


@dataclass(frozen=True)
class _PlacedWord:
    """A word of the page text with its edges, baseline and font size."""

    start: int
    end: int
    left: float
    right: float
    y: float
    size: float


def fill_in(
    characters: Characters, lines: Sequence[TextLine], fields: Sequence[Field]
) -> tuple[list[Edit], list[Field]]:
    """Edits that write the values of fields after the words that label them, and the fields that no words label."""
    words = list(_placed_words(characters, lines)) if fields else []
    labelled: list[tuple[int, float, str]] = []
    others: list[Field] = []
    for field in fields:
        place = None if field.is_note else _label_end(field, words, fields)
        if place is None:
            others.append(field)
        else:
            labelled.append((place, field.left, field.value))
    return [Edit(place, place, _after_label(characters.text, place, value)) for place, _, value in sorted(labelled)], (
        others
    )


def _after_label(text: str, place: int, value: str) -> str:
    """A value as it is written after the label that ends at ``place``."""
    return (": " if text[place - 1].isalnum() or text[place - 1] == ")" else " ") + value


def _placed_words(characters: Characters, lines: Sequence[TextLine]) -> Iterator[_PlacedWord]:
    """The words of the lines with their places, in the page's own units."""
    for line in lines:
        for match in _WORD.finditer(characters.text, line.start, line.end):
            start, end = match.span()
            first, last = characters.index(start), characters.index(end - 1)
            if first is not None and last is not None:
                left, right = characters.edges(first)[0], characters.edges(last)[1]
                yield _PlacedWord(start, end, left, right, characters.origin(first)[1], characters.size(first))


def _label_end(field: Field, words: Sequence[_PlacedWord], fields: Sequence[Field]) -> int | None:
    """Where the label of a field ends in the text; it stands before the field, after a check box, or above it."""
    beside = [one for one in words if field.bottom - 2 <= one.y <= field.top + 2]
    rivals = [one for one in fields if one is not field and one.bottom < field.top and one.top > field.bottom]
    before = max((one for one in beside if one.right <= field.left + 2), key=lambda one: one.right, default=None)
    if before is not None and any(before.right - 2 <= one.left < field.left for one in rivals):
        before = None if field.is_tick else before  # another field stands between
    behind = min((one for one in beside if one.left >= field.right - 2), key=lambda one: one.left, default=None)
    if field.is_tick and behind is not None:
        # check boxes of one line have their labels on one side: where the last has none after it, before them
        last = max([field.right, *(one.right for one in rivals if one.is_tick)])
        gap, ends = behind.left - field.right, all(one.left < last for one in beside)
        near = gap < _BOX_GAP * behind.size and (before is None or gap < field.left - before.right)
        if near and not (ends and before is not None):
            return _run_end(behind, beside, rivals)
    return before.end if before is not None else _label_above(field, words, fields)


def _label_above(field: Field, words: Sequence[_PlacedWord], fields: Sequence[Field]) -> int | None:
    """Where the label on the line above a field ends; None if there is none."""
    above = [one for one in words if field.top < one.y <= field.top + _ABOVE_GAP and -4 <= one.left - field.left <= 60]
    lowest = min((one.y for one in above), default=0.0)
    first = min((one for one in above if one.y < lowest + 2), key=lambda one: one.left, default=None)
    if first is None or field.is_tick or any(one.bottom < first.y < one.top for one in fields):
        return None
    return _run_end(first, [one for one in words if abs(one.y - first.y) < 2], ())


def _run_end(first: _PlacedWord, line: Sequence[_PlacedWord], fields: Sequence[Field]) -> int:
    """Where the words end that follow ``first`` on its line without a wide gap, or a field, between."""
    last = first
    for one in sorted((one for one in line if one.left > first.left), key=lambda one: one.left):
        if one.left - last.right > _LABEL_GAP * one.size or any(last.right - 1 <= f.left <= one.left for f in fields):
            break
        last = one
    return last.end
