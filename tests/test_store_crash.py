"""Processes that die, and processes that write and read at once."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest

from sharedllm_docs.errors import IndexLockedError
from sharedllm_docs.store import IndexStore
from tests.store_helpers import add, check_document, fingerprint_of, ids_of, tiny_profile, write_until_dead
from tests.waiting import PATIENCE

ROOT = Path(__file__).parents[1]
PROFILE = tiny_profile()
CALLS = 100_000
"""Function calls within which writers die: those of some ten documents."""


def start(*arguments: str) -> subprocess.Popen[str]:
    """A process of ``tests.store_helpers``."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.store_helpers", *arguments]
    return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str]) -> str:
    output, _errors = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize("runs", [5, pytest.param(50, marks=pytest.mark.slow)])
def test_killed_writers_leave_an_index_that_opens_and_is_whole(
    runs: int, processes: ForkServerContext, tmp_path: Path
) -> None:
    folder = tmp_path / "index"
    IndexStore.create(folder, fingerprint_of(PROFILE))
    kept = add(IndexStore.open(folder), "kept.txt", ids_of(7, 100), profile=PROFILE, created="0")
    chance = random.Random(runs)
    seen = 0
    for run in range(1, runs + 1):
        process = processes.Process(target=write_until_dead, args=(str(folder), run, chance.randint(1, CALLS)))
        process.start()
        process.join(PATIENCE)
        assert process.exitcode == -signal.SIGKILL, "it was writing until it died"
        store = IndexStore.open(folder)
        report = store.verify()
        assert report.ok, report.damaged
        for record in store.documents():
            check_document(store, record, PROFILE)
            seen += 1
    assert seen > 2 * runs, "the writers wrote something"
    with store.writer(timeout=1):
        pass  # the lock of a dead process is free
    store.prune()
    assert store.verify().unreferenced == 0
    assert list(folder.rglob(".tmp-*")) == []
    assert all((path / "manifest.json").exists() for path in (folder / "documents").iterdir())
    # "kept" may have been removed by a writer, as any other; added again it is whole
    assert add(store, "kept.txt", ids_of(7, 100), profile=PROFILE).key == kept.key
    assert store.verify().ok


@pytest.mark.slow
def test_two_writers_and_four_readers_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "index"
    IndexStore.create(folder, fingerprint_of(PROFILE))
    over = tmp_path / "over"
    readers = [start("read-until", str(folder), str(over)) for _ in range(4)]
    writers = [start("write-some", str(folder), str(seed)) for seed in (1, 2)]
    for writer in writers:
        finish(writer)
    over.touch()
    results = [json.loads(finish(reader)) for reader in readers]
    assert all(result["whole"] > 0 for result in results)
    store = IndexStore.open(folder)
    names = sorted(record.name for record in store.documents())
    assert names == sorted(f"doc-{n}" for seed in (1, 2) for n in range(seed * 100, seed * 100 + 10) if n % 3)
    assert store.verify().ok
    for record in store.documents():
        check_document(store, record, PROFILE)


def test_the_lock_holds_between_processes(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    hold = (
        "import sys, time; from sharedllm_docs.store import IndexStore\n"
        "with IndexStore.open(sys.argv[1]).writer():\n"
        "    print('held', flush=True); sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", hold, str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(IndexLockedError, match=r"Another process is writing to .*; waited 0\.2 s\. Wait until"):
        store.writer(timeout=0.2).__enter__()
    process.communicate("", timeout=30)
    assert process.returncode == 0
    with store.writer(timeout=5):
        pass
