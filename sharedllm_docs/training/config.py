"""A training run's configuration, read from TOML: a frozen dataclass for each table, checked when it is made.

All problems of a table are reported together. Loads no torch.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from sharedllm_docs.checks import (
    checked_keys,
    choice_problems,
    json_of,
    least_problems,
    number_problems,
    raise_if,
    share_problems,
)
from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError

Schedule = Literal["cosine", "linear", "constant"]
Precision = Literal["auto", "no", "bf16"]
Teacher = Literal["none", "prefill", "injection"]
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class RunSettings:
    """Length of a run, size of a step, and how often it is logged, saved and measured.

    Attributes:
        seed: seed of every random draw.
        steps: optimiser steps in all.
        batch: examples per device and pass.
        accumulation: passes whose gradients are summed for one step.
        log_every: steps between two lines of the log.
        save_every: steps between two checkpoints.
        probe_every: steps between two measurements of right against wrong chunks (0 = never).
        probe_examples: examples per measurement.
        precision: ``bf16`` computes in bfloat16 where that is safe; ``auto`` does so on CUDA.
        packing: if a sixteenth or more of a batch's tokens is padding, put its sequences one after another in a row
            instead. Losses and gradients are the same but for rounding. Needs the ``sdpa`` attention.
        compile: run norms and MLPs, which work on each token alone, through ``torch.compile``; ``auto``: on CUDA. If
            compiling fails, the run says so and continues without.
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
        problems = number_problems(self, whole=("seed", "probe_every", "prefetch", *counts))
        if not problems:
            problems = least_problems(self, 1, *counts) + least_problems(self, 0, "seed", "probe_every", "prefetch")
        if not isinstance(self.packing, bool):
            problems.append(f"packing={self.packing!r} must be true or false.")
        if self.compile not in ("auto", True, False):
            problems.append(f"compile={self.compile!r} must be 'auto', true or false.")
        problems += choice_problems(self, {"precision": Precision})
        raise_if(problems, "[run]")


@dataclass(frozen=True)
class ModelSettings:
    """The base model.

    Attributes:
        name: folder or hub name; "" is the embedded default.
        dtype: dtype of the frozen weights, as ``SharedLLM.from_pretrained`` takes it.
    """

    name: str = ""
    dtype: str = "auto"


@dataclass(frozen=True)
class TrainedSettings:
    """What is trained beside the base weights, which are frozen.

    Attributes:
        upper_rank: LoRA rank on the upper model (0 = none).
        lower_rank: LoRA rank on the lower model (0 = none); an index is then bound to the adapter's encoder.
        alpha: scale of LoRA, whose change is multiplied by alpha / rank.
        dropout: dropout of LoRA's input.
        targets: names of the linear modules that get LoRA.
        gate_init: initial gate of each cross-attention block. The block's output is multiplied by tanh of the gate, so
            with 0 step 0 is the base model.
        start_from: adapter whose weights training begins with: a folder, or the name of an embedded model for the
            adapter that comes with the package; "" for none. The ranks of LoRA must be those of that adapter; a half
            that the adapter does not change starts untrained.
    """

    upper_rank: int = 16
    lower_rank: int = 0
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = TARGETS
    gate_init: float = 0.0
    start_from: str = ""

    def __post_init__(self) -> None:
        ranks = ("upper_rank", "lower_rank")
        problems = number_problems(self, whole=ranks) or least_problems(self, 0, *ranks)
        problems += least_problems(self, 0, "alpha", "gate_init") + share_problems(self, "dropout")
        unknown = [name for name in self.targets if name not in TARGETS]
        if unknown or not self.targets:
            problems.append(f"targets={list(self.targets)} must be some of {', '.join(TARGETS)}.")
        raise_if(problems, "[trained]")


@dataclass(frozen=True)
class OptimiserSettings:
    """AdamW and its schedule.

    Attributes:
        learning_rate: rate of LoRA weights.
        block_learning_rate: rate of the cross-attention blocks' projections and norms.
        gate_learning_rate: rate of their gates, which start at 0 and have to open faster than the rest may move.
        weight_decay: decay of matrices.
        schedule: course of the rates after the warm-up.
        warmup: share of the steps in which the rates rise from 0.
        final: share of the rates that is left at the end.
        clip: maximum norm of the gradient.
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
        problems = least_problems(self, 0, "learning_rate", "block_learning_rate", "gate_learning_rate", "weight_decay")
        problems += share_problems(self, "warmup", "final") + least_problems(self, 1e-6, "clip")
        problems += choice_problems(self, {"schedule": Schedule})
        raise_if(problems, "[optimiser]")

    def factor(self, step: int, steps: int) -> float:
        """Factor of the rates in ``step`` (from 0) of ``steps``."""
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
        until: share of the steps at which the stage ends; 1 for the last one.
        layers: injection layers of the stage, (first, last); None for the profile's.
        grains: grains of the levels; one entry is drawn for each example. Empty for the profile's.
    """

    until: float = 1.0
    layers: tuple[int, int] | None = None
    grains: tuple[tuple[int, ...], ...] = ()

    def __post_init__(self) -> None:
        raise_if(share_problems(self, "until"), "[stages]")


