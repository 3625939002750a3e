"""Words put together: lines of one baseline, and the segments of a line that wide gaps set apart."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise

from sharedllm_docs.documents.readers.pdf.layout.boxes import Box, Word, around

_NUMBER = re.compile(
    r"[(\[<>~≈±+\-\u2212\u2013\u2014$€£¥]*(?:[A-Z]{0,3}[$€£¥])?\s*[\-\u2212\u2013(]*[.,]?\d[\d.,:/'\u2019 ]*"
    r"(?:[%)\]*†‡§¹²³⁴⁵⁶⁷⁸⁹⁰a-zA-Z+]{0,3}\s*[%)]?|[-\u2212])(?:\s*\([\d.,\-\u2212\u2013% ]+%?\))?"
)
_DATE = re.compile(
    r"\d{1,2}\.?\s?(?:jan|feb|mar|m\u00e4r|apr|may|mai|jun|jul|aug|sep|oct|okt|nov|dec|dez)[a-z]{0,6}\.?(?:\s\d{2,4})?",
    re.IGNORECASE,
)
_NOTHING = re.compile(
    r"[-\u2010-\u2015\u2212.…:*·•\u2024]{1,5}|n\.?/?[am]\.?|nil|none|\([A-Z]\)|[xXyYnN✓✔✗]", re.IGNORECASE
)
_CURRENCY = re.compile(r"[(]?(?:[A-Z]{1,3})?[$€£¥][(]?\Z")
_CLOSES = re.compile(r"[%)\]]{1,3}\*?\Z|(?:bps|pts?|pp)\Z")
_LEADER = re.compile(r"[.\u2024\u2026·_]{2,}\Z|\.\Z")
_THOUSANDS = re.compile(r"\d{3}(?:[.,]\d+)?[)%]?\Z")
_LEADS = re.compile(r"[(\-+\u2212$€£¥]*\d{1,3}\Z")  # may be the first or a middle part of a number with spaces
_GROUPED = re.compile(r"\d[.,]\d{3}(?!\d)")
_FEW_FIGURES = 3  # of a line, from which a space parts them
_WORD_SPACE = 0.45  # of the font size: no gap of a table is narrower, leaders aside
_GAP, _TIGHT_GAP = 0.82, 0.5  # of the font size: between segments; between two numbers


def is_number(text: str) -> bool:
    """Whether a cell holds a number, or the sign for none."""
    return bool(_NUMBER.fullmatch(text) or _NOTHING.fullmatch(text)) and not _DATE.fullmatch(text)


def has_digits(text: str) -> bool:
    return any(map(str.isdigit, text))


@dataclass(frozen=True)
class Segment(Box):
    """Neighbouring words of one line."""

    words: tuple[Word, ...]

    @cached_property
    def text(self) -> str:
        """Its words, leaders left out."""
        return " ".join(word.text for word in self.words)

    @cached_property
    def is_number(self) -> bool:
        return is_number(self.text)

    @property
    def size(self) -> float:
        return max(word.size for word in self.words)


def segment(words: Sequence[Word]) -> Segment:
    box = around(words)
    return Segment(box.left, box.top, box.right, box.bottom, tuple(words))


@dataclass(frozen=True)
class Line(Box):
    """Words of one baseline, from left to right, in segments."""

    base: float
    size: float
    segments: tuple[Segment, ...] = field(repr=False)

    @cached_property
    def words(self) -> tuple[Word, ...]:
        return tuple(word for one in self.segments for word in one.words)

    @cached_property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)

    @property
    def is_code(self) -> bool:
        return sum(word.code for word in self.words) > 0.5 * len(self.words)

    @cached_property
    def numbers(self) -> int:
        """How many segments, the first aside, hold a number."""
        return sum(one.is_number for one in self.segments[1:])


def rows_of(words: Iterable[Word]) -> list[list[Word]]:
    """Words by baseline, top to bottom; small raised and lowered marks go with their line."""
    rows: list[list[Word]] = []
    bases: list[tuple[float, float]] = []  # baseline and size of each row's largest word
    for word in sorted(words, key=lambda one: (one.base, one.left)):
        for back in range(len(rows) - 1, max(-1, len(rows) - 4), -1):
            base, size = bases[back]
            if _same_row(word, base, size):
                rows[back].append(word)
                if word.size > 1.05 * size:
                    bases[back] = (word.base, word.size)
                break
        else:
            rows.append([word])
            bases.append((word.base, word.size))
    order = sorted(range(len(rows)), key=lambda number: bases[number][0])
    return [sorted(rows[number], key=lambda one: one.left) for number in order]


def _same_row(word: Word, base: float, size: float) -> bool:
    apart = abs(word.base - base)
    if apart < 0.01:
        return True
    large, small = (word.size, size) if word.size > size else (size, word.size)
    return apart <= 0.28 * small or (small < 0.85 * large and apart <= 0.5 * large)


def lines_of(words: Iterable[Word]) -> list[Line]:
    """Lines, top to bottom."""
    return [line_of(row) for row in rows_of(words)]


def line_of(row: Sequence[Word]) -> Line:
    """A line of words that stand on one baseline, from left to right."""
    box = around(row)
    largest = max(row, key=lambda word: word.size)
    return Line(box.left, box.top, box.right, box.bottom, largest.base, largest.size, tuple(_segments(row)))


def _segments(row: Sequence[Word]) -> Iterable[Segment]:
    groups: list[list[Word]] = []
    for word in row:
        if not groups or _parted(groups[-1][-1], word):
            groups.append([])
        groups[-1].append(word)
    for group in groups if not _is_crowded(groups) else _one_by_one(groups):
        yield segment(group)


def _is_crowded(groups: Sequence[Sequence[Word]]) -> bool:
    """Whether figures of several columns stand no further apart than words: ``812 790 1,204 1,187``.

    A space inside a number (``1 204 1 187``) looks the same, so lines in which it may be one are left alone.
    """
    figures = [group for group in groups if _are_figures(group)]
    words = [word for group in figures for word in group]
    if len(words) < _FEW_FIGURES or len(words) == len(figures):
        return False
    pairs = [pair for group in figures for pair in pairwise(group)]
    spaced = any(_THOUSANDS.match(word.text) and _LEADS.match(before.text) for before, word in pairs)
    return not spaced or any(_GROUPED.search(word.text) for word in words)


def _are_figures(group: Sequence[Word]) -> bool:
    return all(is_number(word.text) and word.text[-1] not in ",;:" for word in group)


def _one_by_one(groups: Sequence[Sequence[Word]]) -> Iterable[Sequence[Word]]:
    for group in groups:
        if _are_figures(group):
            yield from ([word] for word in group)
        else:
            yield group


def _parted(before: Word, word: Word) -> bool:
    """Whether a gap sets two words of a line apart: wide, or narrow between two numbers."""
    gap, size = word.left - before.right, max(before.size, word.size)
    if gap < _WORD_SPACE * size and not _LEADER.match(before.text):
        return False
    if _CURRENCY.match(before.text) and has_digits(word.text):
        return gap > 9 * size
    if _CLOSES.match(word.text) and has_digits(before.text):
        return gap > 1.6 * size
    if _LEADER.match(before.text) and _LEADER.match(word.text):
        return gap > 3 * size
    if gap > _GAP * size:
        return True
    if is_number(before.text) and is_number(word.text) and gap > _TIGHT_GAP * size:
        return True
    # leaders run up to the first number: "Total . . . . 9,034"
    return (
        bool(_LEADER.match(before.text))
        and len(before.text) < 60
        and has_digits(word.text)
        and gap > 0.15 * size
        and _is_leader(before)
    )


def _is_leader(word: Word) -> bool:
    return set(word.text) <= set(".\u2024\u2026·_")
