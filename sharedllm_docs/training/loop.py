"""A run from its beginning or from its last checkpoint, with faults turned into errors that say what is kept.

Comes in: a configuration, a base model, a source of examples, a folder. Goes out: what ``Trainer`` leaves there.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import torch

from sharedllm_docs.errors import DiskFullError, TrainingError
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.objectives import Source
from sharedllm_docs.training.trainer import Outcome, Trainer, TrainingBase

__all__ = ["Outcome", "Trainer", "TrainingBase", "train"]


def train(
    config: TrainingConfig,
    folder: str | Path,
    *,
    base: TrainingBase,
    source: Source,
    max_minutes: float | None = None,
    say: Callable[[str], None] = lambda line: None,
    tensorboard: bool = True,
) -> Outcome:
    """Train, or go on with the run in ``folder``.

    Args:
        config: the run's.
        folder: of checkpoints and logs.
        base: the model.
        source: of examples.
        max_minutes: stop with a checkpoint before so many minutes of this call have passed.
        say: told a line at each entry of the log.
        tensorboard: also log for TensorBoard, where it is installed.

    Raises:
        TrainingError: out of memory, or the loss is no number; the last good checkpoint is kept.
        DiskFullError: no space left; the last good checkpoint is kept.
        CheckpointError: the folder holds a run of another configuration, or a damaged checkpoint.
    """
    trainer = Trainer(config, Path(folder), base, source, say)
    try:
        return trainer.run(max_minutes, tensorboard=tensorboard)
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise _out_of_memory(trainer, config) from error
    except RuntimeError as error:
        if "can't allocate memory" not in str(error) and "out of memory" not in str(error):
            raise
        raise _out_of_memory(trainer, config) from error
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DiskFullError(
            f"No space left in {folder} at step {trainer.step + 1}. {trainer.last_good}", remedy="Make room and resume."
        ) from error


def _out_of_memory(trainer: Trainer, config: TrainingConfig) -> TrainingError:
    return TrainingError(
        f"Out of memory in step {trainer.step + 1} with batch={config.run.batch}. {trainer.last_good}",
        remedy="Lower batch and raise accumulation, or lower chunk_tokens or max_rows.",
    )