@dataclass(frozen=True)
class ObjectiveSettings:
    """The mix of objectives, and what their examples look like.

    Attributes:
        continuation, reconstruction, questions: shares of the examples (they need not sum to 1).
        past_chunks: maximum chunks of past in a continuation.
        target_tokens: maximum tokens predicted in continuation and reconstruction.
        distractors: maximum chunks beside the gold one in a question.
        group: questions drawn over the same chunks, which are then encoded once; 1 draws each question alone.
        siblings: maximum questions of a group over the same context.
        fill: tokens to which a group's chunks are filled with contexts (0 = ``chunk_tokens``).
        max_fed: maximum tokens of a group's question and answer together (0 = any): a batch is as wide as its longest.
        leaves: maximum leaves injected for a group's question, as selection takes the nearest ones.
        fewest_leaves: minimum of them, where the chunks contain so many.
        kinds: weight with which each kind of question is drawn in groups; empty: all questions alike.
        full_chunks: share of questions whose chunks are filled up with contexts of other documents.
        evidence: share of questions that quote the best leaf in the prompt.
        max_rows: maximum rows injected in one example.
        teacher: the model whose predictions are imitated on the target tokens: the base model reading the chunks as
            text (``prefill``), or injected at grain 1 into all its layers (``injection``).
        kl_weight: weight of the divergence from the teacher, beside the loss.
        loss_weight: weight of the loss itself.
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
    fewest_leaves: int = 1
    kinds: Mapping[str, float] = field(default_factory=dict)
    full_chunks: float = 0.5
    evidence: float = 0.1
    max_rows: int = 2048
    teacher: Teacher = "none"
    kl_weight: float = 1.0
    loss_weight: float = 1.0

    def __post_init__(self) -> None:
        mix = ("continuation", "reconstruction", "questions")
        problems = least_problems(self, 0, *mix, "kl_weight", "loss_weight")
        problems += share_problems(self, "evidence", "full_chunks")
        at_least = {"past_chunks": 1, "max_rows": 1, "distractors": 0, "target_tokens": 2}
        at_least |= {"group": 1, "siblings": 1, "fill": 0, "max_fed": 0, "leaves": 1, "fewest_leaves": 1}
        problems += number_problems(self, whole=tuple(at_least)) or [
            problem for name, least in at_least.items() for problem in least_problems(self, least, name)
        ]
        if not problems and self.fewest_leaves > self.leaves:
            problems.append(f"fewest_leaves={self.fewest_leaves} is above leaves={self.leaves}.")
        problems += self._kinds_problems()
        if not problems and not sum(getattr(self, name) for name in mix):
            problems.append("all objectives have the share 0.")
        if not problems and not self.loss_weight and (self.teacher == "none" or not self.kl_weight):
            problems.append("loss_weight=0 leaves nothing to learn from without a teacher.")
        problems += choice_problems(self, {"teacher": Teacher})
        raise_if(problems, "[objectives]")

    def _kinds_problems(self) -> list[str]:
        wrong = [name for name, weight in self.kinds.items() if not isinstance(weight, (int, float)) or weight < 0]
        if wrong:
            return [f"kinds: the weight {self.kinds[wrong[0]]!r} of {wrong[0]!r} must be a number of at least 0."]
        if self.kinds and not sum(self.kinds.values()):
            return ["kinds: all weights are 0."]
        return []

    @property
    def mix(self) -> dict[str, float]:
        """Share of each objective in use."""
        names = ("continuation", "reconstruction", "questions")
        return {name: getattr(self, name) for name in names if getattr(self, name)}


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run.

    Attributes:
        profile: the profile that the adapter is for; its layers are the last stage's, if that names some.
        run, model, trained, optimiser, objectives: see their classes.
        stages: the curriculum; one stage with the profile's own settings by default.
        token_files: token files to learn from, by path or pattern, relative to the configuration's folder.
    """

    profile: Profile
    run: RunSettings = field(default_factory=RunSettings)
    model: ModelSettings = field(default_factory=ModelSettings)
    trained: TrainedSettings = field(default_factory=TrainedSettings)
    optimiser: OptimiserSettings = field(default_factory=OptimiserSettings)
    objectives: ObjectiveSettings = field(default_factory=ObjectiveSettings)
    stages: tuple[Stage, ...] = (Stage(),)
    token_files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        problems = []
        ends = [stage.until for stage in self.stages]
        if not ends or ends != sorted(set(ends)) or ends[-1] != 1:
            problems.append(f"the stages end at {ends}: the shares must rise and the last be 1.")
        if self.run.batch % self.objectives.group:
            problems.append(f"batch={self.run.batch} is not a multiple of group={self.objectives.group}.")
        if self.profile.encoding != "one_pass":
            problems.append(f"profile encoding={self.profile.encoding!r} cannot be trained, only 'one_pass'.")
        if self.profile.ranked:
            problems.append(f"profile keep={self.profile.keep!r} cannot be trained, only 'last' and 'first'.")
        if self.profile.name != "sharedllm":
            problems.append(f"profile {self.profile.name!r} needs no training: use 'sharedllm'.")
        if self.profile.fusion == "joint" and not (self.trained.upper_rank or self.trained.lower_rank):
            problems.append("fusion='joint' has no blocks to train: give upper_rank or lower_rank.")
        raise_if(problems, "[training]")
        for stage in self.stages:
            self.variants(stage)  # each combination must be a valid profile

    def variants(self, stage: Stage) -> tuple[Profile, ...]:
        """Profiles of ``stage``, one of which is drawn for each example."""
        layers = stage.layers or self.profile.layers
        grains = stage.grains or (self.profile.grains,)
        return tuple(replace(self.profile, layers=layers, grains=grain) for grain in grains)

    @property
    def final_profile(self) -> Profile:
        """The profile of the finished adapter: in the last stage's layers."""
        return replace(self.profile, layers=self.stages[-1].layers or self.profile.layers)

    def stage_at(self, step: int) -> Stage:
        """The stage of ``step`` (from 0)."""
        return next(stage for stage in self.stages if step < stage.until * self.run.steps or stage is self.stages[-1])

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready settings, for notes and for comparing runs."""
        return {**asdict(self), "profile": self.profile.to_dict()}

    @classmethod
    def from_dict(cls, tables: Mapping[str, Any]) -> TrainingConfig:
        """Make a configuration from tables as TOML gives them.

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
        raise_if(
            [f"unknown table {n!r} (known: {', '.join(sorted(known))})." for n in sorted(set(tables) - known)],
            "[training]",
        )
        made = {name: _table(part, tables[name], name) for name, part in parts.items() if name in tables}
        if "stages" in tables:
            made["stages"] = tuple(_table(Stage, entry, "stages") for entry in _list(tables["stages"], "stages"))
        profile = {name: _frozen(value) for name, value in _mapping(tables.get("profile", {}), "profile").items()}
        files = _token_files(tables.get("data", {}))
        return cls(profile=Profile.sharedllm(**profile), token_files=files, **made)

    @classmethod
    def read(cls, path: str | Path, changes: Sequence[str] = (), *, steps: int | None = None) -> TrainingConfig:
        """Read a TOML file; relative token files are named from its folder.

        Args:
            path: the file.
            changes: settings that replace the file's, each ``TABLE.KEY=VALUE``.
            steps: replaces ``run.steps``.

        Raises:
            ConfigError: the file is missing or no TOML, or a setting is unknown or invalid.
        """
        path = Path(path)
        config = cls.from_dict(replaced(read_tables(path), changes)).with_token_files_in(path.parent)
        return config if steps is None else replace(config, run=replace(config.run, steps=steps))

    def with_token_files_in(self, folder: Path) -> TrainingConfig:
        """The same configuration with relative token files named from ``folder``."""
        return replace(self, token_files=tuple(str(folder / file) for file in self.token_files))


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


