"""Writes shards without the writer's lock: any number of workers may do so at once, on any machines.

A shard's name is computed from its tokens and the fingerprint, and an existing one is never overwritten unless it is
damaged. So it does not matter who writes it, or how often; it becomes part of a document when a manifest names it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.store.files import Files
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.records import ChunkRecord
from sharedllm_docs.store.shard import encode_shard, shard_path
from sharedllm_docs.store.sources import find_shard
from sharedllm_docs.store.writer import Blocks


class ShardWriter:
    """Finds and writes the shards of one index.

    Args:
        files: the files of the index.
        fingerprint: of the index.

    Attributes:
        replaced: keys of the shards that took the place of damaged ones.
    """

    def __init__(self, files: Files, fingerprint: Fingerprint) -> None:
        self._files, self._fingerprint = files, fingerprint
        self.replaced: set[str] = set()

    def present(self, keys: Sequence[str]) -> set[str]:
        """Those of the chunks whose shards are there, intact or not."""
        sizes = self._files.sizes_of([shard_path(key) for key in keys])
        return {key for key in keys if shard_path(key) in sizes}

    def find(self, chunk: Chunk, key: str) -> ChunkRecord | None:
        """The record of a shard that is there and passes its check; None where the chunk must be encoded."""
        found = find_shard(self._files, key, self._fingerprint, len(chunk))
        return None if found is None else replace(found, start=chunk.start, end=chunk.end)

    def put(
        self, chunk: Chunk, key: str, keys: Any, values: Any, blocks: Blocks, ranks: Sequence[int] | None
    ) -> ChunkRecord:
        """Write the rows of a chunk, unless another worker was quicker; then its shard is the one that counts.

        Args:
            chunk: its place in the document.
            key: ``chunk_key`` of its tokens.
            keys: [G, Ls, KV, D], unrotated.
            values: the same shape.
            blocks: ``RowLayout.blocks``.
            ranks: of its tokens, where rows are chosen by attention (``ContextTree.ranks``); else None.

        Raises:
            DiskFullError: the disk is full.
            StoreError: shapes or numbers that cannot be stored.
        """
        shard = encode_shard(key, self._fingerprint.store_dtype, keys, values, blocks, ranks)
        if not self._files.create(shard_path(key), shard.buffers):
            there = self.find(chunk, key)
            if there is not None:
                return there
            self._files.write(shard_path(key), shard.buffers)
            self.replaced.add(key)
        return ChunkRecord.of_encoded(shard, start=chunk.start, end=chunk.end)
