"""The file of a run: JSON lines, first a header, then a result for every (system, example) measured.

A result is written and flushed at once, so a stopped run continues where it was; a last line that was cut off is
dropped. Results of another header (other task options, seed or model) are never mixed with new ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sharedllm_docs.checks import json_of
from sharedllm_docs.errors import EvaluationError

SCHEMA = 1


class RunFile:
    """The results of one run.

    Args:
        path: of the file; made with its folder when the first result is written.
        header: what all results have in common.

    Attributes:
        results: in the order in which they were measured.

    Raises:
        EvaluationError: the file has another header, or is damaged before its last line.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.header = json.loads(json.dumps({"schema": SCHEMA, **header}))
        self.results: list[dict[str, Any]] = []
        if path.is_file() and path.stat().st_size:
            self._load()
        self._done = {(one["system"], one["id"]) for one in self.results}

    def __contains__(self, key: tuple[str, str]) -> bool:
        """Whether (system, example id) is measured."""
        return key in self._done

    def add(self, result: Mapping[str, Any]) -> None:
        """Append a result; it is on the disk when this returns."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        new = not self.path.is_file() or not self.path.stat().st_size
        with self.path.open("a", encoding="utf-8") as file:
            if new:
                file.write(json.dumps(self.header, ensure_ascii=False, sort_keys=True) + "\n")
            file.write(json.dumps(result, ensure_ascii=False, sort_keys=True) + "\n")
        self.results.append(dict(result))
        self._done.add((result["system"], result["id"]))

    def chosen(self, systems: Iterable[str], ids: Iterable[str]) -> list[dict[str, Any]]:
        """Results of these systems and examples, in the order of the arguments."""
        results, names = {(one["system"], one["id"]): one for one in self.results}, list(ids)
        return [results[system, name] for system in systems for name in names if (system, name) in results]

    def _load(self) -> None:
        values = read_lines(self.path)
        found = values[0] if values else {}
        differing = sorted(key for key in {*found, *self.header} if found.get(key) != self.header.get(key))
        if differing:
            name = differing[0]
            raise EvaluationError(
                f"{self.path} was measured with {name}={found.get(name)!r}, now it is {self.header.get(name)!r}.",
                remedy="Use another output folder, or the same settings.",
            )
        self.results = values[1:]
        whole = "".join(json.dumps(value, ensure_ascii=False, sort_keys=True) + "\n" for value in values)
        if self.path.read_text(encoding="utf-8") != whole:  # drop a line that was cut off, before appending to it
            self.path.write_text(whole, encoding="utf-8")


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Header and results of a run file; a last line that was cut off is left out.

    Raises:
        EvaluationError: no such file, or a line before the last is damaged.
    """
    if not path.is_file():
        raise EvaluationError(f"no run file at {path}.", remedy="Give the JSONL that an evaluation wrote.")
    lines = path.read_text(encoding="utf-8").split("\n")
    values: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            values.append(json_of(line))
        except ValueError as error:
            if number == len(lines):  # no line feed after it
                break
            raise EvaluationError(
                f"{path} line {number} is damaged: {error}.", remedy="Remove the line; it will be measured again."
            ) from error
    return values
