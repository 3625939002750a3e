"""Structure of a PDF through pypdf: outline, metadata, page labels; and page text where PDFium is not used."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pypdf

from sharedllm_docs.documents.cleaning import clean_characters
from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers.mail import attachments_message
from sharedllm_docs.documents.readers.pdf.engine import EngineError, PageText, encrypted, listed
from sharedllm_docs.documents.readers.pdf.fields import Field, fields_of
from sharedllm_docs.documents.readers.pdf.layout.continued import OpenTable
from sharedllm_docs.documents.readers.pdf.measure import Sides, clipped
from sharedllm_docs.documents.readers.pdf.xfa import xfa_lines
from sharedllm_docs.documents.readers.placing import Spots
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.traced import NOWHERE, joined, marked

_METADATA = ("Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate")
_MAX_ENTRIES = 100_000  # outlines can be cyclic, or forged


@dataclass(frozen=True)
class OutlineEntry:
    """A bookmark: ``level`` from 1, ``index`` of the page it leads to from 0."""

    title: str
    level: int
    index: int


@contextlib.contextmanager
def _converted() -> Iterator[None]:
    """pypdf's errors, and the plain Python errors that damaged files provoke inside it, as EngineError."""
    try:
        yield
    except (MemoryError, EngineError):
        raise
    except Exception as error:  # pypdf lets KeyError, AttributeError, RecursionError and others through
        reason = reason_of(error)
        raise EngineError(f"{type(error).__name__}: {reason}") from error


