"""Reading by Ray while workers and drivers are killed: is every document there once, with the bytes of one process?

    python -m benchmarks.ray_faults --folder /tmp/ray --documents 2000 --copies 100 --worker-kills 20 --driver-kills 3

Needs the extra ``ray``. Makes a tiny random model, short texts, copies of some under other names, two long texts that
are divided among workers, and one file that kills whatever process reads it. A driver (a process of its own, with a
Ray cluster on this machine) reads all; meanwhile workers are killed with SIGKILL at random, and so is the driver, which
is then started again, until one comes to its end. Then the index is compared with that of one process. Prints one JSON
object; ends with 1 if anything is not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
LONG = 2
"""Number of long texts."""
BATCH_BYTES = 4096
"""In place of 2 MB, so that short texts make many batches."""


def make(folder: Path, documents: int, copies: int) -> dict[str, Any]:
    """Write the files and the model; returns the options of the model."""
    from tests.ray_poison import POISON
    from tests.tiny_text import PAGES, save_embedder, save_model

    words = " ".join(PAGES).split()
    source = folder / "in"
    source.mkdir(parents=True)
    for number in range(documents):
        length = 1500 if number < LONG else 12 + number % 40
        text = " ".join([f"document {number}.", *random.Random(number).choices(words, k=length)])
        (source / f"{number:05}.txt").write_text(text, encoding="utf-8")
    chance = random.Random(0)
    for number in chance.sample(range(LONG, documents), copies):
        # before, between and behind the originals
        (source / f"{chance.randrange(documents):05}-copy-of-{number:05}.txt").write_bytes(
            (source / f"{number:05}.txt").read_bytes()
        )
    (source / f"{documents // 2:05}-{POISON}.txt").write_text(f"{POISON} {text}", encoding="utf-8")
    save_model(folder / "model")
    save_embedder(folder / "embedder")
    return options_of(folder)


def options_of(folder: Path) -> dict[str, Any]:
    """Options of the model."""
    from tests.tiny_text import tiny_profile

    model = {"name_or_path": str(folder / "model"), "embedder": str(folder / "embedder"), "device": "cpu"}
    return {**model, "profile": tiny_profile()}


def drive(folder: Path, given: argparse.Namespace) -> None:
    """The driver: reads all files with Ray, and prints what became of them."""
    import ray

    from sharedllm_docs.distributed import ingest, ingestion
    from tests import ray_poison

    ingestion.BATCH_BYTES, ingestion.RETRIES, ingestion.PASSES = BATCH_BYTES, given.retries, given.passes
    os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 (Ray spells it so)
    ray.init(
        num_cpus=given.workers,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 << 20,
        _node_ip_address="127.0.0.1",
        _temp_dir=given.ray_folder,
        runtime_env={"worker_process_setup_hook": ray_poison.setup, "env_vars": {"OMP_NUM_THREADS": "1"}},
    )
    report = ingest([folder / "in"], folder / "index", split_chunks=16, report=folder / "report.jsonl")
    told = Counter(file.status for file in report.files)
    failed = [Path(file.source).name for file in report.files if file.status == "failed"]
    print(json.dumps({"statuses": dict(told), "failed": failed, "seconds": round(report.seconds, 1)}), flush=True)
    ray.shutdown()


class Hunt:
    """A driver, its descendants, and what kills them."""

    def __init__(self, folder: Path, options: list[str], chance: random.Random) -> None:
        self.folder, self.options, self.chance = folder, options, chance
        self.worker_deaths = self.driver_deaths = 0
        self.cpu: dict[int, float] = {}
        """Process -> CPU seconds, user and system, when it was last seen."""

    def drive(self, worker_kills: int, *, to_the_end: bool, pause: float) -> dict[str, Any] | None:
        """Start a driver and kill its workers; what it told, or None if it was killed too."""
        import psutil

        command = [sys.executable, "-m", "benchmarks.ray_faults", "drive", "--folder", str(self.folder), *self.options]
        with (self.folder / "driver.log").open("a", encoding="utf-8") as log:
            driver = subprocess.Popen(
                command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True
            )
        family: dict[int, Any] = {}
        before, killed = lines(self.folder), 0
        # the driver dies when it has read some files, but not all
        last = before + self.chance.randrange(5, 6 + max(self.left() // 2, 1))
        try:
            while driver.poll() is None:
                time.sleep(self.chance.uniform(0.5, 1.5) * pause)
                family |= {one.pid: one for one in descendants(driver.pid)}
                for one in (psutil.Process(driver.pid), *family.values()):
                    self.cpu[one.pid] = max(self.cpu.get(one.pid, 0.0), cpu_seconds(one))
                if not to_the_end and lines(self.folder) >= last:
                    os.kill(driver.pid, signal.SIGKILL)
                    driver.wait()
                    self.driver_deaths += 1
                    return None
                victims = [one for one in descendants(driver.pid) if "MapWorker" in title(one)]
                if victims and killed < worker_kills:
                    self.chance.choice(victims).kill()
                    killed += 1
            if driver.returncode:
                raise SystemExit(f"The driver ended with {driver.returncode}; see {self.folder / 'driver.log'}.")
            return dict(json.loads((driver.stdout.read() if driver.stdout else "").splitlines()[-1]))
        finally:
            self.worker_deaths += killed
            for one in family.values():  # what a killed driver leaves behind
                if one.is_running():
                    one.kill()
            psutil.wait_procs(list(family.values()), timeout=60)

    def left(self) -> int:
        """Number of files of which nothing was told yet."""
        return max(len(list((self.folder / "in").iterdir())) - lines(self.folder), 0)


def descendants(pid: int) -> list[Any]:
    """Processes that a process has started, and those that they have."""
    import psutil

    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.NoSuchProcess:
        return []


def cpu_seconds(process: Any) -> float:
    """User and system seconds of a process; 0 if it has ended."""
    import psutil

    try:
        return float(sum(process.cpu_times()[:2]))
    except psutil.Error:
        return 0.0


def title(process: Any) -> str:
    """How a process calls itself."""
    import psutil

    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def lines(folder: Path) -> int:
    """Number of lines of the report."""
    report = folder / "report.jsonl"
    return len(report.read_text(encoding="utf-8").splitlines()) if report.exists() else 0


def check(
    folder: Path, options: dict[str, Any], told: dict[str, Any], documents: int
) -> tuple[dict[str, Any], list[str]]:
    """What came of it, and what is not as it should be."""
    from sharedllm_docs import Index
    from tests.ray_poison import POISON
    from tests.test_units import content

    index = Index.open(folder / "index", **options)
    report = index.verify()
    found = index.documents()
    titles = Counter(index.contents(info.key).text.split(".")[0] for info in found)
    freed = index.prune(grace=0)
    begun = time.process_time()
    one = Index.open_or_create(folder / "one", **options)
    poison = next((folder / "in").glob(f"*{POISON}*"))
    poison.rename(folder / poison.name)
    one.add_all([folder / "in"])
    alone = time.process_time() - begun
    wrong = {
        "a document is missing or there twice": len(titles) != documents or set(titles.values()) != {1},
        "verify finds damage": not report.ok,
        "the bytes are not those of one process": content(str(folder / "index")) != content(str(folder / "one")),
        "another file than the deadly one failed": told["failed"] != [poison.name],
        "a file has no report": sum(told["statuses"].values()) != len(list((folder / "in").iterdir())) + 1,
    }
    counts = {"documents": len(found), "files verified": report.files, "bytes pruned": freed}
    return {**counts, "one process, CPU s": round(alone, 1)}, [name for name, holds in wrong.items() if holds]


def run(given: argparse.Namespace) -> dict[str, Any]:
    """The whole."""
    from sharedllm_docs import Index

    folder = Path(given.folder).resolve()
    options = make(folder, given.documents, given.copies)
    Index.open_or_create(folder / "index", **options)
    begun = time.monotonic()
    each = -(-given.worker_kills // (given.driver_kills + 1))
    told = None
    with tempfile.TemporaryDirectory(
        prefix="ray-", ignore_cleanup_errors=True
    ) as temporary:  # sockets need short names
        own = {"workers": given.workers, "retries": given.retries, "passes": given.passes, "ray-folder": temporary}
        hunt = Hunt(folder, [f"--{name}={value}" for name, value in own.items()], random.Random(given.seed))
        for number in range(given.driver_kills + 1):
            told = hunt.drive(each, to_the_end=number == given.driver_kills, pause=given.pause)
            if told is not None:
                break
    assert told is not None
    seconds = time.monotonic() - begun
    found, wrong = check(folder, options, told, given.documents)
    deaths = {"workers killed": hunt.worker_deaths, "drivers killed": hunt.driver_deaths}
    deaths["Ray's processes, CPU s"] = round(sum(hunt.cpu.values()))
    return {
        "files": given.documents + given.copies + 1,
        **deaths,
        "seconds": round(seconds),
        **found,
        **told,
        "wrong": wrong,
    }


def main() -> int:
    """Do it and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", nargs="?", choices=("run", "drive"), default="run")
    parser.add_argument("--folder", required=True, help="a new one")
    parser.add_argument("--documents", type=int, default=2000)
    parser.add_argument("--copies", type=int, default=100)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--worker-kills", type=int, default=20)
    parser.add_argument("--driver-kills", type=int, default=3)
    parser.add_argument("--retries", type=int, default=3, help="of a batch whose worker died")
    parser.add_argument("--passes", type=int, default=2, help="of a file alone, after that")
    parser.add_argument("--ray-folder", help="of the driver")
    parser.add_argument("--pause", type=float, default=6.0, help="seconds between two kills, about")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ["SHAREDLLM_DOCS_PROCESS"] = "own"
    if given.command == "drive":
        drive(Path(given.folder), given)
        return 0
    found = run(given)
    print(json.dumps(found, indent=2))
    return 1 if found["wrong"] else 0


if __name__ == "__main__":
    sys.exit(main())
