"""A disk cache for bytes that can be fetched again: shard blocks of a remote index.

diskcache keeps the entries and their limit. Its usual Disk class unpickles what it finds (CVE-2025-69872, diskcache
5.6.3): whoever can write to the cache folder could run code. ``BytesDisk`` stores bytes and refuses all else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import diskcache
from diskcache.core import MODE_BINARY, MODE_RAW

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.errors import StoreError

DEFAULT_LIMIT = 1 << 30

_REMEDY = "Delete the cache folder: everything in it can be made again."


class BytesDisk(diskcache.Disk):  # type: ignore[misc]
    """Stores bytes under str keys; an entry of any other kind, above all a serialised object, is refused unread."""

    def put(self, key: Any) -> tuple[str, bool]:
        if not isinstance(key, str):
            raise TypeError(f"A cache key must be str, not {type(key).__name__}.")
        return key, True

    def get(self, key: Any, raw: bool) -> str:
        if not raw or not isinstance(key, str):
            raise StoreError("A row of the cache has a serialised key, which is refused.", remedy=_REMEDY)
        return key

    def store(self, value: Any, read: bool, key: Any = diskcache.core.UNKNOWN) -> Any:
        if read or not isinstance(value, bytes):
            raise TypeError(f"A cache value must be bytes, not {type(value).__name__}.")
        return super().store(value, read, key)

    def fetch(self, mode: int, filename: str | None, value: Any, read: bool) -> bytes:
        if mode not in (MODE_RAW, MODE_BINARY) or (mode == MODE_RAW and not isinstance(value, bytes)):
            raise StoreError("A row of the cache is a serialised object, which is refused.", remedy=_REMEDY)
        return bytes(super().fetch(mode, filename, value, read=False))


class ByteCache:
    """Bytes by name, on disk; the least recently used are deleted first.

    Args:
        folder: folder of the cache; None for ``rows`` in the user's cache folder.
        limit: maximum size in bytes.
    """

    def __init__(self, folder: str | Path | None = None, *, limit: int = DEFAULT_LIMIT) -> None:
        self.folder = Path(folder) if folder is not None else cache_dir() / "rows"
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # it contains what documents say
        self._cache = diskcache.Cache(
            str(self.folder), disk=BytesDisk, size_limit=limit, eviction_policy="least-recently-used"
        )

    def get(self, key: str) -> bytes | None:
        """The bytes, or None. A refused row is deleted and counts as absent: it can be made again."""
        try:
            data: bytes | None = self._cache.get(key)
        except StoreError:
            self.drop(key)
            return None
        return data

    def __contains__(self, key: str) -> bool:
        return key in self._cache

    def put(self, key: str, data: bytes) -> None:
        """Keep the bytes for a while."""
        self._cache.set(key, data)

    def drop(self, key: str) -> None:
        """Forget an entry."""
        self._cache.delete(key)

    def close(self) -> None:
        """Close the database."""
        self._cache.close()
