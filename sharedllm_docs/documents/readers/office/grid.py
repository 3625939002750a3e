"""A sheet of cells as tables: blocks between empty rows, each with its title and heads. Shared by XLSX and CSV."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.tables import filled, head_rows, is_number, join_heads, table_rows

_LONGEST_TITLE = 140
_MOST_TITLES = 3  # rows of one cell each above a table


def add_sheet(flow: Flow, rows: Iterable[Sequence[str]], title: str = "") -> None:
    """Write the tables of a sheet into ``flow``.

    Args:
        flow: where the text goes.
        rows: shown cells of each row, "" for empty ones.
        title: of the sheet, repeated in long tables before their own title.
    """
    above: list[str] = []  # lines that stand alone above a table: its title and its unit
    for block in _blocks(rows):
        lines = [" ".join(cell for cell in row if cell.strip()) for row in block]
        if len(block) <= _MOST_TITLES and all(filled(row) == 1 and _is_title(row) for row in block):
            for line in lines:
                flow.add(line)
            above = lines
            continue
        _add_block(flow, block, title, above)
        above = []


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


def _add_block(flow: Flow, block: list[list[str]], title: str, above: Sequence[str] = ()) -> None:
    """Title lines (one cell, above a wider table), heads, then the rows."""
    width = len(block[0])
    start = 0
    while start < min(5, len(block)) and width > 1 and _is_title(block[start]):
        start += 1
    if start == len(block) or (start and not any(filled(row) > 1 for row in block[start:])):
        start = 0
    own = [" ".join(dict.fromkeys(filter(None, (cell.strip() for cell in row)))) for row in block[:start]]
    for line in own:
        flow.add(line)
    heads = head_rows(block[start:])
    header = join_heads(block[start : start + heads]) if heads else []
    flow.add_lines(table_rows(header, block[start + heads :], _title(title, [*above, *own])))


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
