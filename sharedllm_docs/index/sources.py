"""The file that a document was read from: kept in the index, or found where it was; and pictures of its pages."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import find_path, open_source
from sharedllm_docs.errors import ConfigError, DocumentError, SourceMissingError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.contents import KEEP_SOURCE
from sharedllm_docs.store.records import DocumentRecord

if TYPE_CHECKING:
    from sharedllm_docs.documents.page_image import PageImage

KEPT_READERS = frozenset({"pdf"})
"""Readers of formats whose files are kept unless the caller says otherwise: their pages can be drawn."""
_BLOCK = 1 << 20


@contextlib.contextmanager
def held_source(source: Any, name: str | None, max_bytes: int) -> Iterator[tuple[Any, str | None]]:
    """The source in a form that can be read twice, and its name: streams as bytes, URLs as a local copy.

    Raises as ``documents.readers.source.open_source``.
    """
    is_url = isinstance(source, str) and "://" in source
    if isinstance(source, (Document, bytes, Path)) or (isinstance(source, str) and not is_url):
        yield source, name
        return
    with open_source(source, name=name, max_bytes=max_bytes) as opened:
        yield (opened.path if opened.data is None else opened.data), name or opened.name


@dataclass(frozen=True)
class Kept:
    """Whether and how the file that a document is read from is kept.

    Attributes:
        source: a path, bytes or a ``Document``.
        keep: as the caller said; None decides by the format.
        path: absolute path of the caller's file; "" if it is not a file on this machine.
    """

    source: Any = None
    keep: bool | None = None
    path: str = ""

    def wanted(self, reader: str) -> bool:
        """Whether the file goes into the index."""
        has_file = self.source is not None and not isinstance(self.source, Document)
        return has_file and (reader in KEPT_READERS if self.keep is None else self.keep)

    def data(self) -> bytes:
        """Its bytes."""
        return self.source if isinstance(self.source, bytes) else find_path(self.source).read_bytes()

    def size(self) -> int:
        """Its size in bytes."""
        return len(self.source) if isinstance(self.source, bytes) else find_path(self.source).stat().st_size


NOT_KEPT = Kept()


def local_path(source: Any) -> str:
    """The absolute path of a file on this machine; "" for a URL and for what is not a file."""
    if not isinstance(source, (str, Path)) or "://" in str(source):
        return ""
    return os.path.abspath(find_path(source))


def check_keeping(source: Any, keep_source: Any) -> None:
    """Raise ConfigError for an invalid ``keep_source``, or for True with a document in memory, which has no file."""
    if keep_source not in (None, True, False):
        raise ConfigError(f"keep_source={keep_source!r} is not True, False or None.")
    if keep_source and isinstance(source, Document):
        raise ConfigError(
            f"keep_source=True, but {source.name} is a Document in memory, which has no file.",
            remedy="Add the file itself, or leave keep_source out.",
        )


def open_source_file(store: IndexStore, record: DocumentRecord) -> BinaryIO:
    """The file that a document was read from, checked against its digest; the caller closes it.

    Raises:
        SourceMissingError: it is not kept, and not at its original path, or another file is there now.
        DamagedIndexError: the kept file is damaged.
    """
    if record.source_bytes:
        return store.source(record)
    if not record.source_path:
        raise SourceMissingError(f"The index keeps no source file of {record.name}.", remedy=KEEP_SOURCE)
    try:
        file = _regular_file(record.source_path)
    except (OSError, ValueError) as error:
        raise SourceMissingError(
            f"The source file of {record.name} is not kept, and is not at {record.source_path} any more.",
            remedy=KEEP_SOURCE,
        ) from error
    digest = hashlib.sha256()
    while block := file.read(_BLOCK):
        digest.update(block)
    if digest.hexdigest() != record.source_sha256:
        file.close()
        raise SourceMissingError(
            f"The source file of {record.name} is not kept, and {record.source_path} has other content now.",
            remedy="Add that file again, or put the old one back.",
        )
    file.seek(0)
    return file


def _regular_file(path: str) -> BinaryIO:
    """A file opened for reading. Raises OSError or ValueError; a pipe or device, which may never end, is refused."""
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    if not stat.S_ISREG(os.fstat(number).st_mode):
        os.close(number)
        raise ValueError("no regular file")
    return os.fdopen(number, "rb")


def page_image(store: IndexStore, record: DocumentRecord, page: int, scale: float, options: ReadOptions) -> PageImage:
    """A page drawn from the source. Raises as ``Index.page_image``."""
    for name, value in (("page", page), ("scale", scale)):
        if isinstance(value, bool) or not isinstance(value, (int, float) if name == "scale" else int):
            raise ConfigError(f"{name}={value!r} is not a number.", remedy="Give a page number and a scale.")
    if record.reader != "pdf":
        raise DocumentError(
            f"Pages of {record.name} cannot be drawn: its format is {record.reader!r}.",
            remedy="Only pages of PDF files can.",
        )
    from sharedllm_docs.documents.readers.separate.drawing import page_drawn

    with open_source_file(store, record) as file:
        return page_drawn(file, record.name, page, float(scale), options)
