"""Checkpoints: trained weights and the optimiser's state, in shards small enough to carry, replaced as a whole.

``<folder>/adapter`` is what inference loads, ``<folder>/state`` what a resumed run needs. A new checkpoint is written
beside the old one and takes its place by renaming, so an interruption at any instant leaves one that is whole.
"""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sharedllm_docs.errors import CheckpointError, DiskFullError
from sharedllm_docs.model.adapter import SHARD_BYTES, Adapter, write_shards

LATEST, OLDER, PARTIAL = "checkpoint", "checkpoint.old", "checkpoint.partial"
STATE_FILE = "state.json"


@dataclass(frozen=True)
class TrainingState:
    """State of a run.

    Attributes:
        step: number of optimiser steps done.
        tensors: trained parameters (``model.*``) and the optimiser's moments (``optimiser.*``).
        numbers: JSON values: counts, elapsed seconds, the configuration's digest.
    """

    step: int
    tensors: Mapping[str, torch.Tensor]
    numbers: Mapping[str, Any]


def save_checkpoint(folder: Path, adapter: Adapter, state: TrainingState, *, shard_bytes: int = SHARD_BYTES) -> Path:
    """Write a checkpoint; the one before it stays until this one is complete.

    Raises:
        DiskFullError: no space left; the last good checkpoint is still there.
    """
    partial = folder / PARTIAL
    try:
        shutil.rmtree(partial, ignore_errors=True)
        adapter.save(partial / "adapter", shard_bytes=shard_bytes)
        (partial / "state").mkdir()
        write_shards(state.tensors, partial / "state", "state", shard_bytes)
        numbers = {"step": state.step, **state.numbers}
        (partial / "state" / STATE_FILE).write_text(json.dumps(numbers, indent=2, sort_keys=True) + "\n")
    except (OSError, SafetensorError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if getattr(error, "errno", None) == errno.ENOSPC or "os error 28" in str(error):
            raise DiskFullError(
                f"No space left for the checkpoint of step {state.step} in {folder}; the last good one is kept.",
                remedy="Make room and resume.",
            ) from error
        raise
    return _replace(folder)


def _replace(folder: Path) -> Path:
    latest, older = folder / LATEST, folder / OLDER
    shutil.rmtree(older, ignore_errors=True)
    if latest.exists():
        latest.rename(older)
    (folder / PARTIAL).rename(latest)
    shutil.rmtree(older, ignore_errors=True)
    return latest


def find_checkpoint(folder: Path) -> Path | None:
    """The last whole checkpoint of a run's folder."""
    return next((folder / name for name in (LATEST, OLDER) if (folder / name / "state" / STATE_FILE).is_file()), None)


def load_state(checkpoint: Path) -> TrainingState:
    """Read the training state of a checkpoint.

    Raises:
        CheckpointError: it is damaged.
    """
    try:
        numbers = json.loads((checkpoint / "state" / STATE_FILE).read_text(encoding="utf-8"))
        tensors: dict[str, torch.Tensor] = {}
        for file in sorted((checkpoint / "state").glob("state*.safetensors")):
            tensors |= load_file(file)
        return TrainingState(int(numbers.pop("step")), tensors, numbers)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise CheckpointError(
            f"The checkpoint {checkpoint} is damaged: {error}", remedy="Start a new run in another folder."
        ) from error


def optimiser_tensors(optimiser: torch.optim.Optimizer, names: Mapping[int, str]) -> dict[str, torch.Tensor]:
    """The optimiser's state as tensors named by parameter; ``names`` maps a parameter's id to its name."""
    return {
        f"optimiser.{names[id(parameter)]}.{key}": value.detach()
        for parameter, entries in optimiser.state.items()
        for key, value in entries.items()
    }


def restore(
    state: TrainingState, parameters: Mapping[str, torch.nn.Parameter], optimiser: torch.optim.Optimizer
) -> None:
    """Put a state back into parameters and optimiser.

    Raises:
        CheckpointError: it does not fit them.
    """
    wanted = {f"model.{name}" for name in parameters}
    held = {name for name in state.tensors if name.startswith("model.")}
    if wanted != held:
        odd = sorted(wanted ^ held)[0]
        raise CheckpointError(
            f"The checkpoint does not fit this run: {odd} is on one side only.",
            remedy="Resume with the configuration that the run was started with.",
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(state.tensors[f"model.{name}"])
            entries = {
                key.rpartition(".")[2]: value
                for key, value in state.tensors.items()
                if key.rpartition(".")[0] == f"optimiser.{name}"
            }
            if entries:
                # AdamW keeps its step count on the CPU
                optimiser.state[parameter] = {
                    key: value.clone() if key == "step" else value.to(parameter.device, copy=True)
                    for key, value in entries.items()
                }
