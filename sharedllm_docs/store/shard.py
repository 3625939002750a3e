"""A shard: the stored rows of one chunk, in one safetensors file that describes and checks itself.

The file is ``head | block data``. The head is the safetensors header and the tensors that belong to the chunk as a
whole (the scales of int8 keys); after it,
every tensor is row-major, so that a block (consecutive rows with a checksum of their own) is one range of bytes in
each. The description in the header determines the header's every byte.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import ConfigError, SchemaError, StoreError
from sharedllm_docs.store.canonical import seal, sha256_hex, unseal
from sharedllm_docs.store.formats import FORMATS, RowFormat, Shape, row_format
from sharedllm_docs.store.quantise import as_array
from sharedllm_docs.store.tensorfile import (
    MAX_COUNT,
    METADATA_FIELD,
    TensorSpec,
    are_counts,
    encode_header,
    header_json,
    offsets_of,
)

SHARD_SCHEMA = 1
RANKED_SCHEMA = 2
"""Of a shard whose rows were chosen by attention: it also contains the ranks of the chunk's tokens."""
RANKS = "ranks"

Buffer = bytes | memoryview


def shard_path(key: str) -> str:
    """The path of a chunk's shard, relative to the index."""
    return f"shards/{key[:2]}/{key}.safetensors"


@dataclass(frozen=True)
class Block:
    """A run of rows that is read and checked as a whole.

    Attributes:
        start: first row.
        end: one past the last row.
        sha256: tensor name -> digest of the block's bytes in that tensor.
    """

    start: int
    end: int
    sha256: Mapping[str, str]


@dataclass(frozen=True)
class ShardHead:
    """The description of a shard, as its header holds it.

    Attributes:
        key: the chunk's key.
        dtype: name of the row format.
        shape: [G, Ls, KV, D] of keys and values.
        blocks: contiguous from row 0 to G.
        fixed_sha256: digest of the tensors that belong to the chunk as a whole, in file order.
        ranked: number of tokens whose ranks it contains; 0 for none.
    """

    key: str
    dtype: str
    shape: Shape
    blocks: tuple[Block, ...]
    fixed_sha256: str
    ranked: int = 0

    @cached_property
    def format(self) -> RowFormat:
        return row_format(self.dtype)

    @cached_property
    def specs(self) -> tuple[TensorSpec, ...]:
        """All tensors in file order; ranks, padded to a multiple of 8 bytes, come before the others."""
        return (*((ranks_spec(self.ranked),) if self.ranked else ()), *self.format.specs(self.shape))

    @cached_property
    def fixed(self) -> frozenset[str]:
        """Names of the tensors of the chunk as a whole."""
        return self.format.fixed | {RANKS}

    @cached_property
    def fixed_specs(self) -> tuple[TensorSpec, ...]:
        """Tensors of the chunk as a whole; they come first in the file."""
        return tuple(spec for spec in self.specs if spec.name in self.fixed)

    @cached_property
    def blocked_specs(self) -> tuple[TensorSpec, ...]:
        """Tensors whose first axis is the rows."""
        return tuple(spec for spec in self.specs if spec.name not in self.fixed)

    @cached_property
    def header(self) -> bytes:
        """Length and safetensors header, every byte."""
        payload = {
            "schema": RANKED_SCHEMA if self.ranked else SHARD_SCHEMA,
            "key": self.key,
            "dtype": self.dtype,
            "shape": list(self.shape),
            "blocks": [{"start": b.start, "end": b.end, "sha256": dict(b.sha256)} for b in self.blocks],
            "fixed_sha256": self.fixed_sha256,
            **({"ranked": self.ranked} if self.ranked else {}),
        }
        return encode_header(self.specs, seal(payload).decode("utf-8"))

    @cached_property
    def starts(self) -> Mapping[str, int]:
        """Byte of the file at which each tensor begins."""
        names = [spec.name for spec in self.specs]
        return {name: len(self.header) + offset for name, offset in zip(names, offsets_of(self.specs), strict=False)}

    @property
    def head_bytes(self) -> int:
        """Bytes before the block data: header and fixed tensors."""
        return len(self.header) + sum(spec.num_bytes for spec in self.fixed_specs)

    @property
    def file_bytes(self) -> int:
        """Bytes of the whole file."""
        return len(self.header) + offsets_of(self.specs)[-1]

    @cached_property
    def row_bytes(self) -> int:
        """Stored bytes of one row, in all tensors."""
        return sum(spec.row_bytes for spec in self.blocked_specs)

    def byte_range(self, spec: TensorSpec, start: int, end: int) -> tuple[int, int]:
        """Bytes of the file that hold rows ``[start, end)`` of a blocked tensor."""
        base = self.starts[spec.name]
        return base + start * spec.row_bytes, base + end * spec.row_bytes


