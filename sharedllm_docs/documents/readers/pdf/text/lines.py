"""The lines of a page's text, and the indentation of code, which PDFium drops.

Code is recognised by its fixed-pitch font: there, the place of a line's first character gives its column.
"""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

from sharedllm_docs.documents.readers.pdf.layout.boxes import Word
from sharedllm_docs.documents.readers.pdf.text.characters import Characters
from sharedllm_docs.documents.readers.pdf.text.edits import Edit

_MAX_INDENT = 60
_TYPEWRITTEN = 0.95  # share of a page's words in fixed pitch, from which it is no page with code on it


@dataclass(frozen=True)
class TextLine:
    """A line of page text; ``left`` and ``advance`` (width of one character) in points, for code only."""

    start: int
    text: str
    left: float | None = None
    advance: float | None = None

    @property
    def end(self) -> int:
        """One past its last character."""
        return self.start + len(self.text)

    @property
    def is_code(self) -> bool:
        """Whether it begins in a fixed-pitch font."""
        return self.left is not None


def lines_of(characters: Characters) -> Iterator[TextLine]:
    """The lines of PDFium's text."""
    position = 0
    for line in characters.text.split("\r\n"):
        yield _measured(characters, position, line)
        position += len(line) + 2


def _measured(characters: Characters, position: int, text: str) -> TextLine:
    """The line with its place on the page, if it begins in a fixed-pitch font."""
    start = None if not text or text[0].isspace() else characters.index(position)
    if start is None or not characters.is_fixed_pitch(start):
        return TextLine(position, text)
    origins = [characters.origin(start + offset)[0] for offset in range(min(3, len(text)))]
    steps = [right - left for left, right in pairwise(origins)]
    if " " in text[:3] or len(steps) < 2:
        return TextLine(position, text, left=origins[0])
    if abs(steps[0] - steps[1]) > 0.1 * abs(steps[0]) or steps[0] <= 0:
        return TextLine(position, text)
    return TextLine(position, text, left=origins[0], advance=steps[0])


def indentation(lines: Sequence[TextLine]) -> Iterator[Edit]:
    """The indentation of consecutive lines of code. The leftmost of them starts at column 0."""
    for is_code, group in groupby(lines, key=lambda line: line.is_code):
        run = list(group)
        advances = [line.advance for line in run if line.advance]
        if not is_code or not advances:
            continue
        lefts = [line.left or 0.0 for line in run]
        for line, left in zip(run, lefts, strict=True):
            columns = round((left - min(lefts)) / statistics.median(advances))
            if columns:
                yield Edit(line.start, line.start, " " * min(columns, _MAX_INDENT))


def with_code_marked(words: Sequence[Word], lines: Sequence[TextLine]) -> list[Word]:
    """The words, those in lines of code marked as such; where nearly all are, the page is typewritten and none is."""
    spans = [(line.start, line.end) for line in lines if line.is_code]
    if not spans:
        return list(words)
    starts = [start for start, _ in spans]

    def is_inside(word: Word) -> bool:
        place = bisect.bisect_right(starts, word.start) - 1
        return place >= 0 and word.start < spans[place][1]

    code = [is_inside(word) for word in words]
    if sum(code) > _TYPEWRITTEN * len(words):
        return list(words)
    return [replace(word, code=True) if mark else word for word, mark in zip(words, code, strict=True)]
