"""The public class of the store: one object for one index, at a local path or any fsspec URL.

Its parts are ``opened`` (what all of them need), ``contents`` (documents) and ``unread`` (chunks that are not read
yet). Here are creating and opening, rows, writing and checking. The store knows documents, chunks and rows, and knows
nothing of models, tokenizers or questions.
"""

from __future__ import annotations

import os
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sharedllm_docs.errors import ConfigError, IndexNotFoundError, SharedLLMError, StoreError
from sharedllm_docs.store.budget import (
    check_budget,
    check_documents,
    check_free_space,
    check_max_bytes,
    check_max_documents,
    least,
    present_bytes,
)
from sharedllm_docs.store.canonical import normalised
from sharedllm_docs.store.catalog import INDEX_FILE, Catalog, IndexHead
from sharedllm_docs.store.contents import StoredDocuments
from sharedllm_docs.store.files import Files
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.lockless import ShardWriter
from sharedllm_docs.store.maintenance import PruneReport, migrate_files, prune, remove_document
from sharedllm_docs.store.opened import LOCK_TIMEOUT
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.reader import GatheredRows, Layout, RowNumbers
from sharedllm_docs.store.records import ChunkRecord, DocumentRecord
from sharedllm_docs.store.sources import ReadStats
from sharedllm_docs.store.tenants import Tenant, tenant_url
from sharedllm_docs.store.unread import UnreadChunks
from sharedllm_docs.store.verify import Progress, VerifyReport, damaged_chunks, verify_document, verify_index

if TYPE_CHECKING:
    import torch

    from sharedllm_docs.store.bytecache import ByteCache

REMOTE_GRACE = 86_400.0
"""Seconds for which ``prune`` leaves what was written to a remote index."""

Url = str | os.PathLike[str]
CacheFor = Callable[[str | None], "ByteCache | None"]
"""Gives the cache of an index for the digest of its tenant's salt: tenants share none."""


