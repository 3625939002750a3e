"""Tables side by side without drawn lines: text that looks like one table with many columns, but is two tables.

Input: the lines of a part of a page, and a position that none of them crosses. Output: whether there is a table on
either side. Each side must be a table by itself, of rows with labels and numbers, and something must separate the two:
repeated headers, captions, rows at different heights, the same labels, the drawing order of the file, or by far the
widest gap.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from sharedllm_docs.documents.readers.pdf.layout.gutters import free_strips
from sharedllm_docs.documents.readers.pdf.layout.lines import Line, Segment

_CAPTION = re.compile(
    r"(?:table|tableau|tabelle|tabla|tabella|exhibit|schedule|annex|appendix|panel|box)\b[ .:]*[\dA-Z]", re.IGNORECASE
)
_YEAR = re.compile(r"(?:FY|CY)?\s?(?:19|20)\d\d[a-zA-Z*†]?(?:\s?[-/\u2013]\s?\d{2,4})?")
_MIN_ROWS = 2  # of each side
_ROWS = 5  # of both together
_ROW_SHARE = 0.5  # of the lines of a side that are rows
_LABELLED = 0.8  # share of rows that begin with words
_ALIKE = 0.6  # share of labels that are on both sides
_WIDER, _WIDE = 2.0, 3.0  # times the widest gutter inside the tables, and the font size
_TITLED = 1.3  # the same where each side has a title
_ALONE = 0.5  # share of rows with nothing beside them


@dataclass(frozen=True)
class _Side:
    """The segments of the lines on one side; none for a line that is only on the other side."""

    lines: tuple[tuple[Segment, ...], ...]

    @cached_property
    def rows(self) -> list[int]:
        """The numbers of the lines that are rows: a label followed by numbers; years at the top are headers."""
        found = [n for n, line in enumerate(self.lines) if any(one.is_number for one in line[1:])]
        while len(found) > 1 and all(_YEAR.fullmatch(one.text) for one in self.lines[found[0]] if one.is_number):
            del found[0]
        return found

    @cached_property
    def columns(self) -> int:
        return round(statistics.median(len(self.lines[n]) for n in self.rows))

    @property
    def is_table(self) -> bool:
        """Whether there are rows with numbers, and hardly anything else."""
        return len(self.rows) >= max(_MIN_ROWS, _ROW_SHARE * sum(map(bool, self.lines)))

    @property
    def is_labelled(self) -> bool:
        """Whether the rows begin with words."""
        first = [self.lines[n][0] for n in self.rows]
        return sum(not one.is_number and _letters(one.text) > 1 for one in first) >= _LABELLED * len(first)

    @property
    def widest(self) -> float:
        """The widest gutter between its columns."""
        strips = free_strips([[(one.left, one.right) for one in self.lines[n]] for n in self.rows])
        return max((right - left for left, right in strips), default=0.0)


def stand_beside(lines: Sequence[Line], x: float) -> bool:
    """Whether there is a table left of ``x`` and another one right of it.

    Args:
        lines: top to bottom, none of which crosses ``x``.
        x: the position between the two tables.
    """
    left = _Side(tuple(tuple(one for one in line.segments if one.centre < x) for line in lines))
    right = _Side(tuple(tuple(one for one in line.segments if one.centre >= x) for line in lines))
    if _repeats_all_heads(left, right):
        return True
    if not (left.is_table and right.is_table and left.is_labelled and right.is_labelled):
        return False
    if len(left.rows) + len(right.rows) < _ROWS or min(left.columns, right.columns) < 2:
        return False
    gap = min(line[0].left for line in right.lines if line) - max(line[-1].right for line in left.lines if line)
    size = statistics.median(line.size for line in lines)
    return (
        gap >= max(_WIDER * max(left.widest, right.widest), _WIDE * size)
        or (gap >= _TITLED * max(left.widest, right.widest) and _is_titled(left, right))
        or _has_captions(left, right)
        or _rows_differ_in_height(left, right)
        or _have_same_labels(left, right)
        or _have_same_heads(left, right)
        or _opens_with_rows(left, right)
        or _is_drawn_one_after_the_other(left, right)
    )


def _letters(text: str) -> int:
    return sum(map(str.isalpha, text))


def _texts(line: Sequence[Segment]) -> list[str]:
    return [" ".join(one.text.casefold().split()) for one in line]


def _repeats_all_heads(left: _Side, right: _Side) -> bool:
    """Whether both sides have the same headers, once or several times, one above each column, and rows below."""
    for number, (one, other) in enumerate(zip(left.lines, right.lines, strict=True)):
        if not _repeats(_texts(one), _texts(other)):
            continue
        below = [[line for line in side.lines[number + 1 :] if len(line) > 1] for side in (left, right)]
        if max(map(len, below)) >= _MIN_ROWS and all(
            lines and round(statistics.median(map(len, lines))) == len(heads) and _is_above_first_column(heads, lines)
            for heads, lines in zip((one, other), below, strict=True)
        ):
            return True
    return False


def _repeats(one: Sequence[str], other: Sequence[str]) -> bool:
    """Whether the headers of two or more columns are repeated, and each side begins with the first of them."""
    both = [*one, *other]
    for count in range(2, min(len(one), len(other)) + 1):
        if len(one) % count == 0 == len(other) % count and both == both[:count] * (len(both) // count):
            return _letters(both[0]) > 0 and both[0] not in both[1:count]
    return False


def _is_above_first_column(heads: Sequence[Segment], lines: Sequence[tuple[Segment, ...]]) -> bool:
    """Whether the first header is above the first column, unlike in a table whose labels have no header."""
    firsts = [line[0] for line in lines]
    near = sum(one.left < heads[0].right + one.size and heads[0].left < one.right + one.size for one in firsts)
    return near >= 0.7 * len(firsts)


def _heads(side: _Side) -> Sequence[tuple[Segment, ...]]:
    return side.lines[: side.rows[0]]


def _is_titled(left: _Side, right: _Side) -> bool:
    """Whether a line above the rows has one phrase on either side, flush with the labels below it."""
    for one, other in zip(_heads(left), _heads(right), strict=False):
        if len(one) == len(other) == 1 and all(len(title[0].words) > 1 for title in (one, other)):
            return all(
                abs(title[0].left - side.lines[side.rows[0]][0].left) <= title[0].size
                for title, side in ((one, left), (other, right))
            )
    return False


def _has_captions(left: _Side, right: _Side) -> bool:
    return all(any(line and _CAPTION.match(line[0].text) for line in _heads(side)) for side in (left, right))


def _rows_differ_in_height(left: _Side, right: _Side) -> bool:
    """Whether rows of the two sides are at different heights, where both sides have rows."""
    top, end = max(left.rows[0], right.rows[0]), min(left.rows[-1], right.rows[-1]) + 1
    both = [n for n in sorted({*left.rows, *right.rows}) if top <= n < end]
    alone = sum(not (left.lines[n] and right.lines[n]) for n in both)
    return len(both) >= 2 * _MIN_ROWS and alone > _ALONE * len(both)


def _have_same_labels(left: _Side, right: _Side) -> bool:
    one, other = ({_texts(side.lines[n])[0] for n in side.rows} for side in (left, right))
    return len(one & other) >= max(2, _ALIKE * min(len(one), len(other)))


def _have_same_heads(left: _Side, right: _Side) -> bool:
    """Whether a header line names the numbers on both sides alike, as in the two halves of a balance sheet."""
    count = left.columns - 1
    if count < 1 or left.columns != right.columns:
        return False
    pairs = zip(_heads(left), _heads(right), strict=False)
    return any(
        len(one) >= count <= len(other) and _texts(one)[-count:] == _texts(other)[-count:] for one, other in pairs
    )


def _opens_with_rows(left: _Side, right: _Side) -> bool:
    """Whether one side has rows beside the headers of the other: one table that continues beside its beginning."""
    first, other = (left, right) if left.rows[0] >= right.rows[0] else (right, left)
    beside = [n for n in range(first.rows[0]) if n in other.rows]
    return any(len(first.lines[n]) >= 2 for n in beside)


def _is_drawn_one_after_the_other(left: _Side, right: _Side) -> bool:
    """Whether the file draws one table and then the other, and each of them row by row."""
    places = [sorted(word.start for line in side.lines for one in line for word in one.words) for side in (left, right)]
    if not (places[0][-1] < places[1][0] or places[1][-1] < places[0][0]):
        return False
    for side in (left, right):
        rows = [[word.start for one in side.lines[n] for word in one.words] for n in side.rows]
        if not all(max(a) < min(b) for a, b in pairwise(rows)):
            return False
    return True
