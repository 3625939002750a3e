"""What a folder of checkpoints is bound to: the digest of all that decides what a step computes. Pure, no torch."""

from __future__ import annotations

from sharedllm_docs.model.digests import json_digest
from sharedllm_docs.training.config import TrainingConfig

FREE = ("log_every", "save_every", "probe_every", "probe_examples", "prefetch", "packing", "compile")
"""Settings of ``[run]`` that decide how often something is written or how fast a step is, not what it computes: they
may change while a run goes on. So may where the data lie."""


def run_digest(config: TrainingConfig, data: str) -> str:
    """Digest of a run.

    A setting that is added later must be among ``FREE``, or left out here while it has the value that stands for how
    things were before: folders of earlier versions go on being resumed.

    Args:
        config: the run's.
        data: the digest of its examples' source.
    """
    settings = config.to_dict()
    del settings["packs"]
    settings["run"] = {name: value for name, value in settings["run"].items() if name not in FREE}
    return json_digest([settings, data])
