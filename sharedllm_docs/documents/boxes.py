"""Where text stands: rectangles on pages, kept for each run of characters beside the text of a document.

In come runs (a word, or one character of a script without spaces) with their rectangles, out come the rectangles of any
span of characters, one a line. Knows neither readers nor files.

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

STEPS = 20
"""Steps a point in which rectangles are kept: 1/20 point is a third of a pixel on paper printed at 400 dpi."""
LEVEL, UPRIGHT = 0, 1
"""Directions of a line: along x, along y."""
_RUN_NAMES = ("gap", "length", "from", "to")
_LINE_NAMES = ("page", "runs", "direction", "low", "high")
_SAME_LINE = 0.5  # of the lower of two heights, by which two boxes must overlap to be of one line
_WIDE = 1.6  # heights of a line: a wider gap parts two cells or columns
_BACK = 0.6  # heights by which a box may begin before the last one ends (kerning, raised marks)


@dataclass(frozen=True, order=True)
class Box:
    """A rectangle on a page.

    Attributes:
        page: 1-based number of the page in the source.
        left: smallest x, in PDF points (see the module).
        bottom: smallest y.
        right: largest x.
        top: largest y.
    """

    page: int
    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom


@dataclass(frozen=True)
class Run:
    """Characters that follow each other on one line.

    Attributes:
        start: first character in the document's canonical text.
        end: one past the last.
        box: where they stand.
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
        """Keep these runs, ascending by their characters. Rectangles are rounded outwards."""
        columns: dict[str, list[int]] = {name: [] for name in (*_RUN_NAMES, *_LINE_NAMES)}
        end, line = 0, None
        for run in runs:
            low, high, first, last = _steps(run)
            here = (run.box.page, run.direction, low, high)
            if here != line:
                line = here
                for name, value in zip(_LINE_NAMES, (run.box.page, 0, run.direction, low, high), strict=True):
                    columns[name].append(value)
            columns["runs"][-1] += 1
            for name, value in zip(_RUN_NAMES, (run.start - end, run.end - run.start, first, last), strict=True):
                columns[name].append(value)
            end = run.end
        return cls({name: np.asarray(values, dtype=np.int64) for name, values in columns.items()})

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
        """The runs that share a character with ``[start, end)``."""
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
        """The rectangles of a span of characters, in its order: one a line, or a piece of a line that gaps part.

        A run of which only some characters are in the span counts whole.
        """
        return merged(self.runs(start, end))


def merged(runs: Iterable[Run]) -> tuple[Box, ...]:
    """The rectangles of runs, those that follow each other on one line joined."""
    found: list[Run] = []
    for run in runs:
        if found and _goes_on(found[-1], run):
            found[-1] = Run(found[-1].start, run.end, _around(found[-1].box, run.box), run.direction)
        elif not found or found[-1].box != run.box:
            found.append(run)
    return tuple(dict.fromkeys(run.box for run in found))


def _goes_on(before: Run, after: Run) -> bool:
    """Whether two runs stand beside each other on one line."""
    if (before.box.page, before.direction) != (after.box.page, after.direction):
        return False
    (low, high, first, last), (low2, high2, first2, last2) = _sides(before), _sides(after)
    height = min(high - low, high2 - low2)
    if height <= 0 or min(high, high2) - max(low, low2) < _SAME_LINE * height:
        return False
    gap = max(first2 - last, first - last2)  # lines may run either way
    return -_BACK * max(high - low, high2 - low2) < gap < _WIDE * max(high - low, high2 - low2)


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


def _steps(run: Run) -> tuple[int, int, int, int]:
    low, high, first, last = _sides(run)
    return _down(low), -_down(-high), _down(first), -_down(-last)


def _down(value: float) -> int:
    """The step at or below a place; what comes from a file as a multiple of a step stays there."""
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
