"""Whether characters are text in a language, or only glyph numbers from a font without a Unicode map.

Three criteria, each measured on a whole page: characters that occur in no text, symbols in place of letters, and
letters in an order that occurs in no language with Latin script. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter

_FEW = 20  # characters of a page that are too few to judge
_FEW_LETTERS = 60
_MAX_STRANGE = 0.2  # share of control, private and unassigned characters
_MAX_SIGNS = 0.4  # share of signs in what is neither number nor space
_MIN_LETTERS = 0.35
_MIN_COMMON = 0.2  # share of common letter pairs; 0.3 and more in running text of European languages

# Bullets of symbol fonts, which cleaning corrects, and TeX's ligatures.
_KNOWN_CODES = frozenset("\uf0b7\uf0a7\uf06e\uf0d8\uf0fc\x0b\x0c\r\x0e\x0f\n\t\xad\ufffe")
_NUMBER = re.compile(r"(?<!\S)[-+\u2212(\[]?[$\u20ac\u00a3\u00a5#]?\d[\d.,:/\u2013-]*[%)\]*.,;]*(?!\S)")
_LONE_SIGN = re.compile(r"(?<!\S)[^\w\s](?!\S)")
_RULE = re.compile(r"([.\-_=*~\u2022\u2026|\u2500-\u257f])(?:\s*\1){2,}")
_LATIN_WORD = re.compile(r"[a-z\u00df-\u024f]{3,}")
_COMMON_PAIRS = """
    th he in er an re nd on en at ou ed ha to or it is hi es ng de le la ei ie ch un st te ar ti al nt se ne me
    ve as ra ri ro li il el ta no ma om ur us em co di si ko na ka ja ni ju je go wa ze po pa ya ak am ah ay hu
    ki
"""
_COMMON = frozenset(_COMMON_PAIRS.split())


def illegible(text: str) -> str:
    """Why ``text`` (of one page) is not text; "" if it may be, or if it is too short to decide."""
    visible = [character for character in text if not character.isspace() or character in "\x1c\x1d\x1e\x1f"]
    strange = sum(_is_strange(character) for character in visible)
    if strange > max(3, _MAX_STRANGE * len(visible)):
        return f"{strange} of its {len(visible)} characters are control characters or of no alphabet"
    if len(visible) < _FEW:
        return ""
    return _signs(text) or _pairs(text)


def _is_strange(character: str) -> bool:
    return (
        unicodedata.category(character) in ("Cc", "Co", "Cn", "Cs") or character == "\ufffd"
    ) and character not in _KNOWN_CODES


def _signs(text: str) -> str:
    """Whether symbols stand where letters should, apart from numbers, lines and single symbols."""
    worded = _RULE.sub(" ", _LONE_SIGN.sub(" ", _NUMBER.sub(" ", text)))
    rest = [character for character in worded if not character.isspace()]
    if len(rest) < 2 * _FEW:
        return ""
    # category S and P; marks of scripts such as Devanagari belong to their letters
    kinds = Counter(unicodedata.category(character)[0] for character in rest)
    signs = (kinds["S"] + kinds["P"]) / len(rest)
    letters = (kinds["L"] + kinds["M"]) / len(rest)
    if signs > _MAX_SIGNS and letters < _MIN_LETTERS:
        return f"{signs:.0%} of its characters are signs"
    return ""


def _pairs(text: str) -> str:
    """Whether hardly any pair of neighbouring letters is a common one."""
    words = _LATIN_WORD.findall(text.casefold())
    pairs = [word[i : i + 2] for word in words for i in range(len(word) - 1)]
    if len(pairs) < _FEW_LETTERS:
        return ""
    common = sum(pair in _COMMON for pair in pairs) / len(pairs)
    if common < _MIN_COMMON:
        return "its letters form no words of any language in Latin script"
    return ""
