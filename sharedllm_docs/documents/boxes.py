"""Where text is printed: rectangles on pages for each run of characters, stored beside the text of a document.

Input: runs (a word, or one character of a script without spaces) with their rectangles. Output: the rectangles of any
span of characters, one per line. Knows neither readers nor files.

Units are PDF points in the page's own coordinates: x to the right, y upwards, before the page is rotated for display,
and not shifted by its crop box. A page that does not begin at (0, 0) has boxes that do not either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.box import Box

STEPS = 20
"""Steps a point in which rectangles are kept: 1/20 point is a third of a pixel on paper printed at 400 dpi."""
LEVEL, UPRIGHT = 0, 1
"""Directions of a line: along x, along y."""
_RUN_NAMES = ("gap", "length", "from", "to")
_LINE_NAMES = ("page", "runs", "direction", "low", "high")
_APART = 0.9  # heights: a gap inside a word from which it is two (cells that no space parts)
_OVERLAP = 0.3  # of the lower of two heights, by which characters of one word must overlap
_ALIKE = 0.4  # of the higher of two heights: lower boxes stand by themselves (text beside a watermark, an initial)
_SAME_LINE = 0.5  # of the lower of two heights, by which two boxes must overlap to be of one line
_WIDE = 1.6  # heights of a line: a wider gap parts two cells or columns
_BACK = 0.6  # heights by which a box may begin before the last one ends (kerning, raised marks)


@dataclass(frozen=True)
class Run:
    """Characters that follow each other on one line.

    Attributes:
        start: first character in the document's canonical text.
        end: one past the last.
        box: their rectangle.
        direction: ``LEVEL`` where the line runs along x, ``UPRIGHT`` along y.
    """

    start: int
    end: int
    box: Box
    direction: int = LEVEL


class Places:
    """The rectangles of all runs of a document.

    Args:
        columns: by name, as ``to_arrays`` gives them.

    Raises:
        ValueError: columns that are missing, of another length than they must be, or not whole numbers.
    """

    def __init__(self, columns: Mapping[str, NDArray[Any]]) -> None:
        self._columns = {name: _column(columns, name) for name in (*_RUN_NAMES, *_LINE_NAMES)}
        counts = self._columns["runs"]
        if (counts < 0).any() or int(counts.sum()) != len(self._columns["gap"]):
            raise ValueError("the lines do not hold as many runs as there are")
        for names in (_RUN_NAMES, _LINE_NAMES):
            if len({len(self._columns[name]) for name in names}) != 1:
                raise ValueError(f"the columns {', '.join(names)} differ in length")
        if (self._columns["gap"] < 0).any() or (self._columns["length"] < 0).any():
            raise ValueError("runs overlap")

    @classmethod
    def of(cls, runs: Iterable[Run]) -> Places:
        """Keep these runs, ascending by their characters."""
        columns = RunColumns()
        for run in runs:
            columns.add(run.start, run.box.page, (*_sides(run), run.direction), apart=True)
            columns.lengthen(run.end)
        return columns.places()

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """The columns, each as narrow as its numbers allow: one entry a run or a line."""
        return {name: _narrow(values) for name, values in self._columns.items()}

    def __len__(self) -> int:
        """Number of runs."""
        return len(self._columns["gap"])

    @cached_property
    def _ends(self) -> NDArray[np.int64]:
        return np.cumsum(self._columns["gap"] + self._columns["length"])

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        starts: NDArray[np.int64] = self._ends - self._columns["length"]
        return starts

    @cached_property
    def _line_of(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(len(self._columns["runs"])), self._columns["runs"])

    def runs(self, start: int, end: int) -> list[Run]:
        """The runs that overlap ``[start, end)``."""
        first = int(np.searchsorted(self._ends, start, side="right"))
        last = int(np.searchsorted(self._starts, end, side="left"))
        return [self._run(number) for number in range(first, last)] if start < end else []

    def _run(self, number: int) -> Run:
        line = int(self._line_of[number])
        low, high, direction, page = (int(self._columns[name][line]) for name in ("low", "high", "direction", "page"))
        first, last = int(self._columns["from"][number]), int(self._columns["to"][number])
        sides = (first, low, last, high) if direction == LEVEL else (low, first, high, last)
        box = Box(page, *(side / STEPS for side in sides))
        return Run(int(self._starts[number]), int(self._ends[number]), box, direction)

    def boxes(self, start: int, end: int) -> tuple[Box, ...]:
        """The rectangles of a span of characters, in order: one per line, or several if wide gaps divide a line.

        A run counts completely even if only some of its characters are in the span.
        """
        return merged(self.runs(start, end))


class RunColumns:
    """Collects runs, ascending by their characters, as the columns of ``Places``. Rectangles are rounded outwards."""

    def __init__(self) -> None:
        self._columns: dict[str, list[int]] = {name: [] for name in (*_RUN_NAMES, *_LINE_NAMES)}
        self._last_end = 0  # of the runs that are finished
        self._start = self._end = 0
        self._page = 0
        self._sides: tuple[float, float, float, float, int] | None = None
        self._line: tuple[int, ...] | None = None

    def add(self, start: int, page: int, sides: tuple[float, float, float, float, int], *, apart: bool) -> None:
        """Add the character at ``start``; to the run before it, if it is close to that on the same line.

        Args:
            start: its place in the document.
            page: its page.
            sides: lower and upper edge across the line, first and last along it, direction.
            apart: whether it always begins a new run.
        """
        last = self._sides
        if last is not None and not apart and page == self._page and start == self._end and _is_close(last, sides):
            low, high, first, end, direction = last
            low2, high2, first2, end2, _ = sides
            self._sides = min(low, low2), max(high, high2), min(first, first2), max(end, end2), direction
        else:
            self._finish()
            self._start, self._page, self._sides = start, page, sides
        self._end = start + 1

    def lengthen(self, end: int) -> None:
        """Let the last run end at ``end``."""
        self._end = end

    def _finish(self) -> None:
        if self._sides is None:
            return
        low, high, first, last, direction = self._sides
        line = (self._page, direction, _down(low), -_down(-high))
        columns = self._columns
        if line != self._line:
            self._line = line
            for name, value in zip(("page", "direction", "low", "high"), line, strict=True):
                columns[name].append(value)
            columns["runs"].append(0)
        columns["runs"][-1] += 1
        columns["gap"].append(self._start - self._last_end)
        columns["length"].append(self._end - self._start)
        columns["from"].append(_down(first))
        columns["to"].append(-_down(-last))
        self._last_end, self._sides = self._end, None

    def places(self) -> Places:
        """The runs so far."""
        self._finish()
        return Places({name: np.asarray(values, dtype=np.int64) for name, values in self._columns.items()})


def _is_close(one: tuple[float, float, float, float, int], other: tuple[float, float, float, float, int]) -> bool:
    """Whether a character belongs to the word before it: on the same line, and beside it."""
    low, high, first, last, direction = one
    low2, high2, first2, last2, direction2 = other
    if direction != direction2 or not _overlap(low, high, low2, high2, _OVERLAP):
        return False
    gap = max(first2 - last, first - last2)  # lines may run either way
    return -(last2 - first2) - 1 <= gap <= _APART * max(high - low, high2 - low2)


def merged(runs: Iterable[Run]) -> tuple[Box, ...]:
    """The rectangles of runs, with consecutive runs on one line joined."""
    found: list[Run] = []
    for run in runs:
        if found and _goes_on(found[-1], run):
            found[-1] = Run(found[-1].start, run.end, _around(found[-1].box, run.box), run.direction)
        elif not found or found[-1].box != run.box:
            found.append(run)
    return tuple(dict.fromkeys(run.box for run in found))


def _goes_on(before: Run, after: Run) -> bool:
    """Whether two runs are next to each other on one line."""
    if (before.box.page, before.direction) != (after.box.page, after.direction):
        return False
    (low, high, first, last), (low2, high2, first2, last2) = _sides(before), _sides(after)
    if not _overlap(low, high, low2, high2, _SAME_LINE):
        return False
    gap = max(first2 - last, first - last2)  # lines may run either way
    return -_BACK * max(high - low, high2 - low2) < gap < _WIDE * max(high - low, high2 - low2)


def _overlap(low: float, high: float, low2: float, high2: float, share: float) -> bool:
    """Whether two boxes have similar heights and overlap vertically by a share of the lower one's height."""
    one, other = sorted((high - low, high2 - low2))
    return one > 0 and one >= _ALIKE * other and min(high, high2) - max(low, low2) >= share * one


