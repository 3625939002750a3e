"""The supported model families: only what differs between them."""

from __future__ import annotations

import torch
from torch import nn

from sharedllm_docs.architectures.base import Architecture


class LlamaArchitecture(Architecture):
    """Llama; also SmolLM, TinyLlama and others that ship as ``llama``. Keys come straight from the projection."""

    model_types = ("llama",)


class MistralArchitecture(Architecture):
    """Mistral: as Llama, optionally with a sliding window in every layer."""

    model_types = ("mistral",)


class Qwen2Architecture(Architecture):
    """Qwen2 and Qwen2.5: biases in q/k/v (part of the projection's output), optional sliding window by layer."""

    model_types = ("qwen2",)


class Qwen3Architecture(Architecture):
    """Qwen3: a norm over each head's key (and query) comes between projection and rotation."""

    model_types = ("qwen3",)

    def key_module(self, layer: int) -> nn.Module:
        return self.layers[layer].self_attn.k_norm  # type: ignore[union-attr,return-value]

    def query_module(self, layer: int) -> nn.Module:
        return self.layers[layer].self_attn.q_norm  # type: ignore[union-attr,return-value]

    def _queries(self, layer: int, normed: torch.Tensor) -> torch.Tensor:
        projected = self.layers[layer].self_attn.q_proj(normed)  # type: ignore[union-attr,operator]
        queries: torch.Tensor = self.query_module(layer)(projected.view(*normed.shape[:2], -1, self.head_dim))
        return queries

    def project_keys(self, layer: int, normed: torch.Tensor) -> torch.Tensor:
        projected = self.layers[layer].self_attn.k_proj(normed)  # type: ignore[union-attr,operator]
        keys: torch.Tensor = self.key_module(layer)(projected.view(*normed.shape[:2], self.kv_heads, self.head_dim))
        return keys


FAMILIES: tuple[type[Architecture], ...] = (
    LlamaArchitecture,
    MistralArchitecture,
    Qwen2Architecture,
    Qwen3Architecture,
)
