"""A training run: from its beginning or its last checkpoint to checkpoints, logs and an adapter in its folder.

A step depends on its number alone, so a stopped run continues exactly where it was. Faults become errors that say which
checkpoint is kept. Several devices work through ``accelerate launch``.
"""

from __future__ import annotations

import errno
import math
import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.errors import CheckpointError, DiskFullError, TrainingError
from sharedllm_docs.model.adapter import SHARD_BYTES, Adapter
from sharedllm_docs.training.binding import run_digest
from sharedllm_docs.training.checkpoints import (
    TrainingState,
    find_checkpoint,
    load_state,
    optimiser_tensors,
    restore,
    save_checkpoint,
)
from sharedllm_docs.training.compiled import CompiledParts, or_without, wanted
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.feed import Feed
from sharedllm_docs.training.logs import COLUMNS, Meter, RunLog, line_of, plot_losses
from sharedllm_docs.training.objectives import Source
from sharedllm_docs.training.probe import Probe
from sharedllm_docs.training.trainee import Losses, Trainee

SKIPPED_IN_A_ROW = 5
"""Gradients in succession that are not numbers, at which a run ends. On a GPU one step in 190 had such a one in
bfloat16 (docs/log.md)."""


@dataclass(frozen=True)
class Outcome:
    """How a call of ``train`` ended.

    Attributes:
        step: optimiser steps done so far.
        finished: whether these are all.
        adapter: folder of the adapter.
    """

    step: int
    finished: bool
    adapter: Path


