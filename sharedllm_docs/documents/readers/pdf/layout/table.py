"""A table as found: cells on a grid of rows and columns. Pure data.

In this folder, ``heads`` are the headers of columns, rules are drawn lines, and a gutter is the empty strip between two
columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from sharedllm_docs.documents.readers.pdf.layout.boxes import Box, Word
from sharedllm_docs.documents.readers.pdf.layout.lines import is_number, rows_of


@dataclass(frozen=True)
class Cell:
    """A cell, all borders included, rows and columns counted from 0.

    Attributes:
        row: first row.
        last_row: last row.
        column: first column.
        last_column: last column.
        words: its content, line after line.
    """

    row: int
    last_row: int
    column: int
    last_column: int
    words: tuple[Word, ...]

    @cached_property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @cached_property
    def is_number(self) -> bool:
        return is_number(self.text)


def cell(row: int, last_row: int, column: int, last_column: int, words: Sequence[Word]) -> Cell:
    """A cell whose words are put in reading order."""
    ordered = tuple(word for line in rows_of(words) for word in line)
    return Cell(row, last_row, column, last_column, ordered)


@dataclass(frozen=True)
class Table:
    """Cells with words, by row and column.

    Attributes:
        box: around its words.
        cells: in reading order.
        ruled: whether drawn lines show its cells.
        heads: number of header rows at the top, if the lines showed it.
    """

    box: Box
    cells: tuple[Cell, ...]
    ruled: bool = False
    heads: int | None = None

    @cached_property
    def rows(self) -> int:
        return max(one.last_row for one in self.cells) + 1

    @cached_property
    def columns(self) -> int:
        return max(one.last_column for one in self.cells) + 1

    @cached_property
    def words(self) -> frozenset[Word]:
        return frozenset(word for one in self.cells for word in one.words)

    @cached_property
    def by_row(self) -> tuple[tuple[Cell, ...], ...]:
        """The cells that begin in each row, from left to right."""
        found: list[list[Cell]] = [[] for _ in range(self.rows)]
        for one in self.cells:
            found[one.row].append(one)
        return tuple(tuple(sorted(row, key=lambda one: one.column)) for row in found)


def compact(cells: Sequence[Cell]) -> list[Cell]:
    """The same cells without rows and columns in which no cell begins."""
    kept = [one for one in cells if one.words]
    rows = sorted({one.row for one in kept})
    columns = sorted({one.column for one in kept})

    def place(line: Sequence[int], first: int, last: int) -> tuple[int, int]:
        inside = [number for number, value in enumerate(line) if first <= value <= last]
        return inside[0], inside[-1]

    found = []
    for one in kept:
        row, last_row = place(rows, one.row, one.last_row)
        column, last_column = place(columns, one.column, one.last_column)
        found.append(Cell(row, last_row, column, last_column, one.words))
    return sorted(found, key=lambda one: (one.row, one.column))
