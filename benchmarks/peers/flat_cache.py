"""A flat cache of chunks in the manner of TurboRAG (arXiv 2410.07590), built from this project's parts.

Every chunk is encoded alone, keys and values of all layers and all tokens are stored in bfloat16, and a question takes
the nearest chunks whole: full depth, grain 1, no tree. What it leaves out of this project is the calibrated range of
layers, 8-bit rows, the prompt in front while encoding, and the choice of parts inside a chunk. It is not a measurement
of TurboRAG itself, whose model is fine-tuned.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from peers.injected import InjectedPeer

PASSAGE, PASSAGES = 512, 4


class FlatCache(InjectedPeer):
    """See the module. The minimum depth of a tree is 1: a chunk of 1,024 tokens is two passages of 512."""

    budget = PASSAGE * PASSAGES

    def model_options(self) -> dict[str, Any]:
        from sharedllm_docs import Profile

        config = json.loads((Path(self.settings.folder) / "config.json").read_text(encoding="utf-8"))
        profile = Profile.prefix(
            layers=(1, int(config["num_hidden_layers"])),
            chunk_tokens=2 * PASSAGE,
            depth=1,
            grains=(1,),
            front="none",
            store_dtype="bfloat16",
        )
        return {"profile": profile, "adapter": None}
