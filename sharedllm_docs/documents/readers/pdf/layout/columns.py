"""Columns of text on a page, and the order in which its blocks are read: column after column, top to bottom."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sharedllm_docs.documents.readers.pdf.layout.beside import stand_beside
from sharedllm_docs.documents.readers.pdf.layout.boxes import Rule, Word
from sharedllm_docs.documents.readers.pdf.layout.lines import Line, is_number, lines_of
from sharedllm_docs.documents.readers.pdf.layout.table import Table

_DEPTH = 5  # columns inside columns: more is no page that people print
_MIN_LINES = 3  # of a column
_MIN_TABLE_LINES = 2  # of one of two tables side by side
_FEW_LINES = 5  # of a column: fewer count only where the file draws the columns one after the other
_MORE_LINES = 5  # of a column that does not look like running text
_RUN_ON = 0.15  # share of the lines of running text that begin in the middle of a sentence, at least
_STEP = 3.0  # points between the places at which a gutter is looked for
_REACH = 30.0  # points on either side of a gutter: shorter lines underline words
_MAX_PLACES, _MAX_TRIED = 40, 12
_FAR = 1.7  # times the usual distance of lines: what stands further off is a header or a footer
_FULL = 0.72  # of a column's width, from which a line fills it
_MIN_GUTTER = 0.7  # of the font size


@dataclass(frozen=True)
class Strip:
    """Lines that form two columns.

    Attributes:
        first: number of its first line.
        end: one past its last.
        x: the position between the columns.
        tables: whether the columns are two tables.
    """

    first: int
    end: int
    x: float
    tables: bool = False


@dataclass(frozen=True)
class Region:
    """Lines and drawn tables of one column, top to bottom.

    Attributes:
        lines: those outside drawn tables.
        tables: the drawn ones.
        has_neighbour: whether another table stands beside its own, so that a few rows are one.
    """

    lines: tuple[Line, ...]
    tables: tuple[Table, ...]
    has_neighbour: bool = False


def regions(
    words: Sequence[Word],
    tables: Sequence[Table] = (),
    rules: Sequence[Rule] = (),
    depth: int = 0,
    has_neighbour: bool = False,
) -> list[Region]:
    """The parts of a page in reading order, each of one column.

    Args:
        words: those outside drawn tables.
        tables: the drawn tables.
        rules: drawn lines; a horizontal one across several columns separates what is above from what is below.
        depth: of columns in columns.
        has_neighbour: whether another table stands beside.
    """
    lines = lines_of(words)
    strip = _columns(lines, tables, rules) if depth < _DEPTH else None
    if strip is None:
        return [Region(tuple(lines), tuple(tables), has_neighbour)] if lines or tables else []
    inside = [word for line in lines[strip.first : strip.end] for word in line.words]
    top, bottom = lines[strip.first].base, lines[strip.end - 1].base
    above = [table for table in tables if table.box.middle < top]
    below = [table for table in tables if table.box.middle > bottom]
    beside = [table for table in tables if top <= table.box.middle <= bottom]
    found = regions([w for line in lines[: strip.first] for w in line.words], above, rules, depth + 1)
    for left in (True, False):
        column = [word for word in inside if (word.centre < strip.x) is left]
        own = [table for table in beside if (table.box.centre < strip.x) is left]
        found += regions(column, own, rules, depth + 1, strip.tables)
    return [*found, *regions([w for line in lines[strip.end :] for w in line.words], below, rules, depth + 1)]


def stacked(lines: Sequence[Line], tables: Sequence[Table]) -> list[Line | Table]:
    """Lines and tables of one column, top to bottom."""
    placed: list[tuple[float, Line | Table]] = [(line.base, line) for line in lines]
    placed += [(table.box.top + 0.01, table) for table in tables]
    return [item for _, item in sorted(placed, key=lambda one: one[0])]


def _columns(lines: Sequence[Line], tables: Sequence[Table], rules: Sequence[Rule]) -> Strip | None:
    """The tallest strip of lines in two columns, or None."""
    if len(lines) < _MIN_LINES:
        return None
    found: dict[tuple[int, int, int], tuple[float, Strip]] = {}
    small: dict[tuple[int, int, int], tuple[float, Strip]] = {}
    for x in _places(lines):
        for run in _free_runs(lines, tables, rules, x):
            first, end = _trimmed(lines, *run)
            sides = _beside(lines[first:end], x)
            if min(sides) >= _MIN_TABLE_LINES:
                height = lines[end - 1].base - lines[first].base
                kind = found if min(sides) >= _MIN_LINES else small
                kind.setdefault((first, end, round(x / 9)), (height, Strip(first, end, x)))
    for _, strip in sorted(found.values(), key=lambda one: -one[0])[:_MAX_TRIED]:
        if _are_columns(lines[strip.first : strip.end], strip.x):
            return strip
        if (beside := _tables_beside(lines, strip)) is not None:
            return beside
    tallest = sorted(small.values(), key=lambda one: -one[0])[:_MAX_TRIED]
    return next((beside for _, strip in tallest if (beside := _tables_beside(lines, strip)) is not None), None)


def _tables_beside(lines: Sequence[Line], strip: Strip) -> Strip | None:
    """The strip without the text below it, if it is two tables side by side."""
    trimmed = _without_last_words(lines, strip)
    return trimmed if stand_beside(lines[trimmed.first : trimmed.end], trimmed.x) else None


def _without_last_words(lines: Sequence[Line], strip: Strip) -> Strip:
    """The strip without lines at its end that have a single text on the left: they stand below both columns."""
    end = strip.end
    while end > strip.first + 1 and len(lines[end - 1].segments) == 1 and lines[end - 1].segments[0].centre < strip.x:
        end -= 1
    return Strip(strip.first, end, strip.x, tables=True)


def _beside(lines: Sequence[Line], x: float) -> tuple[int, int]:
    """How many lines have something left, and right of ``x``."""
    left = sum(line.segments[0].centre < x for line in lines)
    return left, sum(line.segments[-1].centre > x for line in lines)


def _places(lines: Sequence[Line]) -> list[float]:
    """Where gutters may be: the middles of gaps, and the left edges of text that starts far to the right."""
    counts: dict[int, int] = {}
    for line in lines:
        for a, b in zip(line.segments, line.segments[1:], strict=False):
            if b.left - a.right >= _MIN_GUTTER * line.size:
                # a wide gap has its middle and its edges: one of them is the gutter of the other lines
                for x in {round((a.right + b.left) / 2 / _STEP), round((b.left - 4) / _STEP)}:
                    counts[x] = counts.get(x, 0) + 1
        counts[round((line.left - 4) / _STEP)] = counts.get(round((line.left - 4) / _STEP), 0) + 1
    common = sorted(counts, key=lambda x: (-counts[x], x))[:_MAX_PLACES]
    return [x * _STEP for x in common]


def _free_runs(
    lines: Sequence[Line], tables: Sequence[Table], rules: Sequence[Rule], x: float
) -> Iterator[tuple[int, int]]:
    """Runs (first, end) of lines of which none crosses ``x``; a table or a drawn line that does ends a run."""
    walls = [table.box.middle for table in tables if table.box.left < x < table.box.right]
    walls += [rule.place for rule in rules if rule.level and rule.start < x - _REACH and rule.end > x + _REACH]
    first = None
    for number, line in enumerate(lines):
        crossed = any(one.left < x - 1 and one.right > x + 1 for one in line.segments)
        cut = number > 0 and any(lines[number - 1].base < wall < line.base for wall in walls)
        if first is not None and (crossed or cut):
            yield first, number
            first = None
        if first is None and not crossed:
            first = number
    if first is not None:
        yield first, len(lines)


def _trimmed(lines: Sequence[Line], first: int, end: int) -> tuple[int, int]:
    """The run without headers and footers that stand off."""
    steps = [b.base - a.base for a, b in zip(lines[first:end], lines[first + 1 : end], strict=False)]
    steps = [step for step in steps if step > 0.5 * lines[first].size]
    usual = statistics.median(steps) if steps else 0.0
    for _ in range(3):
        if end - first > _MIN_LINES and lines[first + 1].base - lines[first].base > _FAR * usual:
            first += 1
        if end - first > _MIN_LINES and lines[end - 1].base - lines[end - 2].base > _FAR * usual:
            end -= 1
    return first, end


def _are_columns(lines: Sequence[Line], x: float) -> bool:
    """Whether left and right of ``x`` are columns of text, to be read one after the other, and not a table."""
    sides = [[word for line in lines for word in line.words if (word.centre < x) is left] for left in (True, False)]
    left, right = (lines_of(side) for side in sides)
    if len(left) < _MIN_LINES or len(right) < _MIN_LINES:
        return False
    if sum(line.is_code for line in (*left, *right)) > 0.3 * (len(left) + len(right)):
        return False
    shares = [_prose(side) for side in (left, right)]
    few = min(len(left), len(right)) < _FEW_LINES
    if min(shares) >= 0.5:
        return _drawn_in_turn(lines, x) or (not few and _run_on(left) and _run_on(right))
    return min(shares) >= 0.2 and min(len(left), len(right)) >= _MORE_LINES and _drawn_in_turn(lines, x)


def _prose(lines: Sequence[Line]) -> float:
    """How much a column is running text, 0 to 1: words a line, lines that fill the width, few numbers."""
    words = [word for line in lines for word in line.words]
    numbers = sum(is_number(word.text) for word in words) / len(words)
    if numbers > 0.4 or len(words) < 3 * len(lines):
        return 0.2 if numbers <= 0.4 and len(words) >= 1.7 * len(lines) else 0.0
    width = _usual_width(lines)
    full = sum(line.width >= _FULL * width for line in lines) / len(lines)
    return min(1.0, full + (0.2 if len(words) >= 5 * len(lines) else 0.0))


def _run_on(lines: Sequence[Line]) -> bool:
    """Whether lines continue the ones before them: table rows begin with capitals and numbers, sentences run on."""
    return sum(not line.text[0].isupper() and not line.text[0].isdigit() for line in lines) >= _RUN_ON * len(lines)


def _usual_width(lines: Sequence[Line]) -> float:
    """The width of the column: that of its longer lines."""
    widths = sorted(line.width for line in lines)
    return widths[int(0.9 * (len(widths) - 1))]


def _drawn_in_turn(lines: Sequence[Line], x: float) -> bool:
    """Whether the file draws one side after the other rather than row by row."""
    words = sorted((word for line in lines for word in line.words), key=lambda word: word.start)
    sides = [word.centre < x for word in words]
    changes = sum(a is not b for a, b in itertools.pairwise(sides))
    return changes <= 1
