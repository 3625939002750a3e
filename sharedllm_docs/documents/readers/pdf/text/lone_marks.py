"""Superscript numbers that PDFium puts on a line of their own are moved back to the word that they follow."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sharedllm_docs.documents.cleaning import raised_behind
from sharedllm_docs.documents.readers.pdf.text.characters import Characters
from sharedllm_docs.documents.readers.pdf.text.edits import Edit

_LONE = re.compile(r"\S(?P<above>\r\n)(?P<mark>\d{1,3})(?![\d.%/\u2013-])")
_SMALL, _LEVEL = 0.88, 0.1  # largest size, and rise that does not count, relative to the font size of the text before
_RAISED, _HIGHEST = 0.15, 0.75  # lowest and highest rise, relative to the same size
_NEAR, _INSIDE = 0.35, -0.2  # relative to the same size: largest gap and largest overlap between word and mark
_NO_SPACE = (" ", *".,;:)\u2044")


def lone_marks(characters: Characters) -> Iterator[Edit]:
    """Edits that remove the line breaks around such numbers, and write these as superscripts."""
    text = characters.text
    for match in _LONE.finditer(text):
        before, mark = _measured(characters, match.start()), _measured(characters, match.start("mark"))
        if before is None or mark is None:
            continue
        size = before.size
        near = _INSIDE * size < mark.left - before.right < _NEAR * size
        rise = mark.base - before.base
        if not near or mark.size > _SMALL * size or not _RAISED * size <= rise <= _HIGHEST * size:
            continue
        start, end = match.span("mark")
        yield Edit(*match.span("above"), "")
        yield Edit(start, end, raised_behind(text[max(0, match.start() - 3) : match.start() + 1], match["mark"]))
        following = _measured(characters, end + 2) if text[end : end + 2] == "\r\n" and end + 2 < len(text) else None
        if following and abs(following.base - before.base) < _LEVEL * size and following.left > mark.left:
            yield Edit(end, end + 2, "" if text[end + 2].startswith(_NO_SPACE) else " ")


class _Place(NamedTuple):
    """Baseline, font size, and left and right edge of a character."""

    base: float
    size: float
    left: float
    right: float


def _measured(characters: Characters, place: int) -> _Place | None:
    index = characters.index(place)
    if index is None:
        return None
    left, base = characters.origin(index)
    return _Place(base, characters.size(index), left, characters.edges(index)[1])
