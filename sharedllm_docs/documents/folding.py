"""Folds letters for search and for the model: styled, full-width and joined forms become plain letters.

The printed text stays as it is; a folded copy is used for matching and for the model, with a map back to the printed
positions. Superscript and subscript digits, fractions and circled numbers keep their form: ``250³`` must not become
2503. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_FOLDED = (
    *("<font>", "<wide>", "<narrow>", "<compat>", "<square>"),
    *("<initial>", "<medial>", "<final>", "<isolated>", "<vertical>"),
)
_KEPT = re.compile(r"\s|[\u2024-\u2026\u2033-\u2037\u2057\u203c\u2047-\u2049\u2100-\u2101\u2105-\u2106\u2474-\u24b5]")

# Joined letters that some fonts (Calibri, Cambria and their kin) give out as capital letters of rare alphabets.
_LIGATURES = {"\u019f": "ti", "\u01a9": "tt", "\u01ab": "tti", "\u014c": "ft", "\u019e": "tf"}
_SMALL = {"\u019f": "\u0275", "\u01a9": "\u0283", "\u014c": "\u014d", "\u01ab": "\u01ac", "\u019e": "\u0220"}
_LIGATURE = re.compile(
    r"(?<=[a-z\u00df-\u00ff])[\u019f\u01a9\u01ab\u014c\u019e](?=[a-z\u00df-\u00ff\u019f\u01a9])"
    r"|(?<=[a-z\u00df-\u00ff])[\u019f\u01a9\u01ab\u014c\u019e]\b|\b[\u019f\u01a9](?=[a-z])"
)


@lru_cache(maxsize=1 << 16)
def _shown(character: str) -> str:
    """The plain letters or digits that a character shows, if it is a variant of such; else the character."""
    decomposition = unicodedata.decomposition(character)
    if not decomposition.startswith(_FOLDED) or _KEPT.match(character):
        return character
    folded = unicodedata.normalize("NFKC", character)
    return folded if folded.strip() and not folded[0].isspace() else character


def fold_forms(text: str) -> str:
    """The text with compatibility forms as plain letters, one for one with ``fold_map``."""
    if text.isascii():
        return text
    return "".join(map(_shown, _unjoined(text)))


def fold_map(text: str) -> tuple[str, list[int]] | None:
    """The folded text, and for each of its characters and its end the place in ``text``; None if nothing changes."""
    if text.isascii():
        return None
    folded = fold_forms(text)
    if folded == text:
        return None
    joined = {match.start() for match in _LIGATURE.finditer(text) if _is_ligature(match[0], text)}
    places: list[int] = []
    for place, character in enumerate(text):
        shown = _LIGATURES[character] if place in joined else _shown(character)
        places += [place] * len(shown)
    return folded, [*places, len(text)]


def _unjoined(text: str) -> str:
    if not any(letter in text for letter in _LIGATURES):
        return text
    return _LIGATURE.sub(lambda match: _LIGATURES[match[0]] if _is_ligature(match[0], text) else match[0], text)


def _is_ligature(letter: str, text: str) -> bool:
    """Whether a capital inside a word is really a ligature: a text in that alphabet would contain the small letter
    too."""
    return _SMALL[letter] not in text
