"""Attention of a few tokens over many rows, all of which they see.

For many rows in bfloat16, torch's fused CPU kernel takes three times as long as reading the rows. Two matrix products
with a softmax between them are as fast as memory; they keep the scores in memory, rounded to bfloat16, as
transformers' eager attention does (docs/log.md, reading many rows).
"""

from __future__ import annotations

from functools import cache

import torch
from torch.nn.functional import scaled_dot_product_attention

from sharedllm_docs.architectures.devices import has_bfloat16_units

MANY_ROWS = 2048
"""Number of rows from which the two products are faster, if keys and values are contiguous."""
MANY_ROWS_APART = 4096
"""The same number if the rows of each head are stored apart, so that each head needs its own products."""
LARGEST_SCORES = 2**22
"""Maximum number of scores (queries times rows, all heads); beyond it the fused kernel is faster, as it stores none."""


def attend_to_rows(
    queries: torch.Tensor,
    keys: torch.Tensor,
    values: torch.Tensor,
    mask: torch.Tensor | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """Softmax attention.

    Args:
        queries: [B, KV, Q, D]; heads that share keys are laid out as if they were tokens.
        keys: [B, KV, R, D].
        values: [B, KV, R, D].
        mask: True where a row is seen, or a number added to its score, broadcast over [B, KV, Q, R]; None for all.
        scale: factor of the scores; None for one over the square root of D.

    Returns:
        the mixed values [B, KV, Q, D].
    """
    if not products_pay(queries, keys):
        return scaled_dot_product_attention(queries, keys, values, attn_mask=mask, scale=scale)
    return by_products(queries, keys, values, mask, queries.shape[-1] ** -0.5 if scale is None else scale)


def products_pay(queries: torch.Tensor, keys: torch.Tensor) -> bool:
    """Whether two products are faster than the fused kernel; shapes as in ``attend_to_rows``."""
    rows = keys.shape[-2]
    return (
        keys.dtype == torch.bfloat16
        and rows >= (MANY_ROWS if keys.is_contiguous() else MANY_ROWS_APART)
        and queries.shape[1:-1].numel() * rows <= LARGEST_SCORES
        and keys.device.type == "cpu"
        and _cpu_multiplies_bfloat16()
        and not torch.is_grad_enabled()
    )


def by_products(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, mask: torch.Tensor | None, scale: float
) -> torch.Tensor:
    """``attend_to_rows`` by products; the softmax itself is computed in float32."""
    scores = _product(queries * scale, keys.transpose(-1, -2))
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return _product(torch.softmax(scores, dim=-1), values)


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """[B, KV, M, K] times [B, KV, K, N]; one head at a time where a single product would copy ``right``."""
    if right.is_contiguous() or right.transpose(-1, -2).is_contiguous():
        return left @ right
    products = [torch.mm(*pair) for pair in zip(left.flatten(0, 1), right.flatten(0, 1), strict=True)]
    return torch.stack(products).view(*left.shape[:-1], right.shape[-1])


@cache
def _cpu_multiplies_bfloat16() -> bool:
    return has_bfloat16_units("cpu")
