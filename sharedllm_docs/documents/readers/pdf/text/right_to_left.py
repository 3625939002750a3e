"""Lines of Arabic, Hebrew and similar scripts are put in reading order by the positions of their characters. Pure.

A PDF draws such text from left to right as it is seen; PDFium turns it round again, but not where a producer already
did, and not at the borders to figures and Latin words. Here each line is ordered by its places alone, the reverse of
what the Unicode bidirectional algorithm (UAX 9) does to show it.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

IS_RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdcf\ufdf0-\ufdff\ufe70-\ufefc]")
_LINE = re.compile(r"[^\r\n]+|[\r\n]+")
_LONGEST = 2000  # characters of the longest line that is reordered
_CLASSES = {"R": "R", "AL": "R", "L": "L", "EN": "N", "AN": "N", "ES": "C", "CS": "C", "ET": "E", "NSM": "M"}
# the parts of a right-to-left line that run from left to right, and the reverse for a left-to-right line
_LEFT_TO_RIGHT = re.compile(r"[LN](?:[^R]*[LN])?")
_RIGHT_TO_LEFT = re.compile(r"R(?:[^L]*R)?")
_FIGURES = re.compile(r"E*N(?:C?N)*E*")
_MIRRORED = str.maketrans("()[]{}<>\u00ab\u00bb\u2039\u203a", ")(][}{><\u00bb\u00ab\u203a\u2039")
_OPENING, _CLOSING = frozenset("([{"), frozenset(")]}")
_LAM, _ALEFS = "\u0644", frozenset("\u0622\u0623\u0625\u0627")


@dataclass(frozen=True)
class Seen:
    """A character and where it stands on its line.

    Attributes:
        position: in the text as it is given out.
        text: the character.
        left: its left edge, in any unit.
        right: its right edge.
    """

    position: int
    text: str
    left: float
    right: float


def in_order(
    text: str, number_of: Callable[[int], int | None], box_of: Callable[[int], tuple[float, float]]
) -> tuple[str, list[int]]:
    """The text of a page with its lines in reading order, and the number of each character, -1 if it has none.

    Args:
        text: as it is given out.
        number_of: number of the character at a position, None where there is none.
        box_of: left and right edge of the character with a number.
    """
    parts, numbers = list[str](), list[int]()
    letters = Counter(_CLASSES.get(unicodedata.bidirectional(one)) for one in text)
    from_right = letters["R"] >= letters["L"]
    for match in _LINE.finditer(text):
        own = [number_of(position) for position in range(match.start(), match.end())]
        seen = [
            Seen(match.start() + place, one, *((0.0, 0.0) if one.isspace() or number is None else box_of(number)))
            for place, (one, number) in enumerate(zip(match[0], own, strict=True))
        ]
        known = all(one.text.isspace() or number is not None for one, number in zip(seen, own, strict=True))
        if known and len(seen) <= _LONGEST and IS_RIGHT_TO_LEFT.search(match[0]):
            seen = ordered(seen, from_right=from_right)
        parts += [one.text for one in seen]
        held = (own[one.position - match.start()] for one in seen)
        numbers += [-1 if number is None else number for number in held]
    return "".join(parts), numbers


def ordered(line: Sequence[Seen], *, from_right: bool) -> list[Seen]:
    """The characters of a line in reading order; unchanged if their positions do not show it.

    Args:
        line: as it is given out, with spaces between words.
        from_right: whether its page is read from the right, Latin words and figures aside.
    """
    words = [sorted(word, key=_place) for word in _words(line)]
    if not words or not _stand_apart(words):
        return list(line)
    words = _with_brackets(sorted(words, key=lambda word: word[0].left))
    spaces = [one for one in line if one.text.isspace()]
    seen: list[Seen] = []
    for number, word in enumerate(words):
        seen += [spaces[number - 1]] if number else []
        seen += _with_ligatures(word)
    kinds = "".join(map(_kind, seen))
    return _mirrored(_from_the_right(seen, kinds) if from_right else _from_the_left(seen, kinds))


def _words(line: Sequence[Seen]) -> Iterator[list[Seen]]:
    word: list[Seen] = []
    for one in line:
        if not one.text.isspace():
            word.append(one)
        elif word:
            yield word
            word = []
    if word:
        yield word


def _with_brackets(words: list[list[Seen]]) -> list[list[Seen]]:
    """Brackets and quotation marks, joined to the word that they touch."""

    def moves(one: Seen, own: float, other: float) -> bool:
        return not one.text.isalnum() and own > other

    for before, after in pairwise(words):
        gap = after[0].left - before[-1].right
        if len(before) > 1 and moves(before[-1], before[-1].left - before[-2].right, gap):
            after.insert(0, before.pop())
        elif len(after) > 1 and moves(after[0], after[1].left - after[0].right, gap):
            before.append(after.pop(0))
    return words


def _place(one: Seen) -> float:
    return one.left + one.right


def _stand_apart(words: Sequence[Sequence[Seen]]) -> bool:
    """Whether no word reaches far into another."""
    spans = sorted((min(one.left for one in word), max(one.right for one in word)) for word in words)
    return all(b[0] > a[1] - 0.4 * min(a[1] - a[0], b[1] - b[0]) for a, b in pairwise(spans))


def _kind(one: Seen) -> str:
    return _CLASSES.get(unicodedata.bidirectional(one.text[:1]), "S")


def _with_ligatures(word: list[Seen]) -> list[Seen]:
    """From the left, an alef comes after the lam that it is joined to: both have the same position."""
    found = list(word)
    for at in range(len(found) - 1):
        a, b = found[at], found[at + 1]
        if abs(a.left - b.left) < 0.01 and a.text == _LAM and b.text in _ALEFS:
            found[at], found[at + 1] = b, a
    return found


def _from_the_right(seen: list[Seen], kinds: str) -> list[Seen]:
    seen, kinds = _marks_behind(seen[::-1], kinds[::-1])
    for match in _LEFT_TO_RIGHT.finditer(kinds):
        if "L" in match[0]:
            seen[match.start() : match.end()] = seen[match.start() : match.end()][::-1]
        else:
            _turn_figures(seen, kinds, match.start(), match.end())
    return seen


def _from_the_left(seen: list[Seen], kinds: str) -> list[Seen]:
    for match in _RIGHT_TO_LEFT.finditer(kinds):
        start, end = match.span()
        part, turned = _marks_behind(seen[start:end][::-1], kinds[start:end][::-1])
        _turn_figures(part, turned, 0, len(part))
        seen[start:end] = part
    return seen


def _turn_figures(seen: list[Seen], kinds: str, start: int, end: int) -> None:
    """Figures run from left to right in text of either direction, together with currency and percent signs."""
    for match in _FIGURES.finditer(kinds, max(0, start - 2), min(len(kinds), end + 2)):
        seen[match.start() : match.end()] = seen[match.start() : match.end()][::-1]


def _marks_behind(seen: list[Seen], kinds: str) -> tuple[list[Seen], str]:
    """Vowel points after the letters that they belong to: both have about the same position."""
    order = list(range(len(seen)))
    at = 0
    while at < len(order):
        end = at
        while end < len(order) and kinds[order[end]] == "M":
            end += 1
        if at < end < len(order) and kinds[order[end]] == "R" and (at == 0 or kinds[order[at - 1]] != "R"):
            order[at : end + 1] = [order[end], *order[at:end]]
        at = end + 1
    return [seen[n] for n in order], "".join(kinds[n] for n in order)


def _mirrored(seen: list[Seen]) -> list[Seen]:
    """Brackets as they are written: a closing shape opens in text from the right, unless it was mirrored back."""
    depth = lowest = 0
    for one in seen:
        depth += (one.text in _OPENING) - (one.text in _CLOSING)
        lowest = min(lowest, depth)
    if lowest >= 0:
        return seen
    return [Seen(one.position, one.text.translate(_MIRRORED), one.left, one.right) for one in seen]
