"""The digest that binds a folder of checkpoints to its run: of all that decides what a step computes. No torch."""

from __future__ import annotations

from sharedllm_docs.model.digests import json_digest
from sharedllm_docs.training.config import TrainingConfig

FREE = ("log_every", "save_every", "probe_every", "probe_examples", "prefetch", "packing", "compile")
"""Settings of ``[run]`` that decide how often something is written or how fast a step is, not what it computes: they
may change between the calls of a run. So may the place of the data."""


def run_digest(config: TrainingConfig, data: str) -> str:
    """Digest of a run.

    A setting that is added later must be among ``FREE``, or be left out here while it has the value that stands for
    the earlier behaviour, so that folders of earlier versions can still be resumed.

    Args:
        config: the run's configuration.
        data: digest of the source of its examples.
    """
    settings = config.to_dict()
    del settings["token_files"]
    settings["run"] = {name: value for name, value in settings["run"].items() if name not in FREE}
    if settings["objectives"]["fewest_leaves"] == 1:
        del settings["objectives"]["fewest_leaves"]
    return json_digest([settings, data])
