"""From outline entries to sections: finds each title on its page. Pure; knows nothing of PDF libraries."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from sharedllm_docs.documents.cleaning import fold
from sharedllm_docs.documents.document import PAGE_SEPARATOR, Page, Section
from sharedllm_docs.documents.readers.pdf.pypdf_file import OutlineEntry

# What may stand before the title on its line: "1.2", "A", "Chapter 3:", "Appendix B".
_NUMBERING = re.compile(
    r"\W*(?:(?:chapter|appendix|section|part|annex|kapitel|anhang)\b\W*)?(?:[\dA-Z]{1,3}(?:\.\d+)*|[ivxlc]+)?\W*",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class FoldedPage:
    """A page text, its letters and digits case-folded, and for each of these its position in the text."""

    text: str
    folded: str
    positions: list[int]


def fold_page(text: str) -> FoldedPage:
    """Prepare a page for ``find_title``."""
    letters: list[str] = []
    positions: list[int] = []
    for position, character in enumerate(text):
        if character.isalnum():
            folded = _fold_character(character)
            letters.append(folded)
            positions.extend([position] * len(folded))
    return FoldedPage(text, "".join(letters), positions)


@lru_cache(maxsize=4096)
def _fold_character(character: str) -> str:
    """Cached, because a document has few different characters."""
    return fold(character)


def find_title(page: FoldedPage, title: str, start: int = 0) -> int | None:
    """Position of the line with the heading ``title``, not before ``start``; else None.

    Only letters and digits are compared. A line that is the title, possibly numbered, is preferred to one that begins
    with it; a title inside a line is not a heading. A title may run over several lines.
    """
    wanted = fold(title)
    if not wanted:
        return None
    text, folded, positions = page.text, page.folded, page.positions
    begins: int | None = None
    found = folded.find(wanted)
    while found >= 0:
        line = text.rfind("\n", 0, positions[found]) + 1
        if line >= start and _NUMBERING.fullmatch(text, line, positions[found]):
            after = found + len(wanted)
            if after == len(folded) or "\n" in text[positions[after - 1] : positions[after]]:
                return line
            begins = line if begins is None else begins
        found = folded.find(wanted, found + 1)
    return begins


def locate_sections(entries: Sequence[OutlineEntry], pages: Sequence[Page]) -> list[Section]:
    """A section for each entry whose page was read; at the start of the page when its title is not found there."""
    starts: dict[int, int] = {}
    position = 0
    numbers = {entry.index + 1 for entry in entries}
    folded = {page.number - 1: fold_page(page.text) for page in pages if page.number in numbers}
    for page in pages:
        starts[page.number - 1] = position
        position += len(page.text) + len(PAGE_SEPARATOR)
    sections, previous = [], (-1, 0)  # page index and position on it of the last title found
    for entry in entries:
        if entry.index not in folded:
            continue
        after = previous[1] + 1 if previous[0] == entry.index else 0
        found = find_title(folded[entry.index], entry.title, after)
        if found is None and after:
            found = find_title(folded[entry.index], entry.title)
        if found is not None:
            previous = (entry.index, found)
        sections.append(Section(entry.title, entry.level, entry.index + 1, starts[entry.index] + (found or 0)))
    return sections
