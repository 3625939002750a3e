"""What a reader delivers: pages of cleaned text, sections and warnings. Knows nothing of tokens or models.

The canonical text of a document is its page texts joined by :data:`PAGE_SEPARATOR`; every character position used
anywhere in the project (token spans, citations) counts in that text.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

PAGE_SEPARATOR = "\n"


@dataclass(frozen=True)
class Page:
    """One page of cleaned text.

    Attributes:
        number: 1-based number in the source (the number a PDF viewer shows as "page N of M").
        text: cleaned text, may be empty.
        label: printed page label where the source has one (``iv``, ``12``), else "".
    """

    number: int
    text: str
    label: str = ""


@dataclass(frozen=True)
class Section:
    """A title of the source's outline.

    Attributes:
        title: as in the outline or heading.
        level: 1 for the top level.
        page: 1-based page number on which it starts.
        char: position in the canonical text where it starts (start of the page when not known better).
    """

    title: str
    level: int
    page: int
    char: int


@dataclass(frozen=True)
class Issue:
    """Something lost or guessed while reading: stored with the document and shown by ``show``.

    Attributes:
        code: stable short name (``page-failed``, ``encoding-guessed`` and so on).
        message: one sentence with the value and what was done.
        page: 1-based page, or None when it concerns the whole document.
    """

    code: str
    message: str
    page: int | None = None


@dataclass(frozen=True)
class Document:
    """A whole document as read, before tokenisation.

    Attributes:
        name: display name (file name by default).
        source_sha256: SHA-256 hex digest of the source bytes (with reader options that change what is read, e.g. the
            page range, part of ``reader_options``).
        reader: name of the reader, e.g. ``pdf``.
        reader_version: changes whenever the reader's output may change.
        reader_options: the options that change what is read, canonical strings.
        pages: in source order.
        sections: in order of ``char``.
        issues: what was lost or guessed.
        metadata: free strings (title, author), of the source or of the caller.
    """

    name: str
    source_sha256: str
    reader: str
    reader_version: str
    pages: tuple[Page, ...]
    sections: tuple[Section, ...] = ()
    issues: tuple[Issue, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    reader_options: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def text(self) -> str:
        """Canonical text: page texts joined by :data:`PAGE_SEPARATOR`."""
        return PAGE_SEPARATOR.join(page.text for page in self.pages)

    @cached_property
    def page_starts(self) -> tuple[int, ...]:
        """Position in :attr:`text` at which each page begins, one entry a page."""
        starts, position = [], 0
        for page in self.pages:
            starts.append(position)
            position += len(page.text) + len(PAGE_SEPARATOR)
        return tuple(starts)

    def page_at(self, char: int) -> Page:
        """The page that holds character ``char`` of the canonical text."""
        index = bisect.bisect_right(self.page_starts, char) - 1
        return self.pages[max(index, 0)]

    def section_at(self, char: int) -> Section | None:
        """The innermost section that contains character ``char``, or None before the first title."""
        found = None
        for section in self.sections:
            if section.char > char:
                break
            found = section
        return found

    def __iter__(self) -> Iterator[Page]:
        return iter(self.pages)
