"""Where a document's bytes come from: a local file, an fsspec URL, bytes in memory or an open binary file.

A ``Source`` has a name, a size, a SHA-256 and the bytes, readable more than once. Knows nothing of formats.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
import tempfile
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sharedllm_docs.documents.names import document_name, shown_name
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.errors import (
    ConfigError,
    DamagedDocumentError,
    DocumentError,
    DocumentNotFoundError,
    DocumentTooLargeError,
)

SourceLike = str | Path | bytes | BinaryIO

HEAD_BYTES = 4096
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Source:
    """The bytes of one document.

    Attributes:
        name: display name; its suffix helps to find the reader.
        size: in bytes.
        sha256: hex digest of all bytes.
        head: the first ``HEAD_BYTES`` bytes.
        path: local file that contains the bytes, or None when ``data`` does.
        data: the bytes, when they are in memory.
    """

    name: str
    size: int
    sha256: str
    head: bytes
    path: Path | None = None
    data: bytes | None = None

    def open(self) -> BinaryIO:
        """A new binary file at the start of the bytes; the caller closes it."""
        if self.path is not None:
            return self.path.open("rb")
        return io.BytesIO(self.data or b"")

    def read(self) -> bytes:
        """All bytes."""
        if self.data is not None:
            return self.data
        with self.open() as file:
            return file.read()


@contextlib.contextmanager
def open_source(source: SourceLike, *, name: str | None, max_bytes: int) -> Iterator[Source]:
    """Find, measure and hash a document; a remote one is copied to a temporary file that goes away on exit.

    Raises:
        ConfigError: when it is nothing that can be read.
        DocumentNotFoundError: when there is no such file, or it is a folder.
        DocumentTooLargeError: when it has more than ``max_bytes`` bytes.
        DamagedDocumentError: when a local file changed while it was open here.
        DocumentError: when it is a pipe, socket or device, or cannot be opened or fetched for another reason.
    """
    if isinstance(source, bytes):
        yield _from_bytes(source, name or "document", max_bytes)
    elif isinstance(source, (str, Path)):
        if isinstance(source, str) and "://" in source:
            with _fetched(source, max_bytes) as path:
                yield _from_file(path, name or _last_part(source), max_bytes)
        else:
            path = find_path(source)
            found = _from_file(path, name or path.name, max_bytes)
            before = _stamp(path)
            yield found
            if _stamp(path) != before:
                raise DamagedDocumentError(
                    f"{shown_name(str(path))} changed while it was read.", remedy="Read it again."
                )
    else:
        if not callable(getattr(source, "read", None)):
            raise ConfigError(
                f"source={source!r:.100} is no document.",
                remedy="Give a path, a URL, bytes, a file opened for reading bytes, or a Document.",
            )
        data = b"".join(_blocks(source, max_bytes))
        opened_name = getattr(source, "name", None)
        own_name = Path(opened_name).name if isinstance(opened_name, str) else "document"
        yield _from_bytes(data, name or own_name, max_bytes)


def find_path(source: str | Path) -> Path:
    """The local file that a caller means, which may not exist.

    ``~/...`` and ``~user/...`` name a home folder only where no file has that very name and such a user exists. A name
    in composed Unicode finds the file in decomposed Unicode, as some systems store it, and the other way round.
    """
    path = Path(source)
    if os.path.lexists(path):
        return path
    if len(path.parts) > 1 and path.parts[0].startswith("~"):
        with contextlib.suppress(RuntimeError):  # no such user
            path = path.expanduser()
    for form in ("NFC", "NFD"):
        other = Path(unicodedata.normalize(form, str(path)))  # type: ignore[arg-type]
        if os.path.lexists(other):
            return other
    return path


def _from_bytes(data: bytes, name: str, max_bytes: int) -> Source:
    _check_size(name, len(data), max_bytes)
    return Source(document_name(name), len(data), hashlib.sha256(data).hexdigest(), data[:HEAD_BYTES], data=data)


def _from_file(path: Path, name: str, max_bytes: int) -> Source:
    if path.is_dir():
        raise DocumentNotFoundError(
            f"{shown_name(str(path))} is a folder, not a file.",
            remedy="Name the files in it, or add the folder with `add`.",
        )
    try:
        status = path.stat()
        _check_regular(path, status.st_mode)  # opening a pipe waits for a writer, a device may never end
        size = status.st_size
        _check_size(name, size, max_bytes)
        digest, head, done = hashlib.sha256(), b"", 0
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                head = head or block[:HEAD_BYTES]
                digest.update(block)
                done += len(block)
                _check_size(name, done, max_bytes)  # what a system makes up as it is read has no size before
    except FileNotFoundError as error:
        raise DocumentNotFoundError(f"There is no file {shown_name(str(path))}.", remedy="Check the path.") from error
    except OSError as error:
        raise DocumentError(
            f"{shown_name(str(path))} cannot be opened: {error.strerror or error}.", remedy="Check its permissions."
        ) from error
    return Source(document_name(name), size, digest.hexdigest(), head, path=path)


_KINDS = {
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def _check_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise DocumentError(
            f"{shown_name(str(path))} is {kind}, not a file.", remedy="Save what it gives as a file, and name that."
        )


def _check_size(name: str, size: int, max_bytes: int) -> None:
    if size > max_bytes:
        raise DocumentTooLargeError(
            f"{shown_name(name)} has {size:,} bytes or more, the limit is {max_bytes:,}.",
            remedy="Raise max_bytes to read it.",
        )


@contextlib.contextmanager
def _fetched(url: str, max_bytes: int) -> Iterator[Path]:
    """A temporary local copy of what ``url`` names."""
    import fsspec

    handle, temporary = tempfile.mkstemp(prefix="sharedllm-docs-")
    path = Path(temporary)
    try:
        try:
            with os.fdopen(handle, "wb") as local, fsspec.open(url, "rb") as remote:
                for block in _blocks(remote, max_bytes):
                    local.write(block)
        except FileNotFoundError as error:
            raise DocumentNotFoundError(f"There is nothing at {url}.", remedy="Check the address.") from error
        except (OSError, ValueError, ImportError) as error:
            raise DocumentError(
                f"{url} cannot be fetched: {reason_of(error)}.", remedy="Check address and connection."
            ) from error
        yield path
    finally:
        path.unlink(missing_ok=True)


def _blocks(file: BinaryIO, max_bytes: int) -> Iterator[bytes]:
    """The file's bytes, up to the first block that goes beyond ``max_bytes``."""
    done = 0
    while done <= max_bytes and (block := file.read(_BLOCK)):
        if not isinstance(block, bytes):
            raise ConfigError(
                f"The file that is to be read gives {type(block).__name__}, not bytes.",
                remedy="Open it with mode 'rb'.",
            )
        done += len(block)
        yield block


def _last_part(url: str) -> str:
    return url.split("?")[0].rstrip("/").rpartition("/")[2] or url


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size
