"""The Markdown table of a run: one line per system and length, one column per metric, with 95% bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sharedllm_docs.evaluation.metrics import Interval
from sharedllm_docs.evaluation.tasks.base import Column, Result
from sharedllm_docs.evaluation.tasks.options import length_label


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        system: name of the system.
        length: tokens of the documents; None where the task has no lengths.
        measured: number of examples that count.
        skipped: number of examples that the system could not take.
        why: reason why it could not take the first of these, or "".
        values: one per column; None where there is nothing to count.
    """

    system: str
    length: int | None
    measured: int
    skipped: int
    why: str
    values: tuple[Interval | None, ...]


def lines_of(results: Sequence[Result], columns: Sequence[Column]) -> list[Line]:
    """Summaries of results, by length and then in the order in which systems first occur."""
    keys = dict.fromkeys((one.get("length"), one["system"]) for one in results)
    order = sorted(keys, key=lambda key: key[0] or 0)
    return [_line(system, length, _of(results, system, length), columns) for length, system in order]


def _of(results: Sequence[Result], system: str, length: int | None) -> list[Result]:
    return [one for one in results if one["system"] == system and one.get("length") == length]


def _line(system: str, length: int | None, results: Sequence[Result], columns: Sequence[Column]) -> Line:
    skipped = [one for one in results if "skipped" in one]
    counted = [one for one in results if "skipped" not in one]
    values = tuple(column.summary(counted) for column in columns)
    return Line(system, length, len(counted), len(skipped), skipped[0]["skipped"] if skipped else "", values)


def markdown(lines: Sequence[Line], columns: Sequence[Column]) -> str:
    """The table as Markdown, with a note on what could not be measured."""
    lengths = any(line.length is not None for line in lines)
    used = [number for number, _c in enumerate(columns) if any(line.values[number] is not None for line in lines)]
    head = ["system", *(["length"] if lengths else []), "n", *(columns[number].title for number in used)]
    table = [head, ["---"] * len(head)]
    for line in lines:
        cells = [
            f"`{line.system}`",
            *([length_label(line.length)] if line.length is not None else []),
            str(line.measured),
        ]
        table.append([*cells, *(_cell(line.values[number], columns[number]) for number in used)])
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in table) + "\n"
    notes = [f"- `{line.system}`{_at(line)}: {line.skipped} not measured. {line.why}" for line in lines if line.skipped]
    return text + ("\n" + "\n".join(notes) + "\n" if notes else "")


def _at(line: Line) -> str:
    return f" at {length_label(line.length)}" if line.length is not None else ""


def _cell(interval: Interval | None, column: Column) -> str:
    if interval is None:
        return "-"
    value, low, high = (f"{x * column.scale:.{column.digits}f}" for x in (interval.value, interval.low, interval.high))
    return value if value == low == high else f"{value} [{low}, {high}]"


def summary_of(lines: Sequence[Line], columns: Sequence[Column]) -> list[dict[str, Any]]:
    """The same as plain data, unscaled."""
    titles = [column.title for column in columns]
    return [
        {
            "system": line.system,
            "length": line.length,
            "n": line.measured,
            "skipped": line.skipped,
            **{t: None if v is None else [v.value, v.low, v.high] for t, v in zip(titles, line.values, strict=True)},
        }
        for line in lines
    ]
