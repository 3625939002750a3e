"""A run: systems measured on the examples of a task, then a table and plots.

``start`` loads what is asked for by name, ``evaluate`` measures. A run writes ``TASK.jsonl`` (one result per system and
example), ``TASK.md``, ``TASK.json`` and PNG files into a folder. Stopped at any time, it continues where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.errors import EvaluationError, NotMeasurableError
from sharedllm_docs.evaluation.ablations import ablation
from sharedllm_docs.evaluation.memory import PeakMemory
from sharedllm_docs.evaluation.plots import can_plot, plot_run
from sharedllm_docs.evaluation.policies import Gold
from sharedllm_docs.evaluation.run_file import RunFile
from sharedllm_docs.evaluation.systems.base import System
from sharedllm_docs.evaluation.systems.recent import KEPT
from sharedllm_docs.evaluation.systems.spec import SystemFactory, SystemSpec, parse_systems
from sharedllm_docs.evaluation.table import Line, lines_of, markdown, summary_of
from sharedllm_docs.evaluation.tasks.base import DocumentQuestions, Example, Task
from sharedllm_docs.evaluation.tasks.options import TaskOptions, parse_lengths
from sharedllm_docs.evaluation.tasks.own.rows import is_questions_file
from sharedllm_docs.evaluation.tasks.own.task import OwnQuestions
from sharedllm_docs.evaluation.tasks.registry import check_task, make_task
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.loading import load_adapter
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.model.zoo import DEFAULT_MODEL, EMBEDDED

PDF_DIR_VARIABLE = "SHAREDLLM_DOCS_PDF_DIR"
DEFAULT_SYSTEMS = "closed_book,first_8k,full_prefill,rag,rag-tuned,prefix,prefix+evidence"
WITH_ADAPTER = ",sharedllm,sharedllm+evidence"
OWN_SYSTEMS = "ask"
"""For a user's own questions: what a question gets without any setting, in minutes rather than hours."""
_EXAMPLES = Path("examples")


@dataclass(frozen=True)
class Request:
    """What is to be measured.

    Attributes:
        task: name of the task, or a questions file (JSONL or CSV).
        systems: specifications, separated by commas; None for the usual ones, with an adapter ``sharedllm`` among them,
            and for a questions file ``ask``.
        ablation: name of an ablation, instead of ``systems``.
        of: the system that the ablation varies, ``prefix`` or ``sharedllm``.
        lengths: tokens of the documents, as ``1K,8K``; "" for the task's own.
        texts: files that fill synthetic documents.
        pdf_dirs: folders searched for a task's PDFs, before the one that ``SHAREDLLM_DOCS_PDF_DIR`` names and
            ``examples``.
        files: the documents that a questions file asks about.

    Raises:
        EvaluationError: an unknown task, ``files`` for a task that has its own, or options that a questions file does
            not take.
    """

    task: str
    systems: str | None = None
    ablation: str | None = None
    of: str = "prefix"
    lengths: str = ""
    texts: tuple[Path, ...] = ()
    pdf_dirs: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        if not self.own:
            check_task(self.task)
            if self.files:
                raise EvaluationError(
                    f"task {self.task!r} has documents of its own, and files are given: {self.files[0]} ...",
                    remedy="Leave them out, or name a questions file (.jsonl or .csv) first.",
                )
        others = {"lengths": self.lengths, "texts": self.texts, "pdf_dirs": self.pdf_dirs}
        given = [name for name, value in others.items() if value]
        if self.own and given:
            raise EvaluationError(
                f"{self.task} is a questions file, which takes no {given[0]}.",
                remedy="Name its documents with --files.",
            )

    @property
    def own(self) -> bool:
        """Whether the task is a questions file."""
        return is_questions_file(self.task)


@dataclass(frozen=True)
class ModelRequest:
    """The model that answers.

    Attributes:
        name: name or folder of the base model; None for the embedded default.
        adapter: folder of an adapter, or the name of one that comes with the package, for ``sharedllm``; ``auto`` for
            the embedded model's own, ``none`` for none.
        device, dtype: see ``SharedLLM.from_pretrained``.
    """

    name: str | None = None
    adapter: str = "auto"
    device: str = "auto"
    dtype: str = "auto"


@dataclass(frozen=True)
class Settings:
    """How much is measured, and where the results go.

    Attributes:
        out: folder of the results.
        limit: maximum number of examples (per length, where the task has lengths); None: all.
        seed: of the sample.
        indexes: folder of the indexes; ``out/indexes`` by default.
        max_minutes: stop cleanly after the example during which this time has passed.
        plots: draw plots, where matplotlib is installed.
        lazy: encode only the chunks that questions need, when they are asked.

    Raises:
        EvaluationError: ``max_minutes`` is not above 0.
    """

    out: Path
    limit: int | None = None
    seed: int = 0
    indexes: Path | None = None
    max_minutes: float | None = None
    plots: bool = True
    lazy: bool = False

    def __post_init__(self) -> None:
        if self.max_minutes is not None and self.max_minutes <= 0:
            raise EvaluationError(f"max_minutes is {self.max_minutes}, not above 0.", remedy="Give it some time.")


@dataclass(frozen=True)
class Outcome:
    """What a run gave.

    Attributes:
        file: the file of the results, ``TASK.jsonl``.
        table: the table as Markdown.
        lines: its lines.
        summary: its lines as plain data, unscaled.
        plots: files drawn.
        complete: False when the time ran out first.
    """

    file: Path
    table: str
    lines: tuple[Line, ...]
    summary: tuple[dict[str, Any], ...]
    plots: tuple[Path, ...]
    complete: bool


