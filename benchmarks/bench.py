"""Side by side with what one would use instead: ``python benchmarks/bench.py --out DIR``.

Ingestion, disk, first token (cold: a new process; warm), decoding and memory of this project and of its peers, on the
same documents in the same run. What is recorded in DIR is not measured again, so a call that was stopped, or that ran
into ``--max-minutes``, is gone on with by the same command. Tables and plots are written at the end of every call.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench_plan import (
    GROWTH,
    GROWTH_PART,
    TABLES,
    Job,
    growth_jobs,
    names,
    parse_size,
    peer_jobs,
    size_label,
    table_jobs,
)
from bench_plots import can_plot, plot
from bench_records import Records
from bench_run import Bench, spawn
from bench_summary import lines_of
from bench_table import write
from bench_texts import QUESTIONS, Cutter, corpus, is_written, write_work
from peers import PEERS, PeerSpec
from peers.base import NotAvailableError, PeerSettings

from sharedllm_docs.errors import ConfigError, SharedLLMError

SIZES, TABLE_SIZE = "8K,32K,128K,512K", "32K"
QUICK_SIZES, QUICK_TABLE_SIZE, QUICK_MINUTES = "2K", "1K", 4.5
UNFINISHED = 75
"""Exit status when the time ran out: the same call goes on."""


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Measure this project side by side with its peers.")
    top.add_argument("--out", type=Path, required=True, help="folder of records, tables and plots")
    top.add_argument("--quick", action="store_true", help="small documents, one repeat, under five minutes")
    top.add_argument("--sizes", default=None, help=f"tokens of the documents (default: {SIZES}; quick: {QUICK_SIZES})")
    top.add_argument("--peers", default=None, help=f"some of {','.join(PEERS)} (default: all)")
    top.add_argument("--tables", default="", help=f"tables of the paper's profile: some of {','.join(TABLES)}")
    top.add_argument("--table-size", default=None, help=f"tokens of their document (default: {TABLE_SIZE})")
    top.add_argument(
        "--growth", action="store_true", help="one index that grows to two million tokens, in place of peers"
    )
    top.add_argument("--growth-sizes", default=",".join(map(size_label, GROWTH)), help="stages at which it is asked")
    top.add_argument("--repeats", type=int, default=None, help="of every measurement (default: 3; quick: 1)")
    top.add_argument(
        "--questions", type=int, default=None, help="asked in a process, the first cold (default: 6; quick: 3)"
    )
    top.add_argument("--new-tokens", type=int, default=None, help="generated a question (default: 32; quick: 16)")
    top.add_argument("--max-minutes", type=float, default=None, help="of this call (default: no end; quick: 4.5)")
    top.add_argument("--threads", type=int, default=None, help="CPU threads (default: all that may be used)")
    top.add_argument("--model", default="", help="name or folder (default: the embedded one)")
    top.add_argument("--embedder", default="", help="name or folder (default: the embedded one)")
    top.add_argument("--texts", type=Path, nargs="*", default=[], help="files in place of the manuals and books")
    top.add_argument("--no-build", action="store_true", help="leave out peers whose environment is not there yet")
    return top


@dataclass(frozen=True)
class Choice:
    """The command line, completed and checked.

    Attributes:
        jobs: what is to be measured.
        sizes: of single documents.
        growth: stages of the growing index, or none.
        questions: asked in a process.
        settings: of the peers.
        minutes: of this call; None: no end.
        build: make missing environments.
    """

    jobs: tuple[Job, ...]
    sizes: tuple[int, ...]
    growth: tuple[int, ...]
    questions: int
    settings: PeerSettings
    minutes: float | None
    build: bool


def choose(given: argparse.Namespace) -> Choice:
    """Everything that is derived from the options.

    Raises:
        ConfigError: one is invalid.
        ModelUnavailableError: the embedded model cannot be fetched.
    """
    quick = given.quick
    numbers = {
        "repeats": given.repeats if given.repeats is not None else 1 if quick else 3,
        "questions": given.questions if given.questions is not None else 3 if quick else 6,
        "new-tokens": given.new_tokens if given.new_tokens is not None else 16 if quick else 32,
        "threads": given.threads if given.threads is not None else _processors(),
    }
    _check(numbers)
    tables = names(given.tables, TABLES, "table")
    growth = tuple(map(parse_size, given.growth_sizes.split(","))) if given.growth else ()
    only = given.growth or (tables and given.peers is None and given.sizes is None)
    peers = [] if only else names(given.peers or ",".join(PEERS), list(PEERS), "peer")
    sizes = (
        [parse_size(size) for size in (given.sizes or (QUICK_SIZES if quick else SIZES)).split(",")] if peers else []
    )
    table_size = parse_size(given.table_size or (QUICK_TABLE_SIZE if quick else TABLE_SIZE))
    repeats = numbers["repeats"]
    jobs = (
        *peer_jobs(peers, sizes, repeats),
        *table_jobs(tables, table_size, repeats),
        *growth_jobs(growth, GROWTH_PART, repeats),
    )
    return Choice(
        jobs=jobs,
        sizes=tuple(sorted({*sizes, *([table_size] if tables else [])})),
        growth=growth,
        questions=numbers["questions"],
        settings=_settings(given, numbers["threads"], numbers["new-tokens"]),
        minutes=given.max_minutes if given.max_minutes is not None else QUICK_MINUTES if quick else None,
        build=not (quick or given.no_build),
    )


def _check(numbers: dict[str, int]) -> None:
    bounds = {"questions": (2, len(QUESTIONS)), "new-tokens": (2, 1024), "threads": (1, 1024), "repeats": (1, 100)}
    wrong = [
        f"--{name}={value} must lie in {bounds[name][0]}..{bounds[name][1]}."
        for name, value in numbers.items()
        if not bounds[name][0] <= value <= bounds[name][1]
    ]
    if wrong:
        raise ConfigError(" ".join(wrong), remedy="Correct these options.")


def _settings(given: argparse.Namespace, threads: int, new_tokens: int) -> PeerSettings:
    from sharedllm_docs.architectures.devices import has_bfloat16_units
    from sharedllm_docs.model.zoo import SMOLLM_135M, ensure

    folder = given.model or str(ensure(SMOLLM_135M, report=print))
    return PeerSettings(
        model=given.model,
        folder=folder,
        embedder=given.embedder,
        dtype="bfloat16" if has_bfloat16_units("cpu") else "float32",
        threads=threads,
        new_tokens=new_tokens,
    )


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def config_of(choice: Choice, texts: Sequence[Path]) -> dict[str, Any]:
    """What all records of a folder share."""
    settings = choice.settings
    return {
        "model": Path(settings.folder).name,
        "embedder": Path(settings.embedder).name or "all-minilm-l6-v2",
        "dtype": settings.dtype,
        "threads": settings.threads,
        "new_tokens": settings.new_tokens,
        "questions": choice.questions,
        "texts": [path.name for path in texts] or "R manuals and books",
        "processor": _processor(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in ("torch", "transformers", "sharedllm-docs")},
    }


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    found = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return found[0] if found else platform.processor() or platform.machine()


class Works(dict[Any, Path]):
    """Documents and questions by size, written when a job first asks for them.

    Args:
        choice: sizes, stages, questions, model.
        texts: files in place of the corpus.
        folder: to write into.
    """

    def __init__(self, choice: Choice, texts: Sequence[Path], folder: Path) -> None:
        super().__init__()
        self._choice, self._texts, self._folder = choice, texts, folder
        self._tokenizer: Any = None

    def __missing__(self, key: int | str) -> Path:
        folder = self._folder / (f"{key}-{self._parts}" if isinstance(key, str) else size_label(key))
        if not is_written(folder):
            if self._tokenizer is None:
                from transformers import AutoTokenizer

                self._tokenizer = AutoTokenizer.from_pretrained(self._choice.settings.folder)
            write_work(folder, self._documents(key), self._tokenizer, self._choice.questions)
        self[key] = folder
        return folder

    @property
    def _parts(self) -> int:
        """Documents of the growing index."""
        return -(-max(self._choice.growth) // GROWTH_PART)

    def _documents(self, key: int | str) -> Iterator[Any]:
        cutter = Cutter(corpus(self._texts, print), self._tokenizer)
        if key == "growth":
            return (cutter.cut(GROWTH_PART, f"part {number + 1}") for number in range(self._parts))
        return (cutter.cut(size, f"document of {size_label(size)} tokens") for size in [int(key)])


def finish(records: Records) -> list[Path]:
    """Write the tables and, with matplotlib, the plots."""
    made = [write(records, records.folder / "results.md")]
    if can_plot():
        for table in ("peers", "growth"):
            made += plot(lines_of(records.items(), table), table, records.folder)
    else:
        print("No plots: matplotlib is not installed")
    return made


def main(arguments: Sequence[str] | None = None, measure: Callable[..., Any] = spawn) -> int:
    """Measure; returns the exit status."""
    begun = time.monotonic()
    given = parser().parse_args(arguments)
    try:
        choice = choose(given)
        records = Records(given.out, config_of(choice, given.texts))
        bench = Bench(
            records,
            choice.settings,
            Works(choice, given.texts, given.out / "works"),
            pythons=lambda peer: _python(peer, choice.build),
            gguf=lambda: _gguf(given.model),
            deadline=None if choice.minutes is None else begun + 60 * choice.minutes,
            report=_say,
            measure=measure,
        )
        try:
            whole = bench.run(choice.jobs)
        finally:
            made = finish(records)
        print("\n".join(map(str, made)))
        return 0 if whole else UNFINISHED
    except SharedLLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _python(peer: PeerSpec, build: bool) -> str:
    from peers.environments import python_of

    return python_of(peer, _say, build=build)


def _gguf(model: str) -> str:
    from peers.gguf_file import default_gguf

    if model:
        raise NotAvailableError("only the embedded default is there as a GGUF file")
    return default_gguf()


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main())
