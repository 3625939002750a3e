"""The protocol that every reader follows, and the helper that makes a ``Document`` of what a reader found."""

from __future__ import annotations

import codecs
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import Protocol, runtime_checkable

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.cleaning import RunningLine
from sharedllm_docs.documents.document import Document, Issue, Page, Section
from sharedllm_docs.documents.readers.ocr import Word, engines
from sharedllm_docs.documents.readers.options import ReadOptions, format_pages, select_pages
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import ConfigError, DocumentTooLargeError

# Called with (pages done, pages to read) after each page.
Progress = Callable[[int, int], None]

# Where ``running_lines`` has the lines put that cleaning removes.
_listed: ContextVar[list[RunningLine] | None] = ContextVar("listed", default=None)


@contextlib.contextmanager
def listed_lines() -> Iterator[list[RunningLine]]:
    """The running lines that readers remove inside the block, as a list that grows."""
    lines: list[RunningLine] = []
    token = _listed.set(lines)
    try:
        yield lines
    finally:
        _listed.reset(token)


# Where ``recognised_words`` has the words put that are recognised.
_words: ContextVar[dict[int, list[Word]] | None] = ContextVar("words", default=None)


@contextlib.contextmanager
def recorded_words() -> Iterator[dict[int, list[Word]]]:
    """The words that readers recognise inside the block, by page."""
    words: dict[int, list[Word]] = {}
    token = _words.set(words)
    try:
        yield words
    finally:
        _words.reset(token)


def listed_words(page: int, words: Sequence[Word]) -> None:
    """Tell which words were recognised on a page."""
    found = _words.get()
    if found is not None:
        found.setdefault(page, []).extend(words)


def tell_lines(lines: Sequence[RunningLine]) -> None:
    """Tell which running lines were removed."""
    listed = _listed.get()
    if listed is not None:
        listed.extend(lines)


def listening() -> tuple[bool, bool]:
    """Whether somebody wants to know the running lines, and the recognised words."""
    return _listed.get() is not None, _words.get() is not None


RECOGNISED_CODES = frozenset({"text-recognised", "text-recognised-poorly"})
"""Issues of pages whose text was recognised in a picture."""

UNREAD_CODES = frozenset({"no-text-on-page", "undecodable-text", "pictures-unread"})
"""Issues of pages and pictures whose text may be recognised where an engine is installed."""

# Options that only some formats know; the others are common to all readers.
SPECIAL_OPTIONS = frozenset({"password", "engine", "encoding", "ocr", "attachments"})


