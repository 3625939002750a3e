"""Tables that continue on the next page: what the rows there must know about the table they belong to.

Input: a table that reaches the end of its page. Output: what is carried to the next page, where position, headers and
captions decide whether the first table continues it. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sharedllm_docs.documents.readers.pdf.layout.boxes import Word, around
from sharedllm_docs.documents.readers.pdf.layout.lines import Line, Segment, has_digits, is_number
from sharedllm_docs.documents.readers.pdf.layout.table import Cell, Table, cell
from sharedllm_docs.documents.readers.pdf.layout.written import Headed, head_rows, plain

_MARGIN = 0.12  # of the page's height, in which running headers and footers are
EDGE = 0.055
"""Share of the page's height at an edge that contains no table and no title."""
_CONTINUED = re.compile(
    r"\bcont(?:inued|['\u2019]?d|\.)|\bfort(?:setzung|s\.)|\bsuite\b|\bcontinu(?:aci\u00f3n|a\u00e7\u00e3o|azione)\b|"
    r"\bvervolg\b|carried (?:forward|over)|brought forward|\bc/f\b|\bb/f\b|"
    r"(?:next|previous|following|overleaf) ?page|\u7d9a\u304d",
    re.IGNORECASE,
)
_DIGITS = re.compile(r"\d+")
_SHIFT = 90.0  # points by which a table may be shifted: pages have an inner and an outer margin
_OVERLAP = 0.3  # of the narrower of two columns
_NEAR = 5.0  # points between the edges of two columns that are one
_PITCH = 2.4  # line heights between two rows
_MOST_LOOSE = 6  # rows that are too few to be a table by themselves
_WORDED = 0.25  # share of numbers below which a table counts as a table of words


@dataclass(frozen=True)
class OpenTable:
    """A table at the end of a page, in plain values.

    Attributes:
        title: with the unit.
        names: headers above each column, outermost first; "" for none.
        heads: the single headers, as they may be repeated on the next page.
        columns: left and right edge of the content of each column, in points from the left of the page.
        labels: number of columns at the left that name the rows.
        heading: the heading between rows that still applies; "" for none.
        heading_left: where it begins.
        worded: whether hardly any cell contains a number.
        bold: whether only the headers are bold.
        running: lines at the top of its page, digits left out.
    """

    title: str
    names: tuple[str, ...]
    heads: tuple[str, ...]
    columns: tuple[tuple[float, float], ...]
    labels: int
    heading: str
    heading_left: float
    worded: bool
    bold: bool
    running: tuple[str, ...]

    def beside(self, table: Table) -> OpenTable:
        """The same, shifted to the place of ``table`` in the next column of the page."""
        shift = table.box.left - self.columns[0][0]
        columns = tuple((left + shift, right + shift) for left, right in self.columns)
        return replace(self, columns=columns, heading_left=self.heading_left + shift)


@dataclass(frozen=True)
class Sheet:
    """What is known about a page besides its words.

    Attributes:
        height: of the page, in points; 0 where it is not known.
        is_bold: whether a word is set in bold type.
    """

    height: float = 0.0
    is_bold: Callable[[Word], bool] = lambda _word: False


def open_table(items: Sequence[Line | Table], headed: Headed, sheet: Sheet) -> OpenTable | None:
    """What the next page must know about the last table of a page; None if text follows it.

    Args:
        items: of the page, in reading order.
        headed: how that table was written.
        sheet: the page.
    """
    place = next((n for n in range(len(items) - 1, -1, -1) if isinstance(items[n], Table)), None)
    if place is None or sheet.height <= 0 or headed.table is not items[place]:
        return None
    table, after = headed.table, [item for item in items[place + 1 :] if isinstance(item, Line)]
    low = (1 - _MARGIN) * sheet.height
    if not all(line.base >= low or _CONTINUED.search(line.text) or is_number(line.text) for line in after):
        return None
    columns = _hulls(table)
    if len(headed.names) < 2 or any(hull is None for hull in columns):
        return None
    heads = tuple(one for one in table.cells if one.row < headed.heads)
    return OpenTable(
        title=headed.title,
        names=tuple(headed.names),
        heads=headed.carried if headed.goes_on else tuple(plain(one) for one in heads),
        columns=tuple(hull for hull in columns if hull is not None),
        labels=headed.labels,
        heading=headed.heading,
        heading_left=headed.heading_left,
        worded=_is_worded(table, headed.heads),
        bold=headed.bold
        if headed.goes_on
        else _is_bold(table, range(headed.heads), range(headed.heads, table.rows), sheet),
        running=tuple(
            _without_digits(line.text) for line in items[:place] if isinstance(line, Line) and _in_head(line, sheet)
        ),
    )


