"""Reads and writes the files of an index: a small interface, and its implementation for a local folder.

Paths are relative to the index, with ``/``. A write is atomic and durable when it returns: a reader sees the old
file or the new one, a crash leaves at most a temporary file. Knows nothing of what the files mean.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import shutil
import stat
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, ClassVar
from uuid import uuid4

from sharedllm_docs.errors import DamagedIndexError, DiskFullError, StoreError
from sharedllm_docs.store.locks import LocalLock, WriterLock

TEMP_PREFIX = ".tmp-"
LOCK_NAME = "writer.lock"
ByteRange = tuple[str, int, int]
Buffers = Iterable[bytes | memoryview]
"""The parts of what is written; requested again if a write is repeated."""

_BLOCK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)
_MISSING = (errno.ENOENT, errno.ENOTDIR)
_SETTLED = 2_000_000_000
"""Nanoseconds after which a changed file has a different modification time, on any file system."""
_TRIES = 10
"""Number of attempts to write a file whose folder is deleted meanwhile."""


class Files(ABC):
    """Files of one index.

    Attributes:
        url: as the user wrote it.
        mappable: whether ``map`` works.
        shared: whether other machines may be writing to it.
    """

    url: str
    mappable: ClassVar[bool] = False
    shared: bool = False

    @abstractmethod
    def read(self, path: str, limit: int | None = None) -> bytes:
        """The whole file.

        Args:
            path: of the file.
            limit: maximum number of its bytes.

        Raises:
            FileNotFoundError: there is none.
            DamagedIndexError: it is larger, not a regular file, or a link on its path points outside the index.
        """

    def digest(self, path: str) -> tuple[int, str]:
        """Size and SHA-256 of a file. Raises as ``read``."""
        data = self.read(path)
        return len(data), hashlib.sha256(data).hexdigest()

    def size(self, path: str) -> int | None:
        """Bytes of a file where that is cheap to know; else None. Raises as ``read``."""
        return None

    @abstractmethod
    def read_ranges(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Several byte ranges (path, start, end) at once. Raises FileNotFoundError."""

    def map(self, path: str) -> memoryview:
        """The file mapped into memory. Raises FileNotFoundError."""
        raise StoreError(f"{path} at {self.url} cannot be mapped into memory.", remedy="Read its ranges.")

    def local_path(self, path: str) -> Path | None:
        """The file on this machine's disk; None where it is elsewhere."""
        return None

    @abstractmethod
    def write(self, path: str, buffers: Buffers) -> None:
        """Put a file in place, atomically and durably."""

    def create(self, path: str, buffers: Buffers) -> bool:
        """Put a file in place like ``write``, unless one is there; returns whether it was put."""
        if self.exists(path):
            return False
        self.write(path, buffers)
        return True

    def sizes_of(self, paths: Sequence[str]) -> dict[str, int]:
        """Path -> bytes of those of the files that are there, without reading them."""
        found = {path.rpartition("/")[0]: None for path in paths}
        sizes = {path: size for folder in found for path, size in self.sizes(folder).items()}
        return {path: sizes[path] for path in paths if path in sizes}

    @abstractmethod
    def remove(self, path: str) -> None:
        """Delete a file if it is there, and its folder if that is empty afterwards."""

    @abstractmethod
    def sizes(self, folder: str) -> dict[str, int]:
        """Path -> bytes of every file below ``folder``, temporary ones included."""

    def ages(self, folder: str) -> dict[str, float]:
        """Path -> seconds since it was written, of every file below ``folder``; 0 if the store does not say."""
        return dict.fromkeys(self.sizes(folder), 0.0)

    def named(self, folder: str, name: str) -> list[str]:
        """Paths of the files called ``name`` in the folders of ``folder``, sorted."""
        paths = (path.split("/") for path in self.sizes(folder))
        return ["/".join(parts) for parts in paths if len(parts) == 3 and parts[2] == name]

    def signatures(self, folder: str, name: str) -> Mapping[str, object]:
        """The paths of ``named``, each with a value that changes whenever the file does; None if it must be read to
        know."""
        return dict.fromkeys(self.named(folder, name))

    def read_many(self, paths: Sequence[str], limit: int | None = None) -> Mapping[str, bytes | Exception]:
        """Several whole files, for each its bytes or the error that ``read`` raises (FileNotFoundError, damage)."""
        found: dict[str, bytes | Exception] = {}
        for path in paths:
            try:
                found[path] = self.read(path, limit)
            except (FileNotFoundError, DamagedIndexError) as error:
                found[path] = error
        return found

    def leftovers(self) -> dict[str, int]:
        """Path -> bytes of temporary files beside the index's head (remote puts leave none)."""
        return {}

    @abstractmethod
    def folders(self) -> list[str]:
        """Names of the folders in which there is something, directly below the index."""

    @abstractmethod
    def everything(self) -> dict[str, int]:
        """Path -> bytes of every file that is there, whatever it is; of object stores older versions too."""

    @abstractmethod
    def erase(self, keep: Collection[str]) -> None:
        """Delete everything but the files ``keep``. What is deleted cannot be brought back."""

    def remove_empty_folders(self, folder: str) -> None:
        """Remove the empty folders in ``folder`` that interrupted writes left (object stores have none)."""
        return

    @abstractmethod
    def exists(self, path: str) -> bool:
        """Whether there is such a file."""

    @abstractmethod
    def free_bytes(self) -> int | None:
        """Free bytes on the disk that holds the index; None if that is unknown."""

    @abstractmethod
    def lock(self) -> WriterLock:
        """The lock that writers of this index take."""


