"""Loads what the arguments of ``SharedLLM.from_pretrained`` name: base model and tokenizer, adapter, profile."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError, ModelUnavailableError
from sharedllm_docs.model.adapter import Adapter, shipped_adapter
from sharedllm_docs.model.derived import derived
from sharedllm_docs.model.digests import Snapshot
from sharedllm_docs.quiet import quiet_libraries

_TORCH = {"F32": torch.float32, "BF16": torch.bfloat16, "F16": torch.float16, "F64": torch.float64}
"""dtypes by their names in safetensors files."""


def load_adapter(adapter: str | Path | Adapter | None, model: str, profile: Profile | str | None) -> Adapter | None:
    """The adapter asked for. ``auto`` is the embedded model's own if the profile is left open or is ``sharedllm``."""
    if adapter is None or isinstance(adapter, Adapter):
        return adapter
    if adapter == "auto":
        wanted = profile.name if isinstance(profile, Profile) else profile
        shipped = shipped_adapter(model) if model and wanted in (None, "sharedllm") else None
        return Adapter.load(shipped) if shipped else None
    return None if adapter == "none" else Adapter.load(adapter)


def adapter_source(adapter: str | Path | Adapter | None, loaded: Adapter | None) -> str | None:
    """The argument that loads the same adapter again: ``auto`` for the one that ships with the package."""
    if loaded is None or isinstance(adapter, Adapter):
        return None
    return "auto" if adapter == "auto" else absolute(adapter)


def absolute(name: str | Path | None) -> str | None:
    """An existing path made absolute, so that it works from another folder; hub names stay as they are."""
    if name is None:
        return None
    return str(Path(name).resolve()) if Path(name).exists() else str(name)


def choose_profile(profile: Profile | str | None, adapter: Adapter | None) -> Profile:
    """The profile asked for, as an object or by name; otherwise the adapter's, or ``prefix``.

    Raises:
        ConfigError: the name is unknown.
    """
    if isinstance(profile, Profile):
        return profile
    if adapter is not None and profile in (None, adapter.profile.name):
        return adapter.profile
    if profile in (None, "prefix"):
        return Profile.prefix()
    if profile == "sharedllm":
        return Profile.sharedllm()
    raise ConfigError(f"Profile {profile!r} is unknown (known: 'prefix', 'sharedllm').", remedy="Use one of these.")


def load_model(source: str, device: torch.device, dtype: torch.dtype) -> tuple[Any, Any]:
    """Load model and tokenizer from a folder or by hub name.

    Raises:
        ModelUnavailableError: they can be neither found nor fetched, or weights are missing.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    try:
        with quiet_libraries():
            tokenizer = AutoTokenizer.from_pretrained(source)
            model, loaded = AutoModelForCausalLM.from_pretrained(
                source, dtype=dtype, attn_implementation=_attention(device), output_loading_info=True
            )
        if loaded["missing_keys"]:  # transformers fills them with random numbers
            raise ValueError(f"its files lack the weight {sorted(loaded['missing_keys'])[0]}")
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelUnavailableError(
            f"The model {source!r} could not be loaded: {reason.rstrip('.')}.",
            remedy="Give a folder with a transformers model, a hub name while online, or nothing for the default.",
        ) from error
    return model.to(device).eval(), tokenizer


def share_weights(model: Any, files: Snapshot) -> None:
    """Map the weights into memory where they are not those of the files, but these in another dtype.

    Weights in the files' own dtype are mapped from the files already.
    """
    weights = dict(model.named_parameters())
    dtypes = {str(tensor.dtype) for tensor in weights.values()}
    stored = _stored_dtypes([Path(path) for path, *_state in files.stats])
    if not stored or stored == dtypes or any(tensor.device.type != "cpu" for tensor in weights.values()):
        return
    names = {"files": files.stats, "dtypes": sorted(dtypes)}
    for name, tensor in derived("converted", names, lambda: weights).items():
        weights[name].data = tensor


def _stored_dtypes(files: Sequence[Path]) -> set[str]:
    """Names of the dtypes in safetensors files, as torch has them."""
    found = set()
    for path in files:
        with safe_open(path, "pt") as file:
            found |= {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118
    return {str(_TORCH.get(name, name)) for name in found}


def _attention(device: torch.device) -> str:
    """flash-attn if installed and on CUDA, otherwise torch's ``scaled_dot_product_attention``."""
    if device.type == "cuda":
        from transformers.utils import is_flash_attn_2_available

        if is_flash_attn_2_available():
            return "flash_attention_2"
    return "sdpa"
