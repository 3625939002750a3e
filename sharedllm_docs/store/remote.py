"""The files of an index on any file system that fsspec knows (object stores, HTTP servers, ``memory://``).

An object put is atomic on such stores: a reader sees the old object or the new one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from typing import Any

from sharedllm_docs.errors import StoreError
from sharedllm_docs.store.files import LOCK_NAME, Buffers, ByteRange, Files, outside
from sharedllm_docs.store.locks import RemoteLock, WriterLock


@contextmanager
def _remote_errors(action: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        raise StoreError(
            f"{action} failed: {error}.", remedy="Check the connection and the permissions, then try again."
        ) from error


class RemoteFiles(Files):
    """An index below ``root`` of an fsspec file system."""

    package = "the package that the protocol needs"

    def __init__(self, fs: Any, root: str, url: str) -> None:
        self.fs, self.root, self.url = fs, root.rstrip("/"), url
        self.shared = not url.startswith("memory:")

    @classmethod
    def at(cls, url: str, storage_options: Mapping[str, Any]) -> RemoteFiles:
        """Open the file system of a URL.

        Raises:
            StoreError: unknown protocol, or its package is missing.
        """
        import fsspec

        try:
            fs, root = fsspec.core.url_to_fs(url, **cls.options(storage_options))
        except (ValueError, ImportError) as error:
            raise StoreError(
                f"{url} cannot be opened: {error}.", remedy=f"Use a local path, or install {cls.package}."
            ) from error
        return cls(fs, root, url)

    @staticmethod
    def options(given: Mapping[str, Any]) -> dict[str, Any]:
        """Options of the file system; what the caller gives stays."""
        return dict(given)

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"

    def read(self, path: str, limit: int | None = None) -> bytes:
        with _remote_errors(f"Reading {path}"):
            data = bytes(self.fs.cat_file(self._at(path), start=None, end=None if limit is None else limit + 1))
        if limit is not None and len(data) > limit:
            raise outside(path, f"it has more than {limit:,} bytes, the limit")
        return data

    def read_ranges(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        if not ranges:
            return []
        paths, starts, ends = zip(*ranges, strict=True)
        with _remote_errors(f"Reading {paths[0]}"):
            parts = self.fs.cat_ranges([self._at(p) for p in paths], list(starts), list(ends), on_error="raise")
        return [bytes(part) for part in parts]

    def write(self, path: str, buffers: Buffers) -> None:
        target = self._at(path)
        with _remote_errors(f"Writing {path}"):
            self.fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            self.fs.pipe_file(target, b"".join(buffers))

    def remove(self, path: str) -> None:
        with _remote_errors(f"Removing {path}"):
            try:
                self.fs.rm_file(self._at(path))
            except FileNotFoundError:
                return

    def sizes(self, folder: str) -> dict[str, int]:
        return {path: int(info["size"]) for path, info in sorted(self._listed(folder).items())}

    def ages(self, folder: str) -> dict[str, float]:
        now = datetime.now(timezone.utc)
        return {path: _age(info, now) for path, info in self._listed(folder).items()}

    def _listed(self, folder: str) -> dict[str, Any]:
        """Path -> the store's information about every file below ``folder``."""
        self.fs.invalidate_cache()
        with _remote_errors(f"Listing {folder}"):
            try:
                found = self.fs.find(self._at(folder), detail=True)
            except FileNotFoundError:
                return {}
        start = len(self.root) + 1
        return {path[start:]: info for path, info in found.items()}

    def folders(self) -> list[str]:
        self.fs.invalidate_cache()
        with _remote_errors(f"Listing {self.url}"):
            try:
                found = self.fs.ls(self.root, detail=True)
            except FileNotFoundError:
                return []
        names = (str(one["name"]).rstrip("/").rpartition("/")[2] for one in found if one["type"] == "directory")
        return sorted(names)

    def everything(self) -> dict[str, int]:
        self.fs.invalidate_cache()
        with _remote_errors(f"Listing {self.url}"):
            try:
                found = self.fs.find(self.root, detail=True)
            except FileNotFoundError:
                return {}
        return {path[len(self.root) + 1 :]: int(info["size"]) for path, info in sorted(found.items())}

    def erase(self, keep: Collection[str]) -> None:
        for path in self.everything():
            if path not in keep:
                self.remove(path)
        if not keep:
            with _remote_errors(f"Deleting {self.url}"), suppress(FileNotFoundError):
                self.fs.rm(self.root, recursive=True)  # empty folders, where the store has any

    def exists(self, path: str) -> bool:
        self.fs.invalidate_cache()
        with _remote_errors(f"Looking for {path}"):
            return bool(self.fs.exists(self._at(path)))

    def free_bytes(self) -> int | None:
        return None

    def lock(self) -> WriterLock:
        def read() -> bytes | None:
            try:
                return self.read(LOCK_NAME)
            except FileNotFoundError:
                return None

        return RemoteLock(
            read,
            lambda data: self.write(LOCK_NAME, [data]),
            lambda: self.remove(LOCK_NAME),
            f"{self.url.rstrip('/')}/{LOCK_NAME}",
        )


_WRITTEN = ("LastModified", "last_modified", "mtime", "updated", "modified", "created")


def _age(info: Mapping[str, Any], now: datetime) -> float:
    """Seconds since a file was written, according to its store; 0 if it does not say."""
    written = next((info[name] for name in _WRITTEN if info.get(name) is not None), None)
    if isinstance(written, (int, float)):
        return now.timestamp() - written
    if isinstance(written, str):
        written = datetime.fromisoformat(written.replace("Z", "+00:00"))
    if not isinstance(written, datetime):
        return 0.0
    return (now - (written if written.tzinfo else written.replace(tzinfo=timezone.utc))).total_seconds()
