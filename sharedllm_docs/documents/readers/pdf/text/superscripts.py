"""Superscripts and subscripts of a page: digits set above or below the line, which PDFium joins to what they follow.

They are written with Unicode's own characters, and the line break that PDFium adds after one is removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sharedllm_docs.documents.cleaning import lower, raised_behind
from sharedllm_docs.documents.readers.pdf.text.characters import Characters
from sharedllm_docs.documents.readers.pdf.text.edits import Edit

SMALL = 0.85
"""Size of a superscript or subscript at most, as a share of that of the text beside it."""
_RAISED, _LOWERED = 0.15, -0.08  # how far above or below the baseline, in sizes of the text beside it
_WITH_DIGIT = re.compile(r"\S*\d\S*")
_FRACTION = re.compile(r"\d*\s*\u2044")
_SIGNS = frozenset("+-\u2212\u2013")


class _Place(NamedTuple):
    """Baseline, font size and horizontal place of a character."""

    y: float
    size: float
    x: float


def superscripts(characters: Characters) -> Iterator[Edit]:
    """Edits that write raised and lowered digits as Unicode's own, and join what follows them on the same line."""
    finder = _Finder(characters)
    for word in _WITH_DIGIT.finditer(characters.text):
        yield from finder.edits_of(*word.span())


class _Finder:
    """Finds the superscripts and subscripts of single words."""

    def __init__(self, characters: Characters) -> None:
        self._characters, self._text = characters, characters.text

    def edits_of(self, start: int, end: int) -> Iterator[Edit]:
        """The edits of one word with digits."""
        measured = {place: self._measure(place) for place in range(start, end)}
        first, last = self._neighbour(start, -1), self._neighbour(end - 1, 1)
        if _is_even([*measured.values(), first, last]):
            return
        base, run = first, start  # run: where the raised characters up to here begin
        for place in range(start, end):
            here = measured[place]
            beside = base or next(
                (m for p, m in measured.items() if p > place and m and here and m.size > here.size), last
            )
            if here is None:
                continue
            if beside is None:  # the word stands alone: it begins on the line
                base, run = here, place + 1
                continue
            rise = _rise(here, beside)
            if not rise:
                base, run = here, place + 1
                continue
            character = self._text[place]
            if character.isdecimal() or (character in _SIGNS and self._text[place + 1 : place + 2].isdecimal()):
                yield Edit(place, place + 1, self._raised(run, place) if rise > 0 else self._lowered(place, start, end))
                if place + 1 == end:
                    yield from self._without_break(here, beside, end)

    def _without_break(self, mark: _Place, base: _Place, end: int) -> Iterator[Edit]:
        """The line break after a mark removed, if what follows it stands on the same line of the page."""
        if self._text[end : end + 2] == "\r\n" and self._goes_on(mark, base, end + 2):
            glue = "" if self._text[end + 2 : end + 3] in (" ", *".,;:)\u2044") else " "
            yield Edit(end, end + 2, glue)

    def _raised(self, run: int, place: int) -> str:
        """One of the raised characters that begin at ``run``, as all of them are written together.

        The upper half of a fraction stays plain, apart from a number before it (three and a half is not 31 halves).
        """
        if _FRACTION.match(self._text, place + 1):
            apart = place == run and self._text[max(0, run - 1) : run].isdecimal()
            return f" {self._text[place]}" if apart else self._text[place]
        written = raised_behind(self._text[max(0, run - 4) : run], self._text[run : place + 1])
        return written if place == run else written[-1]

    def _lowered(self, place: int, start: int, end: int) -> str:
        """A lowered digit stays plain (``H2O``), unless another digit stands beside it (``log10 5`` set close)."""
        around = self._text[max(start, place - 1) : place] + self._text[place + 1 : min(end, place + 2)]
        return lower(self._text[place]) if any(c.isdecimal() for c in around) else self._text[place]

    def _measure(self, place: int) -> _Place | None:
        index = self._characters.index(place)
        if index is None:
            return None
        x, y = self._characters.origin(index)
        return _Place(y, self._characters.size(index), x)

    def _neighbour(self, place: int, step: int) -> _Place | None:
        """The next character on the same line, over one space."""
        place += step
        if self._text[place : place + 1] == " ":
            place += step
        character = self._text[place : place + 1]
        return self._measure(place) if place >= 0 and character and not character.isspace() else None

    def _goes_on(self, mark: _Place, base: _Place, place: int) -> bool:
        """Whether what PDFium put on a new line stands after the mark on the same line."""
        place += self._text[place : place + 1] == " "
        following = self._measure(place)
        if following is None:
            return False
        return abs(following.y - base.y) < 0.1 * base.size and following.x > mark.x


def _is_even(measured: Sequence[_Place | None]) -> bool:
    """Whether all characters stand on one baseline in one size."""
    known = [one for one in measured if one is not None]
    return len({(round(one.y, 1), round(one.size, 1)) for one in known}) < 2


def _rise(mark: _Place, base: _Place) -> int:
    """1 for a small character above the baseline of its neighbour, -1 for one below, 0 for one on it."""
    if base.size <= 0 or mark.size > SMALL * base.size:
        return 0
    height = (mark.y - base.y) / base.size
    return 1 if 1 > height >= _RAISED else -1 if -1 < height <= _LOWERED else 0
