"""Putting documents into an index: shards first, side files next, the manifest by atomic rename last.

A crash at any moment leaves the existing documents unchanged, and shards that the next attempt uses again: a shard's
name is computed from its tokens and the fingerprint, so finished work is recognised because its file exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import Any

from numpy.typing import NDArray

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.errors import (
    ConfigError,
    DamagedDocumentError,
    DamagedIndexError,
    DocumentNotFoundError,
    StoreError,
)
from sharedllm_docs.store.background import BackgroundWriter
from sharedllm_docs.store.budget import check_budget, present_bytes
from sharedllm_docs.store.canonical import sha256_hex
from sharedllm_docs.store.catalog import MAX_TEXT, Catalog, IndexHead
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.maintenance import migrate_files, remove_document
from sharedllm_docs.store.records import (
    ChunkRecord,
    DocumentRecord,
    FileRecord,
    FileRole,
    decode_document,
    encode_places,
    encode_vectors,
    kept_source_path,
    record_of,
    side_files,
)
from sharedllm_docs.store.shard import Buffer, EncodedShard, encode_shard, shard_path
from sharedllm_docs.store.sources import find_shard, lacking_ranks

Blocks = Sequence[tuple[int, int]]


class IndexWriter:
    """The one writer of an index; a context manager that holds the lock.

    Leaving the block, also by an error or Ctrl-C, first finishes the shards already handed over, so that they are
    not encoded again.

    Args:
        catalog: the catalog of the index.
        head: what ``index.json`` says.
        timeout: seconds to wait for the lock.
        max_bytes: disk budget of the whole index, None without one.
    """

    def __init__(self, catalog: Catalog, head: IndexHead, *, timeout: float, max_bytes: int | None) -> None:
        self._catalog, self._files, self._head = catalog, catalog.files, head
        self._timeout, self._max_bytes = timeout, max_bytes
        self._lock = self._files.lock()
        self._known: dict[str, ChunkRecord] = {}
        self._present = 0
        self._replaced = False
        self._background: BackgroundWriter | None = None

    def __enter__(self) -> IndexWriter:
        self._lock.acquire(self._timeout)
        try:
            migrate_files(self._catalog)
            self._present = present_bytes(self._files) if self._max_bytes is not None else 0
            self._background = BackgroundWriter()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._running.close()
            if self._replaced:
                self._update_manifests()
        except Exception:
            # the error that is being raised already says what went wrong; a shard that is lost with it is encoded again
            if error is None:
                raise
        finally:
            self._background = None
            self._lock.release()

    @property
    def _running(self) -> BackgroundWriter:
        if self._background is None:
            raise StoreError("The writer is not open.", remedy="Use it as a context manager: with store.writer() as w.")
        return self._background

    @property
    def fingerprint(self) -> Fingerprint:
        """The fingerprint of the index, from which names of chunks are computed."""
        return self._head.fingerprint

    # -- chunks ----------------------------------------------------------------------------------------------------

    def find_chunk(self, chunk: Chunk, key: str) -> ChunkRecord | None:
        """The record of a shard that can be used again for ``chunk``, None where it must be encoded.

        A shard found on disk is checked completely against its own checksums; a damaged one counts as missing.
        """
        found = self._find(key, len(chunk))
        return None if found is None else replace(found, start=chunk.start, end=chunk.end)

    def take_chunks(self, records: Sequence[ChunkRecord], *, mend: bool = False) -> set[str]:
        """Accept shards as stored that a worker without the lock wrote or checked.

        Only their sizes are checked, and if rows are chosen by attention their heads, which must contain the ranks of
        the tokens.

        Args:
            records: as the workers gave them.
            mend: whether one of them replaced a damaged shard; then the manifests that name it are updated.

        Returns:
            Keys of the chunks whose shards exist.
        """
        sizes = self._files.sizes_of([record.path for record in records])
        there = {record.key: record for record in records if sizes.get(record.path) == record.bytes}
        there = {key: record for key, record in there.items() if self._as_ranked(record)}
        self._known |= there
        self._replaced = self._replaced or mend
        return set(there)

    def _as_ranked(self, record: ChunkRecord) -> bool:
        ranks = self._head.fingerprint.ranks_of(record.end - record.start)
        return not ranks or lacking_ranks(self._files, record, ranks) is None

    def _find(self, key: str, tokens: int) -> ChunkRecord | None:
        if key not in self._known:
            found = find_shard(self._files, key, self._head.fingerprint, tokens)
            if found is None:
                return None
            self._known[key] = found
        return self._known[key]

    def put_chunk(
        self, chunk: Chunk, key: str, keys: Any, values: Any, blocks: Blocks, ranks: Sequence[int] | None = None
    ) -> ChunkRecord:
        """Store the rows of a chunk. Returns once they are encoded; a thread writes them in the background.

        Args:
            chunk: its place in the document.
            key: ``chunk_key`` of its tokens.
            keys: [G, Ls, KV, D], unrotated.
            values: the same shape.
            blocks: ``RowLayout.blocks``.
            ranks: of its tokens, where rows are chosen by attention (``ContextTree.ranks``).

        Raises:
            DiskBudgetError: the shard would exceed the budget; it is not written.
            DiskFullError: this or an earlier shard could not be written; what was stored stays.
            StoreError: shapes or numbers that cannot be stored.
        """
        found = self.find_chunk(chunk, key)
        if found is not None:
            return found
        return self._put(chunk, key, keys, values, blocks, ranks)

    def replace_chunk(
        self, chunk: Chunk, key: str, keys: Any, values: Any, blocks: Blocks, ranks: Sequence[int] | None = None
    ) -> ChunkRecord:
        """Store the rows of a chunk whose shard is damaged or missing, and update every manifest that names it.

        Encoding again need not give the same bits (another machine, another batch), so the checksums in the
        manifests change with the shard.
        """
        record = self._put(chunk, key, keys, values, blocks, ranks)
        self._running.flush()
        self._update_manifests()
        return record

    def put_shard(self, shard: EncodedShard) -> ChunkRecord:
        """Store a shard that is already encoded, unless it exists; its place in a document is left at 0.

        Raises as ``put_chunk``.
        """
        return self._find(shard.head.key, shard.head.ranked) or self._write(shard)

    def _put(
        self, chunk: Chunk, key: str, keys: Any, values: Any, blocks: Blocks, ranks: Sequence[int] | None
    ) -> ChunkRecord:
        record = self._write(encode_shard(key, self._head.fingerprint.store_dtype, keys, values, blocks, ranks))
        return replace(record, start=chunk.start, end=chunk.end)

    def _write(self, shard: EncodedShard) -> ChunkRecord:
        key = shard.head.key
        replaces = self._files.exists(shard_path(key))
        if not replaces:
            self._count(shard.head.file_bytes)
        self._replaced = self._replaced or replaces
        self._running.submit(partial(self._write_shard, shard))
        record = ChunkRecord.of_encoded(shard, start=0, end=0)
        self._known[key] = record
        return record

    def _write_shard(self, shard: EncodedShard) -> None:
        self._lock.renew()
        self._files.write(shard_path(shard.head.key), shard.buffers)

    def _count(self, size: int) -> None:
        check_budget(size, self._present, self._max_bytes)
        self._present += size

    # -- documents -------------------------------------------------------------------------------------------------

    def commit(
        self,
        document: Document,
        chunks: Sequence[ChunkRecord],
        tokens: DocumentTokens,
        vectors: Mapping[str, NDArray[Any]],
        *,
        created: str,
        source: Buffer | None = None,
        source_path: str = "",
    ) -> DocumentRecord:
        """Make a document part of the index. Readers see it when this returns, and not before.

        A document that exists already, intact and with the same shards, keeps its name, date and files. It takes over
        the metadata and issues of ``document``, and boxes and source if it has none.

        Args:
            document: as read.
            chunks: records from ``put_chunk`` or ``find_chunk``, in document order; those of chunks that are to be
                read later from ``ChunkRecord.not_read``.
            tokens: the document's tokens.
            vectors: float arrays by name, stored beside the rows.
            created: UTC time, ISO 8601.
            source: the bytes that the document was read from, to be kept; None keeps none.
            source_path: where the source file is, noted if it is not kept.

        Raises:
            DamagedDocumentError: ``source`` is not what the document was read from.
            StoreError: chunks that do not cover the tokens, or that this writer has neither put nor found.
            ConfigError: arrays of another dtype, ``created`` empty.
            DiskBudgetError, DiskFullError: see ``put_chunk``.
        """
        self._check_commit(chunks, tokens, created)
        self._running.flush()
        files = side_files(document, tokens, vectors)
        _check_text(files["text"], document.name)
        record = record_of(
            document,
            chunks,
            len(tokens),
            files,
            fingerprint=self._head.fingerprint.digest(),
            created=created,
            source_bytes=0 if source is None else len(source),
            source_path=source_path if source is None else "",
            salt=self._catalog.salt,
        )
        existing = self._intact(record.key)
        if existing is not None and existing.chunks == record.chunks and self._fits(existing, document):
            existing = self._changed(existing, metadata=record.metadata, issues=record.issues)
            return self.supplement(existing.key, document.places, source, source_path)
        self._write_document(record, files, source)
        return record

    def _write_document(self, record: DocumentRecord, files: Mapping[FileRole, bytes], source: Buffer | None) -> None:
        """Write the source, the side files and finally the manifest, which makes the document visible."""
        manifest = self._catalog.sealed(record.to_dict())
        self._count(sum(map(len, files.values())) + len(manifest))
        self._lock.renew()
        self._keep_source(record.source_sha256, source, record.name)
        for role, data in files.items():
            self._files.write(record.file_path(role), [data])
        self._files.write(record.path, [manifest])
        self._catalog.remember(record, manifest)
        if self._replaced:  # a damaged shard that was encoded again may belong to other documents too
            self._update_manifests()

    def supplement(
        self, key: str, places: Places | None = None, source: Buffer | None = None, source_path: str = ""
    ) -> DocumentRecord:
        """Add to an existing document what it lacks: boxes, and the file that it was read from.

        Args:
            key: of the document.
            places: where its text is printed; stored if the document has none.
            source: the bytes that it was read from, to be kept; None leaves the present source.
            source_path: where the source file is, noted if none is kept.

        Returns:
            The record as it is now.

        Raises:
            DocumentNotFoundError, DamagedIndexError: see ``update_metadata``.
            DamagedDocumentError: ``source`` is not what the document was read from.
            DiskBudgetError, DiskFullError: see ``put_chunk``; the manifest stays as it was.
        """
        record = self._catalog.manifest(key)
        changed = record
        if places is not None and "boxes" not in record.files:
            data = encode_places(places)
            changed = replace(record, files={**record.files, "boxes": FileRecord.of("boxes", data, self._catalog.salt)})
            self._count(len(data))
            self._lock.renew()
            self._files.write(changed.file_path("boxes"), [data])
        if source is not None:
            self._keep_source(record.source_sha256, source, record.name)
            changed = replace(changed, source_bytes=len(source), source_path="")
        elif source_path and not record.source_bytes:
            changed = replace(changed, source_path=source_path)
        names = ("files", "source_bytes", "source_path")
        return self._changed(record, **{name: getattr(changed, name) for name in names})

    def _keep_source(self, sha256: str, source: Buffer | None, name: str) -> None:
        """Write the source file, unless an intact one exists: documents with the same bytes share it."""
        if source is None:
            return
        if sha256_hex(source) != sha256:
            raise DamagedDocumentError(f"{name} changed while it was read.", remedy="Add it again.")
        path = kept_source_path(sha256, self._catalog.salt)
        there = self._files.sizes("sources").get(path)
        if there == len(source) and sha256_hex(self._files.read(path)) == sha256:
            return
        self._count(len(source) - (there or 0))
        self._lock.renew()
        self._files.write(path, [memoryview(source)])

    def record_read(self, key: str, vectors: Mapping[str, NDArray[Any]] | None = None) -> DocumentRecord:
        """Note in a document's manifest which of its chunks are read now: those that this writer has put or found.

        Args:
            key: of the document.
            vectors: the document's arrays, to take the place of those stored; None leaves these.

        Returns:
            The record as it is now.

        Raises:
            DocumentNotFoundError: there is no document of that key.
            DamagedIndexError: its manifest is damaged.
            DiskBudgetError, DiskFullError: see ``put_chunk``; the manifest stays as it was.
        """
        self._running.flush()
        record = self._catalog.manifest(key)
        chunks = tuple(self._current(chunk) for chunk in record.chunks)
        if vectors is None:
            return self._changed(record, chunks=chunks)
        data = encode_vectors(vectors)
        file = FileRecord.of("vectors", data, self._catalog.salt)
        changed = replace(record, chunks=chunks, files={**record.files, "vectors": file})
        if file != record.files["vectors"]:
            self._count(file.bytes)
            self._lock.renew()
            self._files.write(changed.file_path("vectors"), [data])
        changed = self._changed(record, chunks=chunks, files=changed.files)
        # readers that look for the old file after this read the manifest again and find the new name
        if file != record.files["vectors"]:
            self._files.remove(record.file_path("vectors"))
        return changed

    def update_metadata(self, key: str, metadata: Mapping[str, str]) -> DocumentRecord:
        """Set these metadata of a document and keep its others; returns the record as it is now.

        Raises:
            DocumentNotFoundError: there is no document of that key.
            DamagedIndexError: its manifest is damaged.
            DiskBudgetError: the longer manifest would exceed the budget; the metadata stay as they were.
        """
        record = self._catalog.manifest(key)
        return self._changed(record, metadata={**record.metadata, **metadata})

    def rename(self, key: str, name: str) -> DocumentRecord:
        """Give a document another name; returns the record as it is now. Raises as ``update_metadata``."""
        return self._changed(self._catalog.manifest(key), name=name)

    def _changed(self, record: DocumentRecord, **changes: Any) -> DocumentRecord:
        """Replace the manifest by that of the changed record, unless they are equal."""
        changed = replace(record, **changes)
        if changed == record:
            return record
        before, after = (self._catalog.sealed(one.to_dict()) for one in (record, changed))
        self._count(max(len(after) - len(before), 0))
        self._lock.renew()
        self._files.write(changed.path, [after])
        return changed

    def remove(self, key: str) -> None:
        """Remove the document of that key, under the lock that is already held; its shards stay until pruned."""
        self._lock.renew()
        remove_document(self._catalog, key)

    def _check_commit(self, chunks: Sequence[ChunkRecord], tokens: DocumentTokens, created: str) -> None:
        edges = [0, *(chunk.end for chunk in chunks)]
        if [chunk.start for chunk in chunks] != edges[:-1] or edges[-1] != len(tokens) or not chunks:
            raise StoreError(f"The chunks do not cover the document's {len(tokens)} tokens without gap or overlap.")
        unknown = [chunk.key for chunk in chunks if chunk.key not in self._known and chunk != _not_read(chunk)]
        if unknown:
            raise StoreError(f"The chunk {unknown[0]} was not stored.", remedy="Use put_chunk or find_chunk first.")
        if not created:
            raise ConfigError("created='' must be a UTC time.", remedy="Give the time in ISO 8601.")

    def _intact(self, key: str) -> DocumentRecord | None:
        """The document of that key if its manifest and side files are intact."""
        try:
            record = self._catalog.manifest(key)
            for role in record.files:
                self._catalog.side_file(record, role)
        except (DocumentNotFoundError, DamagedIndexError):
            return None
        return record

    def _fits(self, existing: DocumentRecord, document: Document) -> bool:
        """Whether the places of ``document`` are those of the text that is stored."""
        if document.places is None:
            return True
        stored = decode_document(existing, self._catalog.side_file(existing, "text"))
        return stored.text == document.text

    def _update_manifests(self) -> None:
        """Update the chunk records of all manifests to the shards of this writer."""
        records, _damages = self._catalog.scan()
        for record in records:
            chunks = tuple(self._current(chunk) for chunk in record.chunks)
            if chunks != record.chunks:
                self._catalog.save(record.path, replace(record, chunks=chunks).to_dict())

    def _current(self, chunk: ChunkRecord) -> ChunkRecord:
        known = self._known.get(chunk.key)
        return chunk if known is None else replace(known, start=chunk.start, end=chunk.end)


def _not_read(chunk: ChunkRecord) -> ChunkRecord:
    """The record that the chunk would have if it were not read yet."""
    return ChunkRecord.not_read(chunk.key, chunk.rows, start=chunk.start, end=chunk.end)


def _check_text(text: bytes, name: str) -> None:
    """Raise StoreError for the text of a document that is too long for an index."""
    if len(text) > MAX_TEXT:
        raise StoreError(
            f"The text of {name} takes {len(text):,} bytes, an index holds {MAX_TEXT:,} at most.",
            remedy="Split the document, or read part of its pages.",
        )
