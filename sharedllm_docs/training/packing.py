"""Packing: the tokens of several sequences in one row, so that no layer computes padding.

Projections, norms and MLPs see one row of the tokens that exist. Only attention takes it apart again: a sequence meets
its own injected rows and its own earlier tokens at its own positions. A block-diagonal mask over the whole row would
give the same numbers, at the cost of the square instead of the blocks. The attention function is registered with
transformers, and the model is as before when the context is left.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch

from sharedllm_docs.architectures.attention import register_attention
from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.injection.cross_attention import CrossAttention, CrossRows

PACKED_SEQUENCES = "sharedllm_docs_packed_sequences"
"""Name of this module's attention among transformers' attention functions."""
WORTH = 1 / 16
"""Share of padding from which packing pays: below it, taking rows apart costs more than it saves."""


@dataclass(frozen=True)
class Segments:
    """Converts between padded sequences [B, T] and the same sequences one after another in a row of N tokens.

    Attributes:
        lengths: number of tokens of each sequence.
    """

    lengths: tuple[int, ...]

    @property
    def longest(self) -> int:
        return max(self.lengths)

    @property
    def worth(self) -> bool:
        """Whether enough of [B, T] is padding for packing to pay."""
        return sum(self.lengths) <= (1 - WORTH) * len(self.lengths) * self.longest

    @cached_property
    def starts(self) -> torch.Tensor:
        """[B] place in the row at which each sequence begins."""
        sizes = torch.tensor(self.lengths)
        return sizes.cumsum(0) - sizes

    @cached_property
    def places(self) -> torch.Tensor:
        """[N] place of each token of the row in the flat padded tokens."""
        return torch.cat([torch.arange(size) + index * self.longest for index, size in enumerate(self.lengths)])

    def packed_places(self, padded: torch.Tensor) -> torch.Tensor:
        """Places in the row of the tokens at flat places [...] in the padded tokens."""
        return self.starts[padded // self.longest] + padded % self.longest

    def pack(self, padded: torch.Tensor) -> torch.Tensor:
        """[1, N, ...] of padded [B, T, ...]."""
        return padded.flatten(0, 1).index_select(0, self._on(padded.device))[None]

    def spread(self, packed: torch.Tensor) -> torch.Tensor:
        """[B, T, ...] of packed [1, N, ...]; padding is zero."""
        size = len(self.lengths) * self.longest
        flat = packed.new_zeros(size, *packed.shape[2:]).index_copy(0, self._on(packed.device), packed[0])
        return flat.view(len(self.lengths), self.longest, *packed.shape[2:])

    def spread_heads(self, packed: torch.Tensor) -> torch.Tensor:
        """[B, H, T, D] of packed [1, H, N, D]."""
        return self.spread(packed.transpose(1, 2)).transpose(1, 2)

    def _on(self, device: torch.device) -> torch.Tensor:
        moved: dict[torch.device, torch.Tensor] = self.__dict__.setdefault("_moved", {})
        if device not in moved:
            moved[device] = self.places.to(device)
        return moved[device]


class PrefixCache:
    """The keys and values that precede the tokens in each layer, as tensors instead of buffers written in place.

    Args:
        prefix: layer -> (rotated keys, values), each [B, KV, P, D]; layers without one see the tokens alone.
        segments: how keys and values of packed tokens are taken apart; None if they arrive as [B, KV, T, D].
    """

    def __init__(
        self, prefix: Mapping[int, tuple[torch.Tensor, torch.Tensor]], segments: Segments | None = None
    ) -> None:
        self.prefix, self.segments = prefix, segments

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Prefix and the tokens' own keys/values (the interface of transformers' caches)."""
        if self.segments is not None:
            keys, values = self.segments.spread_heads(keys), self.segments.spread_heads(values)
        if layer_idx not in self.prefix:
            return keys, values
        front_keys, front_values = self.prefix[layer_idx]
        return (
            torch.cat((front_keys.to(keys.dtype), keys), dim=2),
            torch.cat((front_values.to(values.dtype), values), dim=2),
        )


_current: ContextVar[Segments] = ContextVar("segments")


def can_pack(arch: Architecture) -> bool:
    """Whether the model's attention can be taken apart: it must be torch's scaled_dot_product_attention."""
    return bool(arch.config._attn_implementation == "sdpa")


@contextmanager
def packed_attention(arch: Architecture, segments: Segments | None) -> Iterator[None]:
    """Context in which the model's layers take a packed row [1, N, E] and a ``PrefixCache``; None changes nothing.

    Masks are those of the padded tokens.
    """
    if segments is None:
        yield
        return
    register_attention(PACKED_SEQUENCES, _attend)
    before, token = arch.config._attn_implementation, _current.set(segments)
    arch.config._attn_implementation = PACKED_SEQUENCES
    try:
        yield
    finally:
        arch.config._attn_implementation = before
        _current.reset(token)


def _attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """[1, N, H, D] of queries [1, H, N, D] over keys that the cache took apart already."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    segments = _current.get()
    mixed, _ = sdpa_attention_forward(module, segments.spread_heads(query), key, value, attention_mask, **options)
    return segments.pack(mixed), None


class PackedBlock:
    """A cross-attention block for a packed row: taken apart, attended, packed again."""

    def __init__(self, block: CrossAttention, segments: Segments) -> None:
        self.block, self.segments = block, segments

    def __call__(self, hidden: torch.Tensor, rows: CrossRows, layer: int) -> torch.Tensor:
        """The block's own call, for hidden [1, N, E]."""
        added: torch.Tensor = self.block(self.segments.spread(hidden), rows, layer)
        return self.segments.pack(added)


def segments_of(lengths: Sequence[int], arch: Architecture, *, wanted: bool) -> Segments | None:
    """How to pack the sequences; None if they stay padded."""
    made = Segments(tuple(lengths))
    return made if wanted and can_pack(arch) and made.worth else None
