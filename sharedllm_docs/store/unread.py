"""One part of ``IndexStore``: chunks that are not read yet, and shards that wait in memory to be written."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.store.opened import LOCK_TIMEOUT, OpenStore
from sharedllm_docs.store.records import ChunkRecord, DocumentRecord
from sharedllm_docs.store.shard import encode_shard
from sharedllm_docs.store.sources import find_shard
from sharedllm_docs.store.writer import Blocks


class UnreadChunks(OpenStore):
    """Finds, holds and writes the rows of chunks that a question has encoded."""

    def settled(self, chunk: ChunkRecord) -> ChunkRecord | None:
        """The record of a chunk whose rows can be read, None if they must be encoded.

        The rows of a chunk that the manifest calls unread may be held in memory, or in a shard by another process that
        no manifest names yet; such a shard is checked completely.
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
        """Drop the oldest of the shards that are held and cannot be written, beyond the memory limit."""
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
        """Write the shards held for these chunks, and record in the document's manifest that they are read.

        Chunks that another process wrote meanwhile are used as they are.

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
