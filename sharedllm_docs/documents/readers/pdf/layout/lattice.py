"""Ruled tables: the grid that their drawn lines form, with spanning cells, and rows without a line of their own."""

from __future__ import annotations

import bisect
import itertools
from collections import defaultdict
from collections.abc import Sequence

from sharedllm_docs.documents.readers.pdf.layout.boxes import Rule, Word, around
from sharedllm_docs.documents.readers.pdf.layout.gutters import gutters
from sharedllm_docs.documents.readers.pdf.layout.lines import Line, lines_of
from sharedllm_docs.documents.readers.pdf.layout.rules import Lattice
from sharedllm_docs.documents.readers.pdf.layout.table import Cell, Table, cell, compact

_NEAR = 3.0  # points: distance of drawn lines that count as one
_EDGE = 0.6  # share of a cell's side that a rule must cover to be its border
_MAX_SIDE = 400  # rows or columns: more is a drawing
_PROSE_WORDS = 60  # words of a cell that is no cell


def lattice_table(lattice: Lattice, words: Sequence[Word]) -> Table | None:
    """The table that drawn lines form around ``words``, or None if they do not form one (a frame, a chart)."""
    inside = [word for word in words if lattice.box.holds(word.centre, word.middle, 1.0)]
    if len(inside) < 4:
        return None
    xs, ys = _places(lattice, inside)
    if len(xs) < 3 or len(ys) < 2 or len(xs) > _MAX_SIDE or len(ys) > _MAX_SIDE:
        return None
    grid = _Grid(lattice, xs, ys, inside)
    cells = compact(grid.cells())
    if not _is_table(cells):
        return None
    return Table(around([word for one in cells for word in one.words]), tuple(cells), ruled=True)


def _is_table(cells: Sequence[Cell]) -> bool:
    if len(cells) < 4:
        return False
    rows: defaultdict[int, int] = defaultdict(int)
    columns: defaultdict[int, int] = defaultdict(int)
    for one in cells:
        rows[one.row] += 1
        columns[one.column] += 1
    filled = len(cells) / (len(rows) * len(columns))
    full_rows = sum(count >= 2 for count in rows.values())
    long = sum(len(one.words) > _PROSE_WORDS for one in cells)
    return full_rows >= 2 and sum(c >= 2 for c in columns.values()) >= 2 and filled >= 0.25 and long <= len(cells) / 4


def _clustered(places: Sequence[float], near: float = _NEAR) -> list[float]:
    found: list[list[float]] = []
    for place in sorted(places):
        if found and place - found[-1][0] <= max(near, _NEAR):
            found[-1].append(place)
        else:
            found.append([place])
    return [sum(group) / len(group) for group in found]


