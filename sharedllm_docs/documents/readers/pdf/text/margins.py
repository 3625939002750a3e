"""Which lines of a page stand in its margins, where running headers, footers and page numbers are."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sharedllm_docs.documents.cleaning import MARGIN_LINES
from sharedllm_docs.documents.readers.pdf.text.characters import Characters
from sharedllm_docs.documents.readers.pdf.text.lines import TextLine

_MARGIN = 0.15  # of the page's height, in which running headers and footers stand
_SIDE = 0.06  # of the page's width: marks that production systems print up the side
WIDE_GAP = 1.2
"""In font sizes: no word space is that wide."""
_EDGE_NUMBER = re.compile(r"^(?:\d{1,5}|[ivxlc]{1,8})( )\S|\S( )(?:\d{1,5}|[ivxlc]{1,8})\s*$", re.IGNORECASE)


def margin_lines(characters: Characters, lines: Sequence[TextLine]) -> tuple[int, int, list[int]]:
    """Number of leading and of trailing lines in a margin, and the places of wide gaps beside their numbers."""
    places = [_place(characters, line) for line in lines]
    steps = sorted({round(down, 2) for _, down in places})
    highest, lowest = steps[:MARGIN_LINES], steps[-MARGIN_LINES:]
    top = [down <= _MARGIN and round(down, 2) in highest for _, down in places]
    bottom = [down >= 1 - _MARGIN and round(down, 2) in lowest for _, down in places]
    side = [not _SIDE <= across <= 1 - _SIDE for across, _ in places]
    # headers that are drawn last and footers that are drawn first: only where a body stands between them
    has_body = not all(map(any, zip(top, bottom, side, strict=True)))
    at_start = [t or s or (b and has_body) for t, b, s in zip(top, bottom, side, strict=True)]
    at_end = [b or s or (t and has_body) for t, b, s in zip(top, bottom, side, strict=True)]
    lead = next((i for i, one in enumerate(at_start) if not one), len(lines))
    trail = next((i for i, one in enumerate(reversed(at_end)) if not one), len(lines))
    edges = [*lines[:lead], *lines[max(lead, len(lines) - trail) :]]
    return lead, trail, [gap for line in edges for gap in _wide_gap(characters, line)]


def _place(characters: Characters, line: TextLine) -> tuple[float, float]:
    """Where the line begins as the page is shown: across from the left and down from the top, 0 to 1."""
    index = characters.index(line.start + len(line.text) - len(line.text.lstrip()))
    left, bottom, right, top = characters.bounds
    if index is None or right <= left or top <= bottom:
        return 0.5, 0.5
    x, y = characters.origin(index)
    across, down = (x - left) / (right - left), (top - y) / (top - bottom)
    turned = {1: (1 - down, across), 2: (1 - across, 1 - down), 3: (down, 1 - across)}
    return turned.get(characters.rotation, (across, down))


def _wide_gap(characters: Characters, line: TextLine) -> Iterator[int]:
    """Where a number at an end of the line is set apart from its words by more than a word space."""
    match = _EDGE_NUMBER.search(line.text)
    if match is None:
        return
    space = line.start + max(match.start(1), match.start(2))
    before, after = characters.index(space - 1), characters.index(space + 1)
    if before is None or after is None:
        return
    if characters.edges(after)[0] - characters.edges(before)[1] > WIDE_GAP * characters.size(before):
        yield space
