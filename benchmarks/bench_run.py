"""Runs jobs, each in a process of its own, and writes down what came out; stops when the time is up."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from bench_child import CANNOT, FAILED, INGEST, UNAVAILABLE
from bench_plan import Job, estimate
from bench_records import Measurement, Record, Records
from peers import BY_NAME, PeerSpec
from peers.base import NotAvailableError, PeerSettings

CHILD = Path(__file__).resolve().parent / "bench_child.py"
Report = Callable[[str], None]
Spec = dict[str, Any]


class TimeIsUpError(Exception):
    """The minutes of the call are over; the measurement under way is not recorded."""


def spawn(spec: Spec, python: str, timeout: float | None) -> Record:
    """Measure in a new process.

    Args:
        spec: of ``bench_child.measure``; the time of the start is added.
        python: interpreter.
        timeout: seconds until the process is ended; None waits.

    Raises:
        TimeIsUpError: it was ended.
    """
    threads = str(spec["settings"]["threads"])
    environment = os.environ | {"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads, "PYTHONWARNINGS": "ignore"}
    path = Path(spec["folder"]).with_suffix(".spec.json")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(spec | {"spawned": time.monotonic()}), encoding="utf-8")
    try:
        done = subprocess.run(
            [python, str(CHILD), str(path)], env=environment, capture_output=True, timeout=timeout, check=False
        )
    except subprocess.TimeoutExpired as stopped:
        raise TimeIsUpError from stopped
    finally:
        path.unlink(missing_ok=True)
    lines = done.stdout.decode("utf-8", "replace").strip().splitlines()
    if done.returncode == 0 and lines:
        return dict(json.loads(lines[-1]))
    said = done.stderr.decode("utf-8", "replace").strip().splitlines() or ["nothing was printed"]
    killed = f"ended by signal {-done.returncode}, perhaps out of memory" if done.returncode < 0 else said[-1]
    return {FAILED: killed}


@dataclass
class Bench:
    """Settings that jobs are run with.

    Attributes:
        records: where they go.
        settings: common to all peers.
        works: folder of documents and questions, by size; of the growing index under ``"growth"``.
        pythons: interpreter of a peer; raises NotAvailableError where there is none.
        gguf: the model's GGUF file; raises NotAvailableError where there is none.
        deadline: of the monotonic clock; None: no end.
        report: told of progress.
        measure: does one measurement.
    """

    records: Records
    settings: PeerSettings
    works: Mapping[int | str, Path]
    pythons: Callable[[PeerSpec], str]
    gguf: Callable[[], str]
    deadline: float | None = None
    report: Report = print
    measure: Callable[[Spec, str, float | None], Record] = spawn
    _stores: Path = field(init=False)

    def __post_init__(self) -> None:
        self._stores = self.records.folder / "stores"

    def run(self, jobs: Iterable[Job]) -> bool:
        """Run what is not recorded yet; returns False if the time ran out first."""
        due = [job for job in jobs if not self.records.done(job.measurement)]
        total = sum(estimate(job, self.records) for job in due)
        self.report(f"{len(due)} measurements, about {total / 60:.0f} minutes")
        for number, job in enumerate(due, start=1):
            seconds = estimate(job, self.records)
            left = self._left()
            if left is not None and seconds > left:
                self.report(f"Time is up before {job.measurement}, which takes about {seconds:.0f} s")
                return False
            self.report(f"({number}/{len(due)}) {job.measurement}: about {seconds:.0f} s")
            try:
                record = self._one(job)
            except TimeIsUpError:
                self.report(f"Time is up within {job.measurement}; it is measured by the next call")
                return False
            self.records.add(job.measurement, record)
            self.report("    " + told(record))
            self._tidy(job, due[number:])
        return True

    def _left(self) -> float | None:
        return None if self.deadline is None else self.deadline - time.monotonic()

    def _one(self, job: Job) -> Record:
        one = job.measurement
        known = self._known(one)
        if known is not None:
            return known
        try:
            spec, python = self._spec(job)
        except NotAvailableError as error:
            return {UNAVAILABLE: str(error)}
        store = Path(spec["folder"])
        if one.phase == INGEST:
            return self._ingest(job, spec, python, store)
        if BY_NAME[one.peer].persists and _prepared(store) != one.size:
            self.report("    what it asks is not there any more: preparing it again, unrecorded")
            made = self._ingest(job, spec | {"phase": INGEST}, python, store)
            if "tokens" not in made:
                return made
        return self._timed(spec, python)

    def _known(self, one: Measurement) -> Record | None:
        """An earlier record that says that this peer cannot take documents of this length, or None."""
        for repeat in range(one.repeat + 1):
            for phase in (INGEST, one.phase):
                record = self.records.get(replace(one, phase=phase, repeat=repeat))
                if record is not None and CANNOT in record:
                    return {CANNOT: record[CANNOT]}
        return None

    def _ingest(self, job: Job, spec: Spec, python: str, store: Path) -> Record:
        """Prepare into an empty folder, or add to a growing index."""
        size = job.measurement.size
        before = _prepared(store)
        if not job.grows or before is None or before >= size:
            shutil.rmtree(store, ignore_errors=True)
        _marker(store).unlink(missing_ok=True)
        store.mkdir(parents=True, exist_ok=True)
        record = self._timed(spec, python)
        if "tokens" in record:
            _marker(store).write_text(str(size), encoding="utf-8")
        return record

    def _timed(self, spec: Spec, python: str) -> Record:
        begun = time.monotonic()
        record = self.measure(spec, python, self._left())
        return record | {"wall_seconds": time.monotonic() - begun}

    def _spec(self, job: Job) -> tuple[Spec, str]:
        one, peer = job.measurement, BY_NAME[job.measurement.peer]
        settings = replace(self.settings, options=dict(job.options), gguf=self.gguf() if peer.gguf else "")
        work = self.works["growth" if job.grows else one.size]
        spec = {
            "module": peer.module,
            "cls": peer.cls,
            "persists": peer.persists,
            "phase": one.phase,
            "settings": asdict(settings),
            "folder": str(self._store(job)),
            "work": str(work),
            "documents": job.documents,
            "spawned": time.monotonic(),
        }
        return spec, self.pythons(peer)

    def _store(self, job: Job) -> Path:
        one = job.measurement
        size = "" if job.grows else f"-{one.size}"
        return self._stores / f"{one.table}-{one.peer}-{one.variant.replace('=', '')}{size}".replace("--", "-")

    def _tidy(self, job: Job, coming: Iterable[Job]) -> None:
        """Delete what no later job needs: stores of long documents take gigabytes."""
        store = self._store(job)
        if all(self._store(other) != store for other in coming):
            shutil.rmtree(store, ignore_errors=True)
            _marker(store).unlink(missing_ok=True)


def told(record: Record) -> str:
    """A record in one line."""
    for name in (CANNOT, UNAVAILABLE, FAILED):
        if name in record:
            return f"{name}: {record[name]}"
    if "cold_seconds" in record:
        warm = sorted(record["warm_seconds"]) or [float("nan")]
        return f"first token {record['cold_seconds']:.2f} s cold, {warm[len(warm) // 2]:.3f} s warm"
    return f"{record['tokens']} tokens in {record['seconds']:.1f} s, {record['tokens_per_second']:.0f} tokens/s"


def _marker(store: Path) -> Path:
    """File beside the store with its number of tokens, written when the store is complete."""
    return store.with_name(store.name + ".prepared")


def _prepared(store: Path) -> int | None:
    marker = _marker(store)
    return int(marker.read_text(encoding="utf-8")) if marker.exists() and store.is_dir() else None
