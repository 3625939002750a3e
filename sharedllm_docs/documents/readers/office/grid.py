"""A sheet of cells as tables: blocks between empty rows, each with its title and heads. Shared by XLSX and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.tables import is_number, join_heads, table_rows

_MAX_HEAD_ROWS = 3
_LONGEST_TITLE = 140


def add_sheet(flow: Flow, rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Write the tables of a sheet into ``flow``.

    Args:
        flow: where the text goes.
        rows: shown cells of each row, "" for empty ones.
        title: of the sheet, repeated in long tables before their own title.
    """
    for block in _blocks(rows):
        _add_block(flow, block, title)


def _blocks(rows: Iterable[Sequence[str]]) -> Iterator[list[list[str]]]:
    """Runs of rows with something in them, empty columns at either side left out."""
    block: list[list[str]] = []
    for row in rows:
        if any(cell.strip() for cell in row):
            block.append(list(row))
        elif block:
            yield _narrow(block)
            block = []
    if block:
        yield _narrow(block)


def _narrow(block: list[list[str]]) -> list[list[str]]:
    used = [column for row in block for column, cell in enumerate(row) if cell.strip()]
    first, last = min(used), max(used)
    return [[*row[first : last + 1], *[""] * (last + 1 - max(first, len(row)))] for row in block]


def _add_block(flow: Flow, block: list[list[str]], title: str) -> None:
    """Title lines (one cell, above a wider table), heads, then the rows."""
    width = len(block[0])
    start = 0
    while start < min(5, len(block)) and width > 1 and _is_title(block[start]):
        start += 1
    if start == len(block) or (start and not any(_filled(row) > 1 for row in block[start:])):
        start = 0
    own = [" ".join(dict.fromkeys(filter(None, (cell.strip() for cell in row)))) for row in block[:start]]
    for line in own:
        flow.add(line)
    heads = _head_rows(block[start:])
    header = join_heads(block[start : start + heads]) if heads else []
    flow.add_lines(table_rows(header, block[start + heads :], _title(title, own)))


def _title(sheet: str, own: Sequence[str]) -> str:
    """The sheet's name, the table's title and its unit, each said once."""
    said = list[str]()
    for text in (sheet, *own):
        if text and not any(text in other for other in said):
            said = [*(other for other in said if other not in text), text]
    return ": ".join(said)[:_LONGEST_TITLE]


def _is_title(row: Sequence[str]) -> bool:
    """Whether a row says one thing, in one cell or in one merged over the whole table, which is no number."""
    filled = [cell for cell in row if cell.strip()]
    return len(set(filled)) == 1 and len(filled) in (1, len(row)) and not is_number(filled[0])


def _filled(row: Sequence[str]) -> int:
    return sum(bool(cell.strip()) for cell in row)


def _head_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many rows at the top name the columns."""
    if len(rows) < 2 or max(map(len, rows)) < 2 or not _is_head(rows[0]):
        return 0
    body = rows[1:]
    numeric = sum(any(is_number(cell) for cell in row if cell.strip()) for row in body)
    count = 1
    # further head rows only where the rows below hold numbers, and the first row left columns open (a merged head)
    while (
        count < min(_MAX_HEAD_ROWS, len(rows) - 1)
        and _is_head(rows[count])
        and numeric >= len(body) / 2
        and (_filled(rows[count - 1]) < _filled(rows[count]) or _repeats(rows[count - 1]))
        and not any(is_number(cell) for cell in rows[count])
    ):
        count += 1
    return count


def _repeats(row: Sequence[str]) -> bool:
    filled = [cell for cell in row if cell.strip()]
    return len(set(filled)) < len(filled)


def _is_head(row: Sequence[str]) -> bool:
    filled = [cell for cell in row if cell.strip()]
    # years and quarters head columns as well
    worded = [cell for cell in filled if not is_number(cell) or (cell.isdecimal() and len(cell) == 4)]
    return len(filled) >= 2 and len(worded) == len(filled) and any(not cell.strip().isdecimal() for cell in filled)
