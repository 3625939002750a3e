"""The identity that a document will have once it is read, computed from its bytes and the options without reading it.

Reading a PDF takes seconds, hashing it milliseconds: a document that is already in the index need not be read again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sharedllm_docs.documents.readers.base import Reader, check_options, recorded_options
from sharedllm_docs.documents.readers.options import ReadOptions, format_pages, parse_pages
from sharedllm_docs.documents.readers.registry import reader_for
from sharedllm_docs.documents.readers.source import Source, SourceLike, open_source


@dataclass(frozen=True)
class Identity:
    """The fields of a ``Document`` by which it is found again; named as there.

    Attributes:
        recognised_options: ``reader_options`` if some of its text comes from OCR; None if no engine is installed, or
            OCR is switched off.
    """

    name: str
    source_sha256: str
    reader: str
    reader_version: str
    reader_options: Mapping[str, str]
    recognised_options: Mapping[str, str] | None = None


def identify(source: SourceLike, *, name: str | None, options: ReadOptions) -> Identity | None:
    """The identity of a document, or None if it must be read to know it.

    None is returned for a stream or a URL, whose bytes would have to be fetched twice; for an encrypted file, whose
    password must be checked; and for an open page range (``"5-"``). Documents with the same identity have exactly the
    same
    text: the identity contains everything that the reader's output depends on.

    Raises:
        DocumentError, ConfigError: as ``read_document`` of the same source.
    """
    if not isinstance(source, (bytes, Path)) and (not isinstance(source, str) or "://" in source):
        return None
    with open_source(source, name=name, max_bytes=options.max_bytes) as opened:
        if opened.size == 0:
            return None
        reader = reader_for(opened.name, opened.head)
        check_options(reader, options)
        pages = _closed_range(options.pages)
        if pages is None or _may_be_locked(reader, opened):
            return None
        recorded = recorded_options(reader, options, pages)
        recognised = recorded_options(reader, options, pages, recognised=True)
    other = recognised if recognised != recorded else None
    return Identity(opened.name, opened.sha256, reader.name, reader.version, recorded, other)


def _closed_range(pages: str | None) -> str | None:
    """The canonical range; "" for all pages, None if it depends on their number (or lists very many)."""
    if pages is None:
        return ""
    spans = parse_pages(pages)
    if any(last is None or last - first > 100_000 for first, last in spans):
        return None
    return format_pages(tuple(sorted({n for first, last in spans if last for n in range(first, last + 1)})))


def _may_be_locked(reader: Reader, source: Source) -> bool:
    """Whether a password may be needed: the entry for encryption is never itself encrypted in a PDF."""
    return "password" in reader.takes and b"/Encrypt" in source.read()
