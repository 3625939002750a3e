"""Which measurements there are, in which order, and about how long each takes.

Repeats are interleaved: all peers once, then all again, so that a machine's slow hour falls on all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench_child import ASK, INGEST
from bench_records import Measurement, Records
from peers import BY_NAME, PEERS, UNTRAINED

from sharedllm_docs.errors import ConfigError

UNITS = {"": 1, "K": 1_000, "M": 1_000_000}
LONG = 100_000
"""Documents of this size or more are ingested once; questions are repeated."""
MS, BETAS, DEPTHS = (1, 2, 4, 8, 16), (4, 8, 16), (1, 2, 3, 4)
TABLES = ("m", "beta", "depth")
GRAINS = (16, 8, 4)
GROWTH, GROWTH_PART = (128_000, 512_000, 1_024_000, 2_048_000), 64_000
STARTUP_SECONDS, TOKENS_PER_SECOND = 12.0, 250.0
"""Guess of the seconds of a measurement before any like it was made."""


@dataclass(frozen=True)
class Job:
    """A measurement with what its process needs beyond its name.

    Attributes:
        measurement: what it is.
        options: of the peer.
        documents: how many of the work's documents take part; None for all.
        grows: the same index goes on from one size to the next.
    """

    measurement: Measurement
    options: Mapping[str, Any] = field(default_factory=dict)
    documents: int | None = None
    grows: bool = False


def parse_size(text: str) -> int:
    """``8K`` is 8,000 tokens, ``1M`` a million.

    Raises:
        ConfigError: it is neither a number nor one with K or M.
    """
    match = re.fullmatch(r"(\d+)([KM]?)", text.strip().upper())
    if match is None or int(match[1]) == 0:
        raise ConfigError(f"{text!r} is not a size.", remedy="Write tokens, as 300, 8K (8,000) or 1M.")
    return int(match[1]) * UNITS[match[2]]


def size_label(size: int) -> str:
    """The inverse of ``parse_size``."""
    for unit in ("M", "K"):
        if size % UNITS[unit] == 0:
            return f"{size // UNITS[unit]}{unit}"
    return str(size)


def names(text: str, known: Sequence[str], what: str) -> list[str]:
    """Comma-separated names, each of which is known.

    Raises:
        ConfigError: one is not.
    """
    chosen = [name.strip() for name in text.split(",") if name.strip()]
    unknown = [name for name in chosen if name not in known]
    if unknown:
        raise ConfigError(f"{unknown[0]!r} is not a {what} (known: {', '.join(known)}).", remedy="Name some of these.")
    return chosen


def peer_jobs(peers: Sequence[str], sizes: Sequence[int], repeats: int) -> Iterator[Job]:
    """The side by side, smallest documents first."""
    for size in sorted(sizes):
        for repeat in range(repeats):
            for name in peers:
                once = size >= LONG and repeat > 0
                if PEERS[name].persists:
                    if not once:
                        yield Job(Measurement("peers", name, "", size, INGEST, repeat))
                    yield Job(Measurement("peers", name, "", size, ASK, repeat))
                elif not once:  # every process reads the whole document
                    yield Job(Measurement("peers", name, "", size, ASK, repeat))


def variants(table: str) -> dict[str, dict[str, Any]]:
    """Settings of the paper's profile that a table varies; the others are M = 4, beta = 8, depth 3."""
    if table == "m":
        return {f"M={m}": {"layers": m, "grains": list(GRAINS)} for m in MS}
    if table == "beta":
        return {f"beta={b}": {"layers": 4, "grains": [grain * b // 8 for grain in GRAINS]} for b in BETAS}
    return {
        f"depth={d}": {"layers": 4, "grains": [GRAINS[-1] << level for level in reversed(range(d))]} for d in DEPTHS
    }


def table_jobs(tables: Sequence[str], size: int, repeats: int) -> Iterator[Job]:
    """The tables by M, beta and depth, interleaved within each."""
    for table in tables:
        for repeat in range(repeats):
            for variant, options in variants(table).items():
                for phase in (INGEST, ASK):
                    yield Job(Measurement(table, UNTRAINED.name, variant, size, phase, repeat), options)


def growth_jobs(stages: Sequence[int], part: int, repeats: int) -> Iterator[Job]:
    """One index that grows, document by document of ``part`` tokens, with M = 1; asked at every stage."""
    options = {"layers": 1, "grains": list(GRAINS)}
    for size in sorted(stages):
        documents = -(-size // part)
        measured = Measurement("growth", UNTRAINED.name, "M=1", size, INGEST, 0)
        yield Job(measured, options, documents, grows=True)
        for repeat in range(repeats):
            yield Job(Measurement("growth", UNTRAINED.name, "M=1", size, ASK, repeat), options, documents, grows=True)


def estimate(job: Job, records: Records) -> float:
    """Estimated seconds of a job: from its own repeats, from other sizes in proportion, otherwise a guess."""
    one = job.measurement
    alike = [
        (other, float(record["wall_seconds"]))
        for other, record in records.items()
        if (other.peer, other.phase) == (one.peer, one.phase) and "wall_seconds" in record and "cannot" not in record
    ]
    same = [seconds for other, seconds in alike if (other.size, other.variant) == (one.size, one.variant)]
    if same:
        return max(same)
    grows = one.phase == INGEST or not BY_NAME[one.peer].persists
    if alike:
        other, seconds = min(alike, key=lambda pair: abs(pair[0].size - one.size))
        return seconds * max(1.0, one.size / other.size) if grows else seconds
    return STARTUP_SECONDS + (one.size / TOKENS_PER_SECOND if grows else 0.0)
