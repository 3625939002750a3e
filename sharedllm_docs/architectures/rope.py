"""Rotary positions: the supported types, and the rotation of stored keys.

Mathematics: RoFormer (arXiv 2104.09864) in the half-split form that transformers uses for all supported families.
cos and sin come from the model's own rotary module, so scaled variants (linear, llama3, yarn with its attention
factor) need no code here.
"""

from __future__ import annotations

from typing import Any

import torch

from sharedllm_docs.errors import UnsupportedModelError

SUPPORTED_TYPES = ("default", "linear", "dynamic", "llama3", "yarn")


def rotate(keys: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Rotate keys to their positions.

    Args:
        keys: [..., S, D], unrotated.
        cos: [..., S, D], broadcastable to ``keys``.
        sin: like ``cos``.

    Returns:
        rotated keys [..., S, D].
    """
    first, second = keys.chunk(2, dim=-1)
    return keys * cos + torch.cat((-second, first), dim=-1) * sin


def rope_parameters(config: Any) -> dict[str, Any]:
    """The model's rope settings as transformers 5 keeps them.

    Raises:
        UnsupportedModelError: a rope type that is not supported (longrope, per-layer tables, ...), which is named.
    """
    parameters = dict(getattr(config, "rope_parameters", None) or {})
    nested = sorted(name for name, value in parameters.items() if isinstance(value, dict))
    if nested:
        raise UnsupportedModelError(
            f"The model has rope settings by layer type ({', '.join(nested)}); only one for all layers is supported.",
            remedy="Use a model of the Llama, Mistral, Qwen2 or Qwen3 family with one rope table.",
        )
    kind = parameters.get("rope_type", "default")
    if kind not in SUPPORTED_TYPES:
        raise UnsupportedModelError(
            f"Rope type {kind!r} is not supported (supported: {', '.join(SUPPORTED_TYPES)}).",
            remedy="Use a model whose rope_parameters name one of these.",
        )
    return parameters


def positions_limit(config: Any) -> int:
    """The model's window: the maximum number of positions of prompt, rows and answer together.

    A ``dynamic`` rope recomputes its frequencies once a sequence exceeds the original window, which would disagree
    with rows already rotated; so it is limited to the original window, where it equals the plain rope.
    """
    parameters = rope_parameters(config)
    window = int(config.max_position_embeddings)
    if parameters.get("rope_type") == "dynamic":
        return int(parameters.get("original_max_position_embeddings") or window)
    return window
