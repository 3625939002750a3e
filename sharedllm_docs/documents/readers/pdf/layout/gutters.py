"""Upright strips without words through several lines: where columns of a table are parted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sharedllm_docs.documents.readers.pdf.layout.lines import Line

_FEW = 0.1  # share of lines that may cross a gutter: spanning heads and notes
_MIN = 0.5  # of the font size: the narrowest gutter
_CROWDED = 0.2  # of it: the narrowest between two columns of figures


def free_strips(spans: Sequence[Sequence[tuple[float, float]]], crossing: int = 0) -> list[tuple[float, float]]:
    """Strips (left, right) inside the hull of ``spans`` that at most ``crossing`` lines cross.

    Args:
        spans: (left, right) of what each line holds.
        crossing: lines that may hold something there.
    """
    events: list[tuple[float, int]] = []
    for line in spans:
        for left, right in line:
            events += [(left, 1), (right, -1)]
    events.sort(key=lambda event: (event[0], -event[1]))
    found, depth, start = list[tuple[float, float]](), 0, None
    for x, step in events:
        if start is not None and step > 0 and depth + step > crossing:
            if x > start:
                found.append((start, x))
            start = None
        depth += step
        if start is None and depth <= crossing and step < 0:
            start = x
    return found


def gutters(lines: Sequence[Line], *, wide: float = _MIN, sure: bool = False) -> list[float]:
    """The middles of the gutters between the columns of a table.

    Args:
        lines: of the table.
        wide: minimum width, in sizes of the font.
        sure: True to accept only gutters with numbers on their right on three lines.
    """
    several = [line for line in lines if len(line.segments) > 1]
    if len(several) < (3 if sure else 1):
        return []
    body = [line for line in several if line.numbers]
    if len(body) < 2:
        if sure:
            return []
        body = several
    size = sorted(line.size for line in body)[len(body) // 2]
    few = int(_FEW * len(body)) if len(body) >= 6 else 0
    strips = free_strips([[(s.left, s.right) for s in line.segments] for line in body], few)
    # where few lines may cross, a strip may lie at the edge of what all others hold
    return [
        (left + right) / 2
        for left, right in strips
        if right - left >= (_CROWDED if wide <= _MIN and _parts_figures(body, left, right) else wide) * size
    ]


def _parts_figures(lines: Sequence[Line], left: float, right: float) -> bool:
    """Whether figures stand on both sides of a strip in every line that holds something on both, and in two of them."""
    pairs = [
        (before.is_number, after.is_number)
        for line in lines
        for before, after in pairwise(line.segments)
        if before.right <= left + 0.01 and after.left >= right - 0.01
    ]
    return len(pairs) > 1 and all(a and b for a, b in pairs)
