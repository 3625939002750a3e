"""Attention masks from positions. Pure torch; knows no model."""

from __future__ import annotations

import torch


def visible(
    query_index: torch.Tensor,
    key_index: torch.Tensor,
    *,
    key_exists: torch.Tensor | None = None,
    window: int | None = None,
) -> torch.Tensor:
    """Which keys a query may attend to.

    Args:
        query_index: [B, Q] index of each query in its sequence (injected rows and padding counted).
        key_index: [B, K] index of each key.
        key_exists: [B, K], False for padding.
        window: size of a sliding window, the query itself included; None for no window.

    Returns:
        bool [B, 1, Q, K], True where the query may attend.
    """
    distance = query_index[:, :, None] - key_index[:, None, :]
    seen = distance >= 0
    if window is not None:
        seen &= distance < window
    if key_exists is not None:
        # a padded query sees itself, so that no row of the softmax is empty (its output is never used)
        seen = (seen & key_exists[:, None, :]) | (distance == 0)
    return seen.unsqueeze(1)


def for_attention(seen: torch.Tensor, implementation: str, dtype: torch.dtype) -> torch.Tensor:
    """The mask in the form that an attention implementation expects: bool for sdpa, additive for eager."""
    if implementation != "eager":
        return seen
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill(~seen, torch.finfo(dtype).min)
