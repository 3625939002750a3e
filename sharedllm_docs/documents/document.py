"""A document as a reader delivers it: pages of cleaned text, sections and issues. Knows nothing of tokens or models.

The canonical text of a document is its page texts joined by ``PAGE_SEPARATOR``; every character position used
anywhere in the project (token spans, citations) is an offset into that text.
"""

from __future__ import annotations

import bisect
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from sharedllm_docs.errors import ConfigError, DamagedDocumentError

if TYPE_CHECKING:
    from sharedllm_docs.documents.boxes import Places

PAGE_SEPARATOR = "\n"
UNPAGED_READERS = frozenset({"docx", "epub", "rtf", "mail", "csv", "html", "markdown"})
"""Readers of formats without pages: if such a document has one page, it is the whole text, not a printed page."""
PAGE_WORDS = {"pptx": "slide", "xlsx": "sheet"}
"""What the pages of a format are called; others are pages."""
PLACING_READERS = frozenset({"pdf"})
"""Readers that record where the text is printed on its pages."""
TABLE_BAR = " | "
"""Separator of the cells of a table row, in every format."""
_LONGEST_HEADING = 60  # characters of a line between the rows of a table that has one cell only
MEMORY_READER, MEMORY_READER_VERSION = "text-in-memory", "1"


@dataclass(frozen=True)
class Page:
    """One page of cleaned text.

    Attributes:
        number: 1-based number in the source (the number a PDF viewer shows as "page N of M").
        text: cleaned text, may be empty.
        label: printed page label where the source has one (``iv``, ``12``), else "".
        repeats: (start, end) of text that is repeated and not printed at that place: the headers of a table before each
            of its values, its title before each group of rows. Ascending; quotes leave it out.
    """

    number: int
    text: str
    label: str = ""
    repeats: tuple[tuple[int, int], ...] = ()


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
    """Something that was lost or guessed while reading; stored with the document and shown by ``show``.

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
        places: where the characters of ``text`` are printed on the pages; None if the format has no pages, or if that
            is stored elsewhere (a document from an index).
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
    places: Places | None = field(default=None, compare=False, repr=False)

    @classmethod
    def from_text(
        cls,
        text: str | None = None,
        *,
        name: str,
        metadata: Mapping[str, str] | None = None,
        pages: Sequence[str] | None = None,
    ) -> Document:
        """Make a document from text in memory, kept as it is: no cleaning, no sections.

        Text, page breaks, metadata and name together identify it, so a change of any of them makes another document.

        Args:
            text: text of the whole document, on one page; None with ``pages``.
            name: name of the document, shown in citations.
            metadata: strings kept with the document.
            pages: text of each page, numbered from 1, instead of ``text``.

        Raises:
            ConfigError: both or neither of text and pages, no name, or metadata that is not made of strings.
            DamagedDocumentError: the text is not valid Unicode.
        """
        texts = _page_texts(text, pages)
        kept = dict(metadata or {})
        _check_name(name)
        check_metadata(kept)
        for number, page in enumerate(texts, start=1):
            _check_characters(page, name, number)
        identity = json.dumps([name, texts, kept], sort_keys=True)
        return cls(
            name=name,
            source_sha256=hashlib.sha256(identity.encode("ascii")).hexdigest(),
            reader=MEMORY_READER,
            reader_version=MEMORY_READER_VERSION,
            pages=tuple(Page(number, page) for number, page in enumerate(texts, start=1)),
            metadata=kept,
        )

    @cached_property
    def text(self) -> str:
        """Canonical text: page texts joined by ``PAGE_SEPARATOR``."""
        return PAGE_SEPARATOR.join(page.text for page in self.pages)

    @cached_property
    def page_starts(self) -> tuple[int, ...]:
        """Position in ``text`` at which each page begins, one entry a page."""
        starts, position = [], 0
        for page in self.pages:
            starts.append(position)
            position += len(page.text) + len(PAGE_SEPARATOR)
        return tuple(starts)

    def page_at(self, char: int) -> Page:
        """The page that contains character ``char`` of the canonical text."""
        index = bisect.bisect_right(self.page_starts, char) - 1
        return self.pages[max(index, 0)]

    def printed(self, start: int, end: int) -> str:
        """``text[start:end]`` as it is printed: without the text that table rows repeat."""
        if start >= end:
            return ""
        parts = []
        first = max(0, bisect.bisect_right(self.page_starts, start) - 1)
        for page, begins in zip(self.pages[first:], self.page_starts[first:], strict=True):
            if begins >= end:
                break
            for low, high in page.repeats:
                low, high = begins + low, begins + high
                if high > start and low < end:
                    parts.append(self.text[start : max(start, low)])
                    start = min(max(start, high), end)
        return "".join([*parts, self.text[start:end]])

    def headed(self, start: int, end: int) -> str:
        """``text[start:end]`` in a form that can be checked: table values after their headers, without repeated titles.

        A header that the span cuts, or whose value is outside the span, is left out.
        """
        for low, high in self._repeats(start, end):
            start = high if low < start < high else start
            if start <= low < end <= high:
                end = low - len(TABLE_BAR) if self.text[:low].endswith(TABLE_BAR, start) else low
        shown, place = [], start
        for line in self.text[start:end].splitlines(keepends=True):
            # a line of which nothing is printed is the title of the table
            shown.append(line if self.printed(place, place + len(line)).strip() else "")
            place += len(line)
        return "".join(shown)

    def _repeats(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Positions in ``text`` of repeated text that overlaps ``[start, end)``."""
        first = max(0, bisect.bisect_right(self.page_starts, start) - 1)
        for page, begins in zip(self.pages[first:], self.page_starts[first:], strict=True):
            if begins >= end:
                return
            for low, high in page.repeats:
                if begins + high > start and begins + low < end:
                    yield begins + low, begins + high

    def row_at(self, start: int, end: int) -> tuple[tuple[str, str], ...]:
        """The cells of the table row that contains a span, as (header, value); () if there is no such row.

        The header is "" if none is repeated before the value.
        """
        low = self.text.rfind("\n", 0, start) + 1
        high = self.text.find("\n", end)
        line = self.text[low : high if high >= 0 else len(self.text)]
        if TABLE_BAR not in line or "\n" in line:
            return ()
        cells, place = [], low
        for cell in line.split(TABLE_BAR):
            value = self.printed(place, place + len(cell))
            head = cell[: len(cell) - len(value)] if cell.endswith(value) else ""
            cells.append((head.strip().removesuffix(":").rstrip(), value.strip()))
            place += len(cell) + len(TABLE_BAR)
        return tuple(cells)

    def table_title(self, char: int) -> str:
        """The title of the table whose rows contain a character, if it is repeated above them; else ""."""
        index = max(0, bisect.bisect_right(self.page_starts, char) - 1)
        page, place = self.pages[index], char - self.page_starts[index]
        titles = {
            start: page.text[start:end]
            for start, end in page.repeats
            if start <= place and page.text[start - 1 : start] in ("", "\n") and page.text[end : end + 1] in ("", "\n")
        }
        end = page.text.find("\n", place)
        end = len(page.text) if end < 0 else end
        while titles and end > 0:
            start = page.text.rfind("\n", 0, end) + 1
            if start in titles:
                return titles[start]
            if TABLE_BAR not in page.text[start:end] and end - start > _LONGEST_HEADING:
                return ""
            end = start - 1
        return ""

    def section_at(self, char: int) -> Section | None:
        """The innermost section that contains character ``char``, or None before the first title."""
        place = bisect.bisect_right(self._section_starts, char)
        return self.sections[place - 1] if place else None

    def section_path(self, char: int) -> tuple[str, ...]:
        """Titles of the sections around character ``char``, outermost first."""
        path: list[str] = []
        level = 1 << 30
        for section in reversed(self.sections[: bisect.bisect_right(self._section_starts, char)]):
            if section.level < level:
                if path[-1:] != [section.title]:  # a title page and its first heading may say the same
                    path.append(section.title)
                level = section.level
            if level <= 1:
                break
        return tuple(reversed(path))

    @property
    def page_word(self) -> str:
        """What its pages are called: ``page``, ``slide`` or ``sheet``; "" if the format has no pages."""
        if len(self.pages) == 1 and self.sections and self.reader in UNPAGED_READERS:
            return ""
        return PAGE_WORDS.get(self.reader, "page")

    @cached_property
    def _section_starts(self) -> list[int]:
        return [section.char for section in self.sections]

    def __iter__(self) -> Iterator[Page]:
        return iter(self.pages)