@runtime_checkable
class Reader(Protocol):
    """Turns the bytes of one format into a ``Document``.

    Attributes:
        name: stable short name, stored with each document, e.g. ``pdf``.
        version: changes whenever the reader's output may change.
        suffixes: lower-case file name endings that claim this format, with the dot.
        takes: which of ``SPECIAL_OPTIONS`` the reader obeys.
    """

    @property
    def name(self) -> str: ...

    @property
    def version(self) -> str: ...

    @property
    def suffixes(self) -> tuple[str, ...]: ...

    @property
    def takes(self) -> frozenset[str]: ...

    def sniff(self, head: bytes, name: str) -> bool:
        """Whether the first bytes (under this file name) look like the format."""
        ...

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Read the whole source.

        Raises:
            DocumentError: of the kind that fits; nothing else for bad input.
        """
        ...


@runtime_checkable
class Divisible(Reader, Protocol):
    """A reader that can read some pages of a document apart from the others, so that several processes share them."""

    def count_pages(self, source: Source, options: ReadOptions) -> int:
        """How many pages are to be read, found out quickly; 0 where it cannot be known. Raises DocumentError."""
        ...

    def read_part(self, source: Source, options: ReadOptions, part: int, parts: int, progress: Progress | None) -> None:
        """Read the pages of one part and keep each (``steps.page_once``), for ``read`` to find. Raises DocumentError.

        Args:
            source: the document.
            options: those with which it is to be read.
            part: number of the part, from 0.
            parts: number of parts, of equal length.
            progress: called with (pages of the part done, pages of the part).
        """
        ...


def check_options(reader: Reader, options: ReadOptions) -> None:
    """Refuse options that ``reader`` would have to ignore.

    Raises:
        ConfigError: naming them.
    """
    foreign = sorted((options.changed() & SPECIAL_OPTIONS) - reader.takes)
    if foreign:
        raise ConfigError(
            f"The option(s) {', '.join(foreign)} do not apply to documents of format {reader.name!r}.",
            remedy="Leave them out for this document.",
        )


def choose_pages(name: str, count: int, options: ReadOptions) -> tuple[int, ...]:
    """The page numbers to read of a document of ``count`` pages.

    Raises:
        PageRangeError: when the range leaves the document.
        DocumentTooLargeError: when more than ``options.max_pages`` are chosen.
    """
    if options.pages is None and count > options.max_pages:
        chosen_count = count  # a forged page count must not be spelled out as a list
    else:
        chosen = select_pages(options.pages, count)
        chosen_count = len(chosen)
        if chosen_count <= options.max_pages:
            return chosen
    raise DocumentTooLargeError(
        f"{name}: {chosen_count:,} pages to read, the limit is {options.max_pages:,}.",
        remedy="Give a page range, or raise max_pages.",
    )


def recorded_options(reader: Reader, options: ReadOptions, pages: str, *, recognised: bool = False) -> dict[str, str]:
    """The options that are kept with a document, since its text depends on them.

    Args:
        pages: canonical range of the pages read; "" for all.
        recognised: whether any text was recognised: it then depends on what recognised it.
    """
    recognition = recognition_of(reader, options) if recognised or options.ocr == "force" else ""
    return {
        "clean": str(options.clean).lower(),
        **({"keep_running_lines": "true"} if options.clean and options.keep_running_lines else {}),
        **({"engine": options.engine} if "engine" in reader.takes else {}),
        **({"ocr": recognition} if recognition else {}),
        **({"encoding": codecs.lookup(options.encoding).name} if options.encoding else {}),
        **({"pages": pages} if pages else {}),
    }


def recognition_of(reader: Reader, options: ReadOptions) -> str:
    """What recognises text in this reader's documents: the engine with its version; "" for nothing."""
    if "ocr" not in reader.takes or options.ocr == "off":
        return ""
    name = engines.engine_name()
    return f"force {name}" if name and options.ocr == "force" else name


def cleaning_issues(
    raw: Sequence[str], cleaned: Sequence[str], numbers: Sequence[int], removed: Sequence[RunningLine]
) -> list[Issue]:
    """What cleaning took away: the number of running lines, and each page that it left without a word.

    Args:
        raw: page texts as they came.
        cleaned: the same pages, cleaned.
        numbers: the pages' numbers.
        removed: the running lines.
    """
    tell_lines(removed)
    issues = []
    if removed:
        pages = len({line.page for line in removed})
        message = (
            f"{len(removed)} running header(s), footer(s) and page number(s) on {pages} page(s) are left out; "
            "keep_running_lines keeps them, running_lines() lists them"
        )
        issues.append(Issue("running-lines", message))
    emptied = [
        number
        for number, before, after in zip(numbers, raw, cleaned, strict=True)
        if before.strip() and not after.strip()
    ]
    message = "cleaning left nothing of the page: it held running lines or unprintable characters only"
    return [*issues, *(Issue("page-emptied", message, number) for number in emptied)]


def make_document(
    reader: Reader,
    source: Source,
    options: ReadOptions,
    *,
    pages: Sequence[Page],
    page_count: int,
    sections: Sequence[Section] = (),
    issues: Sequence[Issue] = (),
    metadata: Mapping[str, str] | None = None,
    places: Places | None = None,
) -> Document:
    """A ``Document`` with the source's name and hash, and with the options that changed what was read.

    Args:
        pages: those that were read.
        page_count: pages that the source has; a range that covers them all is not recorded.
        places: where the text stands on the pages.
    """
    numbers = tuple(page.number for page in pages)
    read = format_pages(numbers) if len(numbers) < page_count else ""
    recognised = any(issue.code in RECOGNISED_CODES for issue in issues)
    recorded = recorded_options(reader, options, read, recognised=recognised)
    return Document(
        name=source.name,
        source_sha256=source.sha256,
        reader=reader.name,
        reader_version=reader.version,
        pages=tuple(pages),
        sections=tuple(sorted(sections, key=lambda section: section.char)),
        issues=tuple(issues),
        metadata=dict(metadata or {}),
        reader_options=recorded,
        places=places,
    )