def _around(one: Box, other: Box) -> Box:
    return Box(
        one.page,
        min(one.left, other.left),
        min(one.bottom, other.bottom),
        max(one.right, other.right),
        max(one.top, other.top),
    )


def _sides(run: Run) -> tuple[float, float, float, float]:
    """Lower and upper edge across the line, first and last along it."""
    box = run.box
    if run.direction == LEVEL:
        return box.bottom, box.top, box.left, box.right
    return box.left, box.right, box.bottom, box.top


def _down(value: float) -> int:
    """The step at or below a coordinate; a multiple of a step, as it comes from a file, stays the same."""
    return math.floor(round(value * STEPS, 3))


def _column(columns: Mapping[str, NDArray[Any]], name: str) -> NDArray[np.int64]:
    if name not in columns:
        raise ValueError(f"the column {name!r} is missing")
    array = columns[name]
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise ValueError(f"the column {name!r} is {array.dtype} {array.shape}, not a list of whole numbers")
    return array.astype(np.int64)


def _narrow(values: NDArray[np.int64]) -> NDArray[Any]:
    for dtype in (np.int8, np.int16):
        bounds = np.iinfo(dtype)
        if not len(values) or (values.min() >= bounds.min and values.max() <= bounds.max):
            return values.astype(dtype)
    return values.astype(np.int32)
