"""From marks to places: what the marks of traced text stand for on the pages, as runs of the finished document.

A reader fills one ``Spots`` a page; the marks of a page's text count in it. When all pages are cleaned, the marks that
are left say where each character of the document stands.
"""

from __future__ import annotations

import bisect
import unicodedata
from array import array
from collections.abc import Iterator, Sequence
from itertools import accumulate

from sharedllm_docs.documents.boxes import LEVEL, Box, Places, Run
from sharedllm_docs.documents.document import PAGE_SEPARATOR
from sharedllm_docs.documents.traced import NOWHERE, Traced, marks_of

_APART = 0.9  # heights: a gap inside a word from which it is two (cells that no space parts)
_OVERLAP = 0.3  # of the lower height, by which characters of one word must overlap
_BACK = 1.0  # heights by which a character may begin before the last one ends
_CLOSED = frozenset("WF")  # widths of characters of scripts without spaces: each is a run


class Spots:
    """The rectangles of one page that its marks stand for, by number."""

    def __init__(self) -> None:
        self._sides = array("f")
        self._directions = array("b")

    def __len__(self) -> int:
        return len(self._directions)

    def add(self, left: float, bottom: float, right: float, top: float, direction: int = LEVEL) -> int:
        """Keep a rectangle; returns its number."""
        self._sides.extend((min(left, right), min(bottom, top), max(left, right), max(bottom, top)))
        self._directions.append(direction)
        return len(self._directions) - 1

    def extend(self, other: Spots) -> int:
        """Keep those of ``other`` too; returns by how much their numbers grow."""
        first = len(self)
        self._sides.extend(other._sides)
        self._directions.extend(other._directions)
        return first

    def run(self, number: int, page: int, start: int) -> Run:
        """The run of one character at ``start``."""
        left, bottom, right, top = self._sides[4 * number : 4 * number + 4]
        return Run(start, start + 1, Box(page, left, bottom, right, top), self._directions[number])


def moved(text: str, offset: int) -> str:
    """The text with its marks counted from ``offset`` on."""
    if not offset or not isinstance(text, Traced):
        return text
    return Traced(text, array("i", (mark + offset if mark >= 0 else mark for mark in text.marks)))


def numbered(texts: Sequence[str], spots: Sequence[Spots]) -> list[str]:
    """The texts of all pages with marks that count over the spots of all pages, so that text can move between pages."""
    return [moved(text, first) for text, first in zip(texts, _firsts(spots), strict=True)]


def places_of(texts: Sequence[str], spots: Sequence[Spots], numbers: Sequence[int]) -> Places:
    """Where the text of a document stands.

    Args:
        texts: of its pages, finished, with marks as ``numbered`` gave them.
        spots: of the pages as they were read.
        numbers: of these pages in the source.
    """
    firsts = _firsts(spots)

    def runs() -> Iterator[Run]:
        start = 0
        for text in texts:
            yield from _runs(text, start)
            start += len(text) + len(PAGE_SEPARATOR)

    def _runs(text: str, start: int) -> Iterator[Run]:
        current: Run | None = None
        last = NOWHERE
        for place, (character, mark) in enumerate(zip(text, marks_of(text), strict=True), start):
            if mark < 0 or character.isspace():
                if current is not None:
                    yield current
                current, last = None, NOWHERE
                continue
            if current is not None and mark == last:
                current = Run(current.start, place + 1, current.box, current.direction)
                continue
            owner = bisect.bisect_right(firsts, mark) - 1
            own = spots[owner].run(mark - firsts[owner], numbers[owner], place)
            closed = character > "\u2e7f" and unicodedata.east_asian_width(character) in _CLOSED
            if current is not None and not closed and _goes_on(current, own):
                current = Run(current.start, place + 1, _both(current.box, own.box), current.direction)
            else:
                if current is not None:
                    yield current
                current = own
            last = mark
        if current is not None:
            yield current

    return Places.of(runs())


def _firsts(spots: Sequence[Spots]) -> list[int]:
    return list(accumulate(map(len, spots), initial=0))[:-1]


def _goes_on(before: Run, after: Run) -> bool:
    """Whether a character belongs to the word before it: on the same line, and close."""
    if before.box.page != after.box.page or before.direction != after.direction:
        return False
    one, other = before.box, after.box
    if before.direction == LEVEL:
        low, high, first, last = one.bottom, one.top, one.left, one.right
        low2, high2, first2, last2 = other.bottom, other.top, other.left, other.right
    else:
        low, high, first, last = one.left, one.right, one.bottom, one.top
        low2, high2, first2, last2 = other.left, other.right, other.bottom, other.top
    height = min(high - low, high2 - low2)
    if min(high, high2) - max(low, low2) < _OVERLAP * height:
        return False
    gap = max(first2 - last, first - last2)
    return -_BACK * (last2 - first2) - 1 <= gap <= _APART * max(high - low, high2 - low2)


def _both(one: Box, other: Box) -> Box:
    return Box(
        one.page,
        min(one.left, other.left),
        min(one.bottom, other.bottom),
        max(one.right, other.right),
        max(one.top, other.top),
    )
