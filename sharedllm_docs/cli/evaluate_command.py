"""``evaluate``: systems on a task, one table."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from sharedllm_docs.cli import workshop
from sharedllm_docs.cli.failures import EXIT_UNFINISHED
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.options import OutputOptions, choices, given
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.errors import ConfigError

if TYPE_CHECKING:
    from sharedllm_docs.evaluation.run import Outcome

TASK_NAMES = ("pdfqa", "squad-haystack", "passkey", "needles", "perplexity")
ABLATION_NAMES = ("layers", "place", "grain", "depth", "policy", "positions", "budget", "evidence")
_Injecting = Literal["prefix", "sharedllm"]
_WHAT, _WHO = "What is measured", "Model"


@dataclass(frozen=True)
class WhatOptions:
    """Task and systems."""

    systems: Annotated[
        str | None,
        typer.Option(
            "--systems",
            metavar="LIST",
            show_default="closed_book,first_8k,full_prefill,rag,rag-tuned,prefix,prefix+evidence; with an adapter also "
            "sharedllm,sharedllm+evidence",
            help="NAME[+evidence[=N]][:KEY=VALUE,...], separated by commas; docs/evaluation.md lists them.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    ablation: Annotated[
        str | None,
        typer.Option(
            "--ablation",
            metavar=f"[{'|'.join(ABLATION_NAMES)}]",
            help="One of the paper's ablations in place of a list.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    of: Annotated[
        str | None,
        typer.Option(
            "--of",
            metavar=choices(_Injecting),
            show_default="prefix",
            help="System of the ablation.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    lengths: Annotated[
        str | None,
        typer.Option(
            "--lengths",
            metavar="LIST",
            show_default="the task's",
            help="Tokens of the documents, e.g. 1K,8K,32K.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    texts: Annotated[
        list[Path] | None,
        typer.Option(
            "--text",
            metavar="FILE",
            show_default="the task's",
            help="Text that fills synthetic documents; may be repeated.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    pdf_dirs: Annotated[
        list[Path] | None,
        typer.Option(
            "--pdf-dir",
            metavar="DIR",
            help="Where PDFs of a task lie; may be repeated.",
            rich_help_panel=_WHAT,
        ),
    ] = None

    def request(self) -> dict[str, Any]:
        """Fields of the evaluation's request that were set.

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
        typer.Option(
            "--limit",
            metavar="N",
            show_default="all",
            help="Most examples, for each length (and kind) where the task has several.",
        ),
    ] = None
    seed: Annotated[int, typer.Option("--seed", metavar="N", show_default="0", help="Of the sample.")] = 0
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for rows, table and plots.")] = Path(
        "evaluation-results"
    )
    indexes: Annotated[
        Path | None,
        typer.Option(
            "--indexes", metavar="DIR", show_default="DIR/indexes", help="Where encoded documents are kept and found."
        ),
    ] = None
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", metavar="M", help="Stop cleanly after so much time; exit code 75."),
    ] = None
    no_plots: Annotated[bool, typer.Option("--no-plots", help="Do not draw PNG files.")] = False

    def settings(self) -> dict[str, Any]:
        """Fields of the evaluation's settings."""
        values = _values(self)
        values["plots"] = not values.pop("no_plots")
        return values


@dataclass(frozen=True)
class WhoOptions:
    """The model that answers."""

    name: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            show_default="smollm2-135m-instruct",
            help="Embedded model, local folder or hub name.",
            rich_help_panel=_WHO,
        ),
    ] = None
    adapter: Annotated[
        str,
        typer.Option(
            "--adapter",
            metavar="NAME",
            show_default="the embedded model's own",
            help="Folder of a trained adapter, or the name of one that comes with the package, for sharedllm; none.",
            rich_help_panel=_WHO,
        ),
    ] = "auto"
    device: Annotated[
        str,
        typer.Option(
            "--device", metavar="NAME", help="auto (cuda where there is one), cpu, cuda.", rich_help_panel=_WHO
        ),
    ] = "auto"
    dtype: Annotated[
        str,
        typer.Option(
            "--dtype", metavar="NAME", help="auto (by the device), float32, bfloat16, float16.", rich_help_panel=_WHO
        ),
    ] = "auto"


@flattened
def evaluate(
    task: Annotated[str, typer.Argument(metavar="TASK", help=f"One of {', '.join(TASK_NAMES)}.")],
    what: WhatOptions,
    run: RunOptions,
    who: WhoOptions,
    output: OutputOptions,
) -> None:
    """Measure systems on a task and print the table.

    Every (system, example) is written down at once in DIR/TASK.jsonl, so the same command again goes on where the last
    one stopped and measures nothing twice; more systems and a higher limit join the same file. DIR gets the table, the
    same as JSON, and plots.
    """
    with opened(output) as screen, workshop.going_on(f"the rows measured so far are kept in {run.out}"):
        request = {"task": task, **what.request()}
        outcome = workshop.evaluate(request, _values(who), run.settings(), screen.note)
        _tell(screen, task, outcome)
    if not outcome.complete:
        raise typer.Exit(EXIT_UNFINISHED)


def _values(group: Any) -> dict[str, Any]:
    return {field.name: getattr(group, field.name) for field in fields(group)}


def _tell(screen: Screen, task: str, outcome: Outcome) -> None:
    if screen.json:
        plots = [str(path) for path in outcome.plots]
        found = {"task": task, "complete": outcome.complete, "rows": str(outcome.rows), "plots": plots}
        screen.emit({**found, "lines": list(outcome.summary)})
        return
    screen.write(outcome.table)
    screen.note(one_line(f"Rows in {outcome.rows}, table and plots beside it."))