def ranks_spec(tokens: int) -> TensorSpec:
    """The tensor that contains the ranks of a chunk's tokens, and -1 in the places that fill it up to 8 bytes."""
    dtype, step = ("I16", 4) if tokens <= 1 << 15 else ("I32", 2)
    return TensorSpec(RANKS, dtype, (-(-tokens // step) * step,))


def parse_head(data: Buffer) -> ShardHead:
    """The description in the first bytes of a shard.

    Raises:
        ValueError: damaged; the message says how.
        SchemaError: written by a newer version.
    """
    metadata = header_json(data).get("__metadata__")
    if not isinstance(metadata, dict) or not isinstance(metadata.get(METADATA_FIELD), str):
        raise ValueError("its header has no description")
    payload = unseal(metadata[METADATA_FIELD].encode("utf-8"))
    if payload.get("schema") not in (SHARD_SCHEMA, RANKED_SCHEMA):
        raise SchemaError(
            f"A shard has schema {payload.get('schema')!r}, this version reads up to {RANKED_SCHEMA}.",
            remedy="Update sharedllm-docs.",
        )
    head = _described(payload)
    if bytes(data[: len(head.header)]) != head.header:
        raise ValueError("its header does not match the description in it")
    return head


def _described(payload: Mapping[str, Any]) -> ShardHead:
    """The head that a description gives. Raises ValueError where it is none that can be."""
    try:
        blocks = [(one["start"], one["end"], one["sha256"]) for one in payload["blocks"]]
        key, dtype, shape, fixed = (payload[name] for name in ("key", "dtype", "shape", "fixed_sha256"))
        ranked = payload["ranked"] if payload["schema"] == RANKED_SCHEMA else 0
    except (KeyError, TypeError) as error:
        raise ValueError(f"its description lacks a field ({error})") from error
    if not all(isinstance(one, str) for one in (key, dtype, fixed)) or dtype not in FORMATS:
        raise ValueError(f"its description names no format ({dtype!r})")
    if not are_counts(shape) or len(shape) != 4 or 0 in shape:
        raise ValueError(f"its shape {shape!r} is not that of rows")
    if not are_counts([ranked]) or (payload["schema"] == RANKED_SCHEMA) != bool(ranked):
        raise ValueError(f"it holds the ranks of {ranked!r} tokens")
    edges = [0, *(end for _start, end, _digests in blocks)]
    starts = [start for start, _end, _digests in blocks]
    if not are_counts(edges) or starts != edges[:-1] or edges != sorted(set(edges)):
        raise ValueError("its blocks do not follow one another")
    if edges[-1] != shape[0] or not all(isinstance(digests, dict) for _start, _end, digests in blocks):
        raise ValueError("its blocks do not cover its rows")
    try:
        head = ShardHead(key, dtype, tuple(shape), tuple(Block(*block) for block in blocks), fixed, ranked)
        if head.file_bytes > MAX_COUNT:
            raise ValueError(f"it describes {head.file_bytes:,} bytes")
    except ConfigError as error:
        raise ValueError(str(error)) from error
    return head


@dataclass(frozen=True)
class EncodedShard:
    """A shard ready to be written.

    Attributes:
        head: its description.
        buffers: the file's bytes, in order.
        head_sha256: digest of the bytes before the block data.
        sha256: digest of the whole file.
    """

    head: ShardHead
    buffers: tuple[Buffer, ...]
    head_sha256: str
    sha256: str


def encode_shard(
    key: str,
    dtype: str,
    keys: Any,
    values: Any,
    blocks: Sequence[tuple[int, int]],
    ranks: Sequence[int] | None = None,
) -> EncodedShard:
    """Encode the rows of a chunk as a shard.

    Args:
        key: the chunk's key.
        dtype: row format.
        keys: [G, Ls, KV, D], unrotated; torch tensor on any device, or array.
        values: the same shape.
        blocks: row ranges, contiguous from 0 to G (``RowLayout.blocks``).
        ranks: of the chunk's tokens (``ContextTree.ranks``), or None.

    Raises:
        StoreError: shapes or blocks that do not fit, or numbers that the format cannot hold.
    """
    keys, values = as_array(keys), as_array(values)
    _check_rows(keys, values, blocks)
    shape: Shape = keys.shape
    stored = row_format(dtype).pack(keys, values)
    ranked = 0 if ranks is None else len(ranks)
    if ranks is not None:
        stored[RANKS] = _packed_ranks(ranks)
    draft = ShardHead(key, dtype, shape, (), "", ranked)
    bodies = {spec.name: _bytes_of(stored[spec.name], spec) for spec in draft.specs}
    fixed = b"".join(bodies[spec.name] for spec in draft.fixed_specs)
    described = tuple(_block(draft, bodies, a, b) for a, b in blocks)
    head = ShardHead(key, dtype, shape, described, sha256_hex(fixed), ranked)
    buffers: tuple[Buffer, ...] = (head.header, *(bodies[spec.name] for spec in head.specs))
    return EncodedShard(head, buffers, sha256_hex(head.header + fixed), _digest_of(buffers))


def check_shard(data: Buffer) -> ShardHead:
    """Check a whole shard against its own description (without a manifest) and return the description.

    Raises:
        ValueError: damaged; the message says where.
    """
    head = parse_head(data)
    if len(data) != head.file_bytes:
        raise ValueError(f"it has {len(data)} bytes instead of {head.file_bytes}")
    if sha256_hex(data[len(head.header) : head.head_bytes]) != head.fixed_sha256:
        raise ValueError("its scales do not match their checksum")
    check_fixed(head, data)
    for block, spec in itertools.product(head.blocks, head.blocked_specs):
        start, end = head.byte_range(spec, block.start, block.end)
        check_block(block, spec, data[start:end])
    return head


def check_block(block: Block, spec: TensorSpec, data: Buffer) -> None:
    """Raise ValueError, naming tensor and rows, unless a block's bytes match their checksum and are numbers."""
    if sha256_hex(data) != block.sha256.get(spec.name):
        raise ValueError(f"rows {block.start}..{block.end - 1} of {spec.name!r} do not match their checksum")
    if not all_finite(spec, data):
        raise ValueError(
            f"rows {block.start}..{block.end - 1} of {spec.name!r} contain a value that is not a finite number"
        )


def check_fixed(head: ShardHead, data: Buffer) -> None:
    """Raise ValueError unless the tensors of the chunk as a whole are finite numbers; ``data`` begins with the head."""
    for spec in head.fixed_specs:
        start = head.starts[spec.name]
        if not all_finite(spec, data[start : start + spec.num_bytes]):
            raise ValueError(f"{spec.name!r} contains a value that is not a finite number")
        if spec.name == RANKS:
            stored = np.frombuffer(data[start : start + spec.num_bytes], spec.numpy_dtype)
            if not _is_order(stored[: head.ranked]) or (stored[head.ranked :] != -1).any():
                raise ValueError(f"{RANKS!r} is not an order of {head.ranked} tokens")


def _is_order(ranks: NDArray[Any]) -> bool:
    """Whether each of 0 .. N - 1 occurs in ``ranks`` [N] once."""
    return bool((np.sort(ranks) == np.arange(len(ranks))).all())


def _packed_ranks(ranks: Sequence[int]) -> NDArray[Any]:
    """Ranks as they are stored. Raises StoreError unless they are an order of the tokens."""
    given = np.asarray(ranks, dtype=np.int64)
    if not len(given) or not _is_order(given):
        raise StoreError(f"The ranks of a chunk's {len(given)} tokens must be each of 0..{len(given) - 1} once.")
    spec = ranks_spec(len(given))
    stored = np.full(spec.shape, -1, spec.numpy_dtype)
    stored[: len(given)] = given
    return stored


def all_finite(spec: TensorSpec, data: Buffer) -> bool:
    """Whether bytes of a tensor contain neither infinite nor undefined numbers, which would spoil every answer."""
    array = np.frombuffer(data, spec.numpy_dtype)
    if spec.dtype == "BF16":
        return not bool(((array & 0x7F80) == 0x7F80).any())
    return array.dtype.kind != "f" or bool(np.isfinite(array).all())


def _check_rows(keys: NDArray[Any], values: NDArray[Any], blocks: Sequence[tuple[int, int]]) -> None:
    if keys.ndim != 4 or keys.shape != values.shape or 0 in keys.shape:
        raise StoreError(
            f"keys {list(keys.shape)} and values {list(values.shape)} must both be [G, Ls, KV, D], none of them 0."
        )
    edges = [0, *(end for _start, end in blocks)]
    if [start for start, _end in blocks] != edges[:-1] or edges != sorted(set(edges)) or edges[-1] != len(keys):
        raise StoreError(f"The blocks {list(blocks)} do not divide the rows 0..{len(keys)} without gap or overlap.")


def _bytes_of(array: NDArray[Any], spec: TensorSpec) -> memoryview:
    contiguous = np.ascontiguousarray(array, dtype=spec.numpy_dtype)
    return contiguous.reshape(-1).view(np.uint8).data


def _block(head: ShardHead, bodies: Mapping[str, memoryview], start: int, end: int) -> Block:
    return Block(
        start,
        end,
        {
            spec.name: sha256_hex(bodies[spec.name][start * spec.row_bytes : end * spec.row_bytes])
            for spec in head.blocked_specs
        },
    )


def _digest_of(buffers: Sequence[Buffer]) -> str:
    digest = hashlib.sha256()
    for buffer in buffers:
        digest.update(buffer)
    return digest.hexdigest()
