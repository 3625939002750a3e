"""From marks to places: what the marks of traced text stand for on the pages, as runs of the finished document.

A reader fills one ``Spots`` a page; the marks of a page's text count in it. When all pages are cleaned, the marks that
are left say where each character of the document stands.
"""

from __future__ import annotations

import bisect
import unicodedata
from array import array
from collections.abc import Sequence
from itertools import accumulate

from sharedllm_docs.documents.boxes import LEVEL, UPRIGHT, Places, RunColumns
from sharedllm_docs.documents.document import PAGE_SEPARATOR
from sharedllm_docs.documents.traced import NOWHERE, Traced, marks_of

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
        if left > right:
            left, right = right, left
        if bottom > top:
            bottom, top = top, bottom
        self._sides.extend((left, bottom, right, top))
        self._directions.append(direction)
        return len(self._directions) - 1

    def to_bytes(self) -> tuple[bytes, bytes]:
        """Sides, four a rectangle, as 32-bit floats, and directions, a byte each."""
        return self._sides.tobytes(), self._directions.tobytes()

    @classmethod
    def of_bytes(cls, sides: bytes, directions: bytes) -> Spots:
        """Inverse of ``to_bytes``. Raises ValueError where there are not four sides for each direction."""
        made = cls()
        made._sides.frombytes(sides)
        made._directions.frombytes(directions)
        if len(made._sides) != 4 * len(directions) or directions.strip(bytes((LEVEL, UPRIGHT))):
            raise ValueError(f"{len(made._sides)} sides for {len(directions)} rectangles")
        return made

    def extend(self, other: Spots) -> int:
        """Keep those of ``other`` too; returns by how much their numbers grow."""
        first = len(self)
        self._sides.extend(other._sides)
        self._directions.extend(other._directions)
        return first

    def sides(self, number: int) -> tuple[float, float, float, float, int]:
        """Lower and upper edge across the line, first and last along it, and the line's direction."""
        left, bottom, right, top = self._sides[4 * number : 4 * number + 4]
        direction = self._directions[number]
        return (bottom, top, left, right, direction) if direction == LEVEL else (left, right, bottom, top, direction)


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
    columns = RunColumns()
    firsts, ends = _firsts(spots), list(accumulate(map(len, spots)))
    start = 0
    for text in texts:
        low = high = 0  # the marks of the page that the last character was on
        owner = 0
        last = NOWHERE
        for place, (character, mark) in enumerate(zip(text, marks_of(text), strict=True), start):
            if mark < 0 or character.isspace():
                last = NOWHERE
                continue
            if mark == last:
                columns.lengthen(place + 1)
                continue
            if not low <= mark < high:
                owner = bisect.bisect_right(firsts, mark) - 1
                while ends[owner] <= mark:  # pages without spots begin where others do
                    owner += 1
                low, high = firsts[owner], ends[owner]
            closed = character > "\u2e7f" and unicodedata.east_asian_width(character) in _CLOSED
            sides = spots[owner].sides(mark - low)
            columns.add(place, numbers[owner], sides, apart=closed or last == NOWHERE)
            last = mark
        start += len(text) + len(PAGE_SEPARATOR)
    return columns.places()


def _firsts(spots: Sequence[Spots]) -> list[int]:
    return list(accumulate(map(len, spots), initial=0))[:-1]
