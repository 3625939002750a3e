"""A sheet of cells as tables: blocks between empty rows, each with its title and heads. Shared by XLSX and CSV."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from sharedllm_docs.documents.readers.flow import Flow
from sharedllm_docs.documents.tables import filled, head_rows, is_number, join_heads, outer_labels, table_rows

_LONGEST_TITLE = 140
_MOST_TITLES = 3  # rows of one cell each above a table


def add_sheet(flow: Flow, rows: Iterable[Sequence[str]], title: str = "", *, laid_out: bool = False) -> None:
    """Write the tables of a sheet into ``flow``.

    Args:
        flow: where the text goes.
        rows: shown cells of each row, "" for empty ones.
        title: of the sheet, repeated in long tables before their own title.
        laid_out: whether a person arranged it, so that rows may head others and tables stand side by side.
    """
    above: list[str] = []  # lines that stand alone above a table: its title and its unit
    for block in _parted(_blocks(rows)) if laid_out else _blocks(rows):
        lines = [" ".join(cell for cell in row if cell.strip()) for row in block]
        if len(block) <= _MOST_TITLES and all(filled(row) == 1 and _is_title(row) for row in block):
            for line in lines:
                flow.add(line)
            above = lines
            continue
        _add_block(flow, block, title, above, laid_out)
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


def _parted(blocks: Iterable[list[list[str]]]) -> Iterator[list[list[str]]]:
    """Tables side by side one after the other: an empty column parts them, and each has labels of its own."""
    for block in blocks:
        width = len(block[0])
        empty = [column for column in range(1, width - 1) if not any(row[column].strip() for row in block)]
        edges = [-1, *empty, width]
        parts = [[row[a + 1 : b] for row in block] for a, b in itertools.pairwise(edges) if b > a + 1]
        if len(parts) > 1 and all(map(_has_labels, parts)):
            for part in parts:
                yield _narrow([row for row in part if any(cell.strip() for cell in row)])
        else:
            yield block


def _has_labels(part: Sequence[Sequence[str]]) -> bool:
    """Whether a part of a sheet is a table of its own: two columns or more, the first of words that differ."""
    labels = [row[0].strip() for row in part[1:] if any(cell.strip() for cell in row)]
    worded = [label for label in labels if label and not is_number(label)]
    return len(part[0]) > 1 and len(labels) > 1 and len(worded) == len(labels) == len(set(worded))


def _pairs_of_words(block: Sequence[Sequence[str]]) -> bool:
    """Whether a block is a list of names and what belongs to them, which no row heads."""
    if len(block[0]) != 2 or any(not cell.strip() for row in block for cell in row):
        return False
    second = [row[1].strip() for row in block]
    if any(map(is_number, second[1:])):  # of figures and words by turns, as a form has them
        return is_number(second[0]) and not all(map(is_number, second))
    return True


def _narrow(block: list[list[str]]) -> list[list[str]]:
    used = [column for row in block for column, cell in enumerate(row) if cell.strip()]
    first, last = min(used), max(used)
    return [[*row[first : last + 1], *[""] * (last + 1 - max(first, len(row)))] for row in block]


def _add_block(flow: Flow, block: list[list[str]], title: str, above: Sequence[str], laid_out: bool) -> None:
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
    heads = head_rows(block[start:]) if not laid_out or not _pairs_of_words(block[start:]) else 0
    header = join_heads(block[start : start + heads]) if heads else []
    body = block[start + heads :]
    outer = outer_labels(body) if laid_out else ()
    flow.add_lines(table_rows(header, body, _title(title, [*above, *own]), outer))


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
