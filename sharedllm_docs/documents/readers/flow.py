"""Text that flows: blocks one after another become pages and sections. For formats that name their headings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sharedllm_docs.documents.cleaning import clean_characters, limit_blank_lines
from sharedllm_docs.documents.document import PAGE_SEPARATOR, Page, Section
from sharedllm_docs.documents.readers.html_blocks import Block, join_blocks
from sharedllm_docs.documents.tables import title_above


@dataclass
class Flow:
    """Collects the blocks of a document, page by page.

    Attributes:
        clean: whether characters are cleaned.
    """

    clean: bool = True
    _pages: list[list[Block]] = field(default_factory=lambda: [[]])
    _labels: list[str] = field(default_factory=lambda: [""])

    def add(self, text: str, level: int = 0, group: str = "") -> None:
        """A paragraph, or a heading of ``level`` 1 to 9; blocks of one ``group`` follow without a blank line."""
        text = limit_blank_lines(clean_characters(text)) if self.clean else text
        if level:
            text = " ".join(text.split())
        if text.strip():
            self._pages[-1].append(Block(text.strip("\n"), level, group))

    def add_lines(self, lines: Sequence[str], group: str = "table") -> None:
        """Lines that belong together, such as the rows of a table."""
        for number, line in enumerate(lines):
            self.add(line, group=f"{group}-{id(lines)}" if number or len(lines) > 1 else "")

    def title_above(self) -> str:
        """What names a table that follows: short lines in front of it, from the last heading on."""
        found: list[str] = []
        for block in reversed(self._pages[-1][-4:]):
            if block.group:
                break
            found.insert(0, block.text)
            if block.level:
                break
        return title_above(found)

    def new_page(self, label: str = "") -> None:
        """What follows stands on the next page."""
        self._pages.append([])
        self._labels.append(label)

    def label(self, label: str) -> None:
        """The printed label of the page that is open."""
        self._labels[-1] = label

    @property
    def page_count(self) -> int:
        return len(self._pages)

    @property
    def on_page(self) -> bool:
        """Whether the open page has any text yet."""
        return bool(self._pages[-1])

    def pages(self, numbers: Sequence[int] | None = None) -> tuple[list[Page], list[Section]]:
        """Pages with these numbers (None for all), and their sections.

        Args:
            numbers: ascending, from 1.
        """
        pages: list[Page] = []
        sections: list[Section] = []
        place = 0
        for number in numbers if numbers is not None else range(1, len(self._pages) + 1):
            text, found, repeats = join_blocks(self._pages[number - 1])
            pages.append(Page(number, text, self._labels[number - 1], repeats))
            sections += [Section(one.title, one.level, number, place + one.char) for one in found]
            place += len(text) + len(PAGE_SEPARATOR)
        return pages, sections
