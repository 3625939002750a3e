"""Text whose characters keep a mark of their origin, through all of cleaning.

A reader makes ``Traced`` text from a page. Cleaning cuts, joins and replaces it with the functions of this module, and
each character of the result still has its mark. The same functions accept plain text, from formats without pages, and
return plain text. All other operations on ``Traced`` text (formatting it into a string, ``str.join``) return plain text
without marks, which is right for text that is not printed anywhere.
"""

from __future__ import annotations

import re
import unicodedata
from array import array
from collections.abc import Callable, Iterable, Mapping
from typing import Any, SupportsIndex

NOWHERE = -1
"""The mark of a character that is not printed anywhere."""
_UNIT = "i"
_WORD = re.compile(r"\S+")


class Traced(str):
    """Text with a mark for each character: a number that its maker chose, or ``NOWHERE``.

    Slices, sums, ``strip``, ``split`` at a separator and the functions of this module keep marks.

    Attributes:
        marks: one for each character.
    """

    __slots__ = ("marks",)
    marks: array[int]

    def __new__(cls, text: str, marks: Iterable[int]) -> Traced:
        made = super().__new__(cls, text)
        made.marks = marks if isinstance(marks, array) else array(_UNIT, marks)
        if len(made.marks) != len(made):
            raise ValueError(f"{len(made.marks)} marks for {len(made)} characters")
        return made

    def __getnewargs__(self) -> tuple[str, array[int]]:  # type: ignore[override]
        return str(self), self.marks  # for copies

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        part = str.__getitem__(self, key)
        return Traced(part, self.marks[key]) if isinstance(key, slice) else part

    def __add__(self, other: str) -> str:
        return Traced(str.__add__(self, other), self.marks + marks_of(other))

    def __radd__(self, other: str) -> str:
        return Traced(str.__add__(str(other), self), marks_of(other) + self.marks)

    def strip(self, chars: str | None = None, /) -> str:
        return self.lstrip(chars).rstrip(chars)

    def lstrip(self, chars: str | None = None, /) -> str:
        return self[len(self) - len(str.lstrip(self, chars)) :]

    def rstrip(self, chars: str | None = None, /) -> str:
        return self[: len(str.rstrip(self, chars))]

    def split(self, sep: str | None = None, maxsplit: SupportsIndex = -1) -> list[str]:
        """Parts between ``sep``, with their marks; other splits lose them."""
        parts = str.split(self, sep, maxsplit)
        if sep is None:
            return parts
        found, start = list[str](), 0
        for part in parts:
            found.append(self[start : start + len(part)])
            start += len(part) + len(sep)
        return found


def marks_of(text: str) -> array[int]:
    """The mark of each character, ``NOWHERE`` for those of plain text."""
    return text.marks if isinstance(text, Traced) else array(_UNIT, [NOWHERE]) * len(text)


def traced(text: str, first: int = 0) -> Traced:
    """Text whose characters are marked with the numbers from ``first`` on."""
    return Traced(text, array(_UNIT, range(first, first + len(text))))


def marked(text: str, mark: int) -> Traced:
    """Text whose characters all have one mark."""
    return Traced(text, array(_UNIT, [mark]) * len(text))


def joined(separator: str, parts: Iterable[str]) -> str:
    """``separator.join(parts)``, with the marks of both."""
    pieces = list(parts)
    text = separator.join(pieces)
    if not any(isinstance(piece, Traced) for piece in (separator, *pieces)):
        return text
    marks, between = array(_UNIT), marks_of(separator)
    for number, piece in enumerate(pieces):
        if number:
            marks += between
        marks += marks_of(piece)
    return Traced(text, marks)


def substitute(pattern: re.Pattern[str], replacement: str | Callable[[re.Match[str]], str], text: str) -> str:
    """``pattern.sub(replacement, text)``; characters that a replacement keeps, in their order, keep their marks.

    A new letter (such as the letters of a ligature) has the mark of the text that it replaces.

    Args:
        pattern: compiled.
        replacement: a function of the match, or literal text (no group references).
        text: plain or traced.
    """
    give = replacement if callable(replacement) else lambda _match: replacement
    if not isinstance(text, Traced):
        return pattern.sub(give, text)
    parts, marks, position = list[str](), array(_UNIT), 0
    for match in pattern.finditer(text):
        start, end = match.span()
        written = give(match)
        parts += [str.__getitem__(text, slice(position, start)), written]
        marks += text.marks[position:start]
        marks += marks_of(written) if isinstance(written, Traced) else aligned(match[0], text.marks[start:end], written)
        position = end
    if not parts:
        return text
    parts.append(str.__getitem__(text, slice(position, None)))
    return Traced("".join(parts), marks + text.marks[position:])


def aligned(before: str, marks: array[int], after: str) -> array[int]:
    """Marks for ``after``, which replaces ``before``.

    Characters that both have in the same order keep their marks; new white space has none; any other character has the
    mark of the text that it replaces.
    """
    found, place = array(_UNIT), 0
    for character in after:
        same = before.find(character, place)
        if character.isspace() and same != place:
            same = NOWHERE  # a space further on is another one
        if same >= 0:
            found.append(marks[same])
            place = same + 1
        elif character.isspace() or not marks:
            found.append(NOWHERE)
        else:
            # what was written before it, unless something of its own stands here
            found.append(marks[min(place, len(marks) - 1)])
    return found


def translated(text: str, table: Mapping[int, Any]) -> str:
    """``text.translate(table)`` with marks: everything that a character becomes has its mark."""
    plain = str.translate(text, table)
    if not isinstance(text, Traced) or plain == text:
        return text if isinstance(text, Traced) else plain
    marks = array(_UNIT)
    for character, mark in zip(text, text.marks, strict=True):
        shown = table.get(ord(character), character)
        marks.extend([mark] * (0 if shown is None else 1 if isinstance(shown, int) else len(shown)))
    return Traced(plain, marks)


def composed(text: str) -> str:
    """The text in NFC, with marks: a letter and its accent become one character with the letter's mark."""
    if not isinstance(text, Traced):
        return unicodedata.normalize("NFC", text)
    if unicodedata.is_normalized("NFC", text):
        return text
    plain = unicodedata.normalize("NFC", text)
    parts = [_composed(piece) for piece in _clusters(text)]
    made = joined("", parts)
    # letters of a few scripts compose with a letter that follows; the words around them are matched as a whole
    return made if made == plain else Traced(plain, aligned(text, text.marks, plain))


def _clusters(text: Traced) -> Iterable[str]:
    """Characters with the combining marks and Hangul vowels that follow them."""
    start = 0
    for place in range(1, len(text) + 1):
        following = text[place] if place < len(text) else "a"
        if not unicodedata.combining(following) and not "\u1161" <= following <= "\u11ff":
            yield text[start:place]
            start = place


def _composed(cluster: str) -> str:
    plain = unicodedata.normalize("NFC", cluster)
    if plain == cluster:
        return cluster
    return Traced(plain, array(_UNIT, [marks_of(cluster)[0]]) * len(plain))
