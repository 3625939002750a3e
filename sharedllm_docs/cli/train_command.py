"""``train`` and ``train-tiny``: training of adapters."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sharedllm_docs.cli import workshop
from sharedllm_docs.cli.failures import resumable
from sharedllm_docs.cli.options import OutputOptions, flattened
from sharedllm_docs.cli.screen import one_line, opened


@flattened
def train(
    config: Annotated[Path, typer.Argument(metavar="CONFIG", help="TOML file; docs/training.md describes it.")],
    output: OutputOptions,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run: checkpoints, logs, plot.")],
    max_minutes: Annotated[
        float | None,
        typer.Option("--max-minutes", metavar="M", help="Stop with a checkpoint before so many minutes have passed."),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", show_default="the configuration's", help="Optimiser steps in all."),
    ] = None,
    device: Annotated[
        str, typer.Option("--device", metavar="NAME", help="auto (cuda if there is one), cpu, cuda.")
    ] = "auto",
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="TABLE.KEY=VALUE", help="Replace a setting, e.g. run.batch=4; may be repeated."),
    ] = None,
) -> None:
    """Train an adapter.

    The same command, run again, continues where the last one stopped, whether by --max-minutes, Ctrl-C or anything
    else. The adapter is in DIR/checkpoint/adapter; give it to --adapter.
    """
    with opened(output) as screen, resumable(f"the last checkpoint in {out} is kept"):
        ended = workshop.train(
            config, out, changes=changes or (), steps=steps, device=device, max_minutes=max_minutes, say=screen.note
        )
        if not workshop.is_main_process():
            return
        if screen.json:
            screen.emit({"step": ended.step, "finished": ended.finished, "adapter": str(ended.adapter)})
            return
        state = "finished" if ended.finished else "stopped"
        screen.print(one_line(f"{state} after step {ended.step}; adapter: {ended.adapter}"))


@flattened
def train_tiny(
    output: OutputOptions,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", show_default="a temporary one", help="Folder of the run."),
    ] = None,
    max_minutes: Annotated[
        float, typer.Option("--max-minutes", metavar="M", help="Stop training after so many minutes.")
    ] = 4.5,
) -> None:
    """Let a tiny random model learn passkey retrieval.

    It reads three-digit secrets from injected rows alone. Prints the share of secrets that it finally repeats, with and
    without the rows.
    """
    with opened(output) as screen:
        result = workshop.train_tiny(out, max_minutes=max_minutes, say=screen.note)
        if screen.json:
            screen.emit({"accuracy": result.accuracy, "without_rows": result.closed_book, "tried": result.tried})
            return
        screen.print(f"without injected rows: {result.closed_book:.3f}")
        screen.print(f"passkey accuracy: {result.accuracy:.3f}")
