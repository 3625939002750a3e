"""Shards that are in memory and not yet on disk: encoded for a question, injected immediately and written afterwards.

Rows are read from them as from a file, with the same quantisation, so an answer does not depend on where they are.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection

from sharedllm_docs.store.records import ChunkRecord
from sharedllm_docs.store.shard import EncodedShard
from sharedllm_docs.store.sources import OpenShard, view

MAX_HELD_BYTES = 512 << 20
"""Maximum size of the shards that wait in memory between questions; the oldest beyond it are not read again."""


class HeldShards:
    """Shards in memory, by the key of their chunk. Safe to use from several threads."""

    def __init__(self) -> None:
        self._shards: OrderedDict[str, EncodedShard] = OrderedDict()
        self._lock = threading.Lock()

    def hold(self, shard: EncodedShard) -> None:
        """Keep a shard until it is dropped or trimmed."""
        with self._lock:
            self._shards[shard.head.key] = shard
            self._shards.move_to_end(shard.head.key)

    def trim(self) -> None:
        """Forget the oldest shards beyond ``MAX_HELD_BYTES``. Not done while a question still needs what it holds."""
        with self._lock:
            size = sum(held.head.file_bytes for held in self._shards.values())
            while size > MAX_HELD_BYTES and len(self._shards) > 1:
                size -= self._shards.popitem(last=False)[1].head.file_bytes

    def drop(self, keys: Collection[str]) -> None:
        """Forget shards, as they are on disk now or no document needs them."""
        with self._lock:
            for key in keys:
                self._shards.pop(key, None)

    def get(self, key: str) -> EncodedShard | None:
        """The shard of a chunk, None if it is not held."""
        with self._lock:
            return self._shards.get(key)

    def open(self, record: ChunkRecord) -> OpenShard | None:
        """The shard of that very record, ready to read from; None if it is not held."""
        shard = self.get(record.key)
        if shard is None or shard.sha256 != record.sha256:
            return None
        data = memoryview(bytearray().join(shard.buffers))  # writable: torch shares no other memory
        opened = OpenShard(record, shard.head, {spec.name: view(shard.head, spec, data) for spec in shard.head.specs})
        opened.loaded = set(range(len(shard.head.blocks)))
        return opened
