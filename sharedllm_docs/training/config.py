"""Settings of a training run: frozen dataclasses read from TOML, all problems of a part reported together.

Comes in: a TOML file, one table for each class here. Leaf module but for the project's own settings: no torch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Literal, get_args

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError

Teacher = Literal["none", "prefill", "injection"]
Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["auto", "no", "bf16"]
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def _raise_if(problems: list[str], table: str) -> None:
    if problems:
        raise ConfigError(f"Invalid [{table}]: " + " ".join(problems), remedy="Correct the configuration.")


def _below(settings: object, least: float, *names: str) -> list[str]:
    """A sentence for each setting that is no number, or below ``least``."""
    problems = []
    for name in names:
        value = getattr(settings, name)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            problems.append(f"{name}={value!r} must be a number.")
        elif value < least:
            problems.append(f"{name}={value!r} must be at least {least:g}.")
    return problems


def _not_whole(settings: object, *names: str) -> list[str]:
    return [
        f"{name}={getattr(settings, name)!r} must be a whole number."
        for name in names
        if not isinstance(getattr(settings, name), int) or isinstance(getattr(settings, name), bool)
    ]


def _not_shares(settings: object, *names: str) -> list[str]:
    """A sentence for each setting outside 0..1."""
    wrong = _below(settings, 0, *names)
    return wrong or [f"{n}={getattr(settings, n)!r} must lie in 0..1." for n in names if getattr(settings, n) > 1]


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
    prefetch: int = 2

    def __post_init__(self) -> None:
        counts = ("steps", "batch", "accumulation", "log_every", "save_every", "probe_examples")
        problems = _not_whole(self, "seed", "probe_every", "prefetch", *counts)
        if not problems:
            problems = _below(self, 1, *counts) + _below(self, 0, "seed", "probe_every", "prefetch")
        if not isinstance(self.packing, bool):
            problems.append(f"packing={self.packing!r} must be true or false.")
        if self.precision not in get_args(Precision):
            problems.append(f"precision={self.precision!r} is not one of {', '.join(get_args(Precision))}.")
        _raise_if(problems, "run")


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
        problems = _not_whole(self, "upper_rank", "lower_rank") or _below(self, 0, "upper_rank", "lower_rank")
        problems += _below(self, 0, "alpha", "gate_init") + _not_shares(self, "dropout")
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets:
            problems.append(f"targets={list(self.targets)} must be some of {', '.join(TARGETS)}.")
        _raise_if(problems, "trained")


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
        problems = _below(self, 0, "learning_rate", "block_learning_rate", "gate_learning_rate", "weight_decay")
        problems += _not_shares(self, "warmup", "final") + _below(self, 1e-6, "clip")
        if self.schedule not in get_args(Schedule):
            problems.append(f"schedule={self.schedule!r} is not one of {', '.join(get_args(Schedule))}.")
        _raise_if(problems, "optimiser")

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
class ObjectiveSettings:
    """The mix of objectives and what their examples look like.

    Attributes:
        continuation, reconstruction, questions: shares of the examples (they need not sum to 1).
        past_chunks: most chunks of past in a continuation.
        target_tokens: most tokens predicted in continuation and reconstruction.
        distractors: most chunks beside the gold one in a question.
        group: questions that are drawn over the same chunks, which are then encoded once; 1 draws each alone.
        siblings: most questions of a group over one and the same context.
        fill: tokens to which a group's chunks are filled with contexts (0 = ``chunk_tokens``).
        max_fed: most tokens of a group's question and its answer together (0 = any): a batch is as wide as its longest.
        leaves: most leaves injected of a group's question, as a question's selection takes the nearest ones.
        kinds: kind of question -> weight with which it is drawn in groups; empty: every question alike.
        full_chunks: share of questions whose chunks are filled up with contexts of other documents.
        evidence: share of questions that quote the best leaf in the prompt.
        max_rows: most rows injected in one example.
        teacher: whose predictions are imitated on the target tokens: the base model reading the chunks as text
            (``prefill``), or injected at grain 1 into all its layers (``injection``).
        kl_weight: of the divergence from the teacher, beside the loss.
        loss_weight: of the loss itself.
    """

    continuation: float = 0.3
    reconstruction: float = 0.1
    questions: float = 0.6
    past_chunks: int = 2
    target_tokens: int = 64
    distractors: int = 2
    group: int = 1
    siblings: int = 3
    fill: int = 0
    max_fed: int = 0
    leaves: int = 4
    kinds: Mapping[str, float] = field(default_factory=dict)
    full_chunks: float = 0.5
    evidence: float = 0.1
    max_rows: int = 2048
    teacher: Teacher = "none"
    kl_weight: float = 1.0
    loss_weight: float = 1.0

    def __post_init__(self) -> None:
        mix = ("continuation", "reconstruction", "questions")
        problems = _below(self, 0, *mix, "kl_weight", "loss_weight") + _not_shares(self, "evidence", "full_chunks")
        at_least = {"past_chunks": 1, "max_rows": 1, "distractors": 0, "target_tokens": 2}
        at_least |= {"group": 1, "siblings": 1, "fill": 0, "max_fed": 0, "leaves": 1}
        problems += _not_whole(self, *at_least) or [
            problem for name, least in at_least.items() for problem in _below(self, least, name)
        ]
        problems += self._kinds_problems()
        if not problems and not sum(getattr(self, name) for name in mix):
            problems.append("all objectives have the share 0.")
        if not problems and not self.loss_weight and (self.teacher == "none" or not self.kl_weight):
            problems.append("loss_weight=0 leaves nothing to learn from without a teacher.")
        if self.teacher not in get_args(Teacher):
            problems.append(f"teacher={self.teacher!r} is not one of {', '.join(get_args(Teacher))}.")
        _raise_if(problems, "objectives")

    def _kinds_problems(self) -> list[str]:
        wrong = [name for name, weight in self.kinds.items() if not isinstance(weight, (int, float)) or weight < 0]
        if wrong:
            return [f"kinds: the weight {self.kinds[wrong[0]]!r} of {wrong[0]!r} must be a number of at least 0."]
        if self.kinds and not sum(self.kinds.values()):
            return ["kinds: all weights are 0."]
        return []

    @property
    def mix(self) -> dict[str, float]:
        """Objective -> share, those in use."""
        names = ("continuation", "reconstruction", "questions")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


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
        _raise_if(_not_shares(self, "until"), "stages")


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run.

    Attributes:
        profile: what the adapter is for; layers are the last stage's where it names some.
        run, model, trained, optimiser, objectives: see their classes.
        stages: the curriculum; one stage of the profile's own settings by default.
        packs: files of packed tokens, by path or pattern, relative to the configuration's folder.
    """

    profile: Profile
    run: RunSettings = field(default_factory=RunSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    trained: TrainedSettings = field(default_factory=TrainedSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    objectives: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    stages: tuple[Stage, ...] = (Stage(),)
    packs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        ends = [stage.until for stage in self.stages]
        if not ends or ends != sorted(set(ends)) or ends[-1] != 1:
            problems.append(f"the stages end at {ends}: the shares must rise and the last be 1.")
        if self.run.batch % self.objectives.group:
            problems.append(f"batch={self.run.batch} is no multiple of group={self.objectives.group}.")
        if self.profile.encoding != "one_pass":
            problems.append(f"profile encoding={self.profile.encoding!r} cannot be trained, only 'one_pass'.")
        if self.profile.name != "sharedllm":
            problems.append(f"profile {self.profile.name!r} needs no training: use 'sharedllm'.")
        if self.profile.fusion == "joint" and not (self.trained.upper_rank or self.trained.lower_rank):
            problems.append("fusion='joint' has no blocks to train: give upper_rank or lower_rank.")
        _raise_if(problems, "training")
        for stage in self.stages:
            self.variants(stage)  # each combination must be a valid profile

    def variants(self, stage: Stage) -> tuple[Profile, ...]:
        """The profiles among which one is drawn for each example of ``stage``."""
        layers = stage.layers or self.profile.layers
        grains = stage.grains or (self.profile.grains,)
        return tuple(replace(self.profile, layers=layers, grains=grain) for grain in grains)

    @property
    def final_profile(self) -> Profile:
        """What the finished adapter is for: the profile, in the last stage's layers."""
        return replace(self.profile, layers=self.stages[-1].layers or self.profile.layers)

    def stage_at(self, step: int) -> Stage:
        """The stage of ``step`` (from 0)."""
        return next(stage for stage in self.stages if step < stage.until * self.run.steps or stage is self.stages[-1])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready settings, for notes and for comparing runs."""
        return {**asdict(self), "profile": self.profile.to_dict()}

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any]) -> TrainingConfig:
        """From tables as TOML gives them.

        Raises:
            ConfigError: unknown or invalid settings.
        """
        parts = {
            "run": RunSettings,
            "model": ModelSettings,
            "trained": TrainedSettings,
            "optimiser": OptimiserSettings,
            "objectives": ObjectiveSettings,
        }
        known = {*parts, "profile", "stages", "data"}
        _raise_if(
            [f"unknown table {n!r} (known: {', '.join(sorted(known))})." for n in sorted(set(tables) - known)],
            "training",
        )
        made = {name: _table(part, tables[name], name) for name, part in parts.items() if name in tables}
        profile = Profile.sharedllm(
            **{k: _frozen(v) for k, v in _mapping(tables.get("profile", {}), "profile").items()}
        )
        if "stages" in tables:
            made["stages"] = tuple(_table(Stage, entry, "stages") for entry in _list(tables["stages"], "stages"))
        data = _mapping(tables.get("data", {}), "data")
        _raise_if([f"unknown setting {name!r} (known: packs)." for name in sorted(set(data) - {"packs"})], "data")
        return cls(profile=profile, packs=tuple(_list(data.get("packs", []), "data")), **made)

    @classmethod
    def read(cls, path: str | Path) -> TrainingConfig:
        """Read a TOML file.

        Raises:
            ConfigError: the file is missing or no TOML, or a setting is invalid.
        """
        path = Path(path)
        return cls.from_dict(read_tables(path)).with_packs_in(path.parent)

    def with_packs_in(self, folder: Path) -> TrainingConfig:
        """The same with relative packs named from ``folder``."""
        return replace(self, packs=tuple(str(folder / pack) for pack in self.packs))


def read_tables(path: Path) -> dict[str, Any]:
    """Tables of a TOML file.

    Raises:
        ConfigError: the file is missing or no TOML.
    """
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"The configuration {path} cannot be read: {error}", remedy="Give a TOML file.") from error


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        _raise_if([f"it must be a table, not {value!r}."], name)
    return value  # type: ignore[no-any-return]


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        _raise_if([f"it must be a list, not {value!r}."], name)
    return value  # type: ignore[no-any-return]


def _table(part: Any, values: Any, name: str) -> Any:
    known = {f.name for f in fields(part)}
    given = _mapping(values, name)
    _raise_if(
        [f"unknown setting {key!r} (known: {', '.join(sorted(known))})." for key in sorted(set(given) - known)], name
    )
    return part(**{key: _frozen(value) for key, value in given.items()})
