"""A whole training run's settings, read from TOML; all problems of a part are reported together.

Comes in: a TOML file, one table for each class of ``settings`` and ``objective_settings``. Leaf module but for the
project's own settings: no torch.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.training.checks import raise_if
from sharedllm_docs.training.objective_settings import ObjectiveSettings, Teacher
from sharedllm_docs.training.settings import (
    TARGETS,
    ModelSettings,
    OptimiserSettings,
    Precision,
    RunSettings,
    Schedule,
    Stage,
    TrainedSettings,
)

__all__ = [
    "TARGETS",
    "ModelSettings",
    "ObjectiveSettings",
    "OptimiserSettings",
    "Precision",
    "RunSettings",
    "Schedule",
    "Stage",
    "Teacher",
    "TrainedSettings",
    "TrainingConfig",
    "read_tables",
]


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
        raise_if(problems, "training")
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
        raise_if(
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
        raise_if([f"unknown setting {name!r} (known: packs)." for name in sorted(set(data) - {"packs"})], "data")
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
        raise_if([f"it must be a table, not {value!r}."], name)
    return value  # type: ignore[no-any-return]


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list):
        raise_if([f"it must be a list, not {value!r}."], name)
    return value  # type: ignore[no-any-return]


def _table(part: Any, values: Any, name: str) -> Any:
    known = {f.name for f in fields(part)}
    given = _mapping(values, name)
    raise_if(
        [f"unknown setting {key!r} (known: {', '.join(sorted(known))})." for key in sorted(set(given) - known)], name
    )
    return part(**{key: _frozen(value) for key, value in given.items()})
