"""Opens shards of a local or remote index. A block is loaded and checked as a whole.

A local shard is mapped into memory: checking a block touches its pages, reading rows afterwards costs no copy. Of a
remote shard, the head and the blocks that are needed are fetched, in one bulk request for all blocks of a question.
"""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import DamagedIndexError
from sharedllm_docs.store.canonical import sha256_hex
from sharedllm_docs.store.catalog import damaged
from sharedllm_docs.store.files import ByteRange, Files
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.records import MAX_SHARD, ChunkRecord
from sharedllm_docs.store.shard import (
    Block,
    Buffer,
    ShardHead,
    check_block,
    check_fixed,
    check_shard,
    parse_head,
    shard_path,
)
from sharedllm_docs.store.tensorfile import TensorSpec

if TYPE_CHECKING:
    import torch

    from sharedllm_docs.store.bytecache import ByteCache

Rows = NDArray[np.int64]


@dataclass
class ReadStats:
    """Rows and bytes read since the store was opened.

    Attributes:
        rows: number of rows handed out.
        row_bytes: stored bytes of these rows.
        checked_bytes: bytes whose checksum was computed.
        fetched_bytes: bytes fetched from a remote store.
        cached_bytes: bytes that came from the disk cache instead.
    """

    rows: int = 0
    row_bytes: int = 0
    checked_bytes: int = 0
    fetched_bytes: int = 0
    cached_bytes: int = 0


class OpenShard:
    """A shard whose head is checked; its blocks are checked as they are loaded.

    Attributes:
        record: the chunk.
        head: its description.
        arrays: stored tensors by name, whole; only rows of loaded blocks may be used.
        loaded: numbers of the blocks that are present and checked.
    """

    def __init__(self, record: ChunkRecord, head: ShardHead, arrays: dict[str, NDArray[Any]]) -> None:
        self.record, self.head, self.arrays = record, head, arrays
        self.loaded: set[int] = set()
        self._block_ends = np.array([block.end for block in head.blocks])
        self._tensors: dict[str, torch.Tensor] | None = None

    def missing_blocks(self, rows: Rows) -> set[int]:
        """Numbers of the blocks that hold ``rows`` and are not loaded."""
        return set(np.unique(np.searchsorted(self._block_ends, rows, side="right")).tolist()) - self.loaded

    @property
    def tensors(self) -> dict[str, torch.Tensor]:
        """The arrays as torch tensors over the same memory."""
        if self._tensors is None:
            self._tensors = {spec.name: _as_tensor(self.arrays[spec.name], spec) for spec in self.head.specs}
        return self._tensors


@dataclass(frozen=True)
class Piece:
    """The bytes of one block in one tensor of a shard."""

    shard: OpenShard
    block: Block
    spec: TensorSpec

    @property
    def range(self) -> ByteRange:
        return (self.shard.record.path, *self.shard.head.byte_range(self.spec, self.block.start, self.block.end))

    @property
    def digest(self) -> str:
        return self.block.sha256[self.spec.name]

    @property
    def rows(self) -> NDArray[Any]:
        return self.shard.arrays[self.spec.name][self.block.start : self.block.end]

    def check(self, data: Buffer) -> None:
        """Raise DamagedIndexError, naming the shard, unless the bytes match their checksum."""
        try:
            check_block(self.block, self.spec, data)
        except ValueError as error:
            raise damaged(self.shard.record.path, str(error)) from error


class ShardSource(ABC):
    """Opens shards and loads their blocks.

    Args:
        files: the files of the index.
        stats: counts what is read.
    """

    def __init__(self, files: Files, stats: ReadStats) -> None:
        self.files, self.stats = files, stats

    @abstractmethod
    def open(self, records: Sequence[ChunkRecord]) -> list[OpenShard]:
        """Open shards and check their heads. Raises FileNotFoundError, DamagedIndexError."""

    def load(self, wanted: Sequence[tuple[OpenShard, int]]) -> None:
        """Load and check blocks, given as shard and block number. Raises FileNotFoundError, DamagedIndexError."""
        pieces = [Piece(s, s.head.blocks[number], spec) for s, number in wanted for spec in s.head.blocked_specs]
        self._load_pieces(pieces)
        self.stats.checked_bytes += sum(piece.rows.nbytes for piece in pieces)
        for shard, number in wanted:
            shard.loaded.add(number)

    @abstractmethod
    def _load_pieces(self, pieces: Sequence[Piece]) -> None:
        """Make the bytes of the pieces present and check them."""