@contextmanager
def _disk_errors(action: str, *, reading: bool = False, creating: bool = False) -> Iterator[None]:
    """Turn operating system errors into typed ones, except those that callers explain: FileNotFoundError on reading,
    FileExistsError on creating."""
    try:
        yield
    except OSError as error:
        if creating and isinstance(error, FileExistsError):
            raise
        if reading and error.errno in _MISSING:
            raise FileNotFoundError(error.errno, error.strerror, error.filename) from error
        if error.errno in _FULL:
            raise DiskFullError(
                f"No space left: {action} failed.",
                remedy="Free some space (prune frees what no document needs), then add the document again: it resumes.",
            ) from error
        raise StoreError(
            f"{action} failed: {error.strerror or error}.", remedy="Check that the folder can be read and written."
        ) from error


class LocalFiles(Files):
    """A folder on this machine, which need not exist yet.

    Raises:
        StoreError: a file has that name.
    """

    mappable = True

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).expanduser()
        self.url = str(root)
        if self.root.is_file():
            raise StoreError(f"The index path {self.url} is a file, not a folder.", remedy="Name a folder.")

    @contextmanager
    def _opened(self, path: str) -> Iterator[IO[bytes]]:
        """Open a regular file inside the index. Pipes, which would block, and devices, which never end, are not
        opened."""
        place = self._inside(path)
        with _disk_errors(f"Reading {path}", reading=True):
            if not stat.S_ISREG(place.stat().st_mode):
                raise outside(path, "it is no ordinary file")
            with open(place, "rb") as file:
                yield file

    def _inside(self, path: str) -> Path:
        """The place of a file; links on its path are followed, unless they point outside the index."""
        place = self.root / path
        parts = path.split("/")
        if any(os.path.islink(f"{self.root}/{'/'.join(parts[:end])}") for end in range(1, len(parts) + 1)):
            real, root = os.path.realpath(place), os.path.realpath(self.root)
            if os.path.commonpath([real, root]) != root:
                raise outside(path, "it lies behind a symbolic link that leads out of the index")
        return place

    def read(self, path: str, limit: int | None = None) -> bytes:
        with self._opened(path) as file:
            size = os.fstat(file.fileno()).st_size
            if limit is not None and size > limit:
                raise outside(path, f"it has {size:,} bytes, the limit is {limit:,}")
            return file.read() if limit is None else file.read(size)  # and no more, if it grows meanwhile

    def digest(self, path: str) -> tuple[int, str]:
        digest, size = hashlib.sha256(), 0
        with self._opened(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
        return size, digest.hexdigest()

    def size(self, path: str) -> int | None:
        with self._opened(path) as file:
            return os.fstat(file.fileno()).st_size

    def read_ranges(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        parts = []
        for path, start, end in ranges:
            with self._opened(path) as file:
                file.seek(start)
                parts.append(file.read(end - start))
        return parts

    def map(self, path: str) -> memoryview:
        with self._opened(path) as file:
            if os.fstat(file.fileno()).st_size == 0:
                return memoryview(b"")  # an empty file cannot be mapped
            # a private mapping: torch wants writable memory, and nothing written there would reach the file
            return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))

    def local_path(self, path: str) -> Path | None:
        return self.root / path

    def write(self, path: str, buffers: Buffers) -> None:
        self._put(path, buffers, os.replace)

    def create(self, path: str, buffers: Buffers) -> bool:
        try:
            self._put(path, buffers, _link)
        except FileExistsError:
            return False
        return True

    def _put(self, path: str, buffers: Buffers, place: Callable[[Path, Path], None]) -> None:
        target = self._inside(path)
        with _disk_errors(f"Writing {path}", creating=place is _link):
            for left in reversed(range(_TRIES)):
                try:
                    self._put_once(target, buffers, place)
                    return
                except FileNotFoundError:  # another process prunes: it took the folder, still empty, or the file in it
                    if not left:
                        raise

    @staticmethod
    def _put_once(target: Path, buffers: Buffers, place: Callable[[Path, Path], None]) -> None:
        _make_folder(target.parent)
        temporary = target.with_name(f"{TEMP_PREFIX}{uuid4().hex}")
        try:
            with open(temporary, "xb") as file:
                _write_all(file, buffers)
                file.flush()
                os.fsync(file.fileno())
            place(temporary, target)
        except BaseException:
            with suppress(FileNotFoundError):
                temporary.unlink()
            raise
        _sync_folder(target.parent)

    def sizes_of(self, paths: Sequence[str]) -> dict[str, int]:
        found: dict[str, int] = {}
        for path in paths:
            with suppress(FileNotFoundError):
                found[path] = os.stat(self._inside(path)).st_size
        return found

    def remove(self, path: str) -> None:
        target = self.root / path
        if self._behind_link(target):
            raise StoreError(
                f"{path} lies behind a symbolic link, outside the index: nothing was deleted there.",
                remedy="Replace the link by the folder it leads to, or delete the link.",
            )
        with _disk_errors(f"Removing {path}"):
            target.unlink(missing_ok=True)
            if not target.parent.exists():
                return
            _sync_folder(target.parent)
        with suppress(OSError):  # not empty: stays
            target.parent.rmdir()

    def sizes(self, folder: str) -> dict[str, int]:
        found: dict[str, int] = {}
        if self._behind_link(self.root / folder / "any"):
            return found  # what lies elsewhere is not the index's
        for parent, _folders, names in os.walk(self.root / folder):
            for name in names:
                path = Path(parent, name)
                with suppress(FileNotFoundError):  # removed meanwhile
                    found[path.relative_to(self.root).as_posix()] = path.lstat().st_size
        return dict(sorted(found.items()))

    def ages(self, folder: str) -> dict[str, float]:
        found: dict[str, float] = {}
        for path in self.sizes(folder):
            with suppress(FileNotFoundError):  # removed meanwhile
                found[path] = time.time() - (self.root / path).lstat().st_mtime
        return found

    def _behind_link(self, path: Path) -> bool:
        """Whether a folder between the index and ``path`` is a symbolic link."""
        return any((self.root / folder).is_symlink() for folder in path.relative_to(self.root).parents if folder.parts)

    def signatures(self, folder: str, name: str) -> Mapping[str, object]:
        found: dict[str, object] = {}
        if self._behind_link(self.root / folder / "any"):
            return found  # what lies elsewhere is not the index's
        settled, lstat, base = time.time_ns() - _SETTLED, os.lstat, f"{self.root / folder}/"
        try:
            with os.scandir(base) as entries:
                names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
        except (FileNotFoundError, NotADirectoryError):
            return found
        for one in names:  # every question asks for all of them: ten thousand take 80 ms
            try:
                status = lstat(f"{base}{one}/{name}")
            except (FileNotFoundError, NotADirectoryError):
                continue
            found[f"{folder}/{one}/{name}"] = _signature(status, settled)
        return found

    def named(self, folder: str, name: str) -> list[str]:
        return list(self.signatures(folder, name))

    def leftovers(self) -> dict[str, int]:
        return {path.name: path.stat().st_size for path in self.root.glob(f"{TEMP_PREFIX}*")}

    def folders(self) -> list[str]:
        with _disk_errors(f"Listing {self.url}", reading=True), suppress(FileNotFoundError):
            return sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir(follow_symlinks=False))
        return []

    def everything(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for parent, folders, names in os.walk(self.root):
            links = [name for name in folders if Path(parent, name).is_symlink()]  # they are deleted, not followed
            for name in [*names, *links]:
                with suppress(FileNotFoundError):
                    path = Path(parent, name)
                    found[path.relative_to(self.root).as_posix()] = path.lstat().st_size
        return dict(sorted(found.items()))

    def erase(self, keep: Collection[str]) -> None:
        with _disk_errors(f"Deleting {self.url}"):
            for entry in os.scandir(self.root) if self.root.is_dir() else ():
                if entry.name in keep:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    shutil.rmtree(entry.path)
                else:
                    os.unlink(entry.path)
            if self.root.is_dir() and not keep:
                self.root.rmdir()
                _sync_folder(self.root.parent)

    def remove_empty_folders(self, folder: str) -> None:
        for path in () if self._behind_link(self.root / folder / "any") else (self.root / folder).glob("*/"):
            with suppress(OSError):  # not empty: stays
                path.rmdir()

    def exists(self, path: str) -> bool:
        return (self.root / path).is_file() and self._inside(path) is not None

    def free_bytes(self) -> int | None:
        return shutil.disk_usage(self.root).free if self.root.exists() else None

    def lock(self) -> WriterLock:
        with _disk_errors(f"Creating the folder {self.root}"):
            _make_folder(self.root)
        return LocalLock(self._inside(LOCK_NAME))


def _signature(status: os.stat_result, settled: int) -> object:
    """A value that changes with a file; None for a link, and for a file so new that it may change within a tick of the
    clock."""
    if status.st_mtime_ns > settled or not stat.S_ISREG(status.st_mode):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def outside(path: str, reason: str) -> DamagedIndexError:
    """The error for a file that is not read, whatever is in it."""
    return DamagedIndexError(
        f"{path} is damaged: {reason}.", paths=(path,), remedy="Copy the index as a whole, or make it again."
    )


def _link(temporary: Path, target: Path) -> None:
    """Give a file its name unless another has it (FileExistsError); without hard links, a check before must do."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        os.replace(temporary, target)
    else:
        temporary.unlink()


def _write_all(file: Any, buffers: Buffers) -> None:
    for buffer in buffers:
        file.write(buffer)


def _make_folder(folder: Path) -> None:
    """Make a folder and its parents, each made durable in the one above it; only their owner may look into them."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    with suppress(FileExistsError):  # made by another process meanwhile; a file of that name fails on use
        folder.mkdir(mode=0o700)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make renames and removals in a folder durable (where the system can: Windows cannot open folders)."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
