"""A whole page laid out: its lines in reading order, tables written row by row."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sharedllm_docs.documents.readers.pdf.layout.boxes import Rule, Word
from sharedllm_docs.documents.readers.pdf.layout.columns import stacked
from sharedllm_docs.documents.readers.pdf.layout.continued import (
    EDGE,
    OpenTable,
    Sheet,
    continued,
    open_table,
    with_loose_rows,
)
from sharedllm_docs.documents.readers.pdf.layout.lines import Line, line_of
from sharedllm_docs.documents.readers.pdf.layout.table import Table
from sharedllm_docs.documents.readers.pdf.layout.tables import page_parts
from sharedllm_docs.documents.readers.pdf.layout.written import Headed, Part, headed, written

_CAPTION = re.compile(
    r"(?:table|tableau|tabelle|tabla|tabella|exhibit|schedule|figure|chart|annex|appendix|panel|box)\b[ .:]*[\dA-Z]",
    re.I,
)
_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc]")
_NOT_TITLE = re.compile(r"(?:source|note|notes|see|\*|\(\d\)|\[\d)\b", re.IGNORECASE)
_LONGEST_TITLE = 140  # characters
_LINES_UP = 6  # in which a caption is looked for
_PLAIN_LINES = 4  # of a title without "Table 1"
_OFF = 3.2  # of the font size, between a title and its table
_BACK = 0.2  # share of line steps that lead upwards, from which the file's order is not that of reading


@dataclass(frozen=True)
class LaidOut:
    """A page in reading order.

    Attributes:
        lines: each as the parts that follow each other.
        tables: number of tables among them.
        open_table: the one that reaches the end of the page.
    """

    lines: tuple[tuple[Part, ...], ...]
    tables: int
    open_table: OpenTable | None = None


_PLAIN = Sheet()


def lay_out(
    words: Sequence[Word], rules: Sequence[Rule], before: OpenTable | None = None, sheet: Sheet = _PLAIN
) -> LaidOut | None:
    """The page's lines in reading order; None if the file already has that order.

    Args:
        words: of the page, in the order of the file.
        rules: lines drawn on it.
        before: the table at the end of the page before.
        sheet: what else is known of the page.
    """
    if _is_right_to_left(words):
        return None
    stacks = [stacked(own, tables) for own, tables in page_parts(words, rules)]
    if stacks:
        stacks[0] = with_loose_rows(stacks[0], before, sheet)
    count = sum(isinstance(item, Table) for items in stacks for item in items)
    if not count and len(stacks) < 2 and not _runs_backwards(words):
        return None
    lines: list[tuple[Part, ...]] = []
    last: Headed | None = None
    for place, items in enumerate(stacks):
        goes_on = _from_the_column_before(stacks[:place], items, last, sheet)
        goes_on = goes_on or (None if last is not None else continued(items, before, sheet))
        begun = 0
        for number, item in enumerate(items):
            if isinstance(item, Table):
                lines += _as_drawn(items[begun:number])
                known = goes_on is not None and goes_on[0] is item
                if goes_on is not None and known:
                    one = goes_on[1]
                elif items[:number]:
                    one = headed(item, _title(items[:number], item, sheet))
                else:
                    one = headed(item, _title(_over(item, stacks[:place]), item, sheet), apart=True)
                rows, last = written(one)
                lines += [tuple(row) for row in rows]
                begun = number + 1
        lines += _as_drawn(items[begun:])
    everything = [item for items in stacks for item in items]
    return LaidOut(tuple(lines), count, open_table(everything, last, sheet) if last is not None else None)


def _over(table: Table, stacks: Sequence[Sequence[Line | Table]]) -> list[Line | Table]:
    """The lines above a table at the top of its column: the end of a region that spans several columns.

    Of a line in several parts, such as the titles of tables side by side, only the parts above the table.
    """
    over: list[Line] = []
    for item in (item for items in stacks for item in items):
        if not isinstance(item, Line) or item.base > table.box.top + 1:
            continue
        own = [one for one in item.segments if one.left < table.box.right and one.right > table.box.left]
        if own:
            over.append(
                item if len(own) == len(item.segments) else line_of([word for one in own for word in one.words])
            )
    return [*sorted(over, key=lambda item: item.base)[-_LINES_UP:]]


def _from_the_column_before(
    stacks: Sequence[Sequence[Line | Table]], items: Sequence[Line | Table], last: Headed | None, sheet: Sheet
) -> tuple[Table, Headed] | None:
    """The table at the top of a column with its headers, if it continues the one at the end of the column to its
    left."""
    table = items[0] if items else None
    if last is None or not stacks or not isinstance(table, Table) or stacks[-1][-1] is not last.table:
        return None
    if table.box.left < last.table.box.right or table.box.top > last.table.box.bottom:
        return None
    own = _title(_over(table, stacks), table, sheet)
    if own and own != last.title:
        return None
    before = open_table(stacks[-1], last, sheet)
    return continued(items, before.beside(table), sheet) if before is not None else None


def _as_drawn(items: Sequence[Line | Table]) -> list[tuple[Part, ...]]:
    """Lines of one column without tables: in the order of the file, unless that leads upwards again and again."""
    lines = [item for item in items if isinstance(item, Line)]
    words = sorted((word for line in lines for word in line.words), key=lambda word: word.start)
    if _runs_backwards(words):
        return [(Part(words=line.words),) for line in lines]
    return [(Part(words=tuple(row)),) for row in _file_lines(words)]


def _is_right_to_left(words: Sequence[Word]) -> bool:
    """Whether a good share of the words is Arabic, Hebrew or the like, whose lines PDFium puts in order."""
    return sum(bool(_RIGHT_TO_LEFT.search(word.text)) for word in words) > 0.2 * len(words)


def _runs_backwards(words: Sequence[Word]) -> bool:
    """Whether the file draws a good share of the lines above what it drew before."""
    bases = [row[0].base for row in _file_lines(words)]
    if len(bases) < 3:
        return False
    back = sum(b < a - 2 for a, b in itertools.pairwise(bases))
    return back > max(2, _BACK * len(bases))


def _file_lines(words: Sequence[Word]) -> list[list[Word]]:
    """Words in the order of the file, in runs of one baseline."""
    found: list[list[Word]] = []
    for word in words:
        if found and abs(found[-1][-1].base - word.base) <= 0.6 * max(word.size, found[-1][-1].size):
            found[-1].append(word)
        else:
            found.append([word])
    return found


def _title(before: Sequence[Line | Table], table: Table, sheet: Sheet) -> str:
    """The title of a table: the caption above it with the unit, or else the short lines close above it."""
    above: list[Line] = []
    top = table.box.top
    for item in reversed(before[-_LINES_UP:]):
        if (
            isinstance(item, Table)
            or not any(map(str.isalnum, item.text))
            or top - item.base > _OFF * item.size
            or item.base > table.box.top + 1
        ):
            break
        above.insert(0, item)
        top = item.top
    captions = [number for number, line in enumerate(above) if _CAPTION.match(line.text)]
    if captions:
        chosen = above[captions[-1] :]
    else:
        chosen = []
        for line in reversed(above[-_PLAIN_LINES:]):
            text = line.text
            if line.base < EDGE * sheet.height:
                break  # a running line
            if len(text) > 100 or text.endswith((".", ";", ",")) or _NOT_TITLE.match(text) or text[:1].islower():
                break
            chosen.insert(0, line)
    title = " ".join(line.text for line in chosen).replace("\ufffe", "-")
    return title if len(title) <= _LONGEST_TITLE else title[:_LONGEST_TITLE].rpartition(" ")[0]
