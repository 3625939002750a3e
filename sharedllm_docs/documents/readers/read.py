"""The one entry point: reads bytes from anywhere into a ``Document``."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from itertools import groupby

from sharedllm_docs.documents.cleaning import RunningLine
from sharedllm_docs.documents.document import Document, Issue
from sharedllm_docs.documents.readers.ahead import taken
from sharedllm_docs.documents.readers.base import (
    Divisible,
    Progress,
    Reader,
    check_options,
    listed_lines,
    listed_words,
    listening,
    recorded_words,
    tell_lines,
)
from sharedllm_docs.documents.readers.ocr import Word
from sharedllm_docs.documents.readers.options import ReadOptions, format_pages
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.registry import is_built_in, reader_for
from sharedllm_docs.documents.readers.separate.reading import document_apart, reads_apart
from sharedllm_docs.documents.readers.source import Source, SourceLike, open_source
from sharedllm_docs.errors import DamagedDocumentError, DocumentWarning, EmptyDocumentError, SharedLLMError

# Worth keeping with the document, not worth a warning.
QUIET_CODES = frozenset({"blank-page", "frames", "outline-entry-lost", "pictures", "running-lines", "text-recognised"})

_DEFAULTS = ReadOptions()


def read_document(
    source: SourceLike,
    *,
    name: str | None = None,
    options: ReadOptions = _DEFAULTS,
    progress: Progress | None = None,
) -> Document:
    """Read one document completely.

    Args:
        source: a local path, an fsspec URL, the bytes, or an open binary file.
        name: display name, whose suffix helps to find the reader; by default the file's own.
        options: how to read it.
        progress: called with (pages done, pages to read).

    Raises:
        DocumentError: DocumentNotFoundError, EmptyDocumentError (0 bytes, or not one word), UnknownFormatError,
            EncryptedDocumentError, DamagedDocumentError, ScannedDocumentError, DocumentTooLargeError or PageRangeError.
        ConfigError: when an option does not apply to the format.

    Warns:
        DocumentWarning: one for each kind of loss; the same is in ``Document.issues``, page by page.
    """
    begun = taken(source, options) if name is None and not any(listening()) else None
    if begun is not None:
        document = begun.result(progress)
    else:
        document = read_quietly(source, name=name, options=options, progress=progress)
    warn_of_losses(document.name, document.issues)
    return document


def read_quietly(
    source: SourceLike,
    *,
    name: str | None = None,
    options: ReadOptions = _DEFAULTS,
    progress: Progress | None = None,
) -> Document:
    """``read_document`` without warnings; what is lost is in ``Document.issues`` alone."""
    with open_source(source, name=name, max_bytes=options.max_bytes) as opened:
        if opened.size == 0:
            raise EmptyDocumentError(f"{opened.name} is empty (0 bytes).", remedy="Fetch or export it again.")
        reader = reader_for(opened.name, opened.head)
        check_options(reader, options)
        document = _read(reader, opened, options, progress)
    if not any(character.isalnum() for page in document.pages for character in page.text):
        raise EmptyDocumentError(f"{document.name} holds no words.", remedy="Check that it is the right file.")
    return document


def _read(reader: Reader, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
    """What the reader makes of the source, in a process of its own if it is built in and ``options`` allow it."""
    if not is_built_in(reader) or not reads_apart(options):
        return read_here(reader, source, options, progress)
    lines, words = listening()
    document, removed, recognised = document_apart(
        reader.name,
        source,
        options,
        progress or (lambda done, total: None),
        lines=lines,
        words=words,
        divisible=isinstance(reader, Divisible),
    )
    tell_lines(removed)
    for page, found in recognised.items():
        listed_words(page, found)
    return document


def read_here(reader: Reader, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
    """What the reader makes of the source; whatever else it raises becomes the error of a damaged document.

    Files can be malformed in ways that no reader foresees, and one of several must not stop the others.
    """
    own: list[BaseException] = []  # what the caller's progress raises, to stop reading for instance

    def told(done: int, total: int) -> None:
        try:
            if progress is not None:
                progress(done, total)
        except BaseException as error:
            own.append(error)
            raise

    try:
        return reader.read(source, options, told)
    except (SharedLLMError, MemoryError):
        raise
    except Exception as error:
        if error in own:
            raise
        reason = reason_of(error)
        raise DamagedDocumentError(
            f"{source.name} cannot be read: the {reader.name} reader failed ({type(error).__name__}: {reason}).",
            remedy="Check the file; if it opens elsewhere, report this.",
        ) from error


def running_lines(
    source: SourceLike, *, name: str | None = None, options: ReadOptions = _DEFAULTS
) -> tuple[RunningLine, ...]:
    """The headers, footers and page numbers that reading this document leaves out, in order, with their pages.

    Reads the document anew; arguments and errors are those of ``read_document``. To keep the lines in the text, read
    with ``ReadOptions(keep_running_lines=True)``.
    """
    with listed_lines() as lines, warnings.catch_warnings():
        warnings.simplefilter("ignore", DocumentWarning)
        read_document(source, name=name, options=options)
    return tuple(lines)


def recognised_words(
    source: SourceLike, *, name: str | None = None, options: ReadOptions = _DEFAULTS
) -> Mapping[int, Sequence[Word]]:
    """The words that text recognition finds in this document, by page number, with boxes and confidence.

    Reads the document anew; arguments and errors are those of ``read_document``. Boxes are in pixels of the page as it
    was drawn for recognition, or of the picture that was cut out of it.
    """
    with recorded_words() as words, warnings.catch_warnings():
        warnings.simplefilter("ignore", DocumentWarning)
        read_document(source, name=name, options=options)
    return words


def warn_of_losses(name: str, issues: Sequence[Issue]) -> None:
    """Warn once for each code among the issues of the document ``name``, however many pages it concerns."""
    loud = sorted((issue for issue in issues if issue.code not in QUIET_CODES), key=lambda issue: issue.code)
    for code, group in groupby(loud, key=lambda issue: issue.code):
        warnings.warn(DocumentWarning(code, f"{name}: {_summary(list(group))}"), stacklevel=3)


def _summary(issues: list[Issue]) -> str:
    first = issues[0].message
    pages = tuple(sorted({issue.page for issue in issues if issue.page is not None}))
    return first if len(pages) < 2 else f"{first} ({len(pages)} such pages: {format_pages(pages)})"
