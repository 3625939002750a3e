"""Numbers in other characters: Roman numerals, superscript and subscript digits.

``250`` with a raised 3 is ``250³``, never ``2503``.
"""

from __future__ import annotations

import re

_PLAIN = "0123456789+-\u2212\u2013"
_RAISE = str.maketrans(_PLAIN, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
_LOWER = str.maketrans(_PLAIN, "₀₁₂₃₄₅₆₇₈₉₊₋₋₋")
_MINUS = str.maketrans("\u2212\u2013", "--")
_TEN = re.compile(r"(?<![\d.,])10\Z")
_LEVEL = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789")

_ROMAN = (
    *(("m", 1000), ("cm", 900), ("d", 500), ("cd", 400), ("c", 100), ("xc", 90), ("l", 50), ("xl", 40)),
    *(("x", 10), ("ix", 9), ("v", 5), ("iv", 4), ("i", 1)),
)


def raise_(text: str) -> str:
    """``text`` with its digits and signs as superscripts; other characters stay."""
    return text.translate(_RAISE)


def raised_behind(before: str, mark: str) -> str:
    """A raised ``mark`` as it is written after ``before``: powers of ten as ``10^6``, others as superscripts."""
    if _TEN.search(before):
        return "^" + mark.translate(_MINUS)
    return raise_(mark)


def lower(text: str) -> str:
    """``text`` with its digits and signs as subscripts; other characters stay."""
    return text.translate(_LOWER)


def level(text: str) -> str:
    """``text`` with its superscript and subscript digits as plain ones, for comparisons."""
    return text.translate(_LEVEL)


def roman(value: int) -> str:
    """A positive number in small Roman letters."""
    digits = ""
    for letters, worth in _ROMAN:
        digits, value = digits + letters * (value // worth), value % worth
    return digits
