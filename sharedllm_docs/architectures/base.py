"""One interface to decoder-only models: layers run one by one, keys before rotation, rotary tables, logits.

Works on unmodified transformers 5 classes, and knows nothing about documents, trees or stores.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from torch import nn

from sharedllm_docs.architectures.rope import positions_limit, rope_parameters
from sharedllm_docs.errors import UnsupportedModelError

Mask = torch.Tensor | None
MaskFor = Callable[[int], Mask]


class KeyValueStore(Protocol):
    """What an attention layer calls of a cache: append rotated keys [B, KV, S, D] and values, get all so far."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]: ...


class Architecture:
    """A causal LM of the Llama shape (pre-norm blocks, rotary attention, gated MLP).

    Subclasses name the module whose output is the unrotated key; everything else is shared.
    """

    model_types: tuple[str, ...] = ()

    def __init__(self, model: Any) -> None:
        self.model = model
        config = model.config
        self.config = config
        self.num_layers: int = config.num_hidden_layers
        self.hidden_size: int = config.hidden_size
        self.num_heads: int = config.num_attention_heads
        self.kv_heads: int = config.num_key_value_heads
        self.head_dim: int = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        self.rope: dict[str, Any] = rope_parameters(config)
        self.window: int = positions_limit(config)
        self._check_rotary_width()

    # -- parts of the model -------------------------------------------------------------------------------------

    @property
    def decoder(self) -> Any:
        """The model without its output head."""
        return self.model.model

    @property
    def layers(self) -> nn.ModuleList:
        return self.decoder.layers  # type: ignore[no-any-return]

    @property
    def dtype(self) -> torch.dtype:
        return self.decoder.embed_tokens.weight.dtype  # type: ignore[no-any-return]

    @property
    def device(self) -> torch.device:
        return self.decoder.embed_tokens.weight.device  # type: ignore[no-any-return]

    def key_module(self, layer: int) -> nn.Module:
        """The module whose output is the unrotated key of ``layer`` ([B, S, KV * D] or [B, S, KV, D])."""
        return self.layers[layer].self_attn.k_proj  # type: ignore[union-attr,return-value]

    def value_module(self, layer: int) -> nn.Module:
        """The module whose output is the value of ``layer``."""
        return self.layers[layer].self_attn.v_proj  # type: ignore[union-attr,return-value]

    def query_module(self, layer: int) -> nn.Module:
        """The module whose output is the unrotated query of ``layer`` ([B, S, H * D] or [B, S, H, D])."""
        return self.layers[layer].self_attn.q_proj  # type: ignore[union-attr,return-value]

    def scaling(self, layer: int) -> float:
        """Factor of the attention scores of ``layer`` before the softmax."""
        return float(self.layers[layer].self_attn.scaling)  # type: ignore[union-attr,arg-type]

    def sliding_window(self, layer: int) -> int | None:
        """Number of latest tokens that a query in ``layer`` sees, its own included; None for all."""
        types = getattr(self.config, "layer_types", None)
        if types is not None and types[layer] != "sliding_attention":
            return None
        return getattr(self.config, "sliding_window", None)

    def _check_rotary_width(self) -> None:
        width = self.rotary(torch.zeros(1, 1, dtype=torch.long, device=self.device))[0].shape[-1]
        if width != self.head_dim:
            raise UnsupportedModelError(
                f"The model rotates {width} of {self.head_dim} dimensions per head; partial rotation is not supported.",
                remedy="Use a model that rotates whole heads.",
            )

    def twin(self, own: Mapping[str, torch.Tensor] | None = None) -> Architecture:
        """A second model that shares all weights except those in ``own``; this model is neither changed nor copied.

        Args:
            own: replacement weights by their names in the model, each of the original's shape.
        """
        shared: dict[int, Any] = {id(parameter): parameter for parameter in self.model.parameters()}
        model = copy.deepcopy(self.model, shared)
        for name, tensor in (own or {}).items():
            module, _, leaf = name.rpartition(".")
            parameter = nn.Parameter(tensor.to(self.device, self.dtype), requires_grad=False)
            setattr(model.get_submodule(module), leaf, parameter)
        return type(self)(model)

    # -- computing ----------------------------------------------------------------------------------------------

    def rotary(self, positions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """cos and sin [B, S, D] for positions [B, S], in the model's dtype, from the model's own module."""
        like = torch.empty(0, dtype=self.dtype, device=self.device)
        cos, sin = self.decoder.rotary_emb(like, positions)
        return cos, sin

    def embed(self, ids: torch.Tensor) -> torch.Tensor:
        """Token embeddings [B, S, E] of ids [B, S]."""
        return self.decoder.embed_tokens(ids)  # type: ignore[no-any-return]

    def run_layers(
        self,
        hidden: torch.Tensor,
        layers: range,
        *,
        positions: torch.Tensor,
        mask_for: MaskFor,
        cache: KeyValueStore | None = None,
        after_layer: Callable[[int, torch.Tensor], None] | None = None,
    ) -> torch.Tensor:
        """Run a range of layers, each with its own mask.

        Args:
            hidden: [B, S, E].
            layers: zero-based indices, in order.
            positions: rotary positions [B, S].
            mask_for: layer -> attention mask [B, 1, S, keys] as the model's attention wants it, or None.
            cache: receives the new keys and values.
            after_layer: called with (layer, hidden states after it).

        Returns:
            hidden states [B, S, E] after the last of these layers, before the final norm.
        """
        rotary = self.rotary(positions)
        for index in layers:
            hidden = self.layers[index](
                hidden,
                attention_mask=mask_for(index),
                position_ids=positions,
                past_key_values=cache,
                use_cache=cache is not None,
                position_embeddings=rotary,
            )
            if after_layer is not None:
                after_layer(index, hidden)
        return hidden

    def project(self, layer: int, hidden: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Unrotated keys and values [B, S, KV, D] of ``layer``, from its input, without running the layer."""
        block = self.layers[layer]
        normed = block.input_layernorm(hidden)  # type: ignore[operator]
        shape = (*hidden.shape[:2], self.kv_heads, self.head_dim)
        return self.project_keys(layer, normed).view(shape), self.value_module(layer)(normed).view(shape)

    def project_keys(self, layer: int, normed: torch.Tensor) -> torch.Tensor:
        """Unrotated keys of ``layer`` from its normed input."""
        keys: torch.Tensor = self.key_module(layer)(normed)
        return keys

    def project_queries(self, layer: int, hidden: torch.Tensor) -> torch.Tensor:
        """Unrotated queries [B, S, H, D] of ``layer``, from its input, without running the layer."""
        normed = self.layers[layer].input_layernorm(hidden)  # type: ignore[operator]
        return self._queries(layer, normed).view(*hidden.shape[:2], self.num_heads, self.head_dim)

    def _queries(self, layer: int, normed: torch.Tensor) -> torch.Tensor:
        """Unrotated queries of ``layer`` from its normed input."""
        queries: torch.Tensor = self.query_module(layer)(normed)
        return queries

    def norm(self, hidden: torch.Tensor) -> torch.Tensor:
        """The final norm."""
        return self.decoder.norm(hidden)  # type: ignore[no-any-return]

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        """Logits [..., vocabulary] of hidden states after the last layer."""
        return self.model.lm_head(self.norm(hidden))  # type: ignore[no-any-return]

    @contextmanager
    def recording_queries(self, layers: Sequence[int]) -> Iterator[dict[int, torch.Tensor]]:
        """Record the unrotated queries [B, S, H, D] of the latest forward pass, by layer; undone as ``recording``."""
        records: dict[int, torch.Tensor] = {}
        handles = []

        def record(layer: int) -> Callable[[nn.Module, Any, torch.Tensor], None]:
            def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
                records[layer] = output.reshape(*output.shape[:2], self.num_heads, self.head_dim)

            return hook

        try:
            for layer in layers:
                handles.append(self.query_module(layer).register_forward_hook(record(layer)))
            yield records
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def recording(self, layers: Sequence[int]) -> Iterator[dict[int, list[torch.Tensor]]]:
        """Record the unrotated keys and values, each [B, S, KV, D], of the latest forward pass, by layer.

        Works by forward hooks, which are removed when the block ends, also after an exception.
        """
        records: dict[int, list[torch.Tensor]] = {layer: [] for layer in layers}
        handles = []

        def record(layer: int, slot: int) -> Callable[[nn.Module, Any, torch.Tensor], None]:
            def hook(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
                if slot == 0:
                    records[layer].clear()
                records[layer].append(output.reshape(*output.shape[:2], self.kv_heads, self.head_dim))

            return hook

        try:
            for layer in layers:
                handles.append(self.key_module(layer).register_forward_hook(record(layer, 0)))
                handles.append(self.value_module(layer).register_forward_hook(record(layer, 1)))
            yield records
        finally:
            for handle in handles:
                handle.remove()
