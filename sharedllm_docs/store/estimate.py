"""How many bytes a document will take, before anything is encoded.

Shards, tokens, vectors, boxes and source are exact: headers of shards are built with blank digests. Text and manifest
depend on the document's wording and are near 1 % of the whole in practice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.store.canonical import canonical_bytes
from sharedllm_docs.store.records import ChunkRecord
from sharedllm_docs.store.shard import Block, ShardHead
from sharedllm_docs.store.tensorfile import TensorSpec, encode_header, offsets_of

TEXT_BYTES_PER_TOKEN = 4.3
"""English prose in a byte-pair vocabulary of some 50,000 (R-intro, 72,413 tokens), as JSON."""

MANIFEST_BYTES = 1300
"""A manifest without its chunks."""

_DIGEST = "0" * 64


@dataclass(frozen=True)
class VectorSize:
    """One array of ``vectors.safetensors``.

    Attributes:
        per: ``leaf``, ``node`` or ``chunk``, each of which has one row.
        dims: numbers per row.
        dtype: safetensors name, ``F32`` or ``F16``.
    """

    per: str
    dims: int
    dtype: str = "F32"


@dataclass(frozen=True)
class SizeEstimate:
    """Bytes by part.

    Attributes:
        rows: keys and values with the scales of single tokens.
        heads: headers of the shards, with scales of whole chunks and ranks of their tokens.
        tokens: ids and character spans.
        vectors: vectors of leaves and nodes.
        content: text and outline.
        manifest: the document's manifest.
        num_tokens: number of tokens of the document.
        chunk_bytes: size of each chunk's shard, in order.
        boxes: where the text is printed on the pages.
        source: the file that the document is read from, if it is kept.
    """

    rows: int
    heads: int
    tokens: int
    vectors: int
    content: int
    manifest: int
    num_tokens: int
    chunk_bytes: tuple[int, ...] = field(repr=False, default=())
    boxes: int = 0
    source: int = 0

    @property
    def total(self) -> int:
        """All parts together."""
        return sum(self.parts().values())

    @property
    def per_token(self) -> float:
        """Bytes per token of the document."""
        return self.total / self.num_tokens if self.num_tokens else 0.0

    def parts(self) -> dict[str, int]:
        """Part -> bytes, the largest first."""
        names = ("rows", "heads", "tokens", "vectors", "content", "boxes", "source", "manifest")
        return dict(sorted(((name, getattr(self, name)) for name in names), key=lambda item: -item[1]))


def estimate_bytes(
    num_tokens: int,
    profile: Profile,
    *,
    kv_heads: int,
    head_dim: int,
    vectors: Mapping[str, VectorSize] | None = None,
    text_bytes: int | None = None,
    box_bytes: int = 0,
    source_bytes: int = 0,
) -> SizeEstimate:
    """Size of a document in the index.

    Args:
        num_tokens: number of tokens of the document.
        profile: a resolved profile.
        kv_heads: number of the model's key/value heads.
        head_dim: dimension of a head.
        vectors: arrays stored beside the rows.
        text_bytes: bytes of the text file if known; otherwise guessed from the number of tokens.
        box_bytes: bytes of the boxes file.
        source_bytes: bytes of the source file if it is kept.

    Raises:
        ConfigError: the profile's layers are not resolved.
    """
    trees = [ContextTree(profile, len(chunk)) for chunk in split_into_chunks(num_tokens, profile.chunk_tokens)]
    shape = (len(profile.injection_layers), kv_heads, head_dim)
    # all chunks but the last are alike
    heads = {tree.num_tokens: _shard_head(tree, *shape) for tree in trees}
    shards = [heads[tree.num_tokens] for tree in trees]
    chunk_bytes = tuple(head.file_bytes for head in shards)
    head_bytes = sum(head.head_bytes for head in shards)
    content = int(num_tokens * TEXT_BYTES_PER_TOKEN) if text_bytes is None else text_bytes
    return SizeEstimate(
        rows=sum(chunk_bytes) - head_bytes,
        heads=head_bytes,
        tokens=_file_bytes([TensorSpec(name, "I32", (num_tokens,)) for name in ("char_end", "char_start", "ids")]),
        vectors=_vector_bytes(trees, vectors or {}),
        content=content,
        manifest=MANIFEST_BYTES + len(shards) * _chunk_record_bytes(num_tokens, max(chunk_bytes, default=0)),
        num_tokens=num_tokens,
        boxes=box_bytes,
        source=source_bytes,
        chunk_bytes=chunk_bytes,
    )


def _shard_head(tree: ContextTree, layers: int, kv_heads: int, head_dim: int) -> ShardHead:
    layout = RowLayout(tree)
    ranked = tree.num_tokens if tree.profile.ranked else 0
    shape = (layout.num_rows, layers, kv_heads, head_dim)
    draft = ShardHead(_DIGEST, tree.profile.store_dtype, shape, (), _DIGEST, ranked)
    digests = {spec.name: _DIGEST for spec in draft.blocked_specs}
    blocks = tuple(Block(start, end, digests) for start, end in layout.blocks)
    return ShardHead(draft.key, draft.dtype, draft.shape, blocks, _DIGEST, ranked)


def _file_bytes(specs: list[TensorSpec]) -> int:
    return len(encode_header(specs, "")) + offsets_of(specs)[-1]


def _vector_bytes(trees: list[ContextTree], vectors: Mapping[str, VectorSize]) -> int:
    counts = {
        "leaf": sum(len(tree.leaves) for tree in trees),
        "node": sum(len(tree.nodes) for tree in trees),
        "chunk": len(trees),
    }
    return _file_bytes([TensorSpec(name, v.dtype, (counts[v.per], v.dims)) for name, v in vectors.items()])


def _chunk_record_bytes(num_tokens: int, shard_bytes: int) -> int:
    record = ChunkRecord(_DIGEST, num_tokens, num_tokens, 1024, shard_bytes, 4096, _DIGEST, _DIGEST)
    return len(canonical_bytes(asdict(record))) + 1
