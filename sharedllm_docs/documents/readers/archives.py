"""Entries of zip archives, within limits: number, bytes, compression, nesting, names that point outside (path
traversal)."""

from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Iterator
from pathlib import Path

from sharedllm_docs.documents.readers.collected import Found, Skipped
from sharedllm_docs.documents.readers.packed import ZIP_HEAD, refuse_bomb
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.errors import DamagedDocumentError, DocumentError, DocumentTooLargeError

MAX_NESTING = 2
MAX_TOTAL = 2 << 30  # bytes of all entries of one archive, including those of archives inside it
_BLOCK = 1 << 20
_SLASHES = "/\\"  # a name that begins with one is an absolute path, which points outside the archive
_NOISE = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


def is_archive(name: str, head: bytes) -> bool:
    """Whether a file with this name and these first bytes is a zip archive, and not a document format based on zip."""
    return name.lower().endswith(".zip") and head.startswith(ZIP_HEAD)


def members(archive: Path | bytes, name: str, *, max_bytes: int) -> Iterator[Found | Skipped]:
    """The files of an archive, and what is skipped, with reasons.

    Args:
        archive: its path or bytes.
        name: of the archive; each member's name begins with it.
        max_bytes: maximum size of one member.

    Raises:
        DamagedDocumentError: not a whole zip archive.
        DocumentTooLargeError: beyond the limits as a whole.
    """
    yield from _members(archive, name, max_bytes, [MAX_TOTAL], 0)


def _members(
    archive: Path | bytes, name: str, max_bytes: int, left: list[int], depth: int
) -> Iterator[Found | Skipped]:
    file = archive if isinstance(archive, Path) else io.BytesIO(archive)
    try:
        opened = zipfile.ZipFile(file)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise DamagedDocumentError(
            f"{name} is not a complete zip archive: {reason_of(error)}.", remedy="Fetch it again."
        ) from error
    with opened:
        refuse_bomb(name, opened)
        for entry in sorted(opened.infolist(), key=lambda one: one.filename):
            if entry.is_dir() or entry.filename.startswith(_NOISE[0]) or entry.filename.endswith(_NOISE[1:]):
                continue
            full = f"{name}/{entry.filename.lstrip(_SLASHES)}"
            reason = _refused(entry, max_bytes)
            if reason:
                yield Skipped(full, reason)
                continue
            try:
                data = _read(opened, entry, max_bytes, left)
            except DocumentTooLargeError as error:
                yield Skipped(full, error.message)
                continue
            except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, NotImplementedError, ValueError) as error:
                yield Skipped(full, f"it is damaged: {reason_of(error)}")
                continue
            except Exception as error:  # zlib.error and lzma.LZMAError are plain Exceptions
                yield Skipped(full, f"it is damaged: {reason_of(error)}")
                continue
            if is_archive(entry.filename, data[:4]):
                yield from _inner(data, full, max_bytes, left, depth)
            else:
                yield Found(full, data)


def _inner(data: bytes, name: str, max_bytes: int, left: list[int], depth: int) -> Iterator[Found | Skipped]:
    if depth + 1 > MAX_NESTING:
        yield Skipped(name, f"archives are opened {MAX_NESTING} deep at most")
        return
    try:
        yield from _members(data, name, max_bytes, left, depth + 1)
    except DocumentError as error:
        yield Skipped(name, error.message)


def _refused(entry: zipfile.ZipInfo, max_bytes: int) -> str:
    """Why an entry is not opened; "" if it may be."""
    parts = entry.filename.replace("\\", "/").split("/")
    if ".." in parts or entry.filename.startswith(("/", "\\")) or ":" in parts[0]:
        return "its name leads out of the archive"
    if stat.S_ISLNK(entry.external_attr >> 16):
        return "it is a link"
    if entry.flag_bits & 1:
        return "it is encrypted"
    if entry.file_size > max_bytes:
        return f"it has {entry.file_size:,} bytes, the limit is {max_bytes:,}"
    return ""


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, max_bytes: int, left: list[int]) -> bytes:
    """The entry's bytes, counted while they are unpacked, because the size in its header may be forged."""
    blocks: list[bytes] = []
    size = 0
    with archive.open(entry) as member:
        while block := member.read(_BLOCK):
            size += len(block)
            left[0] -= len(block)
            if size > max_bytes or left[0] < 0:
                raise DocumentTooLargeError(f"the archive unpacks to more than {min(max_bytes, MAX_TOTAL):,} bytes")
            blocks.append(block)
    return b"".join(blocks)