class _Collector(logging.Handler):
    """Keeps what pypdf logs in this thread; without a handler Python would print it to the terminal."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: list[str] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self.messages.append(" ".join(record.getMessage().split()))


@contextlib.contextmanager
def collected_logs() -> Iterator[list[str]]:
    """What pypdf has to say about the file, as a list that grows inside the block."""
    collector, logger = _Collector(), logging.getLogger("pypdf")
    logger.addHandler(collector)
    try:
        yield collector.messages
    finally:
        logger.removeHandler(collector)


class PypdfFile:
    """A PDF opened by pypdf.

    Raises:
        EncryptedDocumentError: without the right password.
        EngineError: when pypdf cannot open it, or lacks a package to decrypt it.
    """

    name = "pypdf"

    def __init__(self, source: Source, password: str | None) -> None:
        self._file = source.open()
        try:
            with _converted():
                self._reader = pypdf.PdfReader(self._file)
                readable = not self._reader.is_encrypted or bool(self._reader.decrypt(password or ""))
            if not readable:
                raise encrypted(source.name, password)
            with _converted():
                self.count = len(self._reader.pages)
        except BaseException:
            self.close()
            raise

    def text(self, index: int, fields: Sequence[Field] = (), before: OpenTable | None = None) -> PageText:
        """Raw text of a page. A page of which pypdf complains and finds nothing counts as failed."""
        with _converted(), collected_logs() as complaints:
            text = self._reader.pages[index].extract_text()
        if complaints and not text.strip():
            raise EngineError(complaints[0])
        if not fields:
            return PageText(text)
        spots, known = Spots(), list[Field]()
        for one in fields:
            shown = clipped((one.left, one.bottom, one.right, one.top), self._shown(index))
            known.append(replace(one, value=marked(one.value, spots.add(*shown) if shown else NOWHERE)))
        return PageText(joined("", (text.rstrip("\n"), listed(known))), spots=spots)

    def _shown(self, index: int) -> Sides:
        """Left, bottom, right, top of what viewers show of a page."""
        with _converted(), collected_logs():
            page = self._reader.pages[index]
            crop, media = page.cropbox, page.mediabox
            return (
                float(max(crop.left, media.left)),
                float(max(crop.bottom, media.bottom)),
                float(min(crop.right, media.right)),
                float(min(crop.top, media.top)),
            )

    def fields(self, index: int) -> list[Field]:
        """The filled form fields and the notes of a page. Raises EngineError."""
        with _converted(), collected_logs():
            return list(fields_of(self._reader.pages[index]))

    def unread(self) -> list[Issue]:
        """What the file contains besides its pages, none of which is read."""
        issues = []
        with _converted(), collected_logs():
            if self._form().get("/XFA") is not None:
                read = "its labels and values are read without their layout" if self.xfa() else "it is not read"
                message = f"the file is an XFA form, of which its pages show only what other viewers can; {read}"
                issues.append(Issue("xfa-form", message))
            names = [name for name, _ in self.embedded()]
            if names:
                issues.append(Issue("embedded-files", attachments_message(names)))
        return issues

    def _form(self) -> Any:
        form = self._reader.root_object.get("/AcroForm")
        return form.get_object() if form is not None else {}

    def xfa(self) -> list[str]:
        """The lines of an XFA form whose pages contain none of its fields; none of other forms. Raises EngineError."""
        with _converted(), collected_logs():
            form = self._form()
            packets = form.get("/XFA")
            if packets is None or form.get("/Fields"):
                return []
            held = packets.get_object()
            streams = held[1::2] if isinstance(held, list) else [held]
            return xfa_lines(b"".join(bytes(one.get_object().get_data()) for one in streams))

    def embedded(self) -> Iterator[tuple[str, bytes]]:
        """(name, bytes) of the files in this one: those of the whole file, then those that notes on pages contain."""
        with _converted(), collected_logs():
            for item in self._reader.attachment_list:
                content = item.content
                if content:
                    yield str(item.alternative_name or item.name), bytes(content)
            for page in self._reader.pages:
                for note in page.get("/Annots") or ():
                    file = (
                        note.get_object().get("/FS") if note.get_object().get("/Subtype") == "/FileAttachment" else None
                    )
                    own: Any = file.get_object() if file is not None else {}
                    stream = own.get("/EF", {}).get("/F")
                    if stream is not None:
                        yield str(own.get("/UF") or own.get("/F") or "file"), bytes(stream.get_object().get_data())

    def has_content(self, index: int) -> bool:
        """Whether the page has a content stream that is not empty."""
        with _converted(), collected_logs():
            contents = self._reader.pages[index].get_contents()
            return contents is not None and bool(contents.get_data().strip())

    def close(self) -> None:
        self._file.close()

    def labels(self) -> tuple[str, ...]:
        """Printed page labels, one a page; nothing when the document has none of its own."""
        with _converted():
            if self._reader.root_object.get("/PageLabels") is None:
                return ()
            return tuple(clean_characters(str(label)) for label in self._reader.page_labels)

    def metadata(self) -> dict[str, str]:
        """Title, author and so on: lower-case names, cleaned strings, empty ones left out."""
        with _converted():
            information: Mapping[str, Any] = self._reader.metadata or {}
            found = {name.lower(): _one_line(information.get(f"/{name}")) for name in _METADATA}
        return {name: text for name, text in found.items() if text}

    def outline(self) -> tuple[list[OutlineEntry], int]:
        """Bookmarks in order, and the number of those that lead to no page or have no title."""
        entries: list[OutlineEntry] = []
        lost = 0
        with _converted():
            stack: list[tuple[Iterator[Any], int]] = [(iter(self._reader.outline), 1)]
            while stack and len(entries) < _MAX_ENTRIES:
                items, level = stack[-1]
                item = next(items, None)
                if item is None:
                    stack.pop()
                elif isinstance(item, list):
                    stack.append((iter(item), level + 1))
                else:
                    index = self._reader.get_destination_page_number(item)
                    title = _one_line(item.title)
                    if index is None or not 0 <= index < self.count or not title:
                        lost += 1
                    else:
                        entries.append(OutlineEntry(title, level, index))
        return entries, lost


def _one_line(value: object) -> str:
    """Cleaned text of a PDF string, "" for None."""
    return "" if value is None else " ".join(clean_characters(str(value)).split())
