"""Single settings replaced from a command line: ``TABLE.KEY=VALUE``. In: tables as TOML gives them. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import ConfigError
from sharedllm_docs.training.config import TrainingConfig, read_tables


def replaced(tables: Mapping[str, Any], changes: Sequence[str]) -> dict[str, Any]:
    """The tables with settings replaced; a value is JSON (numbers, lists, true), anything else is text.

    Raises:
        ConfigError: a change that is not ``TABLE.KEY=VALUE``, or of what is no table.
    """
    made = {name: dict(table) if isinstance(table, Mapping) else table for name, table in tables.items()}
    for change in changes:
        place, equals, value = change.partition("=")
        table, dot, key = place.partition(".")
        if not (equals and dot and table and key) or not isinstance(made.setdefault(table, {}), dict):
            raise ConfigError(f"{change!r} is no setting.", remedy="Write --set TABLE.KEY=VALUE.")
        made[table][key] = _value(value)
    return made


def read_config(path: Path, changes: Sequence[str] = (), *, steps: int | None = None) -> TrainingConfig:
    """A run's configuration with settings replaced; packs are named from the file's folder.

    Raises:
        ConfigError: the file cannot be read, or a setting is unknown or invalid.
    """
    config = TrainingConfig.from_dict(replaced(read_tables(path), changes)).with_packs_in(path.parent)
    return config if steps is None else replace(config, run=replace(config.run, steps=steps))


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
