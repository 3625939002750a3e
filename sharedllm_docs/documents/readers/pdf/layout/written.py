"""The form in which a table is read: one line a row, every value behind the heads of its column.

``Revenue | Q1 2025: 24.7 | Q1 2024: 21.3``. A long row goes on in a new line that repeats its label, a long table
repeats its title, so that any hundred tokens of it still say what they are. What is repeated rather than printed there
stands between two marks, which the reader takes out again and keeps as places (``Page.repeats``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sharedllm_docs.documents import tables
from sharedllm_docs.documents.readers.pdf.layout.boxes import Word
from sharedllm_docs.documents.readers.pdf.layout.table import Cell, Table
from sharedllm_docs.documents.tables import BAR, CLOSES, OPENS
from sharedllm_docs.documents.traced import joined as join_texts
from sharedllm_docs.documents.traced import substitute

_BROKEN = re.compile("\ufffe")
_LONGEST_LINE = 150  # characters, from which a row goes on in a new line
_LONGEST_HEAD = 80
_GROUP = 330  # characters after which the title is repeated
_TRAILING_LEADER = re.compile(r"(?:\s*[.\u2024\u2026·_]){3,}\s*\Z|(?<=\w)[.\u2024](?:\s[.\u2024])+\s*\Z")
_YEAR = re.compile(r"(?:19|20)\d\d(?!\d)|\d{1,2}[./-]\d{1,2}[./-](?:19|20)?\d\d(?!\d)")
_MOST_HEADS = 6  # rows that name columns


@dataclass(frozen=True)
class Part:
    """A part of a line: words of the page, or text of our own.

    Attributes:
        words: printed here; empty for text that stands between or is repeated.
        text: what is written where there are no words.
    """

    words: tuple[Word, ...] = ()
    text: str = ""


@dataclass(frozen=True)
class Headed:
    """What the rows of a table are written with.

    Attributes:
        table: the table.
        heads: how many of its rows name the columns.
        names: heads above each column, outermost first; "" for none.
        labels: number of columns at the left that name the rows.
        title: of the table, with its unit.
        heading: the heading between rows that holds for the first row, or behind the last one; "" for none.
        heading_left: where it begins.
        goes_on: whether it goes on with a table on an earlier page.
        carried: single heads of that table, as they may be said again.
        bold: whether those were bold.
        apart: whether other text is read between the title and the table.
    """

    table: Table
    heads: int
    names: Sequence[str]
    labels: int
    title: str
    heading: str = ""
    heading_left: float = 0.0
    goes_on: bool = False
    carried: tuple[str, ...] = ()
    bold: bool = False
    apart: bool = False


def headed(table: Table, title: str, *, apart: bool = False) -> Headed:
    """A table that begins here, under the title that stands above it, with other text read between if ``apart``."""
    heads = head_rows(table)
    names = [_name(table, heads, column) for column in range(table.columns)]
    return Headed(table, heads, names, _label_columns(table, heads), _inner_title(table, heads) or title, apart=apart)


def written(one: Headed) -> tuple[list[list[Part]], Headed]:
    """The lines of a table, each as the parts that follow each other, and how it stands behind its last row.

    The title is printed above already, unless the table goes on with one on an earlier page, or other text is read
    between; it is repeated in a long table.
    """
    writer = _Writer(one)
    lines = list(writer.lines())
    if one.title and (one.goes_on or one.apart or sum(map(_length, lines)) > _GROUP):
        lines.insert(0, [repeated(one.title)])  # each passage finds its title on the way up
    return lines, replace(one, heading=writer.heading, heading_left=writer.heading_left)


def repeated(text: str) -> Part:
    """Text that is not printed at this place."""
    return Part(text=tables.repeated(text))


def plain(one: Cell) -> str:
    """A cell's text without leaders."""
    return substitute(_TRAILING_LEADER, "", joined(one.words))


def joined(words: Sequence[Word]) -> str:
    """Words of a cell with the spaces between them; a word that a line end broke is whole again."""
    text = ""
    for word in words:
        text = text[:-1] + word.text if text.endswith("\ufffe") else text + " " + word.text if text else word.text
    return substitute(_BROKEN, "-", text) if "\ufffe" in text else text


