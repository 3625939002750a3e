"""A run: systems on a task's examples, one row each, then a table and plots.

In: a task, specifications of systems, a loaded model. Out: ``TASK.jsonl``, ``TASK.md``, ``TASK.json`` and PNG files
in a folder. Stopped at any time, it goes on where it was.
"""

from __future__ import annotations

import hashlib
import json
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.errors import EvaluationError, NotMeasurableError
from sharedllm_docs.evaluation.memory import PeakMemory
from sharedllm_docs.evaluation.plots import can_plot, plot_run
from sharedllm_docs.evaluation.policies import Gold
from sharedllm_docs.evaluation.rows import RunFile
from sharedllm_docs.evaluation.systems.base import System
from sharedllm_docs.evaluation.systems.spec import SystemSpec, Workshop
from sharedllm_docs.evaluation.table import Line, lines_of, markdown, summary_of
from sharedllm_docs.evaluation.tasks.base import Example, Task
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.shared_llm import SharedLLM


@dataclass(frozen=True)
class Settings:
    """Of a run.

    Attributes:
        out: folder for everything that comes out.
        limit: most examples (a length, where the task has lengths); None: all.
        seed: of the sample.
        indexes: folder of the indexes; ``out/indexes`` by default.
        max_minutes: stop cleanly after the example during which this much time has passed.
        plots: draw them, where matplotlib is installed.
    """

    out: Path
    limit: int | None = None
    seed: int = 0
    indexes: Path | None = None
    max_minutes: float | None = None
    plots: bool = True

    def __post_init__(self) -> None:
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise EvaluationError(f"max_minutes is {self.max_minutes}, not above 0.", remedy="Give it some time.")


@dataclass(frozen=True)
class Outcome:
    """Of a run.

    Attributes:
        rows: file of the rows.
        table: Markdown.
        lines: of the table.
        summary: the same as plain data, unscaled.
        plots: files drawn.
        complete: False when the time ran out first.
    """

    rows: Path
    table: str
    lines: tuple[Line, ...]
    summary: tuple[dict[str, Any], ...]
    plots: tuple[Path, ...]
    complete: bool


def evaluate(
    task: Task,
    specs: Sequence[SystemSpec],
    llm: SharedLLM,
    settings: Settings,
    *,
    adapter: Adapter | None = None,
    report: Callable[[str], None] = lambda _text: None,
) -> Outcome:
    """Measure systems on a task.

    Args:
        task: with its options.
        specs: of the systems, in the order of the table.
        llm: the base model, without an adapter.
        settings: of the run.
        adapter: for ``sharedllm``.
        report: told of every example measured.

    Raises:
        AdapterError: ``sharedllm`` without an adapter; nothing is measured then.
        EvaluationError: the folder holds rows of other settings, or a specification makes no sense.
    """
    examples = task.examples(settings.limit, settings.seed)
    folder = settings.indexes or settings.out / "indexes"
    generation = GenerationConfig(max_new_tokens=task.max_new_tokens)
    shop = Workshop(llm, folder, generation, adapter, _gold(examples), settings.seed)
    systems = [shop.make(spec) for spec in specs]
    file = RunFile(settings.out / f"{task.name}.jsonl", _header(task, llm, settings.seed))
    _check_adapters(file, systems)
    complete = _measure_all(task, systems, examples, file, settings, report)
    outcome = _conclude(task, systems, examples, file, settings, complete)
    if settings.plots and not outcome.plots:
        report("No plots: matplotlib is not installed. Install it: pip install 'sharedllm-docs[train]'.")
    return outcome


def _header(task: Task, llm: SharedLLM, seed: int) -> dict[str, Any]:
    return {
        "task": task.name,
        "options": task.options(),
        "seed": seed,
        "model": llm.name,
        "weights": llm.weights_digest,
        "prompt": _prompt_digest(llm),
        "dtype": llm.dtype,
        "embedder": llm.embedder.digest,
        "machine": {"system": platform.system(), "processor": platform.machine(), "device": llm.device.type},
    }


def _adapter_of(system: System) -> str | None:
    """Digest of the adapter that a system answers with."""
    return system.llm.adapter.digest if system.llm.adapter else None