def _places(lattice: Lattice, words: Sequence[Word]) -> tuple[list[float], list[float]]:
    """Borders of columns and rows, outer ones included; between vertical lines also those that only gaps show."""
    size = sorted(word.size for word in words)[len(words) // 2]
    xs = _clustered([*(rule.place for rule in lattice.down), lattice.box.left, lattice.box.right], 0.7 * size)
    # an outer border that is not drawn: horizontal lines extend beyond the last vertical one
    ys = _clustered([rule.place for rule in lattice.across])
    more: list[float] = []
    for left, right in itertools.pairwise(xs):
        lane = [word for word in words if left <= word.centre <= right]
        more += gutters(lines_of(lane), wide=0.6, sure=True)
    return sorted([*xs, *more]), ys


class _Grid:
    """Unit cells between all drawn lines, merged where no line separates them."""

    def __init__(self, lattice: Lattice, xs: list[float], ys: list[float], words: Sequence[Word]) -> None:
        self.xs, self.ys = xs, ys
        self.nx, self.ny = len(xs) - 1, len(ys) - 1
        self.drawn = [min(abs(x - rule.place) for rule in lattice.down) <= 2 * _NEAR for x in xs]
        self._across = self._lanes(lattice.across, ys)
        self._down = self._lanes(lattice.down, xs)
        self.words: defaultdict[tuple[int, int], list[Word]] = defaultdict(list)
        for word in words:
            row = min(max(bisect.bisect_right(ys, word.middle) - 1, 0), self.ny - 1)
            column = min(max(bisect.bisect_right(xs, word.centre) - 1, 0), self.nx - 1)
            self.words[row, column].append(word)

    @staticmethod
    def _lanes(rules: Sequence[Rule], places: Sequence[float]) -> list[list[Rule]]:
        lanes: list[list[Rule]] = [[] for _ in places]
        for rule in rules:
            nearest = min(range(len(places)), key=lambda number: abs(places[number] - rule.place))
            lanes[nearest].append(rule)
        return lanes

    def _parted(self, row: int, column: int, below: bool) -> bool:
        """Whether a drawn line separates a unit cell from the next one below or to the right."""
        if below:
            rules, start, end = self._across[row + 1], self.xs[column], self.xs[column + 1]
        elif not self.drawn[column + 1]:
            return not self._crossed(row, column + 1)
        else:
            rules, start, end = self._down[column + 1], self.ys[row], self.ys[row + 1]
        covered = sum(max(0.0, min(rule.end, end) - max(rule.start, start)) for rule in rules)
        return covered >= _EDGE * (end - start)

    def _crossed(self, row: int, border: int) -> bool:
        """Whether words run over a border that only gaps show."""
        x = self.xs[border]
        beside = [*self.words[row, border - 1], *self.words[row, border]]
        return any(
            segment.left < x - 1 and segment.right > x + 1 for line in lines_of(beside) for segment in line.segments
        )

    def _united(self) -> list[tuple[int, int, int, int]]:
        """(row, last row, column, last column) of the cells that the drawn lines show."""
        taken: set[tuple[int, int]] = set()
        found = []
        for row in range(self.ny):
            for column in range(self.nx):
                if (row, column) in taken:
                    continue
                last_column = column
                while last_column + 1 < self.nx and (row, last_column + 1) not in taken:
                    if self._parted(row, last_column, below=False):
                        break
                    last_column += 1
                last_row = row
                while last_row + 1 < self.ny and not any(
                    self._parted(last_row, c, below=True) for c in range(column, last_column + 1)
                ):
                    if any((last_row + 1, c) in taken for c in range(column, last_column + 1)):
                        break
                    if any(self._parted(last_row + 1, c, below=False) for c in range(column, last_column)):
                        break
                    last_row += 1
                taken.update((r, c) for r in range(row, last_row + 1) for c in range(column, last_column + 1))
                found.append((row, last_row, column, last_column))
        return found

    def cells(self) -> list[Cell]:
        """The cells with their words; a band without lines inside is divided into rows by its text."""
        spans = [part for span in self._united() for part in self._parts(span)]
        held = {span: self._held(span) for span in spans}
        bands: defaultdict[int, list[tuple[int, int, int, int]]] = defaultdict(list)
        for span in spans:
            if span[0] == span[1]:
                bands[span[0]].append(span)
        starts: dict[int, list[float]] = {}  # the heights at which the rows of a band begin
        for band, members in bands.items():
            starts[band] = self._rows_in(band, [(span[2], span[3], held[span]) for span in members])
        first: list[int] = []
        count = 0
        for band in range(self.ny):
            first.append(count)
            count += max(1, len(starts.get(band, [])))
        found: list[Cell] = []
        for span in spans:
            row, last_row, column, last_column = span
            tops = starts.get(row, [])
            if row == last_row and len(tops) > 1:
                parts: defaultdict[int, list[Word]] = defaultdict(list)
                for word in held[span]:
                    parts[max(0, bisect.bisect_right(tops, word.middle) - 1)].append(word)
                found += [cell(first[row] + n, first[row] + n, column, last_column, ws) for n, ws in parts.items()]
                continue
            end = first[last_row] + max(1, len(starts.get(last_row, []))) - 1
            found.append(cell(first[row], end, column, last_column, held[span]))
        return found

    def _parts(self, span: tuple[int, int, int, int]) -> list[tuple[int, int, int, int]]:
        """A cell over several columns, divided as its words show: rows below a header often lack their lines."""
        row, last_row, column, last_column = span
        if last_column == column:
            return [span]
        segments = [segment for line in lines_of(self._held(span)) for segment in line.segments]
        if not segments:
            return [span]
        left, right = self.xs[column], self.xs[last_column + 1]
        stacked = all(len(line.segments) == 1 for line in lines_of(self._held(span)))
        if stacked and last_row + 1 < self.ny and self._ruled_below(last_row + 1, column, last_column):
            return [span]  # its drawn lines end here: it is a merged cell, however its words are set
        centred = abs(around(segments).centre - (left + right) / 2) < 0.1 * (right - left)
        inner = range(column + 1, last_column + 1)
        crossed = {n for n in inner if any(s.left < self.xs[n] - 1 and s.right > self.xs[n] + 1 for s in segments)}
        if len(crossed) == len(inner) or (len(segments) == 1 and centred):
            return [span]
        found, first = [], column
        for border in [n for n in inner if n not in crossed]:
            found.append((row, last_row, first, border - 1))
            first = border
        return [*found, (row, last_row, first, last_column)]

    def _ruled_below(self, row: int, column: int, last_column: int) -> bool:
        """Whether drawn lines separate all of these columns in a row."""
        inner = range(column, last_column)
        return all(self.drawn[n + 1] and self._parted(row, n, below=False) for n in inner)

    def _held(self, span: tuple[int, int, int, int]) -> list[Word]:
        row, last_row, column, last_column = span
        places = ((r, c) for r in range(row, last_row + 1) for c in range(column, last_column + 1))
        return [word for place in places for word in self.words[place]]

    def _rows_in(self, band: int, members: Sequence[tuple[int, int, list[Word]]]) -> list[float]:
        """Upper borders of the rows in a band: one, unless several of its lines have numbers in several columns."""
        words = [word for _, _, held in members for word in held]
        lines = lines_of(words)
        if len(lines) < 2:
            return [self.ys[band]]
        owner = {word: number for number, (_, _, held) in enumerate(members) for word in held}
        full = [line for line in lines if _is_data(line, owner)]
        if len(full) < 2 or len(full) < 0.5 * len(lines):
            return [self.ys[band]]
        return _row_tops(lines, owner, self.ys[band])


def _is_data(line: Line, owner: dict[Word, int]) -> bool:
    """Whether a line has text in at least two cells, with a number after the first."""
    by_cell: defaultdict[int, list[str]] = defaultdict(list)
    for word in line.words:
        by_cell[owner[word]].append(word.text)
    from sharedllm_docs.documents.readers.pdf.layout.lines import is_number

    texts = [" ".join(by_cell[number]) for number in sorted(by_cell)]
    numbers = sum(is_number(text) for text in texts[1:])
    return len(texts) >= 2 and numbers >= max(1, (len(texts) - 1) // 2)


def _row_tops(lines: Sequence[Line], owner: dict[Word, int], top: float) -> list[float]:
    """Upper borders of rows, each of which begins with a line of data; other lines continue the row above."""
    tops = [top]
    for before, line in itertools.pairwise(lines):
        if _is_data(line, owner) or not _is_data(before, owner):
            tops.append((before.base + line.top) / 2)
    return tops
