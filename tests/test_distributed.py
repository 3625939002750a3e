"""Many files read by many workers: what becomes of each, and on a local Ray cluster with workers killed at random."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs import Document, Index
from sharedllm_docs.distributed import IngestReport, ingest, ingestion
from sharedllm_docs.distributed.ingestion import BATCH_BYTES, _batches, _Pool
from sharedllm_docs.distributed.worker import Batch, Outcome, Task, Worker
from sharedllm_docs.errors import ConfigError, IndexNotFoundError, ModelError
from tests.cli_run import process
from tests.ray_poison import POISON
from tests.test_units import content
from tests.tiny_text import PAGES, tiny_document, tiny_profile

WORDS = " ".join(PAGES).split()


def text(seed: int, words: int) -> str:
    return " ".join(random.Random(seed).choices(WORDS, k=words))


@pytest.fixture
def options(saved: Path) -> dict[str, Any]:
    return {
        "name_or_path": str(saved / "model"),
        "embedder": str(saved / "embedder"),
        "device": "cpu",
        "profile": tiny_profile(),
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Small files and a large one, copies, one of no known format, an empty one, and none of that name."""
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    for number in range(5):
        (folder / f"small-{number}.txt").write_text(text(number, 30), encoding="utf-8")
    (folder / "large.txt").write_text(text(99, 700), encoding="utf-8")
    (folder / "sub" / "copy.txt").write_text(text(3, 30), encoding="utf-8")
    (folder / "empty.txt").write_text("", encoding="utf-8")
    return folder


class FakePool:
    """In place of Ray: one worker in this process, that loses what contains the poison, and shuffles."""

    worker: Worker | None = None
    batches: list[list[Task]]

    def run(self, pool: _Pool, batches: Sequence[Sequence[Task]]) -> Iterator[Outcome]:
        worker = Worker(pool.settings)
        order = list(batches)
        random.Random(len(order)).shuffle(order)
        for batch in order:
            self.batches.append(list(batch))
            if any(POISON in str(task.source) for task in batch):
                continue
            yield from worker({"batch": [Batch(tuple(batch))]})["outcomes"]


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakePool:
    pool = FakePool()
    pool.batches = []
    monkeypatch.setattr(_Pool, "run", lambda self, batches: pool.run(self, batches))
    monkeypatch.setattr(ingestion, "_cluster", lambda _address: nullcontext())
    return pool


def statuses(report: IngestReport) -> dict[str, str]:
    return {Path(file.source).name: file.status for file in report.files}


