"""The facade of the store: one object for one index, at a local path or any fsspec URL.

Knows documents, chunks and rows; knows nothing of models, tokenizers or questions.
"""

from __future__ import annotations

import io
import os
import reprlib
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from numpy.typing import NDArray

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.errors import (
    ConfigError,
    DamagedIndexError,
    IndexNotFoundError,
    SharedLLMError,
    SourceMissingError,
    StoreError,
)
from sharedllm_docs.store.budget import check_budget, check_documents, check_free_space, present_bytes
from sharedllm_docs.store.canonical import normalised, sha256_hex
from sharedllm_docs.store.catalog import INDEX_FILE, MAX_TEXT, Catalog, IndexHead, damaged
from sharedllm_docs.store.files import Files
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.held import HeldShards
from sharedllm_docs.store.lockless import ShardWriter
from sharedllm_docs.store.maintenance import PruneReport, migrate_files, prune, remove_document
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.reader import GatheredRows, Layout, RowNumbers, ShardReader
from sharedllm_docs.store.records import (
    ChunkRecord,
    DocumentRecord,
    FileRole,
    decode_document,
    decode_places,
    decode_tokens,
    decode_vectors,
    kept_source_path,
)
from sharedllm_docs.store.segment_files import SegmentFiles
from sharedllm_docs.store.shard import encode_shard
from sharedllm_docs.store.sources import ReadStats, find_shard
from sharedllm_docs.store.tenants import Tenant, tenant_url
from sharedllm_docs.store.verify import Progress, VerifyReport, damaged_chunks, verify_document, verify_index
from sharedllm_docs.store.writer import Blocks, IndexWriter

if TYPE_CHECKING:
    import torch

    from sharedllm_docs.store.bytecache import ByteCache

KEEP_SOURCE = "Add the file again with keep_source=True (--keep-source): nothing is encoded anew."
FORCE_SOURCE = "Add the file again: its source is written anew, and nothing is encoded."
LOCK_TIMEOUT = 30.0
"""Seconds that writing waits for another writer by default."""
REMOTE_GRACE = 86_400.0
"""Seconds for which ``prune`` leaves what was written to a remote index."""

_ASKED: tuple[FileRole, ...] = ("text", "tokens", "vectors")
"""Files beside the manifest that a question needs."""
_PREFETCHED = 64
"""Number of them that are in memory at once while they are fetched."""

Url = str | os.PathLike[str]
CacheFor = Callable[[str | None], "ByteCache | None"]
"""Gives the cache of an index for the digest of its tenant's salt: tenants share none."""
T = TypeVar("T")


