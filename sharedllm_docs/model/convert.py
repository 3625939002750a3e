"""Converts checkpoints of the authors' released code into a model folder and an adapter.

Such a checkpoint names its weights ``model.layers.i.…`` (upper model), ``model.layers.i.cross_attn.{q_proj,o_proj,
layernorm}.weight``, ``encoder.layers.i.…`` (lower model) and ``lm_head.weight``. It keeps ``kept_per_node`` rows per
node at a uniform stride, and encodes every node alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sharedllm_docs.checks import json_of
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import AdapterError
from sharedllm_docs.model.adapter import LOWER, Adapter

_MODEL_KEYS = (
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "vocab_size",
    "rms_norm_eps",
    "max_position_embeddings",
)


def convert_checkpoint(source: str | Path, out: str | Path) -> tuple[Path, Path]:
    """Convert the checkpoint in folder ``source`` (``config.json`` and ``*.safetensors``).

    Args:
        source: folder of the checkpoint.
        out: folder for the result (created): ``out/model`` in Hugging Face's format and ``out/adapter``.

    Returns:
        the model folder and the adapter folder, as ``SharedLLM.from_pretrained`` takes them.

    Raises:
        AdapterError: files are missing or damaged, or the folder contains another kind of checkpoint.
    """
    source, out = Path(source), Path(out)
    settings, weights = _read(source)
    profile = _profile(settings)
    model = {n: t for n, t in weights.items() if n.startswith(("model.", "lm_head.")) and ".cross_attn." not in n}
    adapter = {n.removeprefix("model."): t for n, t in weights.items() if ".cross_attn." in n}
    adapter |= {LOWER + n: t for n, t in _lower(weights, profile).items()}
    _write_model(out / "model", settings, model)
    Adapter(profile, adapter, {"converted_from": settings.get("name", source.name)}).save(out / "adapter")
    return out / "model", out / "adapter"


def _read(source: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    files = sorted(f for f in source.glob("*.safetensors") if not f.name.startswith("tensors"))
    if not files or not (source / "config.json").is_file():
        raise AdapterError(
            f"{source} holds no checkpoint (config.json and *.safetensors).", remedy="Give the checkpoint's folder."
        )
    try:
        settings = json_of((source / "config.json").read_text(encoding="utf-8"))
        weights = {name: tensor for file in files for name, tensor in load_file(file).items()}
    except (ValueError, SafetensorError) as error:
        raise AdapterError(f"The checkpoint in {source} is damaged: {error}", remedy="Fetch it again.") from error
    if not any(".cross_attn." in name for name in weights):
        raise AdapterError(
            f"The checkpoint in {source} has no cross_attn weights, so it is not a SharedLLM checkpoint.",
            remedy="An ordinary model needs no conversion: give its folder to SharedLLM.from_pretrained.",
        )
    return settings, weights


def _profile(settings: dict[str, Any]) -> Profile:
    chunk, depth, kept = settings["chunk_tokens"], settings["tree_depth"], settings["kept_per_node"]
    return Profile.sharedllm(
        layers=(1, settings["injection_layers"]),
        chunk_tokens=chunk,
        depth=depth,
        grains=tuple((chunk >> level) // kept for level in range(1, depth + 1)),
        keep="first",
        encoding="per_node",
        positions="chunk+token",
        query_offset=1,
    )


def _lower(weights: dict[str, torch.Tensor], profile: Profile) -> dict[str, torch.Tensor]:
    """Weights of the lower model if any of them differs from the base model's, otherwise none."""
    assert profile.layers is not None
    own = {n.replace("encoder.", "model.", 1): t for n, t in weights.items() if n.startswith("encoder.")}
    last = profile.injection_layers.stop
    used = {n: t for n, t in own.items() if not n.startswith("model.layers.") or int(n.split(".")[2]) < last}
    differ = any(n not in weights or not torch.equal(t, weights[n]) for n, t in used.items())
    return used if differ else {}


def _write_model(folder: Path, settings: dict[str, Any], weights: dict[str, torch.Tensor]) -> None:
    from transformers import LlamaConfig

    folder.mkdir(parents=True, exist_ok=True)
    known = {key: settings[key] for key in _MODEL_KEYS if key in settings}
    rope = {"rope_type": "default", "rope_theta": settings.get("rope_theta", 10000.0)}
    config = LlamaConfig(**known, rope_parameters=rope, tie_word_embeddings=False, architectures=["LlamaForCausalLM"])
    config.dtype = next(iter(weights.values())).dtype
    config.save_pretrained(folder)
    save_file({n: t.contiguous() for n, t in weights.items()}, folder / "model.safetensors", metadata={"format": "pt"})