@dataclass(frozen=True)
class TrainingBase:
    """The model that a run is based on.

    Attributes:
        arch: the base model.
        start_ids: token ids of the prompt's start.
        name: the model's name, for the adapter's notes.
    """

    arch: Architecture
    start_ids: tuple[int, ...]
    name: str = ""


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
    """Train, or continue the run in ``folder``.

    Args:
        config: the run's configuration.
        folder: where checkpoints and logs go.
        base: the base model.
        source: where examples are drawn from.
        max_minutes: stop with a checkpoint before this call has taken so many minutes.
        say: called with a line for each entry of the log.
        tensorboard: also log for TensorBoard, if it is installed.

    Raises:
        TrainingError: out of memory, or the loss or several gradients in succession are not numbers; the last good
            checkpoint is kept.
        DiskFullError: no space left; the last good checkpoint is kept.
        CheckpointError: the folder contains a run of another configuration, or a damaged checkpoint.
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


class Trainer:
    """One run: model, optimiser, log, and the step it has reached."""

    def __init__(
        self,
        config: TrainingConfig,
        folder: Path,
        base: TrainingBase,
        source: Source,
        say: Callable[[str], None],
    ) -> None:
        self.config, self.folder, self.base, self.source = config, folder, base, source
        self.step = self._skipped = 0
        self.meter = Meter()
        self.accelerator = _accelerator(config, base.arch.device)
        self.main: bool = self.accelerator.is_main_process
        self.say = say if self.main else lambda line: None
        torch.manual_seed(config.run.seed)
        front = {"prompt": base.start_ids, "sink": base.start_ids[:1], "none": ()}[config.profile.front]
        self.trainee = Trainee(base.arch, config, start_ids=base.start_ids, front_ids=front)
        if config.trained.start_from:
            self.trainee.start_from(Adapter.load(config.trained.start_from))
        self.optimiser = torch.optim.AdamW(self.trainee.groups(), betas=(0.9, 0.95))
        self.model = self.accelerator.prepare(self.trainee)
        self.compiled = self._compiled()
        self.feed = Feed(config, source, num_layers=base.arch.num_layers, process=self.accelerator.process_index)
        self.probe = Probe(config, source, self.trainee, self.model)
        self.digest = run_digest(config, source.digest)
        self._saved = self._resume()

    def _compiled(self) -> CompiledParts | None:
        if not wanted(self.config.run.compile, self.base.arch.device):
            return None
        return CompiledParts(self.trainee.halves())

    # -- the loop -----------------------------------------------------------------------------------------------------

    def run(self, max_minutes: float | None, *, tensorboard: bool) -> Outcome:
        """Take steps until the last one, or until the time is up."""
        begun = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        log = RunLog(self.folder, self.step, tensorboard=tensorboard) if self.main else None
        steps = self.config.run.steps
        self.meter.restart()
        try:
            with self.feed:
                while self.step < steps:
                    self._whole_step(log)
                    if self._time_is_up(begun, max_minutes):
                        break
        finally:
            if self.compiled is not None:
                self.compiled.restore()
            if log is not None:
                log.close()
        adapter = self.save() if self._saved != self.step else self.folder / "checkpoint" / "adapter"
        if self.main:
            plot_losses(self.folder)
        return Outcome(self.step, self.step >= steps, adapter)

    def _whole_step(self, log: RunLog | None) -> None:
        """A step, and the line of the log and the checkpoint that may follow it."""
        self._train_step()
        self.step += 1
        row = self._log_row()
        if row and log is not None:
            log.write(row)
            self.say(line_of(row, self.config.run.steps))
        if self.step % self.config.run.save_every == 0:
            self.save()

    def _train_step(self) -> None:
        run = self.config.run
        rank = self.accelerator.process_index
        torch.manual_seed(random.Random(f"{run.seed}/dropout/{self.step}/{rank}").getrandbits(62))
        factor = self.config.optimiser.factor(self.step, run.steps)
        for group in self.optimiser.param_groups:
            group["lr"] = group["base_lr"] * factor
        self.trainee.train()
        for micro in range(run.accumulation):
            examples = self.feed.take(self.step, micro)
            with self._no_sync(last=micro + 1 == run.accumulation):
                losses: Losses = or_without(self.compiled, partial(self.model, examples), self.say)
                self.accelerator.backward(losses.total / run.accumulation)
            self.meter.add(examples, losses, self.accelerator.num_processes)
        norm = torch.nn.utils.clip_grad_norm_(list(self.trainee.parameters()), self.config.optimiser.clip)
        if self._usable(losses, norm):
            self.optimiser.step()
        self.optimiser.zero_grad(set_to_none=True)
        self.meter.end_step(float(norm))

    def _no_sync(self, *, last: bool) -> AbstractContextManager[Any]:
        return nullcontext() if last else self.accelerator.no_sync(self.model)

    def _usable(self, losses: Losses, norm: torch.Tensor) -> bool:
        """Whether the gradient is a number. Single ones that are not leave the weights as they are.

        Raises:
            TrainingError: the loss is not a number, or ``SKIPPED_IN_A_ROW`` gradients in succession are none.
        """
        # the norm is the same on every device, so all of them skip or stop together
        loss, size = float(losses.total.detach()), float(norm)
        finite = math.isfinite(loss) and math.isfinite(size)
        self._skipped = 0 if finite else self._skipped + 1
        if math.isfinite(loss) and self._skipped < SKIPPED_IN_A_ROW:
            if not finite:
                self.say(f"step {self.step + 1} changes nothing: its gradient's norm is {size}")
            return finite
        raise TrainingError(
            f"In step {self.step + 1} the loss is {loss} and its gradient's norm {size}. {self.last_good}",
            remedy="Lower the learning rates, or compute with precision='no'.",
        )

    def _time_is_up(self, begun: float, max_minutes: float | None) -> bool:
        if max_minutes is None:
            return False
        used = time.monotonic() - begun
        reserve = self.meter.seconds_a_step + self.meter.slowest_save
        up = torch.tensor(float(used + reserve >= 60 * max_minutes), device=self.accelerator.device)
        if self.accelerator.num_processes > 1:
            up = self.accelerator.reduce(up, reduction="sum")
        return bool(up > 0)

    # -- logs ---------------------------------------------------------------------------------------------------------

    def _log_row(self) -> dict[str, Any]:
        """The row to log after this step; empty when none is due."""
        run = self.config.run
        last = self.step == run.steps
        probing = bool(run.probe_every) and (self.step % run.probe_every == 0 or last)
        if not probing and self.step % run.log_every and not last:
            return {}
        row = self.meter.row(self.step, run.steps)
        row["learning_rate"] = self.optimiser.param_groups[0]["lr"]
        stage = self.config.variants(self.config.stage_at(self.step - 1))[0].resolve(self.base.arch.num_layers)
        row["layers"] = "{}-{}".format(*(stage.layers or ()))
        gates = [value for name, value in self.trainee.trained_state().items() if name.endswith(".gate")]
        if gates:
            row["gate"] = float(torch.stack(gates).detach().tanh().mean())
        if probing:
            row |= self.probe.measure(self.step - 1)
            self.meter.restart()
        return {name: row[name] for name in COLUMNS if name in row}

    # -- checkpoints --------------------------------------------------------------------------------------------------

    @property
    def last_good(self) -> str:
        """A sentence for errors, which names the checkpoint that is kept."""
        if self._saved:
            return f"The checkpoint of step {self._saved} in {self.folder} is kept."
        return "There was no checkpoint yet."

    def save(self) -> Path:
        """Write a checkpoint; returns the adapter's folder."""
        begun = time.monotonic()
        if self.main:
            names = {id(parameter): name for name, parameter in self.trainee.named_trained()}
            tensors = {f"model.{name}": value.detach() for name, value in self.trainee.trained_state().items()}
            tensors |= optimiser_tensors(self.optimiser, names)
            notes = {"base": self.base.name, "step": self.step, "training": self.config.to_dict()}
            numbers = {"run": self.digest, "meter": self.meter.to_dict()}
            save_checkpoint(
                self.folder,
                self.trainee.adapter(notes),
                TrainingState(self.step, tensors, numbers),
                shard_bytes=SHARD_BYTES,
            )
        self.accelerator.wait_for_everyone()
        self._saved = self.step
        self.meter.slowest_save = max(self.meter.slowest_save, time.monotonic() - begun)
        return self.folder / "checkpoint" / "adapter"

    def _resume(self) -> int:
        found = find_checkpoint(self.folder)
        if found is None:
            return 0
        state = load_state(found)
        if state.numbers.get("run") != self.digest:
            raise CheckpointError(
                f"{self.folder} holds a run of another configuration or other data.",
                remedy="Resume with the configuration that the run was started with, or give another folder.",
            )
        restore(state, dict(self.trainee.named_trained()), self.optimiser)
        self.step = state.step
        self.meter = Meter.from_dict(state.numbers["meter"])
        self.say(f"resuming after step {self.step}")
        return self.step


def _accelerator(config: TrainingConfig, device: torch.device) -> Accelerator:
    precision = config.run.precision
    if precision == "auto":
        precision = "bf16" if device.type == "cuda" else "no"
    # a curriculum over layers leaves some weights without gradients
    unused = DistributedDataParallelKwargs(find_unused_parameters=True)
    return Accelerator(mixed_precision=precision, cpu=device.type == "cpu", kwargs_handlers=[unused])