def test_every_file_is_told_and_bytes_equal_one_process(
    fake: FakePool, folder: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    one = Index.open_or_create(tmp_path / "one", **options)
    one.add_all([folder], recursive=True)
    Index.open_or_create(tmp_path / "many", **options)
    lines, seen = tmp_path / "report.jsonl", list[tuple[int, int]]()
    paths = [folder, tmp_path / "none.txt"]
    report = ingest(
        paths, tmp_path / "many", recursive=True, split_chunks=8, report=lines, progress=lambda *n: seen.append(n)
    )
    assert content(str(tmp_path / "many")) == content(str(tmp_path / "one"))
    assert Index.open(tmp_path / "many").verify().ok
    told = statuses(report)
    assert {told[f"small-{n}.txt"] for n in (0, 1, 2, 4)} | {told["large.txt"]} == {"done"}
    assert sorted((told["small-3.txt"], told["copy.txt"])) == ["done", "known"]
    assert told["none.txt"] == told["empty.txt"] == "failed"
    assert sorted(json.loads(line)["source"] for line in lines.read_text().splitlines()) == sorted(
        file.source for file in report.files
    )
    assert len(lines.read_text().splitlines()) == len(report.files) == 9
    assert seen[-1] == (9, 9)
    parts = [task.chunks for batch in fake.batches for task in batch if task.chunks is not None]
    assert len(parts) > 2, "the large one was divided"
    again = ingest(paths, tmp_path / "many", recursive=True, split_chunks=8, report=lines)
    assert again.count("done") == 0
    assert again.count("known") == 7
    assert sum(file.tokens for file in again.files) == 0


def test_where_rows_are_chosen_by_attention_large_files_can_be_asked(
    fake: FakePool, folder: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    options["profile"] = tiny_profile(keep="reread", grains=(0, 0, 4))
    one = Index.open_or_create(tmp_path / "one", **options)
    one.add_all([folder / "large.txt"])
    Index.open_or_create(tmp_path / "many", **options)
    ingest([folder / "large.txt"], tmp_path / "many", split_chunks=8)
    assert any(task.chunks is not None for batch in fake.batches for task in batch), "it was divided"
    assert content(str(tmp_path / "many")) == content(str(tmp_path / "one"))
    many = Index.open(tmp_path / "many")
    assert many.verify().ok
    assert many.ask("heron?", grains=(4, 16), min_confidence=0, max_new_tokens=2).counts.rows


def test_a_file_at_which_workers_die_fails_alone(
    fake: FakePool, folder: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    (folder / f"{POISON}.txt").write_text(text(5, 20), encoding="utf-8")
    Index.open_or_create(tmp_path / "many", **options)
    report = ingest([folder], tmp_path / "many", recursive=True)
    told = statuses(report)
    assert told.pop(f"{POISON}.txt") == "failed"
    assert told.pop("empty.txt") == "failed"
    assert (report.count("done"), report.count("known")) == (6, 1)
    assert next(file.reason for file in report.files if POISON in file.source).startswith("The processes of 4 workers")


def test_the_first_of_several_copies_names_the_document(
    fake: FakePool, tmp_path: Path, options: dict[str, Any]
) -> None:
    Index.open_or_create(tmp_path / "index", **options)
    paths = []
    for number in range(6):
        paths.append(tmp_path / f"{number}.txt")
        paths[-1].write_text(text(1, 20), encoding="utf-8")
    report = ingest(paths, tmp_path / "index")
    assert (report.count("done"), report.count("known")) == (1, 5)
    (record,) = Index.open(tmp_path / "index")._store.documents()
    assert (record.name, record.source_path) == ("0.txt", str(paths[0]))


def test_documents_of_loaders_are_read_too(fake: FakePool, tmp_path: Path, options: dict[str, Any]) -> None:
    Index.open_or_create(tmp_path / "index", **options)
    documents: list[Document] = [tiny_document(text(n, 20), name=f"letter {n}") for n in range(3)]
    report = ingest(documents, tmp_path / "index", metadata={"from": "loader"})
    assert report.count("done") == 3
    found = Index.open(tmp_path / "index").documents()
    assert {(one.name, one.metadata["from"]) for one in found} == {(f"letter {n}", "loader") for n in range(3)}


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ("in/*.txt", r"paths='in/\*.txt' is not a list. Give a list, also of one."),
        (Path("in"), "is not a list"),
        (7, "paths=7 is not a list"),
        (["a.txt", 7], r"paths\[1\] is neither a path nor a document of sharedllm-docs, but builtins.int"),
        ([b"a"], "but builtins.bytes. Documents of LlamaIndex and LangChain loaders: core_documents of their"),
    ],
)
def test_what_is_no_list_of_paths_and_documents_is_refused(tmp_path: Path, paths: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ingest(paths, tmp_path / "none")


def test_documents_may_come_one_after_another(fake: FakePool, tmp_path: Path, options: dict[str, Any]) -> None:
    """As ``lazy_load`` of a loader gives them."""
    Index.open_or_create(tmp_path / "many", **options)
    report = ingest((tiny_document(text(n, 20), name=f"letter {n}") for n in range(3)), tmp_path / "many")
    assert report.count("done") == 3


def test_batches_hold_about_the_same(tmp_path: Path) -> None:
    sizes = [10, BATCH_BYTES - 10, 1, BATCH_BYTES * 3, 5, 5]
    tasks = [Task(number, bytes(size)) for number, size in enumerate(sizes)]
    assert [[task.number for task in batch] for batch in _batches(tasks)] == [[0, 1], [2], [3], [4, 5]]


def test_what_cannot_be_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="in the memory of this process"):
        ingest([], "memory://x")
    with pytest.raises(IndexNotFoundError):
        ingest([], tmp_path / "none")
    for wrong in ({"workers": 0}, {"split_chunks": -1}, {"workers": 1.5}):
        with pytest.raises(ConfigError, match="must be a whole number"):
            ingest([], tmp_path / "none", **wrong)  # type: ignore[arg-type]


def test_without_ray_the_remedy_is_told(
    tmp_path: Path, options: dict[str, Any], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Index.open_or_create(tmp_path / "index", **options)
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(ModelError, match=r"Ray is not installed .*pip install 'sharedllm-docs\[ray\]'"):
        ingest([folder], tmp_path / "index")


# -- on Ray --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray cluster of two workers on the loopback."""
    ray = pytest.importorskip("ray", reason="ray is not installed (extra ray)")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra ray)")
    from tests import ray_poison

    # else they starve beside whatever runs next to the test
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (Ray spells it so)

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=200 << 20,
        _node_ip_address="127.0.0.1",
        runtime_env={"worker_process_setup_hook": ray_poison.setup, "env_vars": {"OMP_NUM_THREADS": "1"}},
    )
    yield ray
    ray.shutdown()


