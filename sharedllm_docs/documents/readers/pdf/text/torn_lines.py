"""Lines that PDFium tears to single letters, put together again. Pure.

Where a page holds little but narrow columns of figures, PDFium takes it for one written from top to bottom, and puts
every letter on a line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

_BREAK = "\r\n"
_FEW = 12  # lines of a page, up to which single letters on lines of their own are what they are
_TORN = 0.35  # share of a page's lines that hold one or two letters, from which it is torn
_SHORT = 3  # characters of a line, below which it may be torn off
_LEVEL = 0.1  # font sizes between the baselines of one line
_TOUCHES, _SPACE = 0.12, 1.0  # font sizes between letters of a word, and between words


class Place(NamedTuple):
    """Baseline, font size, and left and right edge of a character."""

    base: float
    size: float
    left: float
    right: float


_SHORT_LINES = re.compile(r"(?:\A|\r\n)\S{1,2}\r\n\S{1,2}\r\n\S{1,2}\r\n")


def has_torn_lines(text: str) -> bool:
    """Whether several lines in a row hold one or two characters."""
    return _SHORT_LINES.search(text) is not None


def is_torn(text: str) -> bool:
    """Whether many lines of a page hold one or two characters, so that any of its lines may be torn."""
    lines = [line for line in text.split(_BREAK) if line.strip()]
    return len(lines) > _FEW and sum(len(line.strip()) < 3 for line in lines) >= _TORN * len(lines)


def mended(
    text: str, number_of: Callable[[int], int | None], place_of: Callable[[int], Place | None]
) -> tuple[str, list[int]]:
    """The text without the line breaks inside words, spaces for those between words, and each character's number.

    Args:
        text: of a page as PDFium gives it.
        number_of: PDFium's number of the character at a position, None where there is none.
        place_of: where the character at a position stands.
    """
    parts, numbers = list[str](), list[int]()
    everywhere = is_torn(text)
    position = begin = 0
    while position < len(text):
        if text[position : position + 2] == _BREAK:
            after = text.find(_BREAK, position + 2)
            short = min(position - begin, (after if after >= 0 else len(text)) - position - 2) < _SHORT
            known = 0 < position < len(text) - 2 and (everywhere or short)
            joint = _joint(place_of(position - 1), place_of(position + 2)) if known else _BREAK
            parts.append(joint)
            numbers += [-1] * len(joint)
            position = begin = position + 2
            continue
        number = number_of(position)
        parts.append(text[position])
        numbers.append(-1 if number is None else number)
        position += 1
    return "".join(parts), numbers


def _joint(before: Place | None, after: Place | None) -> str:
    """What stands between two characters in place of a line break."""
    if before is None or after is None or abs(before.base - after.base) > _LEVEL * before.size:
        return _BREAK
    gap = (after.left - before.right) / max(before.size, 1.0)
    if -_SPACE < gap < _TOUCHES:
        return ""
    return " " if _TOUCHES <= gap < _SPACE else _BREAK