class MappedSource(ShardSource):
    """Shards of a local folder."""

    def open(self, records: Sequence[ChunkRecord]) -> list[OpenShard]:
        return [self._open(record) for record in records]

    def _open(self, record: ChunkRecord) -> OpenShard:
        data = self.files.map(record.path)
        if len(data) != record.bytes:
            raise damaged(record.path, f"it has {len(data)} bytes instead of {record.bytes}")
        head = _checked_head(record, data[: record.head_bytes])
        return OpenShard(record, head, {spec.name: view(head, spec, data) for spec in head.specs})

    def _load_pieces(self, pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            piece.check(piece.rows.reshape(-1).view(np.uint8).data)


class FetchedSource(ShardSource):
    """Shards of a remote index; blocks may be kept in a cache on disk, under their digest."""

    def __init__(self, files: Files, stats: ReadStats, cache: ByteCache | None) -> None:
        super().__init__(files, stats)
        self.cache = cache

    def open(self, records: Sequence[ChunkRecord]) -> list[OpenShard]:
        heads = {record.head_sha256: self._cached(record.head_sha256) for record in records}
        missing = [record for record in records if heads[record.head_sha256] is None]
        fetched = self._fetch([(record.path, 0, record.head_bytes) for record in missing])
        heads |= {record.head_sha256: data for record, data in zip(missing, fetched, strict=True)}
        opened = [self._open(record, heads[record.head_sha256] or b"") for record in records]
        if self.cache is not None:
            for record in missing:  # checked now
                self.cache.put(record.head_sha256, heads[record.head_sha256] or b"")
        return opened

    @staticmethod
    def _open(record: ChunkRecord, data: bytes) -> OpenShard:
        head = _checked_head(record, data)
        arrays = {spec.name: view(head, spec, data) for spec in head.fixed_specs}
        # untouched pages of an empty array take no memory: only loaded blocks do
        try:
            empty = {spec.name: np.empty(spec.shape, spec.numpy_dtype) for spec in head.blocked_specs}
        except (MemoryError, ValueError) as error:
            raise damaged(record.path, f"its {head.file_bytes:,} bytes do not fit into memory") from error
        return OpenShard(record, head, {**arrays, **empty})

    def _load_pieces(self, pieces: Sequence[Piece]) -> None:
        missing = sorted((piece for piece in pieces if not self._from_cache(piece)), key=lambda piece: piece.range)
        for piece, data in zip(missing, self._fetch([piece.range for piece in missing]), strict=True):
            piece.check(data)
            _place(piece, data)
            if self.cache is not None:
                self.cache.put(piece.digest, data)

    def _from_cache(self, piece: Piece) -> bool:
        data = self._cached(piece.digest)
        if data is None:
            return False
        self.stats.cached_bytes += len(data)
        _place(piece, data)
        return True

    def _cached(self, digest: str) -> bytes | None:
        """The bytes with this digest if the cache has them; a wrong entry is dropped, and fetched again."""
        data = self.cache.get(digest) if self.cache is not None else None
        if data is None or self.cache is None:
            return None
        if sha256_hex(data) != digest:
            self.cache.drop(digest)
            return None
        return data

    def _fetch(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        """Bytes of the ranges; ranges that follow one another in a file are one request."""
        joined = list(_join(ranges))
        parts = self.files.read_ranges([(path, sizes[0], sizes[-1]) for path, sizes in joined])
        self.stats.fetched_bytes += sum(map(len, parts))
        return [
            part[start - edges[0] : end - edges[0]]
            for part, (_path, edges) in zip(parts, joined, strict=True)
            for start, end in itertools.pairwise(edges)
        ]


def find_shard(files: Files, key: str, fingerprint: Fingerprint, tokens: int) -> ChunkRecord | None:
    """The record of a shard on disk that no manifest vouches for, checked whole against its own description.

    Its place in a document is left at 0. None if there is no shard, or a damaged one, or one of another dtype, or one
    that lacks the ranks of its tokens though the index chooses rows by them.

    Args:
        files: the files of the index.
        key: of the chunk.
        fingerprint: of the index.
        tokens: number of the chunk's tokens.
    """
    try:
        data = files.read(shard_path(key), MAX_SHARD)
        head = check_shard(data)
    except (FileNotFoundError, ValueError):
        return None
    if (head.key, head.dtype, head.ranked) != (key, fingerprint.store_dtype, fingerprint.ranks_of(tokens)):
        return None
    head_sha256 = sha256_hex(memoryview(data)[: head.head_bytes])
    return ChunkRecord.of(head, head_sha256, sha256_hex(data), start=0, end=0)


def lacking_ranks(files: Files, record: ChunkRecord, wanted: int) -> str | None:
    """What is wrong with the ranks of a shard whose bytes are known to be intact; None if it contains as many as
    wanted.

    Raises:
        FileNotFoundError, DamagedIndexError: the shard is missing, or a file that is not read.
    """
    try:
        held = parse_head(files.read_ranges([(record.path, 0, record.head_bytes)])[0]).ranked
    except ValueError as error:
        return str(error)
    return None if held == wanted else f"it holds the ranks of {held} tokens instead of {wanted}"


def _join(ranges: Sequence[ByteRange]) -> Iterator[tuple[str, list[int]]]:
    """Runs of ranges that follow one another in a file, as path and the edges between them."""
    path, edges = "", [-1]
    for name, start, end in ranges:
        if name == path and start == edges[-1]:
            edges.append(end)
            continue
        if path:
            yield path, edges
        path, edges = name, [start, end]
    if path:
        yield path, edges


def _checked_head(record: ChunkRecord, data: Buffer) -> ShardHead:
    if sha256_hex(data) != record.head_sha256:
        raise damaged(record.path, "its head does not match the checksum in the manifest")
    try:
        head = parse_head(data)
        check_fixed(head, data)
    except ValueError as error:
        raise damaged(record.path, str(error)) from error
    if (head.key, head.shape[0], head.file_bytes) != (record.key, record.rows, record.bytes):
        raise DamagedIndexError(f"{record.path} does not fit its manifest.", paths=(record.path,))
    return head


def view(head: ShardHead, spec: TensorSpec, data: Buffer) -> NDArray[Any]:
    """A stored tensor as an array over the bytes of its shard."""
    start = head.starts[spec.name]
    return np.frombuffer(data[start : start + spec.num_bytes], spec.numpy_dtype).reshape(spec.shape)


def _place(piece: Piece, data: bytes) -> None:
    piece.rows[...] = np.frombuffer(data, piece.spec.numpy_dtype).reshape(piece.rows.shape)


def _as_tensor(array: NDArray[Any], spec: TensorSpec) -> torch.Tensor:
    import torch

    if not array.flags.writeable:
        array = array.copy()  # torch shares writable memory only; this concerns the small scales of a fetched head
    if spec.dtype == "BF16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)
