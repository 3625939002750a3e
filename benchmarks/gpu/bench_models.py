"""The models that are measured: the default, and Llamas of a shape with random weights, made on the device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

DEFAULT = "default"
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "1b": {
        "vocab_size": 128_256,
        "hidden_size": 2048,
        "intermediate_size": 8192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "tie_word_embeddings": True,
    },
    "7b": {
        "vocab_size": 32_000,
        "hidden_size": 4096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "head_dim": 128,
        "tie_word_embeddings": False,
    },
    "tiny": {
        "vocab_size": 300,
        "hidden_size": 48,
        "intermediate_size": 80,
        "num_hidden_layers": 4,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "tie_word_embeddings": True,
    },
}
"""``1b`` and ``7b`` have the shapes of Llama 3.2 1B and Llama 2 7B; ``tiny`` is for dry runs."""
NAMES = (DEFAULT, *SHAPES)
POSITIONS = 1 << 21


def load(name: str, attention: str, device: torch.device, dtype: torch.dtype, folder: Path | None) -> Any:
    """A model on the device.

    Args:
        name: one of ``NAMES``.
        attention: ``sdpa`` or ``flash_attention_2``.
        device, dtype: of the weights.
        folder: of the default model; None: the embedded one, fetched where it is missing.

    Raises:
        ModelUnavailableError: the embedded model cannot be fetched.
    """
    if name == DEFAULT:
        if folder is None:
            from sharedllm_docs.model.zoo import SMOLLM_135M, ensure

            folder = ensure(SMOLLM_135M, report=print)
        made = AutoModelForCausalLM.from_pretrained(str(folder), dtype=dtype, attn_implementation=attention)
        return made.to(device).eval()
    config = LlamaConfig(**SHAPES[name], max_position_embeddings=POSITIONS, rope_parameters=_rope())
    torch.manual_seed(0)
    with torch.device(device):
        return AutoModelForCausalLM.from_config(config, dtype=dtype, attn_implementation=attention).eval()


def _rope() -> dict[str, Any]:
    return {"rope_type": "default", "rope_theta": 500_000.0}


def attentions(device: torch.device) -> list[str]:
    """torch's own attention, and flash-attn where it is installed and the device is CUDA."""
    from transformers.utils import is_flash_attn_2_available

    return ["sdpa", *(["flash_attention_2"] if device.type == "cuda" and is_flash_attn_2_available() else [])]
