"""Files of the search index, in the folder ``search``: each contains the arrays of some documents, and never changes.

They contain nothing that cannot be computed from the documents: a missing, damaged or older one is rebuilt. So they are
written without the lock, by any process that searches, and what cannot be written stays in memory. A remote file is
fetched once, into a folder of this machine, and mapped there.
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import DamagedIndexError, StoreError
from sharedllm_docs.store.budget import SEARCH, check_budget, check_free_space, present_bytes
from sharedllm_docs.store.canonical import canonical_bytes, strict_json
from sharedllm_docs.store.catalog import Catalog, damaged
from sharedllm_docs.store.files import Files, LocalFiles
from sharedllm_docs.store.records import DocumentRecord
from sharedllm_docs.store.tensorfile import (
    METADATA_FIELD,
    TensorSpec,
    decode_tensors,
    encode_header,
    header_json,
    header_size,
    sort_specs,
)

VERSION = 1
"""Raised when other words or arrays are stored; segments of another version are rebuilt."""
_SUFFIX = ".segment"
REBUILD = "Delete the folder search of the index: it is made again."
_KINDS: Mapping[str, str] = {"float32": "F32", "int32": "I32", "int16": "I16"}

_STEP = 1 << 26
"""Bytes of a mapped file that are read before their memory is released."""


class InPieces(Protocol):
    """An array that is written piece by piece; see ``retrieval.segments.InPieces``."""

    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def pieces(self) -> Callable[[], Iterator[NDArray[Any]]]: ...


Arrays = Mapping[str, "NDArray[Any] | InPieces"]


class SegmentFiles:
    """Reads and writes the segments of one index.

    Args:
        files: of the index.
        folder: on this machine, where those of a remote index are kept.
        max_bytes: disk budget of the index; None without one.
    """

    def __init__(self, files: Files, folder: Path | None, max_bytes: int | None) -> None:
        self._files, self._max_bytes = files, max_bytes
        self._here: Files = files if files.mappable or folder is None else LocalFiles(folder)
        self._checked: set[str] = set()

    def names(self) -> list[str]:
        """Names of the segments, largest first."""
        sizes = self._files.sizes(SEARCH)
        return sorted((name for name in map(_name, sizes) if name), key=lambda name: (-sizes[_path(name)], name))

    def load(self, name: str) -> tuple[tuple[str, ...], dict[str, NDArray[Any]]]:
        """The content of a segment: names of documents, and arrays over its bytes, which are mapped if possible.

        Raises:
            FileNotFoundError: there is none, or no longer.
            DamagedIndexError: its bytes are not what was written.
        """
        path = _path(name)
        data = self._bytes(path)
        try:
            told = _told(data)
            if name not in self._checked and _digest(data, header_size(data)) != told["sha256"]:
                raise ValueError("its checksum does not match")
            found = decode_tensors(data)
        except (ValueError, KeyError, TypeError) as error:
            self._forget(path)
            raise damaged(path, str(error), remedy=REBUILD) from error
        self._checked.add(name)
        return tuple(told["documents"]), found

    def _bytes(self, path: str) -> memoryview:
        if self._here is self._files:
            return self._here.map(path) if self._here.mappable else memoryview(self._here.read(path))
        with suppress(FileNotFoundError, DamagedIndexError):
            return self._here.map(path)
        self._here.write(path, [self._files.read(path)])
        return self._here.map(path)

    def _forget(self, path: str) -> None:
        """Delete the copy on this machine, which may be damaged although the index's own is not."""
        if self._here is not self._files:
            self._here.remove(path)

    def save(self, documents: Sequence[str], arrays: Arrays) -> str | None:
        """Write a segment; returns its name, or None if it cannot be written: no permission, no space, over the budget.

        Arrays in pieces are generated twice, for the checksum in the header and for the file, and are never in memory
        as a whole.
        """
        specs = sort_specs([TensorSpec(name, _KINDS[array.dtype.name], array.shape) for name, array in arrays.items()])
        bodies, digest = _Bodies([arrays[spec.name] for spec in specs]), hashlib.sha256()
        for body in bodies:
            digest.update(body)
        told = canonical_bytes({"version": VERSION, "documents": list(documents), "sha256": digest.hexdigest()})
        header = encode_header(specs, told.decode("utf-8"))
        name = hashlib.sha256("\n".join(documents).encode("ascii")).hexdigest()[:32]
        size = len(header) + sum(spec.num_bytes for spec in specs)
        try:
            check_free_space(size, self._files)
            if self._max_bytes is not None:
                check_budget(size, present_bytes(self._files), self._max_bytes)
            self._put(_path(name), _Bodies([np.frombuffer(header, np.uint8), *bodies.arrays]))
        except StoreError:
            return None
        return name

    def _put(self, path: str, bodies: _Bodies) -> None:
        """Write a file; for a remote index first on this machine, from where it is uploaded."""
        self._here.write(path, bodies)
        if self._here is not self._files:
            try:
                self._files.write(path, [self._here.read(path)])
            except StoreError:
                self._forget(path)
                raise

    def remove(self, name: str) -> None:
        """Delete a segment; processes that have it open keep it."""
        with suppress(StoreError):
            self._files.remove(_path(name))
            self._forget(_path(name))
        self._checked.discard(name)


class _Bodies:
    """The bytes of arrays, one after another, each time they are asked for."""

    def __init__(self, arrays: Sequence[NDArray[Any] | InPieces]) -> None:
        self.arrays = arrays

    def __iter__(self) -> Iterator[memoryview]:
        for array in self.arrays:
            for piece in (array,) if isinstance(array, np.ndarray) else array.pieces():
                if piece.size:
                    yield np.ascontiguousarray(piece).data.cast("B")


def _digest(data: memoryview, begin: int) -> str:
    """SHA-256 of a file from a byte on. The mapped parts that were read do not stay in memory."""
    digest = hashlib.sha256()
    for start in range(begin, len(data), _STEP):
        digest.update(data[start : start + _STEP])
        if isinstance(data.obj, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            data.obj.madvise(mmap.MADV_DONTNEED)  # nothing was written to it: it is read from the file again
    return digest.hexdigest()


def outdated_segments(catalog: Catalog, records: Sequence[DocumentRecord]) -> dict[str, int]:
    """Path -> bytes of the files in ``search`` that contain anything of documents that do not exist (any more)."""
    present = {record.leaves_digest for record in records}
    found = {}
    for path, size in catalog.files.sizes(SEARCH).items():
        try:
            data = catalog.files.read_ranges([(path, 0, 8)])[0]
            told = _told(catalog.files.read_ranges([(path, 0, header_size(data))])[0])
            if present.issuperset(told["documents"]):
                continue
        except (FileNotFoundError, DamagedIndexError, ValueError, KeyError, TypeError):
            pass  # whatever it is, nothing is lost with it
        found[path] = size
    return found


def _told(data: bytes | memoryview) -> dict[str, Any]:
    """The documents and the checksum in the header. Raises ValueError, KeyError, TypeError."""
    found = strict_json(header_json(data)["__metadata__"][METADATA_FIELD].encode("utf-8"))
    if found["version"] != VERSION or not all(isinstance(name, str) for name in found["documents"]):
        raise ValueError("it is of another version")
    return dict(found)


def _path(name: str) -> str:
    return f"{SEARCH}/{name}{_SUFFIX}"


def _name(path: str) -> str:
    name = path.rpartition("/")[2]
    return name.removesuffix(_SUFFIX) if name.endswith(_SUFFIX) and not name.startswith(".") else ""
