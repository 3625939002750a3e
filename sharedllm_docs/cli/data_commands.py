"""``data pack``: token files for training. The distribution sharedllm-docs-data adds ``data build``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sharedllm_docs.cli import workshop
from sharedllm_docs.cli.options import DEFAULT_MODEL, OutputOptions, flattened
from sharedllm_docs.cli.panels import PanelCommand
from sharedllm_docs.cli.plugins import PluginGroup
from sharedllm_docs.cli.screen import one_line, opened

data_app = typer.Typer(cls=PluginGroup, rich_markup_mode=None, invoke_without_command=True, no_args_is_help=False)


@data_app.callback()
def data(ctx: typer.Context) -> None:
    """Make training data: build text and questions (with sharedllm-docs-data installed), tokenize them."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@data_app.command(cls=PanelCommand)
@flattened
def pack(
    rows: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files of the data build (*.jsonl.gz).")],
    output: OutputOptions,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write (.npz).")],
    model: Annotated[
        str | None,
        typer.Option("--model", metavar="NAME", show_default=DEFAULT_MODEL, help="Base model: folder or hub name."),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Rows of this split: train, valid, test, heldout-template.")
    ] = "train",
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", metavar="N", help="Maximum tokens, about; all files have a share."),
    ] = None,
    max_context: Annotated[
        int, typer.Option("--max-context", metavar="TOKENS", help="Leave out questions over longer contexts.")
    ] = 1024,
    include_non_commercial: Annotated[
        bool,
        typer.Option("--include-non-commercial", help="Also take what allows no commercial use: SciQ, parts of CoQA."),
    ] = False,
) -> None:
    """Tokenize rows of the data build into one token file.

    A run's configuration names token files; training then needs neither the data nor the network.
    """
    with opened(output) as screen:
        said: list[str] = []
        path = workshop.write_token_file(
            rows,
            out,
            model=model,
            split=split,
            max_tokens=max_tokens,
            max_context=max_context,
            include_non_commercial=include_non_commercial,
            say=said.append,
        )
        if screen.json:
            screen.emit({"file": str(path), "bytes": path.stat().st_size, "said": " ".join(said)})
            return
        for line in said:
            screen.print(one_line(line))