def _page_texts(text: str | None, pages: Sequence[str] | None) -> list[str]:
    if (text is None) == (pages is None) or isinstance(pages, str):
        given = "both" if text is not None else "one string as pages" if pages else "neither"
        raise ConfigError(f"A document needs text or pages; {given} given.", remedy="Give text=... or pages=[...].")
    texts = [text] if text is not None else list(pages or ())
    for page in texts:
        if not isinstance(page, str):
            raise ConfigError(f"The text of a page is {type(page).__name__}, not text.", remedy="Give strings.")
    return texts


def _check_name(name: str) -> None:
    if not isinstance(name, str) or not name.strip():
        raise ConfigError(f"name={name!r} cannot name a document.", remedy="Give a name: citations show it.")


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Raise ConfigError, naming the key, unless these are strings by strings."""
    if not isinstance(metadata, Mapping):
        raise ConfigError(
            f"metadata={metadata!r:.80} is {type(metadata).__name__}, not a mapping of strings to strings.",
            remedy='Give a dictionary, for instance {"year": "2024"}.',
        )
    for key, value in metadata.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise ConfigError(
                f"metadata[{key!r}] is {type(value).__name__}; keys and values must be strings.",
                remedy="Convert it, for instance with str().",
            )
        try:
            f"{key}{value}".encode()
        except UnicodeEncodeError as error:
            raise ConfigError(f"metadata[{key!r}] is not valid Unicode.", remedy="Give whole characters.") from error


def _check_characters(text: str, name: str, page: int) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise DamagedDocumentError(
            f"{name} holds {text[error.start]!r} at {error.start} of page {page}, which is not a valid character.",
            remedy="Give valid Unicode text.",
        ) from error
