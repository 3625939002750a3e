"""Markdown tables of the lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench_plan import TABLES, size_label
from bench_records import Records
from bench_summary import METRICS, Line, Spread, growth_of, lines_of
from peers import BY_NAME

TITLES = {
    "m": "By M, the number of injection layers (paper's profile, untrained blocks, beta 8, depth 3)",
    "beta": "By beta, tokens a kept row on average (M = 4, depth 3)",
    "depth": "By depth of the tree (M = 4, leaves at grain 4)",
    "growth": "One index that grows (M = 1)",
}


def cell(spread: Spread | None, digits: int) -> str:
    """The median, and the extremes if they differ."""
    if spread is None:
        return "-"
    middle, low, high = (f"{value:,.{digits}f}" for value in (spread.median, spread.low, spread.high))
    return middle if low == high else f"{middle} [{low}, {high}]"


def table(lines: Sequence[Line], first: str = "peer", sizes: bool = False) -> str:
    """A Markdown table; below it, what could not be measured, with the reason.

    Args:
        lines: of one table.
        first: title of the first column.
        sizes: put the size into a column.
    """
    used = [metric for metric in METRICS if any(line.values[metric.name] for line in lines)]
    head = [first, *(["tokens"] if sizes else []), *(metric.title for metric in used)]
    rows = [head, ["---"] * len(head)]
    for line in lines:
        cells = [cell(line.values[metric.name], metric.digits) for metric in used]
        rows.append([f"`{line.label}`", *([size_label(line.size)] if sizes else []), *cells])
    notes = [f"- `{line.label}` at {size_label(line.size)}: {line.reason}." for line in lines if line.reason]
    text = "\n".join("| " + " | ".join(row) + " |" for row in rows)
    return text + ("\n\n" + "\n".join(notes) if notes else "") + "\n"


def growth_table(lines: Sequence[Line]) -> str:
    """How medians grow from one size to the next; "" if there is only one size."""
    found = growth_of(lines)
    if not found:
        return ""
    grown = [metric for metric in METRICS if metric.grows and any(metric.name in ratios for *_key, ratios in found)]
    head = ["peer", "tokens", *(metric.title for metric in grown)]
    rows = [head, ["---"] * len(head)]
    for label, small, large, ratios in found:
        times = f"{size_label(small)} to {size_label(large)} (x{large / small:.3g})"
        cells = [f"x{ratios[metric.name]:.2f}" if metric.name in ratios else "-" for metric in grown]
        rows.append([f"`{label}`", times, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def markdown(records: Records) -> str:
    """The page of everything measured so far."""
    parts = ["# Benchmarks\n", _about(records.config)]
    lines = lines_of(records.items(), "peers")
    for size in dict.fromkeys(line.size for line in lines):
        parts.append(f"## Documents of {size_label(size)} tokens\n")
        parts.append(table([line for line in lines if line.size == size]))
    if growth := growth_table(lines):
        parts += ["## Growth with the document\n", "Ratio of medians from one length to the next.\n", growth]
    for name in TABLES:
        if measured := lines_of(records.items(), name):
            parts += [f"## {TITLES[name]}, {size_label(measured[0].size)} tokens\n", table(measured, name)]
    if grown := lines_of(records.items(), "growth"):
        parts += [f"## {TITLES['growth']}\n", table(grown, "index", sizes=True), growth_table(grown)]
    if lines:
        named = dict.fromkeys(line.peer for line in lines)
        parts += ["## Peers\n", "\n".join(f"- `{name}`: {BY_NAME[name].what}." for name in named) + "\n"]
    return "\n".join(parts)


def _about(config: Mapping[str, Any]) -> str:
    shown = {
        name: ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else value
        for name, value in config.items()
    }
    told = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in shown.items())
    return (
        f"{told}.\n\nMedians; in brackets the least and the greatest where there are several. K is 1,000 tokens. "
        "Every measurement ran in a process of its own, repeats interleaved over the peers.\n"
    )


def write(records: Records, path: Path) -> Path:
    """Write the Markdown."""
    path.write_text(markdown(records), encoding="utf-8")
    return path
