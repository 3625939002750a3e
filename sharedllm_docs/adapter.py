"""Adapters: the trained part of the ``sharedllm`` profile, as a folder of safetensors and JSON.

``adapter_config.json`` holds the profile that the weights were trained for; ``adapter*.safetensors`` (one file or
shards) holds ``layers.{i}.cross_attn.{q_proj,o_proj,layernorm}.weight`` (and ``gate``), and ``lower.*`` weights where
the lower model differs from the base model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from sharedllm_docs.architectures import Architecture
from sharedllm_docs.config import Profile
from sharedllm_docs.cross_attention import CrossAttention
from sharedllm_docs.errors import AdapterError

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter.safetensors"
LOWER = "lower."


@dataclass(frozen=True)
class Adapter:
    """Trained weights and the profile they belong to.

    Attributes:
        profile: for which they were trained.
        weights: name -> tensor; names as in the module's docstring.
        notes: free strings kept in the config (base model, training run).
    """

    profile: Profile
    weights: Mapping[str, torch.Tensor]
    notes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """SHA-256 over profile and weights, independent of how they lie in files."""
        hasher = hashlib.sha256(json.dumps(self.profile.to_dict(), sort_keys=True).encode())
        for name in sorted(self.weights):
            tensor = self.weights[name].detach().cpu().contiguous()
            hasher.update(f"{name} {tensor.dtype} {list(tensor.shape)}\n".encode())
            hasher.update(tensor.view(-1).view(torch.uint8).numpy().tobytes() if tensor.numel() else b"")
        return hasher.hexdigest()

    @property
    def lower_weights(self) -> dict[str, torch.Tensor]:
        """Weights of the lower model by the base model's own names; empty when it is the base model."""
        return {name[len(LOWER) :]: tensor for name, tensor in self.weights.items() if name.startswith(LOWER)}

    def blocks(self, arch: Architecture) -> dict[int, CrossAttention]:
        """The cross-attention blocks, on the model's device and in its dtype.

        Raises:
            AdapterError: a weight is missing, unknown or of another shape than the model's.
        """
        made: dict[int, CrossAttention] = {}
        layers = self.profile.resolve(arch.num_layers).injection_layers
        known = (LOWER, *(f"layers.{layer}.cross_attn." for layer in layers))
        unknown = sorted(name for name in self.weights if not name.startswith(known))
        if unknown:
            raise AdapterError(
                f"The adapter holds {unknown[0]}, which its layers {layers.start + 1}..{layers.stop} have no place for.",
                remedy="Use the profile and the weights of one and the same training.",
            )
        for layer in layers:
            prefix = f"layers.{layer}.cross_attn."
            weights = {n[len(prefix) :]: t for n, t in self.weights.items() if n.startswith(prefix)}
            block = CrossAttention(arch, gated="gate" in weights)
            try:
                block.load_state_dict(weights)
            except RuntimeError as error:
                raise AdapterError(
                    f"The adapter does not fit layer {layer + 1} of the model: {str(error).splitlines()[-1].strip()}",
                    remedy="Use the adapter with the base model it was trained for.",
                ) from error
            made[layer] = block.to(arch.device, arch.dtype).eval()
        return made

    def save(self, folder: str | Path) -> Path:
        """Write the adapter into ``folder`` (created)."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"profile": self.profile.to_dict(), "notes": dict(self.notes)}
        (folder / CONFIG_FILE).write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
        save_file({n: t.detach().cpu().contiguous() for n, t in self.weights.items()}, folder / WEIGHTS_FILE)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Adapter:
        """Read an adapter.

        Raises:
            AdapterError: no adapter there, or its files are damaged.
        """
        folder = Path(folder)
        config, files = folder / CONFIG_FILE, sorted(folder.glob("adapter*.safetensors"))
        if not config.is_file() or not files:
            raise AdapterError(
                f"{folder} holds no adapter ({CONFIG_FILE} and adapter*.safetensors).",
                remedy="Give the folder that training or convert wrote.",
            )
        try:
            settings = json.loads(config.read_text(encoding="utf-8"))
            weights = {name: tensor for file in files for name, tensor in load_file(file).items()}
            return cls(Profile.from_dict(settings["profile"]), weights, settings.get("notes", {}))
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            raise AdapterError(
                f"The adapter in {folder} is damaged: {error}", remedy="Fetch or convert it again."
            ) from error
