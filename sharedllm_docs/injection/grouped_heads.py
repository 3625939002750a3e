"""Attention in which the heads that share keys are laid out as if they were tokens, for models of grouped heads.

transformers copies keys and values once per head of a group. Here they are read in place. Each query sums over the same
rows in the same order, and in bfloat16 the result is bit-identical (``tests/test_steps.py``).
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn import functional

from sharedllm_docs.injection.row_attention import attend_to_rows

GROUPED_HEADS = "sharedllm_docs_grouped_heads"
"""Name under which ``grouped_attention`` is registered with transformers."""
_HARMLESS = frozenset({"use_cache", "cache_position", "position_ids", "sliding_window"})
"""Arguments of attention layers that do not change what a token attends to, beyond the mask."""


def grouped_mask(seen: torch.Tensor, heads: int, dtype: torch.dtype) -> torch.Tensor:
    """The mask of several tokens as ``grouped_attention`` takes it, made once for all layers.

    Args:
        seen: bool [B, 1, S, R], True where a row is seen.
        heads: number of heads that share keys.
        dtype: of keys and values.

    Returns:
        numbers [B, 1, heads * S, R] that are added to the scores.
    """
    added = torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -torch.inf)
    return added.repeat(1, 1, heads, 1)


def grouped_attention(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function for transformers that lays out heads sharing keys as if they were tokens.

    Calls that cannot be grouped go to transformers' own function.

    Args:
        module: the attention layer.
        query: [B, H, S, D].
        key: [B, KV, R, D].
        value: [B, KV, R, D].
        attention_mask: [B, 1, 1, R] of a single token, a ``grouped_mask`` of several, or None.
        dropout: 0 while decoding.
        scaling: factor of the scores.
        others: further arguments that layers of some families pass.

    Returns:
        the mixed values [B, S, H, D], and None for the attention weights.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    batch, heads, length, size = query.shape
    grouped = _may_group(attention_mask, length, heads // key.shape[1])
    if dropout or not grouped or set(others) - _HARMLESS:
        usual: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return usual
    as_tokens = query.reshape(batch, key.shape[1], -1, size)
    if length == 1:
        mixed = attend_to_rows(as_tokens, key, value, attention_mask, scaling)
        return mixed.reshape(batch, 1, heads, size), None
    mixed = functional.scaled_dot_product_attention(as_tokens, key, value, attn_mask=attention_mask, scale=scaling)
    return mixed.reshape(batch, heads, length, size).transpose(1, 2).contiguous(), None


def _may_group(mask: torch.Tensor | None, length: int, heads: int) -> bool:
    """Whether a mask says what ``heads`` laid out as tokens see; several tokens without one are a causal sequence."""
    if mask is None:
        return length == 1
    return mask.shape[1] == 1 and (length == 1 or mask.shape[2] == heads * length)
