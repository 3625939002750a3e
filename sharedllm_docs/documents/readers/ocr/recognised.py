"""What was recognised in a picture: words and lines with boxes, and the text in reading order. Pure geometry."""

from __future__ import annotations

import math
import statistics
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from sharedllm_docs.documents.traced import NOWHERE, Traced, joined

Box = tuple[float, float, float, float]

_SAME_ROW = 0.5  # of a line's height: nearer middles stand on one row
_CELL_GAP = 1.5  # line heights between two boxes of a row, from which they are cells
_GUTTER = 0.8  # line heights between two columns
_COLUMN_LINES, _COLUMN_CHARS = 3, 18  # fewer or shorter lines are cells of a table, not a column
_PARAGRAPH_GAP = 1.0  # line heights between two rows, from which a paragraph ends


@dataclass(frozen=True)
class Word:
    """A recognised word.

    Attributes:
        text: the word.
        box: left, top, right, bottom in pixels of the picture as it was given.
        confidence: 0 to 1.
    """

    text: str
    box: Box
    confidence: float


@dataclass(frozen=True)
class Line:
    """A recognised line, or the part of a line in one column or cell.

    Attributes:
        words: left to right.
        box: left, top, right, bottom in pixels of the picture, upright and unskewed.
        text: the line; its characters are marked with the number of their word, if it is ``Traced``.
        confidence: 0 to 1.
    """

    words: tuple[Word, ...]
    box: Box
    text: str
    confidence: float

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]


@dataclass(frozen=True)
class Recognised:
    """What a picture says.

    Attributes:
        lines: in reading order.
        text: rows of lines, columns one after another, cells of a row joined by `` | ``. Its characters are marked with
            the number of their word in ``words``.
        turned: degrees (0, 90, 180, 270) by which the picture had to be turned counter-clockwise.
        rows: upper and lower edge of each line of ``text`` that is not empty, in pixels of the upright picture.
    """

    lines: tuple[Line, ...] = ()
    text: str = ""
    turned: int = 0
    rows: tuple[tuple[float, float], ...] = ()

    @property
    def words(self) -> tuple[Word, ...]:
        """All words, in reading order."""
        return tuple(word for line in self.lines for word in line.words)

    @property
    def confidence(self) -> float:
        """Mean confidence of the characters; 0 without any."""
        weights = sum(len(line.text) for line in self.lines)
        return sum(line.confidence * len(line.text) for line in self.lines) / weights if weights else 0.0

    def margins(self, height: float, share: float) -> tuple[int, int]:
        """Number of rows at the start and at the end that stand in the upper or lower ``share`` of the height."""
        top = next((i for i, row in enumerate(self.rows) if row[1] > share * height), len(self.rows))
        last = next((i for i, row in enumerate(reversed(self.rows)) if row[0] < (1 - share) * height), len(self.rows))
        return top, min(last, len(self.rows) - top)

    @classmethod
    def of(cls, lines: Sequence[Line], turned: int = 0) -> Recognised:
        """Put lines, whose boxes are upright, in reading order."""
        kept = [line for line in lines if line.text.strip()]
        if not kept:
            return cls(turned=turned)
        height = statistics.median(line.height for line in kept)
        blocks = _columns(sorted(kept, key=lambda line: (line.box[1], line.box[0])), height)
        rows = [_rows(block, height) for block in blocks]
        first = 0
        for block in rows:
            for row in block:
                for number, line in enumerate(row):
                    row[number] = replace(line, text=with_words(line.text, [word.text for word in line.words], first))
                    first += len(line.words)
        ordered = tuple(line for block in rows for row in block for line in row)
        edges = tuple((row[0].box[1], max(line.box[3] for line in row)) for block in rows for row in block)
        return cls(ordered, joined("\n\n", (_text(block, height) for block in rows)), turned, edges)


