"""A run's Markdown table: a line a system (and length), a column a metric, with 95% bootstrap intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sharedllm_docs.evaluation.metrics import Interval
from sharedllm_docs.evaluation.tasks.base import Column, Row
from sharedllm_docs.evaluation.tasks.options import length_label


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        system: its name.
        length: of the documents; None where the task has no lengths.
        measured: examples that count.
        skipped: examples that the system could not take.
        why: it could not take the first of them, or "".
        values: one a column; None where nothing counts.
    """

    system: str
    length: int | None
    measured: int
    skipped: int
    why: str
    values: tuple[Interval | None, ...]


def lines_of(rows: Sequence[Row], columns: Sequence[Column]) -> list[Line]:
    """Summaries of rows, by length and then in the order in which systems first occur."""
    keys = dict.fromkeys((row.get("length"), row["system"]) for row in rows)
    order = sorted(keys, key=lambda key: key[0] or 0)
    return [_line(system, length, _of(rows, system, length), columns) for length, system in order]


def _of(rows: Sequence[Row], system: str, length: int | None) -> list[Row]:
    return [row for row in rows if row["system"] == system and row.get("length") == length]


def _line(system: str, length: int | None, rows: Sequence[Row], columns: Sequence[Column]) -> Line:
    skipped = [row for row in rows if "skipped" in row]
    counted = [row for row in rows if "skipped" not in row]
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