def _name(table: Table, heads: int, column: int) -> str:
    """The heads above a column, outermost first."""
    found: list[str] = []
    for one in table.cells:
        if one.row < heads and one.column <= column <= one.last_column:
            if one.column == 0 and one.last_column == table.columns - 1:
                continue  # a title inside the table
            text = plain(one)
            if text and text not in found:
                found.append(text)
    name = " ".join(found)
    return name if len(name) <= _LONGEST_HEAD else name[:_LONGEST_HEAD].rpartition(" ")[0]


def _inner_title(table: Table, heads: int) -> str:
    """A first row that goes over the whole table."""
    first = table.by_row[0]
    whole = len(first) == 1 and first[0].column == 0 and first[0].last_column == table.columns - 1
    return plain(first[0]) if whole and heads else ""


class _Writer:
    def __init__(self, one: Headed) -> None:
        self.table, self.heads, self.names = one.table, one.heads, one.names
        self.labels, self.title = one.labels, one.title
        self.heading, self.heading_left = one.heading, one.heading_left  # between rows, as it holds for the next one

    def lines(self) -> Iterator[list[Part]]:
        since = 0
        heading_used = bool(self.heading)
        carried: dict[int, Cell] = {}
        for number, row in enumerate(self.table.by_row):
            if not row:
                continue
            if number < self.heads or self._is_heading(row, number):
                yield self._printed(row)
                if number >= self.heads:
                    self.heading = plain(row[0]).rstrip(": ") if self._holds(row[0], number) else ""
                    self.heading_left, heading_used = row[0].words[0].left, False
                continue
            labels = [one for one in row if one.column < self.labels]
            for one in labels:
                carried = {column: cell for column, cell in carried.items() if column < one.column}
                carried[one.column] = one
            above = [
                cell for column, cell in sorted(carried.items()) if cell not in labels and self._still(cell, number)
            ]
            if not labels and not above and len(row) > 1 and not row[0].is_number:
                labels = [row[0]]  # Subtotal, under the heads of other columns
            if (
                self.heading
                and labels
                and heading_used
                and labels[0].words[0].left < self.heading_left + 1
                and self._indents
            ):
                self.heading = ""
            heading_used = True
            label = " ".join(map(plain, labels))
            closes = not self._indents and tables.is_total(label)
            outer = self.heading
            if closes and not tables.totals_section(label, outer, self._labels):
                outer = ""
            self.heading = "" if closes else self.heading
            for line in self._row(row, labels, above, outer):
                if since > _GROUP and self.title:
                    yield [repeated(self.title)]
                    since = 0
                yield line
                since += sum(len(part.text) + sum(len(word.text) + 1 for word in part.words) for part in line)

    def _holds(self, heading: Cell, number: int) -> bool:
        """Whether a heading between rows names the rows below it, and is not a row without values itself."""
        if heading.text.endswith(":") or heading.last_column > heading.column:
            return True
        below = next((row[0] for row in self.table.by_row[number + 1 :] if len(row) > 1), None)
        if below is None:
            return False
        if below.column == 0 and below.words[0].left > heading.words[0].left + 2:
            return True
        headings = [n for n in range(self.heads, self.table.rows) if self._is_heading(self.table.by_row[n], n)]
        return len(headings) > 1 and not self._indents

    @property
    def _labels(self) -> list[str]:
        return [plain(one) for one in self.table.cells if one.column == 0 and one.row >= self.heads]

    @property
    def _indents(self) -> bool:
        """Whether labels stand at different distances from the edge."""
        lefts = [one.words[0].left for one in self.table.cells if one.column == 0 and one.row >= self.heads]
        return bool(lefts) and max(lefts) - min(lefts) > 3

    def _still(self, cell: Cell, row: int) -> bool:
        """Whether a label further up holds for a row: its cell reaches down, or only inner labels follow."""
        return cell.last_row >= row or self.labels > 1

    def _is_heading(self, row: Sequence[Cell], number: int) -> bool:
        """Whether a row is a heading between rows: one cell, at the left or over the whole width."""
        if len(row) != 1 or row[0].column != 0 or not row[0].words or self.table.columns < 2:
            return False
        return not any(one.row < number <= one.last_row for one in self.table.cells)

    @staticmethod
    def _printed(row: Sequence[Cell]) -> list[Part]:
        parts: list[Part] = []
        for one in row:
            parts += [Part(text=BAR)] if parts else []
            parts.append(Part(words=one.words))
        return parts

    def _row(
        self, row: Sequence[Cell], labels: Sequence[Cell], above: Sequence[Cell], outer: str
    ) -> Iterator[list[Part]]:
        """The lines of a row."""
        before = [plain(cell) for cell in above]
        opening = ([f"{outer}: "] if outer else []) + [f"{text} " for text in before]
        start: list[Part] = [repeated("".join(opening))] if opening else []
        for one in labels:
            start += [Part(text=" ")] if start and start[-1].words else []
            start.append(Part(words=one.words))
        line, length = list(start), _length(start)
        values = [one for one in row if one not in labels]
        for number, one in enumerate(values):
            name = self.names[one.column] if one.column == one.last_column else self._spanned(one)
            added = [Part(text=BAR)] if line else []
            added += [repeated(f"{name}: ")] if name else []
            added.append(Part(words=one.words))
            if number and length + _length(added) > _LONGEST_LINE and labels:
                yield line
                line = self._again(start)
                length = _length(line)
            line += added
            length += _length(added)
        if line:
            yield line

    def _again(self, start: Sequence[Part]) -> list[Part]:
        """The label once more, for a line that goes on a row."""
        text = join_texts("", (joined(part.words) if part.words else part.text.strip(OPENS + CLOSES) for part in start))
        return [Part(text=substitute(_TRAILING_LEADER, "", text))]

    def _spanned(self, one: Cell) -> str:
        names = dict.fromkeys(self.names[column] for column in range(one.column, one.last_column + 1))
        return " ".join(filter(None, names)) if len(names) < 3 else ""