class IndexStore(StoredDocuments, UnreadChunks):
    """An open index. Made by ``create`` or ``open``.

    Reading needs no lock and may go on while another process writes.

    Attributes:
        url: where it is.
        fingerprint: what its rows depend on.
        settings: free JSON of whoever created it.
        max_bytes: disk budget, None without one.
        stats: what reading cost so far.
        reopening: keywords of ``open`` that it needs beside its URL: salt and storage options.
    """

    # -- making and opening ----------------------------------------------------------------------------------------

    @classmethod
    def create(
        cls,
        url: Url,
        fingerprint: Fingerprint,
        settings: Mapping[str, Any] | None = None,
        *,
        max_bytes: int | None = None,
        timeout: float = LOCK_TIMEOUT,
        storage_options: Mapping[str, Any] | None = None,
        cache: ByteCache | CacheFor | None = None,
        tenant: str | None = None,
        salt: str | bytes | None = None,
        max_documents: int | None = None,
    ) -> IndexStore:
        """Make a new, empty index and open it.

        Args:
            url: a folder, made if it is missing, or an fsspec URL.
            fingerprint: what the rows will depend on.
            settings: JSON kept with the index, to open it again with the same model.
            max_bytes: disk budget, kept with the index.
            timeout: seconds to wait for another process that creates it too.
            storage_options: of a remote file system.
            cache: keeps blocks of a remote index; or what gives it, for the digest of the salt.
            tenant: name of the tenant that it is for; then it lies in the tenant's folder below ``url``.
            salt: the tenant's secret; None takes ``SHAREDLLM_DOCS_SALT``.
            max_documents: number of documents that it may hold, kept with the index.

        Raises:
            StoreError: there is an index already, or the folder cannot be made.
            ConfigError: settings that are not JSON, a budget below 1, or a tenant or salt that cannot be used.
            IndexLockedError: see ``timeout``.
        """
        owner = _tenant(tenant, salt)
        files = open_files(url if owner is None else tenant_url(url, owner.name), storage_options)
        check_max_bytes(max_bytes)
        check_max_documents(max_documents)
        kept = fingerprint.salted(None if owner is None else owner.digest)
        name = None if owner is None else owner.name
        head = IndexHead(kept, normalised(dict(settings or {})), max_bytes, max_documents, name)
        with files.lock().held(timeout):
            if files.exists(INDEX_FILE):
                raise StoreError(
                    f"There is an index at {files.url} already.", remedy="Open it, or choose another folder."
                )
            Catalog(files).save_head(head)
        return cls._opened(files, head, max_bytes, cache, owner, storage_options)

    @classmethod
    def open(
        cls,
        url: Url,
        fingerprint: Fingerprint | None = None,
        *,
        max_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        cache: ByteCache | CacheFor | None = None,
        tenant: str | None = None,
        salt: str | bytes | None = None,
    ) -> IndexStore:
        """Open an index.

        Args:
            url: where it is.
            fingerprint: the fingerprint that it must have; None accepts any.
            max_bytes: disk budget for this process instead of the one kept with the index.
            storage_options: of a remote file system.
            cache: keeps blocks of a remote index; or what gives it, for the digest of the salt.
            tenant: name of the tenant whose index it is, below ``url``.
            salt: the tenant's secret; None takes ``SHAREDLLM_DOCS_SALT``.

        Raises:
            IndexNotFoundError: there is no index, or no such tenant.
            TenantError: it is the index of a tenant, and the salt is another.
            ConfigError: a salt for an index without a tenant, or a tenant or salt that cannot be used.
            FingerprintMismatchError: it was made with another model or setting; names each.
            DamagedIndexError: its ``index.json`` is damaged.
            SchemaError: it is newer than this version.
        """
        files = open_files(url if tenant is None else tenant_url(url, tenant), storage_options)
        check_max_bytes(max_bytes)
        owner = _tenant(tenant, salt) if tenant is not None else None
        head = _head_of(files, url, tenant)
        if head.tenant is not None:
            owner = owner or Tenant.of(head.tenant, salt)
            owner.check(head.fingerprint.salt)
        elif salt is not None or tenant is not None:
            raise _without_tenant(files)
        if fingerprint is not None:
            head.fingerprint.salted(None).check(fingerprint.salted(None))
        bound = least(head.max_bytes, max_bytes) if head.tenant is not None else max_bytes or head.max_bytes
        return cls._opened(files, head, bound, cache, owner, storage_options)

    @classmethod
    def _opened(
        cls,
        files: Files,
        head: IndexHead,
        max_bytes: int | None,
        cache: ByteCache | CacheFor | None,
        owner: Tenant | None,
        storage_options: Mapping[str, Any] | None,
    ) -> IndexStore:
        kept = cache(head.fingerprint.salt) if callable(cache) else cache
        store = cls(files, head, max_bytes, kept)
        again = {"salt": None if owner is None else owner.salt, "storage_options": storage_options}
        store.reopening = {name: value for name, value in again.items() if value}
        return store

    @staticmethod
    def exists(url: Url, *, storage_options: Mapping[str, Any] | None = None, tenant: str | None = None) -> bool:
        """Whether there is an index (intact or not); with ``tenant`` whether the tenant has one below ``url``."""
        return open_files(url if tenant is None else tenant_url(url, tenant), storage_options).exists(INDEX_FILE)

    def check_documents(self, key: str, leaving: Collection[str] = ()) -> None:
        """Check that the index may hold a document; holding the lock, nobody else adds one meanwhile.

        Args:
            key: of the document.
            leaving: keys of documents that it takes the place of.

        Raises:
            QuotaError: it would be one document too many.
        """
        check_documents(self._catalog, key, leaving, self._head.max_documents)

    def set_quotas(self, max_bytes: int | None, max_documents: int | None, *, timeout: float = LOCK_TIMEOUT) -> None:
        """Keep other bounds with the index; None for no bound. What is there stays, even if it is more.

        Raises:
            ConfigError: a bound below 1.
            IndexLockedError: see ``timeout``.
        """
        check_max_bytes(max_bytes)
        check_max_documents(max_documents)
        with self._files.lock().held(timeout):
            migrate_files(self._catalog)
            head = replace(self._catalog.load_head(), max_bytes=max_bytes, max_documents=max_documents)
            self._catalog.save_head(head)
        self._head, self.max_bytes = head, max_bytes

    def is_current(self) -> bool:
        """Whether the index that was opened is still the one at this place: it may be removed, or made anew."""
        try:
            return Catalog(self._files).load_head() == self._head
        except SharedLLMError:
            return False

    def close(self) -> None:
        """Forget open shards. The store can be used again afterwards."""
        self._reader.close()

    # -- rows ------------------------------------------------------------------------------------------------------

    @property
    def stats(self) -> ReadStats:
        """What reading rows cost so far."""
        return self._reader.stats

    def gather(
        self,
        parts: Sequence[tuple[ChunkRecord, RowNumbers]],
        dtype: torch.dtype,
        *,
        layout: Layout = "heads_first",
        device: torch.device | str = "cpu",
    ) -> GatheredRows:
        """Rows of several chunks at once; see ``ShardReader.gather``."""
        return self._reader.gather(parts, dtype, layout=layout, device=device)

    def ranks(self, records: Sequence[ChunkRecord]) -> list[tuple[int, ...]]:
        """Ranks of the tokens of chunks; see ``ShardReader.ranks``."""
        return self._reader.ranks(records)

    # -- writing ---------------------------------------------------------------------------------------------------

    def shard_writer(self) -> ShardWriter:
        """Writes shards without the lock, for workers; see ``ShardWriter``."""
        return ShardWriter(self._files, self.fingerprint)

    def check_room(self, needed: int, *, max_bytes: int | None = None) -> None:
        """Check, before encoding, that ``needed`` more bytes fit the budget and the disk.

        Raises:
            DiskBudgetError: they exceed the budget.
            DiskFullError: the disk has not that much left.
        """
        bound = self._bound(max_bytes)
        if bound is not None:
            check_budget(needed, self.total_bytes(), bound)
        check_free_space(needed, self._files)

    def remove(self, reference: str, *, timeout: float = LOCK_TIMEOUT) -> PruneReport:
        """Take a document out, by key, beginning of the key or name. Its shards stay until ``prune``.

        A document with a damaged manifest goes too: by key, or by the name if it can still be read.

        Raises:
            DocumentNotFoundError, StoreError, IndexLockedError.
        """
        with self._files.lock().held(timeout):
            return remove_document(self._catalog, self._catalog.find_key(reference))

    def prune(self, *, timeout: float = LOCK_TIMEOUT, grace: float | None = None) -> PruneReport:
        """Remove what no document needs: shards of removed or interrupted ones, temporary files.

        Args:
            timeout: seconds to wait for another writer.
            grace: seconds for which what was written stays, as workers that encode without the lock may be about to
                commit it. None: a day at a URL (``REMOTE_GRACE``), where such workers are usual; none in a local
                folder.

        Raises:
            ConfigError: a ``grace`` that is negative or no number.
            DamagedIndexError: a manifest is damaged, so nobody knows what it needs; nothing is removed.
            IndexLockedError: another process is writing.
        """
        kept = (REMOTE_GRACE if self._files.shared else 0.0) if grace is None else grace
        if isinstance(kept, bool) or not isinstance(kept, (int, float)) or not kept >= 0:
            raise ConfigError(
                f"grace={reprlib.repr(grace)} must be a number of seconds, 0 or more.", remedy="Leave it out."
            )
        with self._files.lock().held(timeout):
            return prune(self._catalog, kept)

    def migrate(self, *, timeout: float = LOCK_TIMEOUT) -> list[str]:
        """Carry the files over to this version's schema, on disk; returns the paths written. Writing does it too."""
        with self._files.lock().held(timeout):
            return migrate_files(self._catalog)

    # -- the state of things ---------------------------------------------------------------------------------------

    def verify(self, reference: str | None = None, *, progress: Progress | None = None) -> VerifyReport:
        """Check every byte of the index, or of one document; names every damaged file and raises for none."""
        if reference is None:
            return verify_index(self._catalog, progress)
        return verify_document(self._catalog, self._catalog.find_key(reference), progress)

    def damaged_chunks(self, record: DocumentRecord) -> tuple[int, ...]:
        """Numbers of the document's chunks that must be encoded again (``IndexWriter.replace_chunk``)."""
        return damaged_chunks(self._catalog, record)

    def total_bytes(self) -> int:
        """Bytes of the whole index on disk."""
        return present_bytes(self._files)


def _tenant(name: str | None, salt: str | bytes | None) -> Tenant | None:
    if name is None and salt is not None:
        raise ConfigError("A salt is given, and no tenant.", remedy="Name the tenant too (tenant=...).")
    return None if name is None else Tenant.of(name, salt)


def _head_of(files: Files, url: Url, tenant: str | None) -> IndexHead:
    """What ``index.json`` says; where there is none, the error names the tenant."""
    try:
        return Catalog(files).load_head()
    except IndexNotFoundError as error:
        if tenant is None:
            raise
        raise IndexNotFoundError(
            f"There is no tenant {tenant!r} at {os.fspath(url)}.",
            remedy="Make its index (Index.create, or `sharedllm-docs tenants create`), or correct the name.",
        ) from error


def _without_tenant(files: Files) -> ConfigError:
    return ConfigError(
        f"A salt is given, but the index at {files.url} belongs to no tenant.",
        remedy="Leave the salt out, or name the tenant (tenant=...).",
    )
