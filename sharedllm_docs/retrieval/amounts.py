"""Amounts whole: an answer that is a bare number gets the currency sign or unit that stands beside it in the text.

Small models now and then answer "0.42" where the text has "£0.42". Nothing is made up: what is added stands beside the
number in the sentence that is cited, wherever the number stands in it.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sharedllm_docs.retrieval.editing import Editor

_SIGN = "[$\u00a2\u00a3\u00a5\u0e3f\u20a0-\u20cf]"
_CODE = (
    "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|HKD|SGD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|ILS|ZAR|BRL"
    "|MXN|KRW|THB|IDR|MYR|PHP|VND|AED|SAR"
)
_SCALE = "hundred|thousand|million|billion|trillion|mn|bn|tn"
_WORDS = (
    "per cent|percent|percentage points?|basis points?|euros?|dollars?|cents?|pence|pounds?|francs?|yen|yuan|rupees?"
    "|kronor|kroner|kr|milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|fortnights?|months?"
    "|quarters?|years?|decades?|centuries|kilomet(?:re|er)s?|centimet(?:re|er)s?|millimet(?:re|er)s?|met(?:re|er)s?"
    "|miles?|feet|foot|inch(?:es)?|yards?|acres?|hectares?|kilograms?|grams?|milligrams?|tonnes?|tons?|ounces?|lit(?:re"
    "|er)s?|millilit(?:re|er)s?|gallons?|pints?|barrels?|degrees?(?: (?:celsius|fahrenheit))?|(?:kilo|mega|giga)?watts?"
    "|volts?|amperes?|(?:kilo|mega|giga|tera)?(?:bytes?|bits?|hertz)|(?:kilo)?joules?|(?:kilo)?calories"
)
_SYMBOLS = (
    "%|\u2030|\u00b0 ?[CF]|\u00b0|km/h|km\u00b2|m\u00b2|m\u00b3|m/s|mph|km|cm|mm|\u00b5m|\u03bcm|nm|m|kg|mg|\u00b5g|g|t"
    "|lbs?|oz|ft|ha|dl|cl|ml|l|L|ms|s|min|h|[kMGT]?Wh|[kMG]?W|k?V|mA|[kMG]?Hz|[KkMGT]i?B|[kMG]bit/s|kJ|MJ|[kMh]?Pa|bar"
    "|psi|kcal|dB|rpm|ppm|z\u0142|K\u010d"
)
_BEFORE = rf"(?:(?:\b[A-Z]{{1,3}})?{_SIGN}\s?|\b(?:{_CODE})\s)"
_BEHIND = rf"\s?{_SIGN}|\s(?:{_CODE})\b|\s(?i:{_WORDS})\b|\s?(?:{_SYMBOLS})(?![\w/])"
_ANSWER = re.compile(rf"(?P<number>\d(?:[\d.,]*\d)?)(?P<scale>\s(?i:{_SCALE}))?(?P<end>\.?)")
_HELD = 24
"""Characters of an answer that begins with a digit which are held back until it is known to be no bare number."""


def whole_amount(answer: str, sentence: str, question: str) -> str:
    """An answer that is a bare number, with the sign and unit that stand with it in a sentence; any other as it is.

    Args:
        answer: as the model wrote it.
        sentence: that the answer is taken from.
        question: in words; a unit that it names is not repeated.
    """
    found = _ANSWER.fullmatch(answer.strip())
    if found is None:
        return answer
    number, scale = re.escape(found["number"]), found["scale"]
    # a model that leaves out the sign may leave out the million as well
    scales = rf"\s(?i:{re.escape(scale.strip())})" if scale else rf"(?:\s(?i:{_SCALE})\b)?"
    amount = re.compile(rf"(?<![\w.,])(?:{_BEFORE})?{number}(?![.,]?\d){scales}(?:{_BEHIND})?")
    forms = {_without(one.group(), question) for one in amount.finditer(sentence)}
    return forms.pop() + found["end"] if len(forms) == 1 else answer


def _without(amount: str, question: str) -> str:
    """An amount without the unit, if that is a word of the question: "14" suffices where months are asked for."""
    unit = re.search(rf"\s((?i:{_WORDS}))$", amount)
    if unit and re.search(rf"\b{re.escape(unit[1].rstrip('s'))}", question, re.IGNORECASE):
        return amount[: unit.start()]
    return amount


class Amount(Editor):
    """Makes an answer that is a bare number whole; any other goes through as it comes.

    Args:
        question: in words.
        source: gives the sentence that an answer is taken from, or ""; called only for bare numbers.
    """

    def __init__(self, question: str, source: Callable[[str], str]) -> None:
        super().__init__()
        self._question, self._source = question, source
        self._held, self._passes = "", False

    def add(self, piece: str) -> str:
        """Take a piece; returns it, but for the beginning of what may be a bare number."""
        self._held += piece
        begun = self._held.lstrip()
        self._passes |= bool(begun) and (not begun[0].isdecimal() or len(begun) > _HELD)
        return self._shown(self._held) if self._passes else ""

    def finish(self) -> str:
        """The rest of the answer, a bare number with its sign and unit."""
        answer = self._held.strip()
        if not self._passes and _ANSWER.fullmatch(answer):
            return self._shown(whole_amount(answer, self._source(answer), self._question))
        return self._shown(self._held)

    def _shown(self, text: str) -> str:
        self._held = ""
        self.text += text
        return text