def continued(items: Sequence[Line | Table], before: OpenTable | None, sheet: Sheet) -> tuple[Table, Headed] | None:
    """The first table of a page with its headers, if it continues the one before.

    Args:
        items: of the page, in reading order.
        before: the table at the end of the page before.
        sheet: the page.
    """
    if before is None:
        return None
    place = next((n for n, item in enumerate(items) if isinstance(item, Table)), None)
    table = items[place] if place is not None else None
    if place is None or not isinstance(table, Table):
        return None
    above = [item for item in items[:place] if isinstance(item, Line)]
    columns = _same_columns(before, table)
    if columns is None or not _may_stand_above(above, before, sheet):
        return None
    heads = _repeated_heads(table, before)
    if heads is None:
        if not _is_headless(table, before, columns, sheet):
            return None
        heads = 0
    names = [before.names[old] if old is not None else "" for old in columns]
    return table, Headed(
        table=table,
        heads=heads,
        names=names,
        labels=max(1, sum(old is not None and old < before.labels for old in columns)),
        title=before.title,
        heading=before.heading if not heads and _is_inside(table, before) else "",
        heading_left=table.cells[0].words[0].left - 2,
        goes_on=True,
        carried=before.heads,
        bold=before.bold,
    )


def with_loose_rows(items: Sequence[Line | Table], before: OpenTable | None, sheet: Sheet) -> list[Line | Table]:
    """The items, with rows at the top of the page that are too few to be recognised as a table made into one."""
    found = list(items)
    if before is None or before.worded or sheet.height <= 0:
        return found
    first = next((n for n, item in enumerate(items) if not _is_running_or_note(item, before, sheet)), len(items))
    rows: list[Line] = []
    for item in items[first : first + _MOST_LOOSE]:
        if not isinstance(item, Line) or _slots(item, before) is None:
            break
        if rows and item.base - rows[-1].base > _PITCH * item.size:
            break
        rows.append(item)
    if not rows or not any(line.numbers for line in rows):
        return found
    cells = [
        cell(row, row, column, column, one.words)
        for row, line in enumerate(rows)
        for column, one in zip(_slots(line, before) or (), line.segments, strict=True)
    ]
    columns = sorted({one.column for one in cells})
    narrow = [Cell(c.row, c.last_row, columns.index(c.column), columns.index(c.column), c.words) for c in cells]
    if len(columns) > 1:
        found[first : first + len(rows)] = [Table(around([w for c in narrow for w in c.words]), tuple(narrow), heads=0)]
    return found


def _slots(line: Line, before: OpenTable) -> list[int] | None:
    """The column of each segment of a line; None unless it is a row of the table: a label and numbers, each in one
    column."""
    if len(line.segments) < 2 or not any(one.is_number and has_digits(one.text) for one in line.segments[1:]):
        return None
    found = [_slot(one, before) for one in line.segments]
    kept = [place for place in found if place is not None]
    if len(kept) < len(found) or kept[0] >= before.labels or any(a >= b for a, b in pairwise(kept)):
        return None
    return kept


def _slot(one: Segment, before: OpenTable) -> int | None:
    over = [n for n, hull in enumerate(before.columns) if _is_same(hull, (one.left, one.right))]
    return over[0] if len(over) == 1 else None


def _is_running_or_note(item: Line | Table, before: OpenTable, sheet: Sheet) -> bool:
    """Whether a line at the top of a page is not a row: a running header, or a note that the table continues."""
    if not isinstance(item, Line):
        return False
    if _CONTINUED.search(item.text) or item.base < EDGE * sheet.height:
        return True
    return _in_head(item, sheet) and (_without_digits(item.text) in before.running or is_number(item.text))


def _may_stand_above(above: Sequence[Line], before: OpenTable, sheet: Sheet) -> bool:
    """Whether the text above the first table of a page allows it to continue the one before."""
    for line in above:
        text = " ".join(line.text.split())
        if _CONTINUED.search(text) or (text and text in before.title):
            continue
        if not _in_head(line, sheet) or _CAPTION.match(text):
            return False
        if before.worded and _without_digits(text) not in before.running and not is_number(text):
            return False
    return True


