"""Joins the lines of a table to rows: labels and texts may run over several lines; headings stand between rows."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from sharedllm_docs.documents.readers.pdf.layout.boxes import Word
from sharedllm_docs.documents.readers.pdf.layout.lines import is_number

_LEADERS = re.compile(r"(?:[.\u2024\u2026_] ?){3,}\Z")
_LOOSE = 1.3  # times the closest distance of lines: a new row
_CLOSE = 0.87  # times the usual distance: a line inside a row
_FULL = 0.9  # of the label column's width: a line that had to be broken


@dataclass(frozen=True)
class Entry:
    """A line of a table with its words by column, in order.

    Attributes:
        base: its baseline.
        size: of its font.
        by_column: words of each column that has any; a spanning cell is in its first column.
    """

    base: float
    size: float
    by_column: Mapping[int, Sequence[Word]]

    def text(self, column: int) -> str:
        return " ".join(word.text for word in self.by_column.get(column, ()))

    @property
    def is_label(self) -> bool:
        """Whether only its first column has words."""
        return set(self.by_column) == {0}

    @property
    def numbers(self) -> int:
        return sum(is_number(self.text(column)) for column in self.by_column if column)


def grouped(entries: Sequence[Entry], room: float) -> list[list[int]]:
    """Numbers of the entries that make up each row.

    Args:
        entries: lines of the body of a table, top to bottom.
        room: width of the first column, up to what stands right of it.
    """
    rows: list[list[int]] = []
    pitch = _pitch(entries)
    usual = _usual_step(entries)
    for number in range(len(entries)):
        if rows and _goes_on(entries, rows[-1], number, room, pitch, usual):
            rows[-1].append(number)
        else:
            rows.append([number])
    return rows


def _pitch(entries: Sequence[Entry]) -> float:
    """The distance of lines that are close together."""
    steps = sorted(b.base - a.base for a, b in itertools.pairwise(entries))
    steps = [step for step in steps if step > 0.6 * entries[0].size]
    return steps[len(steps) // 10] if steps else 0.0


def _usual_step(entries: Sequence[Entry]) -> float:
    """The distance of most lines to the next."""
    steps = [b.base - a.base for a, b in pairwise(entries)]
    return statistics.median(steps) if steps else 0.0


def _goes_on(
    entries: Sequence[Entry], row: Sequence[int], number: int, room: float, pitch: float, usual: float
) -> bool:
    """Whether an entry continues the row above it."""
    entry, above = entries[number], entries[number - 1]
    if entry.base - above.base > _LOOSE * max(pitch, 0.9 * entry.size):
        return False
    if 0 not in entry.by_column:
        # no label: texts that run on, never numbers
        if any(is_number(entry.text(column)) for column in entry.by_column):
            return False
        filled = {column for index in row for column in entries[index].by_column}
        return set(entry.by_column) <= filled
    if 0 not in above.by_column:
        return False
    label, upper = entry.text(0), above.text(0)
    has_data = len(entry.by_column) > 1
    if has_data and any(len(entries[index].by_column) > 1 for index in row):
        # two lines with data are one row only where texts run on in every column
        close = entry.base - above.base < _CLOSE * usual
        return close and _runs_on(label) and not entry.numbers and not is_number(label)
    if _runs_on(label):
        return True
    if len(above.by_column) > 1 and _LEADERS.search(upper):
        return False
    return not upper.rstrip().endswith(":") and _was_full(above, entry, room)


def _runs_on(label: str) -> bool:
    """Whether a text begins like the middle of a sentence."""
    opening = label.lstrip("\u2013-( ")[:1]
    return opening.islower() and len(label) > 2


def _was_full(above: Entry, entry: Entry, room: float) -> bool:
    """Whether the first word of a line would not have fitted on the line above."""
    upper, lower = above.by_column[0], entry.by_column[0]
    used = upper[-1].right - upper[0].left
    return used + lower[0].width + 0.3 * entry.size > _FULL * room and used > 0.5 * room
