"""``evaluate``: systems measured on a task, one table."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sharedllm_docs.cli.failures import EXIT_UNFINISHED, resumable
from sharedllm_docs.cli.options import (
    DEFAULT_MODEL,
    MODEL_HELP,
    ComputeOptions,
    OutputOptions,
    choices,
    flattened,
    given,
    option,
)
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.errors import ConfigError

if TYPE_CHECKING:
    from sharedllm_docs.evaluation.run import Outcome, Request

TASK_NAMES = ("pdfqa", "squad-haystack", "passkey", "needles", "perplexity")
ABLATION_NAMES = ("layers", "place", "grain", "keep", "spend", "depth", "policy", "positions", "budget", "evidence")
_Injecting = Literal["prefix", "sharedllm"]
_what = partial(option, panel="What is measured")


@dataclass(frozen=True)
class RequestOptions:
    """Task and systems; the fields are those of the evaluation's ``Request``."""

    systems: Annotated[
        str | None,
        _what(
            "--systems",
            "LIST",
            "NAME[+evidence[=N]][:KEY=VALUE,...], separated by commas; docs/evaluation.md lists them.",
            "ask for your own questions; else closed_book,first_8k,full_prefill,rag,rag-tuned,prefix,prefix+evidence, "
            "with an adapter also sharedllm,sharedllm+evidence",
        ),
    ] = None
    ablation: Annotated[
        str | None,
        _what(
            "--ablation", f"[{'|'.join(ABLATION_NAMES)}]", "One of the paper's ablations instead of a list of systems."
        ),
    ] = None
    of: Annotated[str | None, _what("--of", choices(_Injecting), "System that the ablation varies.", "prefix")] = None
    lengths: Annotated[
        str | None, _what("--lengths", "LIST", "Tokens of the documents, e.g. 1K,8K,32K.", "the task's")
    ] = None
    texts: Annotated[
        list[Path] | None,
        _what("--text", "FILE", "Text that fills synthetic documents; may be repeated.", "the task's"),
    ] = None
    pdf_dirs: Annotated[
        list[Path] | None, _what("--pdf-dir", "DIR", "Folder with the PDFs of a task; may be repeated.")
    ] = None
    files: Annotated[
        list[Path] | None,
        _what("--files", "FILE...", "Documents that your own questions are about, or folders of them."),
    ] = None

    def keywords(self) -> dict[str, Any]:
        """Fields of ``Request`` that were set.

        Raises:
            ConfigError: options that exclude each other.
        """
        if self.systems is not None and self.ablation is not None:
            raise ConfigError("--ablation names the systems itself.", remedy="Leave out --systems or --ablation.")
        if self.of is not None and self.ablation is None:
            raise ConfigError("--of names the system of an ablation.", remedy="Add --ablation, or leave out --of.")
        return {name: tuple(value) if isinstance(value, list) else value for name, value in given(self).items()}


@dataclass(frozen=True)
class RunOptions:
    """How much is measured, and where it goes."""

    limit: Annotated[
        int | None,
        option(
            "--limit", "N", "Maximum number of examples, for each length (and kind) where the task has several.", "all"
        ),
    ] = None
    seed: Annotated[int, option("--seed", "N", "Seed of the sample.", "0")] = 0
    out: Annotated[Path, option("--out", "DIR", "Folder for the results, the table and the plots.")] = Path(
        "evaluation-results"
    )
    indexes: Annotated[
        Path | None, option("--indexes", "DIR", "Where encoded documents are kept for the next time.", "DIR/indexes")
    ] = None
    max_minutes: Annotated[
        float | None, option("--max-minutes", "M", "Stop cleanly after this time, with exit code 75.")
    ] = None
    lazy: Annotated[
        bool,
        option(
            "--lazy",
            None,
            "Encode only the chunks that questions need: the same answers, sooner. Times do not include encoding.",
        ),
    ] = False
    no_plots: Annotated[bool, option("--no-plots", None, "Do not draw PNG files.")] = False

    def keywords(self) -> dict[str, Any]:
        """Fields of the evaluation's ``Settings``."""
        values = dict(vars(self))
        values["plots"] = not values.pop("no_plots")
        return values


@dataclass(frozen=True)
class AnsweringModelOptions:
    """The model that answers."""

    name: Annotated[str | None, option("--model", "NAME", MODEL_HELP, DEFAULT_MODEL, panel="Model")] = None
    adapter: Annotated[
        str,
        option(
            "--adapter",
            "NAME",
            "Adapter of sharedllm: its folder, the name of one that comes with the package, or none.",
            "the embedded model's own",
            panel="Model",
        ),
    ] = "auto"


@flattened
def evaluate(
    task: Annotated[
        str,
        typer.Argument(
            metavar="TASK", help=f"One of {', '.join(TASK_NAMES)}; or your own questions, a JSONL or CSV file."
        ),
    ],
    *,
    # a shell makes --files a.pdf b.pdf of --files *.pdf: the option takes the first, the others arrive here
    more: Annotated[
        list[Path] | None, typer.Argument(metavar="FILE", help="Further documents of --files.", show_default=False)
    ] = None,
    request: RequestOptions,
    run: RunOptions,
    model: AnsweringModelOptions,
    compute: ComputeOptions,
    output: OutputOptions,
) -> None:
    """Measure systems on a task, or on your own questions, and print the table.

    Your own questions: evaluate questions.jsonl --files *.pdf. A row is a question with its answers, and optionally id,
    file, pages and kind; a question without answers is one that the documents do not answer. docs/evaluation.md
    describes the fields.

    Each result is written to DIR/TASK.jsonl at once, so running the same command again continues where the last one
    stopped and measures nothing twice; more systems and a higher limit extend the same file. The table is also written
    to DIR as Markdown and JSON, with plots.
    """
    with opened(output) as screen, resumable(f"the results so far are kept in {run.out}"):
        from sharedllm_docs.evaluation.run import ModelRequest, Settings, start

        asked = _request(task, request, more or [])
        answering = ModelRequest(**asdict(model), **asdict(compute))
        outcome = start(asked, answering, Settings(**run.keywords()), report=screen.note)
        _tell(screen, task, outcome)
    if not outcome.complete:
        raise typer.Exit(EXIT_UNFINISHED)


def _request(task: str, options: RequestOptions, more: list[Path]) -> Request:
    """The request; arguments after the task are further files of ``--files``.

    Raises:
        ConfigError: files without ``--files``, or options that exclude each other.
        EvaluationError: an unknown task, or one that takes no files.
    """
    from sharedllm_docs.evaluation.run import Request

    keywords = options.keywords()
    if more and "files" not in keywords:
        raise ConfigError(f"{more[0]} stands after the task.", remedy="Put --files before the documents.")
    files = (*keywords.pop("files", ()), *more)
    return Request(task=task, files=files, **keywords)


def _tell(screen: Screen, task: str, outcome: Outcome) -> None:
    if screen.json:
        plots = [str(path) for path in outcome.plots]
        found = {"task": task, "complete": outcome.complete, "file": str(outcome.file), "plots": plots}
        screen.emit({**found, "lines": list(outcome.summary)})
        return
    screen.write(outcome.table)
    screen.note(one_line(f"Results in {outcome.file}, table and plots beside it."))