def start(
    request: Request, model: ModelRequest, settings: Settings, *, report: Callable[[str], None] = lambda _text: None
) -> Outcome:
    """Load what is asked for and measure it.

    Raises:
        EvaluationError: an unknown system, ablation or length, bad rows in a questions file, or results of other
            settings in the folder.
        DocumentError: a file cannot be read.
        AdapterError: ``sharedllm`` without an adapter, or one that does not fit.
        ModelError: the base model cannot be loaded.
    """
    embedded = DEFAULT_MODEL if model.name is None else EMBEDDED.get(model.name)
    adapter = load_adapter(model.adapter, embedded.name if embedded else "", None)
    usual = OWN_SYSTEMS if request.own else DEFAULT_SYSTEMS + (WITH_ADAPTER if adapter else "")
    specs, lengths = parse_systems(request.systems or usual), parse_lengths(request.lengths)
    # a bad row is reported before a model is loaded
    own = OwnQuestions(Path(request.task), request.files, report) if request.own else None
    llm = SharedLLM.from_pretrained(model.name, profile="prefix", device=model.device, dtype=model.dtype, report=report)
    if request.ablation:
        specs = ablation(request.ablation, request.of, llm.upper.num_layers)
    folders = (*request.pdf_dirs, *_usual_folders())
    options = TaskOptions(llm.tokenizer, llm.profile.chunk_tokens, lengths, folders, request.texts, report)
    return evaluate(own or make_task(request.task, options), specs, llm, settings, adapter=adapter, report=report)


def _usual_folders() -> tuple[Path, ...]:
    named = os.environ.get(PDF_DIR_VARIABLE)
    return (*((Path(named),) if named else ()), _EXAMPLES)


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
        task: gives the examples and scores the answers.
        specs: the systems, in the order of the table.
        llm: the base model, without an adapter.
        settings: how much is measured, and where the results go.
        adapter: for ``sharedllm``.
        report: called with a sentence for every example measured.

    Raises:
        AdapterError: ``sharedllm`` without an adapter; nothing is measured then.
        EvaluationError: the folder has results of other settings, or a specification makes no sense.
    """
    examples = task.examples(settings.limit, settings.seed)
    folder = settings.indexes or settings.out / "indexes"
    generation = GenerationConfig(max_new_tokens=task.max_new_tokens)
    kept = _kept(task, examples)
    factory = SystemFactory(llm, folder, generation, adapter, _gold(examples), settings.seed, kept, settings.lazy)
    systems = [factory.make(spec) for spec in specs]
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
    """Digest of the adapter that a system answers with, or None."""
    return system.llm.adapter.digest if system.llm.adapter else None


def _check_adapters(file: RunFile, systems: Sequence[System]) -> None:
    """Raise EvaluationError if results of a system were measured with another adapter: they are never mixed."""
    own = {system.name: _adapter_of(system) for system in systems}
    for result in file.results:
        if result["system"] in own and result.get("adapter") != own[result["system"]]:
            raise EvaluationError(
                f"{file.path} was measured with adapter={result.get('adapter')!r} for {result['system']!r}, now it is "
                f"{own[result['system']]!r}.",
                remedy="Use another output folder, or the same adapter.",
            )


def _prompt_digest(llm: SharedLLM) -> str:
    """Digest of the text around question and document: answers to another prompt are another measurement."""
    template = llm.template
    parts = "\n".join((template.start, template.before_question, template.after_question))
    return hashlib.sha256(parts.encode()).hexdigest()


def _gold(examples: Sequence[Any]) -> dict[tuple[str, str], Gold]:
    """Where the answer to each question is, for the oracle; continuations have no answers."""
    return {
        (example.question, document.source_sha256): Gold(example.evidence, frozenset(sum(example.page_groups, ())))
        for example in examples
        if isinstance(example, Example)
        for document in example.documents
    }


def _kept(task: Task, examples: Sequence[Any]) -> int:
    """Documents that stay in an index: all real ones, which the next run or system finds read, but few made ones."""
    if not isinstance(task, DocumentQuestions):
        return KEPT
    return len({document.source_sha256 for example in examples for document in example.documents})


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
            result = _measure(task, system, example)
            file.add(result)
            report(f"{number}/{total} {system.name} {example.id}: {_said(result)}")
        system.release()
    return True


def _by_document(examples: Sequence[Any]) -> list[Any]:
    """Examples ordered by their documents, so that systems need not read or load a document again."""
    groups: dict[tuple[str, ...], list[Any]] = {}
    for example in examples:
        groups.setdefault(tuple(document.source_sha256 for document in example.documents), []).append(example)
    return [example for group in groups.values() for example in group]


def _measure(task: Task, system: System, example: Any) -> dict[str, Any]:
    result: dict[str, Any] = {"system": system.name, "id": example.id, "kind": example.kind, "length": example.length}
    if adapter := _adapter_of(system):
        result["adapter"] = adapter
    memory = PeakMemory(system.llm.device)
    try:
        with memory:
            fields = task.measure(system, example)
    except NotMeasurableError as error:
        return {**result, "skipped": error.message}
    return {**result, **fields, "peak_bytes": memory.bytes}


def _said(result: dict[str, Any]) -> str:
    if "skipped" in result:
        return f"not measured. {result['skipped']}"
    return " ".join(f"{name} {value:.2f}" for name, value in result["scores"].items()) or "abstention only"


def _conclude(
    task: Task, systems: Sequence[System], examples: Sequence[Any], file: RunFile, settings: Settings, complete: bool
) -> Outcome:
    results = file.chosen([system.name for system in systems], [example.id for example in examples])
    lines = lines_of(results, task.columns)
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
