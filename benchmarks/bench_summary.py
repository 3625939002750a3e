"""Lines of the tables from records: medians with their spread, and how they grow with the documents."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from bench_child import CANNOT, FAILED, UNAVAILABLE
from bench_records import Measurement, Record

MB = 1e6


@dataclass(frozen=True)
class Spread:
    """Median and extremes of some values."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread | None:
        """Spread of some values; None for no values."""
        return cls(statistics.median(values), min(values), max(values), len(values)) if values else None


@dataclass(frozen=True)
class Metric:
    """A column.

    Attributes:
        name: short, for files.
        title: with its unit.
        read: its values in a record; none where the record says nothing about it.
        digits: shown.
        grows: whether its growth with the documents' length is of interest.
    """

    name: str
    title: str
    read: Callable[[Record], list[float]]
    digits: int = 1
    grows: bool = True


def _either(name: str, scale: float = 1.0) -> Callable[[Record], list[float]]:
    """Value of the ingestion's record; if a peer prepares in the process that asks, of that record."""

    def read(record: Record) -> list[float]:
        value = record.get(f"ingest_{name}", None if "cold_seconds" in record else record.get(name))
        return [] if value is None else [float(value) / scale]

    return read


def _bytes_a_token(record: Record) -> list[float]:
    tokens = record.get("total_tokens", record.get("tokens"))
    return [record["disk_bytes"] / tokens] if tokens and "disk_bytes" in record else []


def _asked(name: str, scale: float = 1.0) -> Callable[[Record], list[float]]:
    def read(record: Record) -> list[float]:
        value: Any = record.get(name) if "cold_seconds" in record else None
        values = value if isinstance(value, list) else [] if value is None else [value]
        return [float(one) / scale for one in values]

    return read


METRICS = (
    Metric("ingestion", "ingestion tokens/s", _either("tokens_per_second"), 0),
    Metric("ingestion-memory", "peak MB, ingestion", _either("peak_bytes", MB), 0),
    Metric("disk", "MB on disk", _either("disk_bytes", MB), 1),
    Metric("bytes-a-token", "bytes a token", _bytes_a_token, 0, grows=False),
    Metric("cold", "first token s, cold", _asked("cold_seconds"), 2),
    Metric("warm", "first token s, warm", _asked("warm_seconds"), 3),
    Metric("decode", "decode tokens/s", _asked("decode_tokens_per_second"), 1),
    Metric("question-memory", "peak MB, question", _asked("peak_bytes", MB), 0),
    Metric("context", "rows or tokens attended to", _asked("context"), 0, grows=False),
)


@dataclass(frozen=True)
class Line:
    """One line of a table.

    Attributes:
        table, peer, variant, size: as in the measurements.
        values: by the metric's name; None where nothing was measured.
        reason: why not, or "".
    """

    table: str
    peer: str
    variant: str
    size: int
    values: dict[str, Spread | None]
    reason: str = ""

    @property
    def label(self) -> str:
        """The peer, with the settings that differ from its defaults."""
        return self.variant if self.table in ("m", "beta", "depth") else f"{self.peer} {self.variant}".strip()


def lines_of(items: Iterable[tuple[Measurement, Record]], table: str) -> list[Line]:
    """One line per peer, variant and size of a table, by size and then in the order of the records."""
    groups: dict[tuple[int, str, str], list[Record]] = {}
    for one, record in items:
        if one.table == table:
            groups.setdefault((one.size, one.peer, one.variant), []).append(record)
    return [
        Line(table, peer, variant, size, _values(records), _reason(records))
        for (size, peer, variant), records in sorted(groups.items(), key=lambda group: group[0][0])
    ]


def _values(records: Sequence[Record]) -> dict[str, Spread | None]:
    return {
        metric.name: Spread.of([value for record in records for value in metric.read(record)]) for metric in METRICS
    }


def _reason(records: Sequence[Record]) -> str:
    words = {CANNOT: "cannot", UNAVAILABLE: "not available", FAILED: "failed"}
    for name, said in words.items():
        for record in records:
            if name in record:
                return f"{said}: {record[name]}"
    return ""


def growth_of(lines: Sequence[Line]) -> list[tuple[str, int, int, dict[str, float]]]:
    """(peer, size, next size, ratio of medians by metric) for neighbouring sizes of each peer."""
    found = []
    for label in dict.fromkeys(line.label for line in lines):
        mine = [line for line in lines if line.label == label and any(line.values.values())]
        for small, large in pairwise(mine):
            ratios = {}
            for metric in METRICS:
                before, after = small.values[metric.name], large.values[metric.name]
                if metric.grows and before and after and before.median > 0:
                    ratios[metric.name] = after.median / before.median
            found.append((label, small.size, large.size, ratios))
    return found
