"""The paper's position-aware cross-attention block (section 3.3), one per injection layer.

Between self-attention and MLP: ``h = h + gate * o_proj(attention(q_proj(norm(h)), injected keys, injected values))``.
Keys have the rotary position of their chunk, the question that after the last chunk. Layer names follow
the authors' checkpoints (``cross_attn.{q_proj,o_proj,layernorm}``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.architectures.rope import rotate
from sharedllm_docs.injection.row_attention import attend_to_rows


class RMSNorm(nn.Module):
    """Root-mean-square norm with statistics in float32, like the base models' norms."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        wide = hidden.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        normed: torch.Tensor = self.weight * wide.to(hidden.dtype)
        return normed


class CrossAttention(nn.Module):
    """One layer's cross-attention over injected rows.

    Args:
        arch: the model, for the sizes and the epsilon of the norm.
        gated: multiply the block's output by a learned ``tanh(gate)`` that begins at 0 (the base model unchanged).
    """

    def __init__(self, arch: Architecture, *, gated: bool = False) -> None:
        super().__init__()
        heads = arch.num_heads * arch.head_dim
        self.head_dim = arch.head_dim
        self.q_proj = nn.Linear(arch.hidden_size, heads, bias=False)
        self.o_proj = nn.Linear(heads, arch.hidden_size, bias=False)
        self.layernorm = RMSNorm(arch.hidden_size, arch.config.rms_norm_eps)
        self.gate = nn.Parameter(torch.zeros(())) if gated else None

    def forward(self, hidden: torch.Tensor, rows: CrossRows, layer: int) -> torch.Tensor:
        """The block's contribution [B, Q, E] to the residual stream.

        Args:
            hidden: [B, Q, E], after the layer's self-attention.
            rows: the injected rows, rotated.
            layer: zero-based layer of the model.
        """
        batch, length = hidden.shape[:2]
        queries = self.q_proj(self.layernorm(hidden)).view(batch, length, -1, self.head_dim).transpose(1, 2)
        queries = rotate(queries, rows.cos, rows.sin)
        keys, values = rows.layers[layer]
        # every token sees the same rows, so heads that share keys are laid out as if they were tokens: the rows are
        # read once instead of once per head (docs/log.md, speed)
        grouped = queries.reshape(batch, keys.shape[1], -1, self.head_dim)
        mixed = attend_to_rows(grouped, keys, values, rows.mask).reshape(queries.shape)
        added: torch.Tensor = self.o_proj(mixed.transpose(1, 2).reshape(batch, length, -1))
        return added if self.gate is None else torch.tanh(self.gate) * added


@dataclass(frozen=True)
class CrossRows:
    """Injected rows, ready for cross-attention.

    Attributes:
        layers: layer -> (rotated keys, values), each [B, KV, R, D].
        cos: [B, 1, 1, D], of the question's rotary position.
        sin: [B, 1, 1, D].
        mask: bool [B, 1, 1, R], False for padding; None when nothing is padded.
    """

    layers: Mapping[int, tuple[torch.Tensor, torch.Tensor]]
    cos: torch.Tensor
    sin: torch.Tensor
    mask: torch.Tensor | None


@contextmanager
def cross_attending(arch: Architecture, blocks: Mapping[int, CrossAttention], rows: CrossRows) -> Iterator[None]:
    """Let the layers in ``blocks`` attend to ``rows`` between self-attention and MLP.

    Works by forward hooks: the layer's input is noted, and the block's output is added to the output of the
    self-attention before the layer adds its residual. Hooks are removed when the block ends, also after an exception;
    weights are never changed.
    """
    handles = []
    inputs: dict[int, torch.Tensor] = {}

    def note(layer: int) -> Callable[[nn.Module, tuple[Any, ...]], None]:
        def hook(_module: nn.Module, args: tuple[Any, ...]) -> None:
            inputs[layer] = args[0]

        return hook

    def add(layer: int) -> Callable[[nn.Module, Any, tuple[torch.Tensor, ...]], tuple[torch.Tensor, ...]]:
        def hook(_module: nn.Module, _args: Any, output: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...]:
            added = blocks[layer](inputs.pop(layer) + output[0], rows, layer)
            return (output[0] + added, *output[1:])

        return hook

    try:
        for layer in blocks:
            handles.append(arch.layers[layer].register_forward_pre_hook(note(layer)))
            handles.append(arch.layers[layer].self_attn.register_forward_hook(add(layer)))  # type: ignore[union-attr]
        yield
    finally:
        for handle in handles:
            handle.remove()
