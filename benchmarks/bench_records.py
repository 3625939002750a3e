"""Measurements on disk: one JSON line each, bound to a configuration, so that a run goes on where it was stopped.

Standard library and the project's errors alone.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import ConfigError

CONFIG, RECORDS = "config.json", "records.jsonl"
RETRIED = ("failed", "unavailable")
"""A record with one of these is measured again by the next call."""
Record = dict[str, Any]


@dataclass(frozen=True)
class Measurement:
    """What identifies a measurement.

    Attributes:
        table: ``peers``, ``m``, ``beta``, ``depth`` or ``growth``; on an accelerator the model and its attention.
        peer: who is measured.
        variant: what differs from its defaults, or "".
        size: tokens of the documents.
        phase: ``ingest`` or ``ask``.
        repeat: from 0.
    """

    table: str
    peer: str
    variant: str
    size: int
    phase: str
    repeat: int

    def __str__(self) -> str:
        name = f"{self.peer} {self.variant}".strip()
        return f"[{self.table}] {name}, {self.size} tokens, {self.phase}, repeat {self.repeat + 1}"


class Records:
    """The measurements of one folder.

    Args:
        folder: made where it is missing.
        config: JSON-ready; what every record of the folder shares.

    Raises:
        ConfigError: the folder was begun with another configuration, or its files are damaged.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder = folder
        self.path = folder / RECORDS
        folder.mkdir(parents=True, exist_ok=True)
        self.config = json.loads(json.dumps(config))
        self._bind(folder / CONFIG)
        self._records: dict[Measurement, Record] = dict(self._read())

    def __len__(self) -> int:
        return len(self._records)

    def items(self) -> list[tuple[Measurement, Record]]:
        """All measurements, the latest record of each."""
        return list(self._records.items())

    def get(self, measurement: Measurement) -> Record | None:
        """The record of a measurement, or None."""
        return self._records.get(measurement)

    def done(self, measurement: Measurement) -> bool:
        """Whether a measurement need not be made again."""
        record = self._records.get(measurement)
        return record is not None and not any(name in record for name in RETRIED)

    def add(self, measurement: Measurement, record: Record) -> None:
        """Append a record and put it on the disk."""
        line = json.dumps(asdict(measurement) | {"result": record})
        with self.path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
            file.flush()
            os.fsync(file.fileno())
        self._records[measurement] = record

    def _bind(self, path: Path) -> None:
        if not path.exists():
            path.write_text(json.dumps(self.config, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            return
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            names = sorted(found.keys() | self.config.keys())
        except (ValueError, AttributeError) as error:
            raise ConfigError(f"{path} is damaged: {error}.", remedy="Give another folder with --out.") from error
        differing = [name for name in names if found.get(name) != self.config.get(name)]
        if differing:
            told = "; ".join(f"{name} {found.get(name)!r}, now {self.config.get(name)!r}" for name in differing)
            raise ConfigError(
                f"{self.folder} holds measurements of another configuration: {told}.",
                remedy="Give another folder with --out, or the same settings.",
            )

    def _read(self) -> list[tuple[Measurement, Record]]:
        """All complete lines; a last line that a crash cut short is removed from the file."""
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        whole = data[: data.rfind(b"\n") + 1]
        if whole != data:
            self.path.write_bytes(whole)
        found = []
        for number, line in enumerate(whole.decode("utf-8", "replace").splitlines(), start=1):
            try:
                row = json.loads(line)
                result = row.pop("result")
                found.append((Measurement(**row), result))
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(
                    f"Line {number} of {self.path} is not a measurement: {error}.", remedy="Remove that line."
                ) from error
        return found