def replaced(tables: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The tables with single settings replaced; a value is JSON (numbers, lists, true), anything else is text.

    Raises:
        ConfigError: a change is not ``TABLE.KEY=VALUE``, or what it names is not a table.
    """
    made = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for change in changes:
        place, equals, value = change.partition("=")
        table, dot, key = place.partition(".")
        if not (equals and dot and table and key) or not isinstance(made.setdefault(table, {}), dict):
            raise ConfigError(f"{change!r} is not a setting.", remedy="Write --set TABLE.KEY=VALUE.")
        made[table][key] = _value(value)
    return made


def _value(text: str) -> Any:
    try:
        return json_of(text)
    except ValueError:
        return text


def _token_files(table: Any) -> tuple[str, ...]:
    """The files that ``[data]`` names, by ``token_files`` or by the earlier name ``packs``."""
    given = _mapping(table, "data")
    unknown = sorted(set(given) - {"token_files", "packs"})
    problems = [f"unknown setting {name!r} (known: token_files)." for name in unknown]
    if len(given) > 1 and not unknown:
        problems.append("token_files is given twice: packs is its earlier name.")
    raise_if(problems, "[data]")
    return tuple(_list(next(iter(given.values()), []), "data"))


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def _mapping(value: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise_if([f"it must be a table, not {value!r}."], f"[{name}]")
    return value  # type: ignore[no-any-return]


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise_if([f"it must be a list, not {value!r}."], f"[{name}]")
    return value  # type: ignore[no-any-return]


def _table(part: Any, values: Any, name: str) -> Any:
    given = checked_keys(part, _mapping(values, name), f"[{name}]")
    return part(**{key: _frozen(value) for key, value in given.items()})
