"""The paper's profile with blocks of random weights: its cost does not depend on what they have learnt.

Options: ``layers`` (M, the number of injection layers from the lowest up, clipped to the model's) and ``grains`` (one a
level of the tree, so their number is its depth). Rows are bfloat16, the budget the profile's default.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from peers.injected import InjectedPeer


class Untrained(InjectedPeer):
    """See the module."""

    def model_options(self) -> dict[str, Any]:
        folder = self.folder / "adapter"
        if not folder.is_dir():
            self._make(folder)
        return {"adapter": str(folder)}

    def _make(self, folder: Path) -> None:
        """Save an adapter of random blocks for the profile."""
        import torch

        from sharedllm_docs import Profile, SharedLLM
        from sharedllm_docs.injection.cross_attention import CrossAttention
        from sharedllm_docs.model.adapter import Adapter

        options = self.settings.options
        config = json.loads((Path(self.settings.folder) / "config.json").read_text(encoding="utf-8"))
        last = min(int(options["layers"]), int(config["num_hidden_layers"]))
        grains = tuple(options["grains"])
        profile = Profile.sharedllm(layers=(1, last), grains=grains, depth=len(grains))
        arch = SharedLLM.from_pretrained(
            self.settings.model or None, adapter=None, profile="prefix", dtype=self.settings.dtype, device="cpu"
        ).upper
        torch.manual_seed(0)
        weights = {
            f"layers.{layer}.cross_attn.{name}": tensor
            for layer in profile.injection_layers
            for name, tensor in CrossAttention(arch).state_dict().items()
        }
        Adapter(profile, weights, {"untrained": True}).save(folder)
