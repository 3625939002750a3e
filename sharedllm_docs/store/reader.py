"""Reads rows of any chunks, straight from open shards into the tensors of a question.

A block is the unit of reading and checking: asking for one of its rows reads the whole block, once per process. What
was checked once is not checked again, except by the next process or by ``verify``.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import ConfigError, StoreError
from sharedllm_docs.store.catalog import Catalog, damaged
from sharedllm_docs.store.held import HeldShards
from sharedllm_docs.store.records import ChunkRecord
from sharedllm_docs.store.shard import RANKS
from sharedllm_docs.store.sources import FetchedSource, MappedSource, OpenShard, ReadStats, Rows, ShardSource

if TYPE_CHECKING:
    import torch

    from sharedllm_docs.store.bytecache import ByteCache

MAX_OPEN_SHARDS = 1024
MAX_FETCHED_BYTES = 512 << 20

Layout = Literal["heads_first", "rows_first"]
RowNumbers = Sequence[int] | NDArray[Any]


@dataclass(frozen=True)
class GatheredRows:
    """Rows of one or more chunks, one after the other.

    Attributes:
        keys: unrotated; [Ls, KV, R, D] (``heads_first``) or [R, Ls, KV, D] (``rows_first``), contiguous.
        values: the same shape.
        bytes_read: stored bytes of these rows.
    """

    keys: torch.Tensor
    values: torch.Tensor
    bytes_read: int


class ShardReader:
    """Opens shards and keeps them open. Safe to use from several threads.

    Args:
        catalog: the catalog of the index.
        cache: keeps blocks of a remote index on disk; None for no cache.
        held: shards that are in memory and perhaps not on disk.
    """

    def __init__(self, catalog: Catalog, cache: ByteCache | None = None, held: HeldShards | None = None) -> None:
        self.stats = ReadStats()
        self._held = held or HeldShards()
        self._catalog = catalog
        files = catalog.files
        self._remote = not files.mappable
        self._source: ShardSource = (
            MappedSource(files, self.stats) if files.mappable else FetchedSource(files, self.stats, cache)
        )
        self._open: OrderedDict[tuple[str, str], OpenShard] = OrderedDict()
        self._lock = threading.Lock()

    def gather(
        self,
        parts: Sequence[tuple[ChunkRecord, RowNumbers]],
        dtype: torch.dtype,
        *,
        layout: Layout = "heads_first",
        device: torch.device | str = "cpu",
    ) -> GatheredRows:
        """Rows of several chunks, of one or more documents, in the order given.

        Args:
            parts: chunk and its row numbers (any order, repeats allowed).
            dtype: dtype of the result; stored numbers of another dtype are converted.
            layout: see ``GatheredRows``.
            device: device of the result; stored bytes travel there and are converted there.

        Raises:
            StoreError: ``parts`` is empty, a row that a chunk does not have, chunks of different shapes, or a chunk
                that is not read yet.
            ConfigError: an unknown layout.
            DamagedIndexError: a shard is missing or its bytes are wrong; nothing is returned.
            DocumentNotFoundError: the document was removed meanwhile.
        """
        import torch

        if layout not in get_args(Layout):
            raise ConfigError(f"layout={layout!r} is not one of {', '.join(get_args(Layout))}.")
        numbered = [(record, _row_numbers(record, rows)) for record, rows in parts]
        shards = self._loaded(numbered)
        layers, heads, dims = _common_shape(shards)
        total = sum(len(rows) for _record, rows in numbered)
        shape = (layers, heads, total, dims) if layout == "heads_first" else (total, layers, heads, dims)
        keys = torch.empty(shape, dtype=dtype, device=device)
        values = torch.empty(shape, dtype=dtype, device=device)
        _fill(shards, [rows for _record, rows in numbered], *(_rows_first(out, layout) for out in (keys, values)))
        read = sum(len(rows) * s.head.row_bytes for s, (_record, rows) in zip(shards, numbered, strict=True))
        return GatheredRows(keys, values, read)

    def ranks(self, records: Sequence[ChunkRecord]) -> list[tuple[int, ...]]:
        """The ranks of the tokens of chunks whose rows were chosen by attention.

        Raises:
            StoreError: a chunk that is not read yet.
            DamagedIndexError: a shard is missing, damaged, or contains the ranks of more or fewer tokens.
            DocumentNotFoundError: the document was removed meanwhile.
        """
        for record in records:
            _row_numbers(record, ())
        with self._lock:
            try:
                shards = self._opened(records)
            except FileNotFoundError as error:
                raise self._catalog.missing_shard(list(records)) from error
            self._forget_oldest()
        return [_ranks(shard, record) for shard, record in zip(shards, records, strict=True)]

    def close(self) -> None:
        """Forget all shards."""
        with self._lock:
            self._open.clear()

    def _loaded(self, parts: Sequence[tuple[ChunkRecord, Rows]]) -> list[OpenShard]:
        """The shard of each part, with the blocks of its rows present and checked."""
        with self._lock:
            try:
                shards = self._opened([record for record, _rows in parts])
                wanted = {
                    (shard.record.path, number): (shard, number)
                    for shard, (_record, rows) in zip(shards, parts, strict=True)
                    for number in sorted(shard.missing_blocks(rows))
                }
                self._source.load(list(wanted.values()))
            except FileNotFoundError as error:
                raise self._catalog.missing_shard([record for record, _rows in parts]) from error
            self._forget_oldest()
            for shard, (_record, rows) in zip(shards, parts, strict=True):
                self.stats.rows += len(rows)
                self.stats.row_bytes += len(rows) * shard.head.row_bytes
            return shards

    def _opened(self, records: Sequence[ChunkRecord]) -> list[OpenShard]:
        # a shard that was encoded again has another digest, so an old mapping is never taken for it
        wanted = {(record.key, record.sha256): record for record in records}
        held = {name: shard for name, record in wanted.items() if (shard := self._held.open(record)) is not None}
        missing = [name for name in wanted if name not in self._open and name not in held]
        for name, shard in zip(missing, self._source.open([wanted[name] for name in missing]), strict=True):
            self._open[name] = shard
        for name in wanted.keys() - held.keys():
            self._open.move_to_end(name)
        return [held.get((r.key, r.sha256)) or self._open[r.key, r.sha256] for r in records]

    def _forget_oldest(self) -> None:
        """Keep the number of mappings, and the memory of fetched blocks, within bounds. Shards in use live on."""
        held = sum(_loaded_bytes(shard) for shard in self._open.values()) if self._remote else 0
        while len(self._open) > MAX_OPEN_SHARDS or (held > MAX_FETCHED_BYTES and len(self._open) > 1):
            _name, shard = self._open.popitem(last=False)
            held -= _loaded_bytes(shard) if self._remote else 0


def _ranks(shard: OpenShard, record: ChunkRecord) -> tuple[int, ...]:
    tokens = record.end - record.start
    if shard.head.ranked != tokens:
        raise damaged(record.path, f"it holds the ranks of {shard.head.ranked} tokens instead of {tokens}")
    return tuple(shard.arrays[RANKS][:tokens].tolist())


def _row_numbers(record: ChunkRecord, rows: RowNumbers) -> Rows:
    if record.unread:
        raise StoreError(
            f"The chunk of tokens {record.start}..{record.end - 1} is not read yet.",
            remedy="Ask a question that needs it, or read the rest (Index.read, `sharedllm-docs read`).",
        )
    numbers = np.asarray(rows, dtype=np.int64).reshape(-1)
    if len(numbers) and not (numbers.min() >= 0 and numbers.max() < record.rows):
        raise StoreError(
            f"Rows {numbers.min()}..{numbers.max()} reach beyond the chunk's {record.rows} rows.",
            remedy=f"Ask for rows 0..{record.rows - 1}.",
        )
    return numbers


def _common_shape(shards: Sequence[OpenShard]) -> tuple[int, int, int]:
    shapes = {shard.head.shape[1:] for shard in shards}
    if len(shapes) != 1:
        raise StoreError(
            f"Rows of shapes {sorted(shapes)} cannot be joined." if shapes else "No chunk was asked for.",
            remedy="Ask for rows of at least one chunk, all of one index.",
        )
    return shapes.pop()


def _fill(shards: Sequence[OpenShard], rows: Sequence[Rows], keys: torch.Tensor, values: torch.Tensor) -> None:
    """Convert the rows of each shard into its stretch of ``keys`` and ``values`` [R, Ls, KV, D]."""
    start = 0
    for shard, numbers in zip(shards, rows, strict=True):
        end = start + len(numbers)
        if end > start:
            chosen = _choose(shard, numbers, keys.device)
            shard.head.format.unpack_into(chosen, keys[start:end], values[start:end])
        start = end


def _choose(shard: OpenShard, rows: Rows, device: torch.device) -> dict[str, torch.Tensor]:
    """Stored tensors by name on ``device``: the chosen rows of blocked ones, the fixed ones whole."""
    selection = _selection(rows)
    fixed = shard.head.fixed
    return {
        name: (tensor if name in fixed else _take(tensor, selection)).to(device)
        for name, tensor in shard.tensors.items()
        if name != RANKS
    }


def _selection(rows: Rows) -> slice | torch.Tensor:
    """Evenly spaced rows, such as a node's, as a slice (no copy); any others as an index."""
    import torch

    step = int(rows[1] - rows[0]) if len(rows) > 1 else 1
    if step > 0 and (np.diff(rows) == step).all():
        return slice(int(rows[0]), int(rows[-1]) + 1, step)
    return torch.from_numpy(rows)


def _take(tensor: torch.Tensor, selection: slice | torch.Tensor) -> torch.Tensor:
    return tensor[selection] if isinstance(selection, slice) else tensor.index_select(0, selection)


def _rows_first(out: torch.Tensor, layout: Layout) -> torch.Tensor:
    """A view [R, Ls, KV, D] of the result."""
    return out.permute(2, 0, 1, 3) if layout == "heads_first" else out


def _loaded_bytes(shard: OpenShard) -> int:
    blocks = (shard.head.blocks[number] for number in shard.loaded)
    return sum(block.end - block.start for block in blocks) * shard.head.row_bytes
