"""Attention of decoding steps on a processor: the heads that share keys read them once.

Comes in: a model that decodes one token. Goes out: within a block its attention packs the heads of a group as if they
were tokens, which is the same sum over the same rows: one token sees all of them. torch's kernel for grouped heads
reads the rows once a head instead (docs/log.md, heads of a group in steps).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from sharedllm_docs.architectures import Architecture

NAME = "sharedllm_docs_packed"
_USUAL = "sdpa"
_HARMLESS = frozenset({"use_cache", "cache_position", "position_ids", "sliding_window"})
"""Arguments of layers that do not change what one token attends to beyond what the mask says."""


def packed_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function of transformers; what it cannot pack goes to transformers' own.

    Args:
        module: the attention layer.
        query: [B, H, S, D], and ``key``, ``value`` [B, KV, R, D].
        attention_mask: [B, 1, S, R], or None.
        dropout: none while decoding.
        scaling: of the scores.
        others: as layers of some families give them.

    Returns:
        [B, S, H, D], and no weights.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    batch, heads, length, size = query.shape
    shared = attention_mask is None or attention_mask.shape[1] == 1
    if length != 1 or not shared or dropout or set(others) - _HARMLESS:
        usual: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return usual
    packed = query.reshape(batch, key.shape[1], -1, size)
    mixed = scaled_dot_product_attention(packed, key, value, attn_mask=attention_mask, scale=scaling)
    return mixed.reshape(batch, 1, heads, size), None


@contextmanager
def packing(arch: Architecture) -> Iterator[None]:
    """Within the block steps of one token attend by :func:`packed_attention`, where that is a gain.

    The model's config says which attention its layers use; it says what it said before, whatever happens.
    """
    config = arch.config
    if arch.device.type != "cpu" or config._attn_implementation != _USUAL or arch.num_heads == arch.kv_heads:
        yield
        return
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    if NAME not in ALL_ATTENTION_FUNCTIONS:
        ALL_ATTENTION_FUNCTIONS.register(NAME, packed_attention)
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = _USUAL