def _length(parts: Sequence[Part]) -> int:
    return sum(len(part.text) + sum(len(word.text) + 1 for word in part.words) for part in parts)


def head_rows(table: Table) -> int:
    """How many rows at the top name the columns."""
    if table.heads is not None:
        return _without_headings(table, table.heads)
    values = [one for one in table.cells if one.column > 0 and one.row > 0]
    if sum(one.is_number for one in values) < 0.25 * len(values):
        return 1
    count = next((n for n, row in enumerate(table.by_row) if _is_data(row)), 1)
    if count and table.ruled:  # a head over several rows makes them heads
        count = max([count, *(one.last_row + 1 for one in table.by_row[0] if one.column == 0 and not one.is_number)])
    return _without_headings(table, min(count, _MOST_HEADS, table.rows - 1))


def _is_data(row: Sequence[Cell]) -> bool:
    """Whether a row has figures behind its first cell that are no years."""
    figures = [one.text for one in row if one.column > 0 and one.is_number and not one.text.isalpha()]
    return bool(figures) and not all(_YEAR.match(text) for text in figures)


def _without_headings(table: Table, count: int) -> int:
    """Head rows without the headings of the first rows below: single cells at the left that follow a full row."""
    while count > 1:
        row = table.by_row[count - 1]
        full = any(len(other) > 1 for other in table.by_row[: count - 1])
        if len(row) == 1 and row[0].column == 0 and full:
            count -= 1
            continue
        break
    return count


def _label_columns(table: Table, heads: int) -> int:
    """How many columns at the left name the rows: the first, and more without a head or a number."""
    count = 1
    for column in range(1, min(3, table.columns - 1)):
        body = [one for one in table.cells if one.row >= heads and one.column == column]
        named = any(one.row < heads and 0 < one.column <= column <= one.last_column for one in table.cells)
        if named or not body or sum(one.is_number for one in body) > 0.3 * len(body):
            break
        count = column + 1
    return count