_CAPTION = re.compile(
    r"(?:table|tableau|tabelle|tabla|tabella|exhibit|schedule|annex|appendix|panel)\b[ .:]*[\dA-Z]", re.IGNORECASE
)


def _in_head(item: Line | Table, sheet: Sheet) -> bool:
    return isinstance(item, Line) and item.base <= _MARGIN * sheet.height


def _without_digits(text: str) -> str:
    return " ".join(_DIGITS.sub("", text).split())


# -- columns


def _hulls(table: Table) -> list[tuple[float, float] | None]:
    """Left and right edge of the cells that are in one column only."""
    found: list[tuple[float, float] | None] = []
    full = [one for row in table.by_row if len(row) > 1 for one in row]  # headings between rows run over columns
    for column in range(table.columns):
        words = [word for one in full if one.column == column == one.last_column for word in one.words]
        found.append((min(w.left for w in words), max(w.right for w in words)) if words else None)
    return found


def _same_columns(before: OpenTable, table: Table) -> list[int | None] | None:
    """For each column of the table, the column of the previous table at the same place; None if they do not match."""
    hulls = _hulls(table)
    known = [hull for hull in hulls if hull is not None]
    if len(known) < max(2, 0.5 * len(before.columns)) or len(hulls) > len(before.columns):
        return None
    shifts = (0.0, before.columns[0][0] - known[0][0], before.columns[-1][1] - known[-1][1])
    for shift in shifts:
        if abs(shift) > _SHIFT:
            continue
        columns = [_at(before, hull, shift) for hull in hulls]
        placed = [one for one in columns if one is not None]
        if len(placed) == len(known) and all(a < b for a, b in pairwise(placed)):
            return columns
    return None


def _at(before: OpenTable, hull: tuple[float, float] | None, shift: float) -> int | None:
    if hull is None:
        return None
    moved = hull[0] + shift, hull[1] + shift
    over = [n for n, one in enumerate(before.columns) if _is_same(one, moved)]
    shared = [min(before.columns[n][1], moved[1]) - max(before.columns[n][0], moved[0]) for n in over]
    return over[shared.index(max(shared))] if over else None


def _is_same(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two columns overlap, or share an edge."""
    shared = min(one[1], other[1]) - max(one[0], other[0])
    narrower = min(one[1] - one[0], other[1] - other[0])
    return shared > _OVERLAP * narrower or (shared > -_NEAR and abs(one[1] - other[1]) <= _NEAR)


# -- heads


def _repeated_heads(table: Table, before: OpenTable) -> int | None:
    """How many rows at the top repeat the headers of the previous table; None if they do not."""
    known = {_normal(text) for text in before.heads}
    count = 0
    for row in table.by_row:
        if not row or not all(_normal(plain(one)) in known for one in row):
            break
        count += 1
    return count or None


def _normal(text: str) -> str:
    return " ".join(text.casefold().split())


def _is_headless(table: Table, before: OpenTable, columns: Sequence[int | None], sheet: Sheet) -> bool:
    """Whether a table begins directly with rows. For tables of words, only bold type and their columns show this."""
    if _is_worded(table, 0) != before.worded:
        return False
    if before.bold and _is_bold(table, range(1), range(1, table.rows), sheet):
        return False
    if before.worded:
        return len(columns) == len(before.columns)
    return all(len(row) == 1 and row[0].column == 0 for row in table.by_row[: head_rows(table)] if row)


def _is_worded(table: Table, heads: int) -> bool:
    values = [one for one in table.cells if one.column > 0 and one.row >= heads]
    return sum(one.is_number and has_digits(one.text) for one in values) < _WORDED * len(values)


def _is_bold(table: Table, rows: range, others: range, sheet: Sheet) -> bool:
    """Whether some rows are bold and others are not."""
    own = [one.words[0] for row in rows for one in table.by_row[row]]
    rest = [one.words[0] for row in others for one in table.by_row[row] if one.column > 0][:30]
    return bool(own and rest) and all(map(sheet.is_bold, own)) and not all(map(sheet.is_bold, rest))


def _is_inside(table: Table, before: OpenTable) -> bool:
    """Whether the first row belongs to the heading that applied at the end of the page before."""
    first = table.by_row[0]
    return bool(before.heading and first) and len(first) > 1 and first[0].column == 0
