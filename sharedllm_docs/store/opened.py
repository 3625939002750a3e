"""What every part of an open index needs: its files, its catalog, its limits and its writer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sharedllm_docs.store.budget import check_max_bytes, least
from sharedllm_docs.store.catalog import Catalog, IndexHead
from sharedllm_docs.store.files import Files
from sharedllm_docs.store.held import HeldShards
from sharedllm_docs.store.reader import ShardReader
from sharedllm_docs.store.writer import IndexWriter

if TYPE_CHECKING:
    from sharedllm_docs.store.bytecache import ByteCache

LOCK_TIMEOUT = 30.0
"""Seconds that writing waits for another writer by default."""


class OpenStore:
    """The part of ``IndexStore`` that the others build on."""

    def __init__(self, files: Files, head: IndexHead, max_bytes: int | None, cache: ByteCache | None) -> None:
        self.url = files.url
        self.fingerprint = head.fingerprint
        self.settings = dict(head.settings)
        self.max_bytes = max_bytes
        self._files, self._head = files, head
        self._catalog = Catalog(files, head.fingerprint.salt)
        self.reopening: dict[str, Any] = {}
        self._held = HeldShards()
        self._cache = cache
        self._reader = ShardReader(self._catalog, cache, self._held)

    @property
    def tenant(self) -> str | None:
        """Name of the tenant that the index belongs to; None without one."""
        return self._head.tenant

    @property
    def max_documents(self) -> int | None:
        """Number of documents that the index may contain; None without a bound."""
        return self._head.max_documents

    def writer(self, *, timeout: float = LOCK_TIMEOUT, max_bytes: int | None = None) -> IndexWriter:
        """The writer, a context manager. Raises IndexLockedError on entry when another one stays.

        Args:
            timeout: seconds to wait for another writer.
            max_bytes: disk budget for this writer instead of the store's.
        """
        check_max_bytes(max_bytes)
        bound = self._bound(max_bytes)
        return IndexWriter(self._catalog, self._head, timeout=timeout, max_bytes=bound)

    def _bound(self, asked: int | None) -> int | None:
        """The disk budget of a call: as asked, of a tenant never more than its quota."""
        if self._head.tenant is not None:
            return least(self.max_bytes, asked)
        return self.max_bytes if asked is None else asked
