"""Completes amounts: an answer that is a bare number gets the currency sign or unit that is beside it in the text.

Small models sometimes answer "0.42" where the text says "£0.42". Nothing is invented: what is added is beside the
number at every place in the cited sentence, or in the header of its table cell (``table_units``).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sharedllm_docs.retrieval.editing import Editor
from sharedllm_docs.retrieval.table_units import CODE, SCALE, SIGN, SYMBOLS, WORDS, Row, amount_with_unit

_BEFORE = rf"(?:(?:\b[A-Z]{{1,3}})?{SIGN}\s?|\b(?:{CODE})\s)"
_BEHIND = rf"\s?{SIGN}|\s(?:{CODE})\b|\s(?i:{WORDS})\b|\s?(?:{SYMBOLS})(?![\w/])"
_ANSWER = re.compile(rf"(?P<number>\d(?:[\d.,]*\d)?)(?P<scale>\s(?i:{SCALE}))?(?P<end>\.?)")
_HELD = 24
"""Characters of an answer that are held back at most while it may still be a bare number."""
_BEGUN = re.compile(r"\d[\d.,]*(?:\s[^\W\d_]*\.?)?")
"""What a bare number, with its scale or without, begins with."""


@dataclass(frozen=True)
class Source:
    """Where an answer is taken from.

    Attributes:
        sentence: or line of the text; "" if it is not known.
        row: the same as a row of a table, if it is one.
    """

    sentence: str = ""
    row: Row | None = None


def whole_amount(answer: str, sentence: str, question: str, row: Row | None = None) -> str:
    """An answer that is a bare number, with the sign and unit that stand with it in a sentence; any other as it is.

    Args:
        answer: as the model wrote it.
        sentence: that the answer is taken from.
        question: in words; a unit that it names is not repeated.
        row: of a table that the sentence is; what its heads say goes first.
    """
    found = _ANSWER.fullmatch(answer.strip())
    if found is None:
        return answer
    if row is not None and (headed := amount_with_unit(row, found["number"], found["scale"] or "")):
        return _without(headed, question) + found["end"]
    number, scale = re.escape(found["number"]), found["scale"]
    # a model that leaves out the sign may leave out the million as well
    scales = rf"\s(?i:{re.escape(scale.strip())})" if scale else rf"(?:\s(?i:{SCALE})\b)?"
    amount = re.compile(rf"(?<![\w.,])(?:{_BEFORE})?{number}(?![.,]?\d){scales}(?:{_BEHIND})?")
    forms = {_without(one.group(), question) for one in amount.finditer(sentence)}
    return forms.pop() + found["end"] if len(forms) == 1 else answer


def _without(amount: str, question: str) -> str:
    """An amount without the unit, if that is a word of the question: "14" suffices where months are asked for."""
    unit = re.search(rf"\s((?i:{WORDS}))$", amount)
    if unit and re.search(rf"\b{re.escape(unit[1].rstrip('s'))}", question, re.IGNORECASE):
        return amount[: unit.start()]
    return amount


class Amount(Editor):
    """Makes an answer that is a bare number whole; any other goes through as it comes.

    Args:
        question: in words.
        source: returns what an answer is taken from; called only for bare numbers.
    """

    def __init__(self, question: str, source: Callable[[str], Source]) -> None:
        super().__init__()
        self._question, self._source = question, source
        self._held, self._passes = "", False

    def add(self, piece: str) -> str:
        """Take a piece; returns it, but for the beginning of what may be a bare number."""
        self._held += piece
        begun = self._held.lstrip()
        self._passes |= bool(begun) and (_BEGUN.fullmatch(begun) is None or len(begun) > _HELD)
        return self._shown(self._held) if self._passes else ""

    def finish(self) -> str:
        """The rest of the answer, a bare number with its sign and unit."""
        answer = self._held.strip()
        if not self._passes and _ANSWER.fullmatch(answer):
            source = self._source(answer)
            return self._shown(whole_amount(answer, source.sentence, self._question, source.row))
        return self._shown(self._held)

    def _shown(self, text: str) -> str:
        self._held = ""
        self.text += text
        return text