def with_words(line: str, words: Sequence[str], first: int) -> str:
    """The line with the number of each character's word as its mark, counted from ``first`` on.

    Engines join words to lines in their own way. Words are looked for one after another; a character between two words
        has the mark of the one before it.
    """
    if not words:
        return line
    marks, place = array("i", [NOWHERE]) * len(line), 0
    for number, word in enumerate(words, start=first):
        start = line.find(word, place)
        if start >= 0:
            place = start + len(word)
            marks[start:place] = array("i", [number]) * len(word)
    last = next((mark for mark in marks if mark >= 0), first)
    for place, character in enumerate(line):
        last = marks[place] if marks[place] >= 0 else last
        marks[place] = NOWHERE if character.isspace() else last
    return Traced(line, marks)


def unskewed(points: Sequence[tuple[float, float]], angle: float) -> Box:
    """Upright box of a quadrilateral, after the whole picture is turned back by ``angle`` radians."""
    cos, sin = math.cos(-angle), math.sin(-angle)
    turned = [(x * cos - y * sin, x * sin + y * cos) for x, y in points]
    (left, top), (right, top2), (right2, bottom), (left2, bottom2) = turned
    return (left + left2) / 2, (top + top2) / 2, (right + right2) / 2, (bottom + bottom2) / 2


def _columns(lines: list[Line], height: float) -> list[list[Line]]:
    """Blocks of lines in reading order: a gutter between two columns of text parts a block, as does a full-width line.

    Cells of a table are too short for columns of text and stay in one block, so that their rows stay together.
    """
    for start in range(len(lines)):
        # the longest run from here whose lines leave a gutter free, so that titles above and notes below stand apart
        found = _longest_run(lines, start, height)
        if found is None:
            continue
        end, gutter = found
        left = [line for line in lines[start:end] if (line.box[0] + line.box[2]) / 2 < gutter]
        right = [line for line in lines[start:end] if (line.box[0] + line.box[2]) / 2 >= gutter]
        before = [lines[:start]] if start else []
        return [*before, *_columns(left, height), *_columns(right, height), *_columns(lines[end:], height)]
    return [lines] if lines else []


def _longest_run(lines: list[Line], start: int, height: float) -> tuple[int, float] | None:
    """(end, gutter) of the longest run of lines from ``start`` that stand in two columns."""
    first = lines[start]
    best: tuple[int, float] | None = None
    beside = [line for line in lines[start : start + 4] if line.box[0] > first.box[2] or line.box[2] < first.box[0]]
    for other in beside:
        low, high = min(first.box[2], other.box[2]), max(first.box[0], other.box[0])
        end = start
        for line in lines[start:]:
            narrowed_low = max(low, line.box[2]) if line.box[2] <= (low + high) / 2 + height else low
            narrowed_high = min(high, line.box[0]) if line.box[0] >= (low + high) / 2 - height else high
            crosses = line.box[0] < narrowed_low - height and line.box[2] > narrowed_high + height
            if crosses or narrowed_high - narrowed_low < _GUTTER * height:
                break
            low, high, end = narrowed_low, narrowed_high, end + 1
        gutter = (low + high) / 2
        if _are_columns(lines[start:end], gutter) and (best is None or end > best[0]):
            best = end, gutter
    return best


def _are_columns(lines: Sequence[Line], gutter: float) -> bool:
    sides = [
        [line for line in lines if line.box[2] <= gutter],
        [line for line in lines if line.box[0] >= gutter],
    ]
    return all(
        len(side) >= _COLUMN_LINES and statistics.median(len(line.text) for line in side) >= _COLUMN_CHARS
        for side in sides
    )


def _rows(lines: Sequence[Line], height: float) -> list[list[Line]]:
    """Lines of one block, those on one height together."""
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.box[1] + line.box[3]):
        middle = (line.box[1] + line.box[3]) / 2
        last = rows[-1][0] if rows else None
        if last is not None and middle - (last.box[1] + last.box[3]) / 2 < _SAME_ROW * max(line.height, height / 2):
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.box[0]) for row in rows]


def _text(rows: Sequence[Sequence[Line]], height: float) -> str:
    parts: list[str] = []
    bottom = 0.0
    for row in rows:
        if parts and row[0].box[1] - bottom > _PARAGRAPH_GAP * height:
            parts.append("")
        text = row[0].text
        for before, after in pairwise(row):
            text += (" | " if after.box[0] - before.box[2] > _CELL_GAP * height else " ") + after.text
        parts.append(text)
        bottom = max(line.box[3] for line in row)
    return joined("\n", parts)
