"""Units that are given in the headers of a table: ``438`` under "Units sold (thousand)" is 438 thousand.

A cell has the unit of its column header or of its row label. If neither has one, amounts of money have that of the
table's title. What is not certainly a unit is ignored. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

SIGN = "[$\u00a2\u00a3\u00a5\u0e3f\u20a0-\u20cf]"
CODE = (
    "USD|EUR|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|HKD|SGD|SEK|NOK|DKK|ISK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|ILS|ZAR|BRL"
    "|MXN|KRW|THB|IDR|MYR|PHP|VND|AED|SAR"
)
SCALE = "hundred|thousand|million|billion|trillion|mn|bn|tn"
WORDS = (
    "per cent|percent|percentage points?|basis points?|euros?|dollars?|cents?|pence|pounds?|francs?|yen|yuan|rupees?"
    "|kronor|kroner|kr|milliseconds?|seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|nights?|weeks?|fortnights?|months?"
    "|quarters?|years?|decades?|centuries|kilomet(?:re|er)s?|centimet(?:re|er)s?|millimet(?:re|er)s?|met(?:re|er)s?"
    "|miles?|feet|foot|inch(?:es)?|yards?|acres?|hectares?|kilograms?|grams?|milligrams?|tonnes?|tons?|ounces?|lit(?:re"
    "|er)s?|millilit(?:re|er)s?|gallons?|pints?|barrels?|degrees?(?: (?:celsius|fahrenheit))?|(?:kilo|mega|giga)?watts?"
    "|volts?|amperes?|(?:kilo|mega|giga|tera)?(?:bytes?|bits?|hertz)|(?:kilo)?joules?|(?:kilo)?calories"
)
SYMBOLS = (
    "%|\u2030|\u00b0 ?[CF]|\u00b0|km/h|km\u00b2|m\u00b2|m\u00b3|m/s|mph|km|cm|mm|\u00b5m|\u03bcm|nm|m|kg|mg|\u00b5g|g|t"
    "|lbs?|oz|ft|ha|dl|cl|ml|l|L|ms|s|min|h|[kMGT]?Wh|[kMG]?W|k?V|mA|[kMG]?Hz|[KkMGT]i?B|[kMG]bit/s|kJ|MJ|[kMh]?Pa|bar"
    "|psi|kcal|dB|rpm|ppm|z\u0142|K\u010d"
)
_SCALES = {
    "hundred": "hundred", "thousand": "thousand", "million": "million", "billion": "billion", "trillion": "trillion",
    "k": "thousand", "000": "thousand", "m": "million", "mn": "million", "bn": "billion", "b": "billion",
    "tn": "trillion",
}  # fmt: skip
_SCALE_HEAD = r"(?P<scale{n}>(?i:hundred|thousand|million|billion|trillion|mn|bn|tn)s?|['\u2019]?000s?{short})"
_MONEY = rf"(?P<money{{n}}>(?:[A-Z]{{{{1,3}}}})?{SIGN}|{CODE}|(?i:euros?|dollars?|pounds?|francs?|kronor|kroner|yen))"
_AMOUNT = re.compile(
    "|".join(
        (
            _MONEY.format(n=1) + r"(?:,?\s?(?:in )?" + _SCALE_HEAD.format(n=1, short="|[kKmMbB]") + ")?",
            _SCALE_HEAD.format(n=2, short="") + r"(?:\s(?:of )?" + _MONEY.format(n=2) + ")?",
        )
    )
)
_ONE = rf"(?:{SYMBOLS}|(?i:{WORDS}))"
_MEASURE = re.compile(rf"{_ONE}(?:(?:/|\sper\s)(?:{_ONE}|d|a|yr))?")
_INSTANT = frozenset(("year", "month", "day", "week", "quarter", "hour", "minute", "second"))
"""Words in brackets that say what the number is, not its unit: Built (year)."""
_BRACKETS = re.compile(r"(?<!\S)[(\[]([^()\[\]]*)[)\]]")
_TAIL = re.compile(rf"(?:,|\sin)\s((?:[^\s,]+\s?){{1,3}})$|\s({SIGN}|%|{CODE})$")
_OF_MONEY = re.compile(
    r"\b(?:revenues?|sales|turnover|costs?|expenses?|expenditures?|profits?|loss(?:es)?|income|earnings|assets|debts?"
    r"|liabilities|equity|cash|tax(?:es)?|budget|fees|wages|salaries|rent|investments?|borrowings)\b",
    re.IGNORECASE,
)
_NOT_OF_MONEY = re.compile(
    r"\b(?:per|units?|volumes?|number|count|ratio|margin|rate|share|growth|change|employees|staff|days"
    r"|of sales|of revenue)\b|%",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Unit:
    """The unit of a number.

    Attributes:
        money: currency as it is written, or "".
        scale: ``thousand`` and the like, or "".
        measure: any other unit, or "".
    """

    money: str = ""
    scale: str = ""
    measure: str = ""

    def amount(self, number: str) -> str:
        """The number with the unit: ``\u20ac17.3 million``, ``17.3 million EUR``, ``9.7 kg``, ``5%``."""
        scaled = f"{number} {self.scale}" if self.scale else number
        if self.money:
            return self.money + scaled if re.search(SIGN, self.money) else f"{scaled} {self.money}"
        return f"{scaled}{'' if self.measure in ('', '%', chr(0x2030), chr(0xB0)) else ' '}{self.measure}"


@dataclass(frozen=True)
class Row:
    """A row of a table.

    Attributes:
        cells: (header, value) of each, left to right; the header is "" if it is not known. The first is the row's
            label.
        title: of the table, or "".
    """

    cells: Sequence[tuple[str, str]] = ()
    title: str = ""


def amount_with_unit(row: Row, number: str, scale: str) -> str:
    """A number of a row with the unit that the table gives it, or "".

    The result is "" unless exactly one cell contains the number, and nothing else except a currency sign.

    Args:
        row: that contains the number.
        number: as it is written there.
        scale: the ``million`` that the answer already has, or "".
    """
    # the 300 in a name such as BW-300 is not a number
    alone = re.compile(rf"(?<![\w.,])(?<![^\W\d_]-){re.escape(number)}(?![.,]?\d)")
    holding = [place for place, (_head, value) in enumerate(row.cells) if alone.search(value)]
    if len(holding) != 1 or not row.cells[holding[0]][0]:
        return ""
    head, value = row.cells[holding[0]]
    found = re.fullmatch(rf"(?P<sign>{SIGN}?)\s?{re.escape(number)}", value.strip())
    unit = _unit_of(head, row.cells[0][1] if holding[0] and not row.cells[0][0] else "", row.title)
    if found is None or unit is None or (scale and _scale(scale) != unit.scale):
        return ""
    if found["sign"] and (unit.measure or not unit.scale):
        return ""
    return Unit(found["sign"] or unit.money, unit.scale, unit.measure).amount(number)


def _unit_of(head: str, label: str, title: str) -> Unit | None:
    """The unit of a cell, from its header or the label of its row, else from the title; None if they disagree."""
    units = {unit for unit in map(unit_in, (head, label)) if unit is not None}
    if len(units) > 1:
        return None
    if units:
        return units.pop()
    own = f"{head} {label}"
    unit = unit_in(title)
    if unit is None or unit.measure or not _OF_MONEY.search(own) or _NOT_OF_MONEY.search(own):
        return None
    return unit


def unit_in(head: str) -> Unit | None:
    """The unit that a header names in brackets, after a comma or at its end; None if there is none, or several."""
    named = {unit for text in _BRACKETS.findall(head) if (unit := _unit(text)) is not None}
    if not named and (tail := _TAIL.search(head.strip())):
        unit = _unit(tail[1] or tail[2])
        named = {unit} if unit is not None else set()
    return named.pop() if len(named) == 1 else None


def _unit(text: str) -> Unit | None:
    text = re.sub(r"^in\s", "", text.strip())
    if found := _AMOUNT.fullmatch(text):
        money, scale = found["money1"] or found["money2"] or "", found["scale1"] or found["scale2"] or ""
        return Unit(money=money, scale=_scale(scale) if scale else "")
    return Unit(measure=text) if _MEASURE.fullmatch(text) and text.lower() not in _INSTANT else None


def _scale(text: str) -> str:
    word = text.strip().lower().lstrip("'\u2019")
    return _SCALES.get(word) or _SCALES.get(word.rstrip("s"), "")
