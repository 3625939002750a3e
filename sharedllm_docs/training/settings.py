"""Tables of a training run that say what is trained, for how long and how: frozen dataclasses, each checked at once.

Leaf module but for the project's own errors: no torch. The objectives are in ``objective_settings``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from sharedllm_docs.training.checks import below, not_shares, not_whole, raise_if

Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["auto", "no", "bf16"]
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class RunSettings:
    """How long, how much at once, how often what.

    Attributes:
        seed: of everything that is drawn.
        steps: optimiser steps in all.
        batch: examples a device and pass.
        accumulation: passes whose gradients are summed for one step.
        log_every: steps between two lines of the log.
        save_every: steps between two checkpoints.
        probe_every: steps between two measurements of right against wrong chunks (0 = never).
        probe_examples: examples of such a measurement.
        precision: ``bf16`` computes in bfloat16 where it is safe, ``auto`` does so on CUDA.
        packing: compute no padding where a sixteenth or more of a batch's tokens is: sequences stand in one row behind
            one another. Losses and gradients are the same but for rounding. Needs the attention ``sdpa``.
        compile: what works on each token alone (norms and MLPs) goes through ``torch.compile``; ``auto`` on CUDA. Where
            compiling fails the run says so and goes on without.
        prefetch: passes whose examples are drawn ahead in a thread (0 = none).
    """

    seed: int = 0
    steps: int = 1000
    batch: int = 8
    accumulation: int = 1
    log_every: int = 10
    save_every: int = 200
    probe_every: int = 100
    probe_examples: int = 32
    precision: Precision = "auto"
    packing: bool = True
    compile: Literal["auto"] | bool = "auto"
    prefetch: int = 2

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "accumulation", "log_every", "save_every", "probe_examples")
        problems = not_whole(self, "seed", "probe_every", "prefetch", *counts)
        if not problems:
            problems = below(self, 1, *counts) + below(self, 0, "seed", "probe_every", "prefetch")
        if not isinstance(self.packing, bool):
            problems.append(f"packing={self.packing!r} must be true or false.")
        if self.compile not in ("auto", True, False):
            problems.append(f"compile={self.compile!r} must be 'auto', true or false.")
        if self.precision not in get_args(Precision):
            problems.append(f"precision={self.precision!r} is not one of {', '.join(get_args(Precision))}.")
        raise_if(problems, "run")


@dataclass(frozen=True)
class ModelSettings:
    """The base model.

    Attributes:
        name: folder or hub name; "" for the embedded default.
        dtype: of the frozen weights, as ``SharedLLM.from_pretrained`` takes it.
    """

    name: str = ""
    dtype: str = "auto"


@dataclass(frozen=True)
class TrainedSettings:
    """What is trained beside the base weights, which are frozen.

    Attributes:
        upper_rank: LoRA rank on the upper model (0 = none).
        lower_rank: LoRA rank on the lower model (0 = none); an index is then bound to the adapter's encoder.
        alpha: LoRA's change is multiplied by alpha / rank.
        dropout: on LoRA's input.
        targets: names of the linear modules that get LoRA.
        gate_init: where the gate of each cross-attention block begins; the block's output is multiplied by tanh of
            it, so 0 makes step 0 the base model.
        start_from: folder of an adapter whose weights training begins with, or the name of an embedded model for the
            adapter that comes with the package; "" for none. Its low-rank changes need the same ranks; a half that it
            does not change begins as ever.
    """

    upper_rank: int = 16
    lower_rank: int = 0
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = TARGETS
    gate_init: float = 0.0
    start_from: str = ""

    def __post_init__(self) -> None:
        problems = not_whole(self, "upper_rank", "lower_rank") or below(self, 0, "upper_rank", "lower_rank")
        problems += below(self, 0, "alpha", "gate_init") + not_shares(self, "dropout")
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets:
            problems.append(f"targets={list(self.targets)} must be some of {', '.join(TARGETS)}.")
        raise_if(problems, "trained")


@dataclass(frozen=True)
class OptimiserSettings:
    """AdamW and its schedule.

    Attributes:
        learning_rate: of LoRA weights.
        block_learning_rate: of the cross-attention blocks' projections and norms.
        gate_learning_rate: of their gates, which start at 0 and open faster than the rest may move.
        weight_decay: on matrices.
        schedule: of the rate after the warm-up.
        warmup: share of the steps in which the rates rise from 0.
        final: share of the rates that is left at the end.
        clip: greatest norm of the gradient.
    """

    learning_rate: float = 3e-4
    block_learning_rate: float = 3e-4
    gate_learning_rate: float = 1e-2
    weight_decay: float = 0.0
    schedule: Schedule = "cosine"
    warmup: float = 0.03
    final: float = 0.05
    clip: float = 1.0

    def __post_init__(self) -> None:
        problems = below(self, 0, "learning_rate", "block_learning_rate", "gate_learning_rate", "weight_decay")
        problems += not_shares(self, "warmup", "final") + below(self, 1e-6, "clip")
        if self.schedule not in get_args(Schedule):
            problems.append(f"schedule={self.schedule!r} is not one of {', '.join(get_args(Schedule))}.")
        raise_if(problems, "optimiser")

    def factor(self, step: int, steps: int) -> float:
        """By what the rates are multiplied in ``step`` (from 0) of ``steps``."""
        rising = math.ceil(self.warmup * steps)
        if step < rising:
            return (step + 1) / rising
        if self.schedule == "constant":
            return 1.0
        done = (step - rising) / max(1, steps - rising)
        left = 0.5 * (1 + math.cos(math.pi * done)) if self.schedule == "cosine" else 1 - done
        return self.final + (1 - self.final) * left


@dataclass(frozen=True)
class Stage:
    """One stage of the curriculum.

    Attributes:
        until: share of the steps at which it ends; the last one's is 1.
        layers: injection layers in it, (first, last); None for the profile's.
        grains: grains of the levels, one of these drawn for each example; empty for the profile's.
    """

    until: float = 1.0
    layers: tuple[int, int] | None = None
    grains: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        raise_if(not_shares(self, "until"), "stages")
