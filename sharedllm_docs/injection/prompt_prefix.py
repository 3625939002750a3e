"""The start of the prompt, run once: its keys and values are cached and precede every question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.architectures.rope import rotate
from sharedllm_docs.injection.encoder import causal_masks


@dataclass(frozen=True)
class FrontState:
    """Keys and values of the prompt's start.

    Attributes:
        keys: [L, KV, F, D], rotated to positions 0 to F-1.
        values: [L, KV, F, D].
    """

    keys: torch.Tensor
    values: torch.Tensor

    @property
    def num_tokens(self) -> int:
        """Number of tokens F."""
        return int(self.keys.shape[2])


@torch.inference_mode()
def front_state(arch: Architecture, ids: Sequence[int]) -> FrontState:
    """Run the prompt's start through all layers once."""
    return run_front(arch, ids)


def run_front(arch: Architecture, ids: Sequence[int]) -> FrontState:
    """``front_state`` in the caller's gradient mode, since training differentiates through it."""
    positions = torch.arange(len(ids), device=arch.device)[None]
    layers = range(arch.num_layers)
    if not len(ids):
        empty = torch.zeros(arch.num_layers, arch.kv_heads, 0, arch.head_dim, dtype=arch.dtype, device=arch.device)
        return FrontState(empty, empty)
    with arch.recording(layers) as records:
        tokens = torch.as_tensor(ids, device=arch.device)[None]
        arch.run_layers(arch.embed(tokens), layers, positions=positions, mask_for=causal_masks(arch, len(ids)))
    cos, sin = arch.rotary(positions)
    keys = torch.stack([records[layer][0][0].transpose(0, 1) for layer in layers])
    values = torch.stack([records[layer][1][0].transpose(0, 1) for layer in layers])
    return FrontState(rotate(keys, cos, sin), values)
