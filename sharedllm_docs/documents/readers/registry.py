"""Which reader takes a document: the built-in ones, those of installed packages, and those registered by hand."""

from __future__ import annotations

import warnings
from importlib.metadata import entry_points
from pathlib import PurePath

from sharedllm_docs.documents.readers.base import Reader
from sharedllm_docs.documents.readers.delimited import CsvReader
from sharedllm_docs.documents.readers.epub import EpubReader
from sharedllm_docs.documents.readers.html import HtmlReader
from sharedllm_docs.documents.readers.mail import MailReader
from sharedllm_docs.documents.readers.markdown import MarkdownReader
from sharedllm_docs.documents.readers.office.docx import DocxReader
from sharedllm_docs.documents.readers.office.pptx import PptxReader
from sharedllm_docs.documents.readers.office.xlsx import XlsxReader
from sharedllm_docs.documents.readers.pdf import PdfReader
from sharedllm_docs.documents.readers.picture import PictureReader
from sharedllm_docs.documents.readers.rtf import RtfReader
from sharedllm_docs.documents.readers.svg_file import SvgReader
from sharedllm_docs.documents.readers.text import TextReader
from sharedllm_docs.errors import ConfigError, DocumentWarning, UnknownFormatError

ENTRY_POINT_GROUP = "sharedllm_docs.readers"

# Plain text comes last: almost any bytes without a NUL look like text.
_BUILT_IN: tuple[Reader, ...] = (
    PdfReader(),
    DocxReader(),
    PptxReader(),
    XlsxReader(),
    EpubReader(),
    RtfReader(),
    PictureReader(),
    MailReader(),
    SvgReader(),
    HtmlReader(),
    MarkdownReader(),
    CsvReader(),
    TextReader(),
)
_registered: list[Reader] = []
_plugins: list[Reader] | None = None


def register(reader: Reader) -> None:
    """Add a reader for this process. It is asked before all others, so it may take over a suffix.

    Raises:
        ConfigError: when ``reader`` does not follow the ``Reader`` protocol.
    """
    _registered.insert(0, _checked(reader, "register"))


def unregister(reader: Reader) -> None:
    """Take back ``register``.

    Raises:
        ConfigError: when the reader is not registered.
    """
    if reader not in _registered:
        raise ConfigError(f"The reader {reader.name!r} is not registered.", remedy="Register it first.")
    _registered.remove(reader)


def readers() -> tuple[Reader, ...]:
    """All readers in the order in which they are asked: registered, of installed packages, built in."""
    return (*_registered, *_installed(), *_BUILT_IN)


def known_endings() -> tuple[str, ...]:
    """Endings of the names of all files that are read, in lower case with the dot, in the order of ``readers``."""
    return tuple(dict.fromkeys(ending for reader in readers() for ending in reader.suffixes))


def _installed() -> list[Reader]:
    """Readers of the entry point group; loaded once, at the first document."""
    global _plugins
    if _plugins is None:
        _plugins = []
        for entry in entry_points(group=ENTRY_POINT_GROUP):
            try:
                made = entry.load()
                _plugins.append(_checked(made() if isinstance(made, type) else made, entry.name))
            except Exception as error:  # a broken package of someone else's must not stop every document
                message = f"the reader {entry.name!r} ({entry.value}) cannot be loaded and is left out: {error!r}"
                warnings.warn(DocumentWarning("reader-unavailable", message), stacklevel=4)
    return _plugins


def _checked(reader: object, origin: str) -> Reader:
    if not isinstance(reader, Reader):
        raise ConfigError(
            f"{origin}: {reader!r} is not a reader, it lacks one of name, version, suffixes, takes, sniff, read.",
            remedy="See docs/documents.md for the protocol.",
        )
    return reader


def built_in(name: str) -> Reader:
    """The built-in reader of that name.

    Raises:
        ConfigError: there is none.
    """
    found = next((reader for reader in _BUILT_IN if reader.name == name), None)
    if found is None:
        raise ConfigError(f"There is no built-in reader {name!r}.", remedy="Name one of them.")
    return found


def is_built_in(reader: Reader) -> bool:
    """Whether the reader is the project's own: others may contain what belongs to this process."""
    return any(reader is one for one in _BUILT_IN)


def _shown(head: bytes) -> str:
    """The first bytes of a file for people: as text where they are text, else in hexadecimal."""
    text = head.decode("ascii", "replace")
    return f'"{text}"' if text.isprintable() and "\ufffd" not in text else f"with the bytes {head.hex(' ')}"


def reader_for(name: str, head: bytes) -> Reader:
    """The reader for a file of this name that begins with these bytes.

    The name's suffix selects a format, and the bytes must confirm it; without a known suffix the bytes decide.

    Raises:
        UnknownFormatError: when no reader takes it, or when the bytes are not what the name says.
    """
    suffix = PurePath(name.lower()).suffix
    claimed = next((reader for reader in readers() if suffix and suffix in reader.suffixes), None)
    looks_like = next((reader for reader in readers() if reader.sniff(head, name)), None)
    if claimed is not None:
        if claimed.sniff(head, name):
            return claimed
        guess = f"they look like {looks_like.name}" if looks_like else "no reader knows them"
        raise UnknownFormatError(
            f"{name} is named {suffix} but its bytes are not {claimed.name} (it begins {_shown(head[:12])}; {guess}).",
            remedy="Give the file its proper name, or fetch it again.",
        )
    if looks_like is None:
        known = " ".join(sorted(known_endings()))
        raise UnknownFormatError(
            f"{name}: no reader takes this file (it begins {_shown(head[:12])}).", remedy=f"Known endings: {known}."
        )
    return looks_like