class Killer(threading.Thread):
    """Kills workers of this test's cluster at random, until it is told to stop."""

    def __init__(self, most: int) -> None:
        super().__init__(daemon=True)
        self.over, self.killed, self.most = threading.Event(), 0, most

    def run(self) -> None:
        import psutil

        chance = random.Random(4)
        while not self.over.wait(chance.uniform(2, 5)) and self.killed < self.most:
            children = psutil.Process(os.getpid()).children(recursive=True)
            workers = [one for one in children if "MapWorker" in " ".join(one.cmdline())]
            if workers:
                chance.choice(workers).kill()
                self.killed += 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_on_ray_with_workers_killed_every_document_is_there_once(
    cluster: Any, tmp_path: Path, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "RETRIES", 2)  # each death costs the start of a process with a model
    monkeypatch.setattr(ingestion, "PASSES", 1)
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(200):
        (folder / f"{number:03}.txt").write_text(text(number % 190, 12), encoding="utf-8")  # the last ten are copies
    (folder / "100-large.txt").write_text(text(1000, 1500), encoding="utf-8")
    (folder / f"150-{POISON}.txt").write_text(text(2000, 12), encoding="utf-8")
    Index.open_or_create(tmp_path / "many", **options)
    killer = Killer(4)
    killer.start()
    report = ingest([folder], tmp_path / "many", split_chunks=16, report=tmp_path / "report.jsonl")
    killer.over.set()
    killer.join()
    assert killer.killed > 0
    told = statuses(report)
    assert told.pop(f"150-{POISON}.txt") == "failed"
    assert (report.count("done"), report.count("known"), report.count("failed")) == (191, 10, 1)
    one = Index.open_or_create(tmp_path / "one", **options)
    (folder / f"150-{POISON}.txt").unlink()
    one.add_all([folder])
    assert content(str(tmp_path / "many")) == content(str(tmp_path / "one"))
    many = Index.open(tmp_path / "many")
    assert many.verify().ok
    assert len(many.documents()) == 191
    assert ingest([folder / "000.txt"], tmp_path / "many").count("known") == 1


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_on_ray_a_driver_goes_on_where_the_one_before_was_killed(tmp_path: Path) -> None:
    """The benchmark behind docs/scale.md, with few documents: deaths of drivers and workers, copies, a deadly file."""
    pytest.importorskip("ray", reason="ray is not installed (extra ray)")
    pytest.importorskip("pyarrow", reason="pyarrow is not installed (extra ray)")
    few = {"documents": 40, "copies": 4, "worker-kills": 2, "driver-kills": 1, "retries": 1, "passes": 1, "pause": 3}
    options = [f"--{name}={value}" for name, value in few.items()]
    ran = process("-m", "benchmarks.ray_faults", "--folder", str(tmp_path / "ray"), *options, timeout=1100)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    told = json.loads(ran.stdout)
    assert not told["wrong"]
    assert told["workers killed"] > 0
    assert (told["files"], told["documents"], told["drivers killed"]) == (45, 40, 1)
