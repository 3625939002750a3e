"""Tables of HTML pages that hold data: their cells on a grid, and the lines in which every value follows its heads.

In comes a ``table`` element, out come lines as ``documents.tables`` writes them; None for a table that only arranges
the page. Knows nothing of how the text of a cell is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

from sharedllm_docs.documents.tables import (
    head_rows,
    is_number,
    join_heads,
    more_head_rows,
    outer_labels,
    table_rows,
)

if TYPE_CHECKING:
    from bs4 import Tag

_MOST_WORDS = 80  # of a cell of data
_MOST_CELLS = 200_000
_MOST_SPANNED = 100
_MOST_REPEATED = 4  # columns for each of which a value that spans them is said
_ARRANGING = ["table", "h1", "h2", "h3", "h4", "h5", "h6", "form", "article", "section", "nav", "pre"]
_INDENT = re.compile(
    r"(?:^|[;\s])(?:padding-left|margin-left|text-indent)\s*:\s*(-?\d{1,4}(?:\.\d+)?)(px|pt|r?em|in|cm|mm|%)?", re.I
)
_POINTS = {"px": 0.75, "em": 12.0, "rem": 12.0, "in": 72.0, "cm": 28.0, "mm": 2.8}
_DEEP = 4  # elements around the text of a cell
_FAR = 200.0  # points
_OPENING = re.compile(r"[($\u20ac\u00a3\u00a5]{1,2}|US\$|EUR|USD|GBP|CHF")
_CLOSING = re.compile(r"[)%]{1,2}")


def table_lines(
    table: Tag, text_of: Callable[[Tag], str], is_hidden: Callable[[Tag], bool], above: str = ""
) -> list[str] | None:
    """The lines of a table of data, its caption first; None for one that arranges a page.

    Args:
        table: the element.
        text_of: what a cell says.
        is_hidden: whether a reader of the page does not see an element.
        above: what names a table without a caption.
    """
    if table.get("role") in ("presentation", "none") or table.find(_ARRANGING) is not None:
        return None
    for hidden in [one for one in table.find_all(["tr", "td", "th", "tbody", "thead", "tfoot"]) if is_hidden(one)]:
        hidden.extract()
    rows = [row for row in table.find_all("tr") if _cells(row)]
    if sum(len(_cells(row)) > 1 for row in rows) < 2 or not _is_of_cells(rows):
        return None
    caption = table.find("caption")
    title = " ".join(text_of(caption).split()) if caption is not None else ""
    heads = _marked_heads(rows)
    indents = [_indent(_cells(row)[0]) for row in rows]
    grid = _tidy(_grid(rows, heads, text_of))
    if heads:
        heads = more_head_rows(grid, heads)
    elif not any(_cells(row)[0].name == "th" for row in rows) and _may_have_heads(rows, grid):
        heads = head_rows(grid)
    header, body = (join_heads(grid[:heads]), grid[heads:]) if heads < len(grid) else ([], grid)
    begin = len(grid) - len(body)
    outer = outer_labels(body, _steps(rows[begin:], body, indents[begin:]), words=True)
    return [*filter(None, [title]), *table_rows(header, body, title or above, outer)]


def _steps(rows: list[Tag], body: list[list[str]], indents: list[float]) -> list[float]:
    """The indents, or 0 and 1 where classes tell headings and labels below them apart, as style sheets indent them."""
    if len(set(indents)) > 1:
        return indents
    looks = [_look(_cells(row)[0]) for row in rows]
    alone = [bool(row[0]) and not any(row[1:]) for row in body]
    headings = {look for look, one in zip(looks, alone, strict=True) if one}
    below = {look for look, one, other in zip(looks[1:], alone, alone[1:], strict=False) if one and not other}
    return [float(look not in headings) for look in looks] if not headings & below else indents


def _indent(cell: Tag) -> float:
    """How far the text of a cell is indented: by its style, that of the elements around it, or spaces that stay."""
    far, element = 0.0, cell
    for _ in range(_DEEP):
        for value, unit in _INDENT.findall(str(element.get("style") or "")):
            far += min(float(value) * _POINTS.get(unit.lower(), 1.0), _FAR)
        inner = [one for one in element.children if getattr(one, "name", None) or str(one).strip()]
        if len(inner) != 1 or not getattr(inner[0], "name", None):
            break
        element = cast("Tag", inner[0])
    text = cell.get_text().lstrip("\r\n\t ")
    return far + 4.0 * (len(text) - len(text.lstrip("\u00a0\u2003\u2002")))


def _is_of_cells(rows: list[Tag]) -> bool:
    """Whether the cells are short and not too many. They are not read for that: their pictures are read once."""
    cells = [cell for row in rows for cell in _cells(row)]
    if sum(_span(cell, "colspan") for cell in cells) > _MOST_CELLS or len(rows) * _widest(rows) > _MOST_CELLS:
        return False
    return all(len(cell.get_text(" ").split()) <= _MOST_WORDS for cell in cells)


def _widest(rows: list[Tag]) -> int:
    return max(sum(_span(cell, "colspan") for cell in _cells(row)) for row in rows)


def _cells(row: Tag) -> list[Tag]:
    return list(row.find_all(["td", "th"], recursive=False))


def _marked_heads(rows: list[Tag]) -> int:
    """How many rows at the top are marked as heads: in ``thead``, or of ``th`` alone (an empty corner aside)."""
    count = 0
    below = 0  # rows that a cell of a head reaches down
    for number, row in enumerate(rows):
        cells = _cells(row)
        marked = row.parent is not None and row.parent.name == "thead"
        named = all(one.name == "th" or not one.get_text(strip=True) for one in cells) and cells[-1].name == "th"
        if not marked and not (named and cells[-1].get("scope") != "row") and number >= below:
            break
        below = max([below, *(number + _span(one, "rowspan") for one in cells)])
        count = number + 1
    return count if count < len(rows) else min(1, len(rows) - 1)


def _may_have_heads(rows: list[Tag], grid: list[list[str]]) -> bool:
    """Whether a first row that is not marked may name the columns: values below are figures, or it stands out."""
    values = [cell for row in grid[1:] for cell in row[1:] if cell]
    if sum(map(is_number, values)) >= 0.3 * len(values):
        return True
    columns = [[row[at] for row in grid[1:] if row[at]] for at in range(1, len(grid[0]))]
    if len(columns) > 1 and all(sum(any(map(str.isdigit, one)) for one in own) > 0.5 * len(own) for own in columns):
        return True  # amounts with words: "20% to 22%", "approx. 4 million"
    first = [one for one in _cells(rows[0]) if one.get_text(strip=True)]
    plain = {_look(one) for row in rows[1:] for one in _cells(row)}
    return all(one.find(["b", "strong"]) is not None or _look(one) not in plain for one in first)


def _look(cell: Tag) -> str:
    """What sets a cell apart from others for the eye."""
    return str(cell.get("bgcolor") or cell.get("style") or " ".join(cell.get("class") or ()) or "")


def _span(cell: Tag, name: str) -> int:
    value = str(cell.get(name) or "1").strip()
    return min(max(int(value), 1), _MOST_SPANNED) if value.isdecimal() and len(value) < 6 else 1


def _grid(rows: list[Tag], heads: int, text_of: Callable[[Tag], str]) -> list[list[str]]:
    """Text by row and column: of cells that span rows in each of them, of heads that span columns over each."""
    grid: list[list[str]] = []
    down: dict[int, tuple[int, str]] = {}  # column -> rows to go, and what stands there
    for number, row in enumerate(rows):
        line: list[str] = []
        for cell in _cells(row):
            line += _from_above(down, len(line))
            text = " ".join(text_of(cell).split())
            width, height = _span(cell, "colspan"), _span(cell, "rowspan")
            first = len(line)
            repeats = number < heads or (first > 0 and width <= _MOST_REPEATED)
            line += [text, *[text if repeats else ""] * (width - 1)]
            if height > 1:
                down.update({first + n: (height - 1, line[first + n]) for n in range(width)})
        line += _from_above(down, len(line))
        grid.append(line)
    width = max(map(len, grid))
    return [[*line, *[""] * (width - len(line))] for line in grid]


def _from_above(down: dict[int, tuple[int, str]], column: int) -> Iterator[str]:
    """What cells of rows above put into the columns from here on."""
    while column in down:
        left, text = down.pop(column)
        if left > 1:
            down[column] = left - 1, text
        yield text
        column += 1


def _tidy(grid: list[list[str]]) -> list[list[str]]:
    """Signs in cells of their own go to their figures; columns that hold nothing are left out."""
    for row in grid:
        for at in range(len(row) - 1):
            if _OPENING.fullmatch(row[at]) and row[at + 1] and at:
                row[at], row[at + 1] = "", f"{row[at]}{row[at + 1]}"
        for at in range(len(row) - 1, 0, -1):
            if _CLOSING.fullmatch(row[at]) and any(map(str.isdigit, row[at - 1])):
                row[at], row[at - 1] = "", f"{row[at - 1]}{row[at]}"
    figures = [n for n in range(len(grid[0])) if any(row[n] for row in grid)]
    return _united([[row[n] for n in figures] for row in grid])


def _united(grid: list[list[str]]) -> list[list[str]]:
    """Columns that never hold anything in the same row, as spacing makes them, one: their heads are the same."""
    column = 1
    while column + 1 < len(grid[0]):
        pairs = [(row[column], row[column + 1]) for row in grid]
        if all(not a or not b or a == b for a, b in pairs) and any(a == b != "" for a, b in pairs):
            grid = [[*row[:column], row[column] or row[column + 1], *row[column + 2 :]] for row in grid]
        else:
            column += 1
    return grid
