"""Raised and lowered digits as Unicode writes them: ``250`` with a raised 3 is ``250³``, never ``2503``."""

from __future__ import annotations

_PLAIN = "0123456789+-\u2212\u2013"
_RAISE = str.maketrans(_PLAIN, "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁻⁻")
_LOWER = str.maketrans(_PLAIN, "₀₁₂₃₄₅₆₇₈₉₊₋₋₋")
_LEVEL = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹₀₁₂₃₄₅₆₇₈₉", "01234567890123456789")


def raise_(text: str) -> str:
    """``text`` with its digits and signs as superscripts; other characters stay."""
    return text.translate(_RAISE)


def lower(text: str) -> str:
    """``text`` with its digits and signs as subscripts; other characters stay."""
    return text.translate(_LOWER)


def level(text: str) -> str:
    """``text`` with its superscript and subscript digits as plain ones, for comparisons."""
    return text.translate(_LEVEL)