class IndexStore:
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
        _check_max_bytes(max_bytes)
        _check_max_documents(max_documents)
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
        _check_max_bytes(max_bytes)
        owner = _tenant(tenant, salt) if tenant is not None else None
        head = _head_of(files, url, tenant)
        if head.tenant is not None:
            owner = owner or Tenant.of(head.tenant, salt)
            owner.check(head.fingerprint.salt)
        elif salt is not None or tenant is not None:
            raise _without_tenant(files)
        if fingerprint is not None:
            head.fingerprint.salted(None).check(fingerprint.salted(None))
        bound = _least(head.max_bytes, max_bytes) if head.tenant is not None else max_bytes or head.max_bytes
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

    @property
    def tenant(self) -> str | None:
        """Name of the tenant that the index belongs to; None without one."""
        return self._head.tenant

    @property
    def max_documents(self) -> int | None:
        """Number of documents that the index may hold; None without a bound."""
        return self._head.max_documents

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
        _check_max_bytes(max_bytes)
        _check_max_documents(max_documents)
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

    # -- documents -------------------------------------------------------------------------------------------------

    def documents(self) -> list[DocumentRecord]:
        """All documents, oldest first, without opening a shard. Raises DamagedIndexError, naming every manifest."""
        return self._catalog.documents()

    def keys(self) -> list[str]:
        """Keys of all documents, sorted, without reading a manifest."""
        return self._catalog.document_keys()

    def get(self, reference: str) -> DocumentRecord:
        """A document by key, by the beginning of its key (4 digits or more) or by name.

        Raises:
            DocumentNotFoundError: no such document.
            StoreError: several documents.
            DamagedIndexError: its manifest is damaged.
        """
        return self._catalog.find(reference)

    def get_all(self, references: Sequence[str]) -> list[DocumentRecord]:
        """Several documents, each once, in their order. Raises as ``get``."""
        return self._catalog.find_all(references)

    def find_key(self, reference: str) -> str:
        """The whole key of a document, found as by ``get``; its manifest may be damaged. Raises as ``get``."""
        return self._catalog.find_key(reference)

    def name_of(self, key: str) -> str:
        """The name of a document, also from a damaged manifest; "" if it cannot be read there."""
        return self._catalog.name_of(key)

    def has_document(self, key: str) -> bool:
        """Whether a document of that key is in the index (its manifest may be damaged)."""
        return self._catalog.has(key)

    def document(self, record: DocumentRecord) -> Document:
        """The text, outline and issues, as they were read. Raises DamagedIndexError, DocumentNotFoundError."""
        return self._decoded(record, "text", lambda data: decode_document(record, data))

    def tokens(self, record: DocumentRecord) -> DocumentTokens:
        """Token ids and character spans. Raises DamagedIndexError, DocumentNotFoundError."""
        return self._decoded(record, "tokens", lambda data: decode_tokens(record, data))

    def vectors(self, record: DocumentRecord) -> dict[str, NDArray[Any]]:
        """Arrays stored beside the rows, by name. Raises DamagedIndexError, DocumentNotFoundError."""
        return self._decoded(record, "vectors", decode_vectors)

    def _decoded(self, record: DocumentRecord, role: FileRole, decode: Callable[[bytes], T]) -> T:
        """A file beside the manifest, decoded. Its checksum fits, but an index may come from anybody."""
        data = self._side_file(record, role)
        try:
            return decode(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(record.file_path(role), f"it is not what was written ({error})") from error

    def _side_file(self, record: DocumentRecord, role: FileRole) -> bytes:
        """A file beside the manifest, checked; of a remote index from the cache where it is there."""
        sha256 = record.files[role].sha256
        data = None if self._cache is None else self._cache.get(sha256)
        if data is not None and sha256_hex(data) == sha256:
            return data
        data = self._catalog.side_file(record, role)
        if self._cache is not None:
            self._cache.put(sha256_hex(data), data)
        return data

    def prefetch(self, records: Sequence[DocumentRecord]) -> None:
        """Bring what questions to these documents need besides rows into the cache, side by side.

        Does nothing without a cache. What cannot be fetched is left to whoever reads it, and its errors.
        """
        if self._cache is None:
            return
        files = {r.file_path(role): r.files[role] for r in records for role in _ASKED if role in r.files}
        wanted = [path for path, file in files.items() if file.sha256 not in self._cache]
        for start in range(0, len(wanted), _PREFETCHED):
            for path, data in self._files.read_many(wanted[start : start + _PREFETCHED], MAX_TEXT).items():
                if isinstance(data, bytes) and sha256_hex(data) == files[path].sha256:
                    self._cache.put(files[path].sha256, data)

    def places(self, record: DocumentRecord) -> Places | None:
        """Where the text stands; None if that was not kept. Raises DamagedIndexError, DocumentNotFoundError."""
        if "boxes" not in record.files:
            return None
        try:
            return decode_places(self._side_file(record, "boxes"))
        except ValueError as error:
            raise damaged(record.file_path("boxes"), str(error)) from error

    def has_source(self, record: DocumentRecord) -> bool:
        """Whether the index keeps the source file of a document, and it is as long as it must be and not damaged."""
        if not record.source_bytes:
            return False
        try:
            self.source(record).close()
        except DamagedIndexError:
            return False
        return True

    def source(self, record: DocumentRecord) -> BinaryIO:
        """The source file that the index keeps, checked whole; the caller closes it.

        Raises:
            SourceMissingError: none is kept.
            DamagedIndexError: it is missing or damaged.
        """
        if not record.source_bytes:
            raise SourceMissingError(f"The index keeps no source file of {record.name}.", remedy=KEEP_SOURCE)
        path = kept_source_path(record.source_sha256, self.fingerprint.salt)
        try:
            data = self._files.map(path) if self._files.mappable else memoryview(self._files.read(path))
        except FileNotFoundError as error:
            raise damaged(path, "it is missing", remedy=FORCE_SOURCE) from error
        if sha256_hex(data) != record.source_sha256:
            raise damaged(path, "its checksum does not match", remedy=FORCE_SOURCE)
        local = self._files.local_path(path)
        return io.BytesIO(data) if local is None else local.open("rb")

    def segment_files(self, folder: Path | None) -> SegmentFiles:
        """The files of the search index; ``folder`` is where this machine keeps those of a remote index."""
        return SegmentFiles(self._files, folder, self.max_bytes)

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

    # -- chunks not read yet ---------------------------------------------------------------------------------------

    def settled(self, chunk: ChunkRecord) -> ChunkRecord | None:
        """The record of a chunk whose rows are there to be read, None if they must be encoded.

        Of a chunk that the manifest calls unread, the rows may be held in memory, or another process may have left a
        shard that no manifest names yet; such a shard is checked whole.
        """
        if not chunk.unread:
            return chunk
        held = self._held.get(chunk.key)
        if held is not None:
            return ChunkRecord.of_encoded(held, start=chunk.start, end=chunk.end)
        found = find_shard(self._files, chunk.key, self.fingerprint, chunk.end - chunk.start)
        return None if found is None else replace(found, start=chunk.start, end=chunk.end)

    def hold(
        self, chunk: ChunkRecord, keys: Any, values: Any, blocks: Blocks, ranks: Sequence[int] | None = None
    ) -> ChunkRecord:
        """Encode the rows of a chunk as a shard, to be read from memory until ``keep`` has written it.

        Args:
            chunk: as its manifest has it, not read yet.
            keys: [G, Ls, KV, D], unrotated.
            values: the same shape.
            blocks: ``RowLayout.blocks``.
            ranks: of its tokens, where rows are chosen by attention.

        Raises:
            StoreError: shapes or numbers that cannot be stored.
        """
        shard = encode_shard(chunk.key, self.fingerprint.store_dtype, keys, values, blocks, ranks)
        self._held.hold(shard)
        return ChunkRecord.of_encoded(shard, start=chunk.start, end=chunk.end)

    def trim_held(self) -> None:
        """Forget the oldest of the shards that are held and cannot be written, beyond what memory should hold."""
        self._held.trim()

    def keep(
        self,
        document: str,
        chunks: Collection[str] = (),
        *,
        vectors: Mapping[str, NDArray[Any]] | None = None,
        timeout: float = LOCK_TIMEOUT,
        max_bytes: int | None = None,
    ) -> DocumentRecord:
        """Write the shards held for these chunks, and note in the document's manifest that they are read.

        Chunks that another process wrote meanwhile are taken as they are.

        Args:
            document: its key.
            chunks: keys of chunks that ``settled`` or ``hold`` gave records of.
            vectors: see ``IndexWriter.record_read``.
            timeout: seconds to wait for another writer.
            max_bytes: disk budget for this call instead of the store's.

        Returns:
            The document's record as it is now.

        Raises:
            DocumentNotFoundError: it was removed; nothing is written, and the shards held for it are dropped.
            IndexLockedError, DiskBudgetError, DiskFullError: the shards are still held.
            DamagedIndexError: its manifest is damaged.
            StoreError: the index cannot be written to.
        """
        with self.writer(timeout=timeout, max_bytes=max_bytes) as writer:
            if not self._catalog.has(document):
                self._held.drop(chunks)
            record = self._catalog.manifest(document)
            for chunk in record.chunks:
                if not chunk.unread or chunk.key not in chunks:
                    continue
                held = self._held.get(chunk.key)
                if held is not None:
                    writer.put_shard(held)
                else:
                    writer.find_chunk(Chunk(0, chunk.start, chunk.end), chunk.key)
            record = writer.record_read(document, vectors)
        self._held.drop(chunks)
        return record

    # -- writing ---------------------------------------------------------------------------------------------------

    def writer(self, *, timeout: float = LOCK_TIMEOUT, max_bytes: int | None = None) -> IndexWriter:
        """The writer, a context manager. Raises IndexLockedError on entry when another one stays.

        Args:
            timeout: seconds to wait for another writer.
            max_bytes: disk budget for this writer instead of the store's.
        """
        _check_max_bytes(max_bytes)
        bound = self._bound(max_bytes)
        return IndexWriter(self._catalog, self._head, timeout=timeout, max_bytes=bound)

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

    def _bound(self, asked: int | None) -> int | None:
        """The disk budget of a call: as asked, of a tenant never more than its quota."""
        if self._head.tenant is not None:
            return _least(self.max_bytes, asked)
        return self.max_bytes if asked is None else asked

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


def _check_max_bytes(max_bytes: int | None) -> None:
    if max_bytes is not None and max_bytes < 1:
        raise ConfigError(f"max_bytes={max_bytes} must be at least 1.", remedy="Leave it out for no disk budget.")


def _check_max_documents(most: Any) -> None:
    if most is not None and (type(most) is not int or most < 1):
        raise ConfigError(
            f"max_documents={most!r} must be a whole number, 1 or more.", remedy="Leave it out for no bound."
        )


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


def _least(one: int | None, other: int | None) -> int | None:
    given = [bound for bound in (one, other) if bound is not None]
    return min(given, default=None)
