"""Tables as text: one line per row, every value after the header of its column. Shared by all readers that know cells.

``Revenue | Q1 2025: 24.7 | Q1 2024: 21.3``: each cell repeats its header, so that a question about it finds row and
column, wherever the text is cut into leaves. Text that is repeated rather than printed at its place stands between two
marks, which ``without_marks`` removes and returns as positions (``Page.repeats``). Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sharedllm_docs.documents.document import TABLE_BAR
from sharedllm_docs.documents.traced import joined

BAR = TABLE_BAR
OPENS, CLOSES = "\ufdd0", "\ufdd1"
"""Non-characters around what is repeated: Unicode keeps them for use inside a program."""
_MARKED = re.compile(f"[{OPENS}{CLOSES}]|[^{OPENS}{CLOSES}]+")
_LONGEST_LINE = 150  # characters, after which a row continues in a new line that repeats its label
_LONGEST_HEAD = 80
_GROUP = 260  # characters of rows, after which the title is repeated
_MAX_HEAD_ROWS = 3
_NUMBER = re.compile(
    r"[-+\u2212(]?\s?(?:[A-Z]{3}\s|[$\u20ac\u00a3\u00a5])?\s?\d[\d\s.,:/'\u2009\u202f-]*\s?(?:[%\u2030)+]|[-\u2212](?!\d)|[A-Z]{3}|[$\u20ac\u00a3\u00a5])*"
)
_YEAR = re.compile(
    r"(?:FY\s?)?(?:19|20)\d\d(?:[/-]\d{2,4})?"
    r"|\d{1,2}[./-]\d{1,2}[./-](?:(?:19|20)\d\d|\d\d)|(?:19|20)\d\d-\d\d-\d\d"  # and days, as of balance sheets
)
_TOTAL = re.compile(
    r"(?:sub|grand )?total\b|net\b|sum\b|(?:zwischen|gesamt)?summe\b|gesamt\b|insgesamt\b|saldo\b", re.I
)
_LONGEST_TITLE = 140  # characters
_LONGEST_TITLE_LINE = 100
_MOST_TITLE_LINES = 4
_NO_TITLE = re.compile(r"source|notes?\b|see\b|\*|\(\d\)|- |\d+\. ", re.I)


def table_rows(
    header: Sequence[str], rows: Sequence[Sequence[str]], title: str = "", outer: Sequence[str] = ()
) -> list[str]:
    """The lines of a table.

    Args:
        header: headers of the columns, "" where there is none; empty for a table without headers.
        rows: cells of each row, left to right; a cell that spans columns stands in the first of them, and the others
            are "".
        title: of the table; it is repeated inside a long table, not written at the top.
        outer: the heading between rows that applies to each row, "" for none (``outer_labels``).

    Returns:
        the line of the headers, if there are any, then one or more lines per row; what is repeated in them is marked.
    """
    heads = [_one_line(cell)[:_LONGEST_HEAD] for cell in header]
    lines = [BAR.join(filter(None, heads))] if any(heads) else []
    since = 0
    title = _one_line(title)
    for number, row in enumerate(rows):
        cells = [_one_line(cell) for cell in row]
        if not any(cells):
            continue
        if title and since > _GROUP:
            lines.append(repeated(title))
            since = 0
        for line in _row(heads, cells, outer[number] if number < len(outer) else ""):
            lines.append(line)
            since += len(line)
    if title and sum(map(len, lines)) > _GROUP:
        lines.insert(0, repeated(title))  # each passage finds its title on the way up
    return lines


def repeated(text: str) -> str:
    """Text that is not printed at this place."""
    return f"{OPENS}{text}{CLOSES}"


def without_marks(text: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """A text without the marks around what is repeated, and the positions (start, end) of what was between them."""
    if OPENS not in text and CLOSES not in text:
        return text, ()
    parts, spans, length, begun = list[str](), list[tuple[int, int]](), 0, -1
    for match in _MARKED.finditer(text):
        piece = text[match.start() : match.end()]
        if piece == OPENS:
            begun = length if begun < 0 else begun
        elif piece == CLOSES:
            if 0 <= begun < length:
                spans.append((begun, length))
            begun = -1
        else:
            parts.append(piece)
            length += len(piece)
    return joined("", parts), tuple(spans)


def _row(heads: Sequence[str], cells: Sequence[str], outer: str = "") -> list[str]:
    """The lines of a row: its label after the heading that applies to it, then each value after its header."""
    place = next((number for number, cell in enumerate(cells) if cell), 0)
    if is_number(cells[place]) or sum(map(bool, cells)) < 2:
        place = 0  # else a row without a label of its own has one further on: Subtotal
    label = f"{repeated(f'{outer}: ') if outer else ''}{cells[place]}"
    values = []
    for number, cell in enumerate(cells[place + 1 :], start=place + 1):
        if cell:
            head = heads[number] if number < len(heads) else ""
            values.append(f"{repeated(f'{head}: ')}{cell}" if head else cell)
    lines, line = [], label
    for value in values:
        if line != label and len(line) + len(value) > _LONGEST_LINE:
            lines.append(line)
            line = label
        line = f"{line}{BAR}{value}" if line else value
    return [*lines, line] if line else lines


def outer_labels(rows: Sequence[Sequence[str]], indents: Sequence[float] = (), *, words: bool = False) -> list[str]:
    """The heading between rows that applies to each row, "" for none: ``Revenue:`` above ``Passenger`` and ``Freight``.

    A row with nothing but its label is a heading if rows below are indented, if it ends with a colon, or if there are
    several such rows. It applies to the rows that are indented further; without indents, up to their total.

    Args:
        rows: cells of each row below the headers.
        indents: how far each label is indented, in any unit; empty where that is not known.
        words: whether tables of words may have headings too; a row with one cell there may be an incomplete record.
    """
    texts = [[_one_line(cell) for cell in row] for row in rows]
    alone = [bool(row and row[0]) and not any(row[1:]) and not is_number(row[0]) for row in texts]
    lefts = {round(one) for one, row in zip(indents, texts, strict=False) if row and row[0]}
    indented = len(indents) == len(rows) and len(lefts) > 1
    values = [cell for row in texts for cell in row[1:] if cell]
    if not any(alone) or not (words or sum(map(is_number, values)) >= 0.5 * len(values)):
        return [""] * len(rows)
    labels = [row[0] if row else "" for row in texts]
    several = sum(alone) > 1
    found, heading, left = list[str](), "", 0.0
    for number, row in enumerate(texts):
        indent = indents[number] if indented else 0.0
        if alone[number]:
            heading = labels[number].rstrip(": ") if several or indented or labels[number].endswith(":") else ""
            left = indent
            found.append("")
            continue
        closes = not indented and is_total(labels[number])
        own = not closes or totals_section(labels[number], heading, labels)
        if indented and indent <= left and row[0]:
            heading = ""
        found.append(heading if own and len(heading) <= _LONGEST_HEAD else "")
        heading = "" if closes else heading
    return found


def is_total(label: str) -> bool:
    """Whether the label of a row begins like that of a sum."""
    return _TOTAL.match(label) is not None


def totals_section(label: str, heading: str, labels: Sequence[str]) -> bool:
    """Whether a sum is that of the rows below a heading, and not of the whole table: it names it, or is one of many."""
    return list(labels).count(label) > 1 or any(map(label.lower().count, _words(heading)))


def _words(text: str) -> list[str]:
    return [word for word in text.lower().split() if len(word) > 3]


def title_above(texts: Sequence[str]) -> str:
    """The title of a table with its unit: the short lines above it.

    Args:
        texts: the paragraphs before the table, the nearest last.
    """
    chosen: list[str] = []
    for text in reversed(texts):
        lines = [_one_line(line) for line in without_marks(text)[0].split("\n") if line.strip()]
        if any(not _may_name(line) for line in lines) or len(chosen) + len(lines) > _MOST_TITLE_LINES:
            break
        chosen = [*lines, *chosen]
    title = " ".join(chosen)
    return title if len(title) <= _LONGEST_TITLE else title[:_LONGEST_TITLE].rpartition(" ")[0]


def _may_name(line: str) -> bool:
    if len(line) > _LONGEST_TITLE_LINE or line.endswith((".", ";", ",")) or line[:1].islower() or BAR in line:
        return False
    return not _NO_TITLE.match(line) and any(map(str.isalpha, line))


def split_header(rows: Sequence[Sequence[str]]) -> tuple[list[str], list[Sequence[str]]]:
    """The headers of a table in which none are marked, and its other rows.

    The first row names the columns if it has no gaps, consists of words and repeats nothing. Further rows without a
    number are headers too if the rows below have numbers.
    """
    if len(rows) < 2:
        return [], list(rows)
    first = [_one_line(cell) for cell in rows[0]]
    filled = [cell for cell in first if cell]
    if len(filled) < max(1, len(first) - 1) or any(is_number(cell) and not _YEAR.fullmatch(cell) for cell in filled):
        return [], list(rows)
    if len(set(filled)) < len(filled) or len(first) < 2:
        return [], list(rows)
    if len(first) == 2 and not any(is_number(row[1]) for row in rows[1:] if len(row) > 1):
        return [], list(rows)  # names and what belongs to them
    return first, list(rows[1:])


def join_heads(rows: Sequence[Sequence[str]]) -> list[str]:
    """One row of headers from several, outermost first; a text that spans rows appears once."""
    width = max(map(len, rows), default=0)
    heads = []
    for column in range(width):
        parts = [_one_line(row[column]) for row in rows if column < len(row)]
        heads.append(" ".join(dict.fromkeys(filter(None, parts))))
    return heads


def is_number(cell: str) -> bool:
    """Whether a cell contains a number, an amount, a percentage or a date in digits."""
    return _NUMBER.fullmatch(cell.strip()) is not None


def filled(row: Sequence[str]) -> int:
    """How many cells of a row are not empty."""
    return sum(bool(cell.strip()) for cell in row)


def head_rows(rows: Sequence[Sequence[str]]) -> int:
    """How many rows at the top of a table without marked headers name the columns."""
    if len(rows) < 2 or max(map(len, rows)) < 2 or not _is_head(rows[0]) or _are_days_all_the_way(rows):
        return 0
    return more_head_rows(rows, 1)


def more_head_rows(rows: Sequence[Sequence[str]], count: int) -> int:
    """How many rows name the columns, given that the first ``count`` do."""
    body = rows[1:]
    numeric = sum(any(is_number(cell) for cell in row if cell.strip()) for row in body)
    # further head rows only where the rows below hold numbers, and the first row left columns open (a merged head)
    while (
        count < min(_MAX_HEAD_ROWS, len(rows) - 1)
        and _is_head(rows[count])
        and numeric >= len(body) / 2
        and (filled(rows[count - 1]) < filled(rows[count]) or _says_twice(rows[count - 1]))
        and not any(is_number(cell) and not _YEAR.fullmatch(cell.strip()) for cell in rows[count])
    ):
        count += 1
    return count


def _says_twice(row: Sequence[str]) -> bool:
    filled = [cell for cell in row if cell.strip()]
    return len(set(filled)) < len(filled)


def _is_head(row: Sequence[str]) -> bool:
    filled = [cell for cell in row if cell.strip()]
    # years, days and quarters head columns as well
    worded = [cell for cell in filled if not is_number(cell) or _YEAR.fullmatch(cell.strip())]
    if len(filled) < 2 or len(worded) < len(filled):
        return False
    if not row[0].strip() and all(_YEAR.fullmatch(cell.strip()) for cell in filled):
        return True
    return any(not cell.strip().isdecimal() for cell in filled)


def _are_days_all_the_way(rows: Sequence[Sequence[str]]) -> bool:
    """Whether a first row is a record like those below: its dates are above other dates."""
    for column, cell in enumerate(rows[0]):
        if is_number(cell) and _YEAR.fullmatch(cell.strip()):
            below = [row[column].strip() for row in rows[1:] if column < len(row) and row[column].strip()]
            if below and sum(bool(_YEAR.fullmatch(one)) for one in below) > 0.5 * len(below):
                return True
    return False


def _one_line(cell: str) -> str:
    return " ".join(cell.split())
