"""Raised numbers that PDFium puts on a line of their own: back to the word that they stand behind. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from sharedllm_docs.documents.cleaning import raised_behind

_LONE = re.compile(r"\S(?P<above>\r\n)(?P<mark>\d{1,3})(?![\d.%/\u2013-])")
_SMALL, _LEVEL = 0.88, 0.1  # size, and what is no rise, in sizes of the text before
_RAISED, _HIGHEST = 0.15, 0.75  # rise, in the same
_NEAR, _INSIDE = 0.35, -0.2  # of that size: how far the mark stands behind the word
_NO_SPACE = (" ", *".,;:)\u2044")

Measure = Callable[[int], "tuple[float, float, float] | None"]
"""(height of the baseline, size, place across) of the character at a position."""
Edges = Callable[[int], "tuple[float, float] | None"]
"""Left and right edge of the character at a position."""


def lone_marks(text: str, measure: Measure, edges: Edges) -> Iterator[tuple[int, int, str]]:
    """(start, end, what stands there instead) of line breaks around raised numbers, and of these.

    Args:
        text: of a page as PDFium gives it out.
        measure: of a character.
        edges: of a character.
    """
    for match in _LONE.finditer(text):
        before, mark = measure(match.start()), measure(match.start("mark"))
        sides = edges(match.start())
        if before is None or mark is None or sides is None:
            continue
        size = before[1]
        near = _INSIDE * size < mark[2] - sides[1] < _NEAR * size
        if not near or mark[1] > _SMALL * size or not _RAISED * size <= mark[0] - before[0] <= _HIGHEST * size:
            continue
        start, end = match.span("mark")
        yield (*match.span("above"), "")
        yield start, end, raised_behind(text[max(0, match.start() - 3) : match.start() + 1], match["mark"])
        following = measure(end + 2) if text[end : end + 2] == "\r\n" and end + 2 < len(text) else None
        if following and abs(following[0] - before[0]) < _LEVEL * size and following[2] > mark[2]:
            yield end, end + 2, "" if text[end + 2].startswith(_NO_SPACE) else " "
