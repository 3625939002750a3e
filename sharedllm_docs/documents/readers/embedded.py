"""Files inside other documents: those embedded in a PDF (a portfolio's too) and those attached to an e-mail.

Each is a document of its own, named after the one that holds it: ``tides.pdf/table.pdf``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from sharedllm_docs.documents.readers.base import Reader
from sharedllm_docs.documents.readers.mail import MailReader, attached, parsed
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pdf import PdfReader
from sharedllm_docs.documents.readers.registry import is_built_in, reader_for
from sharedllm_docs.documents.readers.separate.reading import embedded_apart, reads_apart
from sharedllm_docs.documents.readers.source import Source, SourceLike, open_source
from sharedllm_docs.errors import DocumentError

MAX_FILES = 500
MAX_BYTES = 512 << 20


@dataclass(frozen=True)
class Embedded:
    """A file inside a document.

    Attributes:
        name: of the outer document, then its own.
        data: its bytes.
    """

    name: str
    data: bytes


def embedded_files(source: SourceLike, *, name: str | None, options: ReadOptions) -> list[Embedded]:
    """The files inside a PDF or an e-mail, in order; none of any other format, and none of what cannot be opened.

    Raises:
        DocumentError: the source cannot be opened at all.
    """
    with open_source(source, name=name, max_bytes=options.max_bytes) as opened:
        reader = reader_for(opened.name, opened.head)
        if not isinstance(reader, (PdfReader, MailReader)):
            return []
        if is_built_in(reader) and reads_apart(options):
            return list(_within(opened.name, iter(embedded_apart(reader.name, opened, options))))
        return list(_within(opened.name, files_of(reader, opened, options)))


def files_of(reader: Reader, source: Source, options: ReadOptions) -> Iterator[tuple[str, bytes]]:
    """(own name, bytes) of the files inside a PDF or an e-mail, up to the limits."""
    found = attached(parsed(source.read(), source.name)) if isinstance(reader, MailReader) else _of_pdf(source, options)
    left = MAX_BYTES
    for number, (name, data) in enumerate(found):
        left -= len(data)
        if number >= MAX_FILES or left < 0:
            return
        yield name, data


def _of_pdf(source: Source, options: ReadOptions) -> Iterator[tuple[str, bytes]]:
    from sharedllm_docs.documents.readers.pdf.engine import EngineError
    from sharedllm_docs.documents.readers.pdf.pypdf_file import PypdfFile

    try:
        file = PypdfFile(source, options.password)
    except (EngineError, DocumentError):
        return
    try:
        yield from file.embedded()
    except EngineError:
        return
    finally:
        file.close()


def _within(outer: str, found: Iterator[tuple[str, bytes]]) -> Iterator[Embedded]:
    """Named after the outer document, each name once."""
    names: set[str] = set()
    for number, (own, data) in enumerate(found):
        base = PurePosixPath(own.replace("\\", "/")).name or f"file {number + 1}"
        name, again = f"{outer}/{base}", 1
        while name in names:
            again += 1
            stem, dot, suffix = base.rpartition(".")
            name = f"{outer}/{stem} ({again}){dot}{suffix}" if dot else f"{outer}/{base} ({again})"
        names.add(name)
        yield Embedded(name, data)