def _check_adapters(file: RunFile, systems: Sequence[System]) -> None:
    """Raise EvaluationError where rows of a system were measured with another adapter: they are never mixed."""
    own = {system.name: _adapter_of(system) for system in systems}
    for row in file.rows:
        if row["system"] in own and row.get("adapter") != own[row["system"]]:
            raise EvaluationError(
                f"{file.path} was measured with adapter={row.get('adapter')!r} for {row['system']!r}, now it is "
                f"{own[row['system']]!r}.",
                remedy="Use another output folder, or the same adapter.",
            )


def _prompt_digest(llm: SharedLLM) -> str:
    """Of the text around question and document: answers to another prompt are another measurement."""
    template = llm.template
    parts = "\n".join((template.start, template.before_question, template.after_question))
    return hashlib.sha256(parts.encode()).hexdigest()


def _gold(examples: Sequence[Any]) -> dict[tuple[str, str], Gold]:
    """For the oracle: where each question's answer stands. Continuations have no answers."""
    return {
        (example.question, document.source_sha256): Gold(example.evidence, frozenset(sum(example.page_groups, ())))
        for example in examples
        if isinstance(example, Example)
        for document in example.documents
    }


def _measure_all(
    task: Task,
    systems: Sequence[System],
    examples: Sequence[Any],
    file: RunFile,
    settings: Settings,
    report: Callable[[str], None],
) -> bool:
    end = time.monotonic() + 60 * settings.max_minutes if settings.max_minutes is not None else None
    examples = _by_document(examples)
    total = len(systems) * len(examples)
    for first, system in enumerate(systems):
        for number, example in enumerate(examples, start=1 + first * len(examples)):
            if (system.name, example.id) in file:
                continue
            if end is not None and time.monotonic() > end:
                report(f"Stopped after {settings.max_minutes:g} minutes; the same command goes on from here.")
                return False
            row = _measure(task, system, example)
            file.add(row)
            report(f"{number}/{total} {system.name} {example.id}: {_said(row)}")
        system.release()
    return True


def _by_document(examples: Sequence[Any]) -> list[Any]:
    """Examples of the same documents side by side, so that systems need not read or load these again."""
    groups: dict[tuple[str, ...], list[Any]] = {}
    for example in examples:
        groups.setdefault(tuple(document.source_sha256 for document in example.documents), []).append(example)
    return [example for group in groups.values() for example in group]


def _measure(task: Task, system: System, example: Any) -> dict[str, Any]:
    row: dict[str, Any] = {"system": system.name, "id": example.id, "kind": example.kind, "length": example.length}
    if adapter := _adapter_of(system):
        row["adapter"] = adapter
    memory = PeakMemory(system.llm.device)
    try:
        with memory:
            fields = task.measure(system, example)
    except NotMeasurableError as error:
        return {**row, "skipped": error.message}
    return {**row, **fields, "peak_bytes": memory.bytes}


def _said(row: dict[str, Any]) -> str:
    if "skipped" in row:
        return f"not measured. {row['skipped']}"
    return " ".join(f"{name} {value:.2f}" for name, value in row["scores"].items()) or "abstention only"


def _conclude(
    task: Task, systems: Sequence[System], examples: Sequence[Any], file: RunFile, settings: Settings, complete: bool
) -> Outcome:
    rows = file.chosen([system.name for system in systems], [example.id for example in examples])
    lines = lines_of(rows, task.columns)
    table = markdown(lines, task.columns)
    settings.out.mkdir(parents=True, exist_ok=True)
    (settings.out / f"{task.name}.md").write_text(_page(task, file, table), encoding="utf-8")
    summary = summary_of(lines, task.columns)
    (settings.out / f"{task.name}.json").write_text(json.dumps(summary, indent=1) + "\n", encoding="utf-8")
    plots: list[Path] = []
    if settings.plots and can_plot():
        plots = plot_run(lines, task.columns, task.main, task.name, settings.out)
    return Outcome(file.path, table, tuple(lines), tuple(summary), tuple(plots), complete)


def _page(task: Task, file: RunFile, table: str) -> str:
    header = file.header
    made = f"Model {header['model']} ({header['dtype']}, {header['machine']['device']}), seed {header['seed']}."
    return f"# {task.name}: {task.title}\n\n{made} Values with 95% bootstrap intervals; times are medians.\n\n{table}"
