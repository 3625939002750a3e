"""Options of nearly every command: which index, what is printed, and whether the model stays in memory."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from sharedllm_docs.cli.options.declare import option

NAME = "sharedllm-docs"
DEFAULT_INDEX = ".sharedllm-docs"
INDEX_VARIABLE = "SHAREDLLM_DOCS_INDEX"
DEFAULT_STAY = "10m"
STAY_VARIABLE = "SHAREDLLM_DOCS_STAY"


@dataclass(frozen=True)
class IndexOption:
    """Which index."""

    index: Annotated[
        str,
        typer.Option(
            "--index", metavar="DIR", envvar=INDEX_VARIABLE, show_envvar=True, help="Index folder, or an fsspec URL."
        ),
    ] = DEFAULT_INDEX


_output = partial(option, metavar=None, panel="Output")


@dataclass(frozen=True)
class OutputOptions:
    """What is printed, and how."""

    json: Annotated[bool, _output("--json", text="Print JSON on stdout, errors included.")] = False
    quiet: Annotated[bool, _output("--quiet -q", text="No progress, notes or warnings.")] = False
    debug: Annotated[bool, _output("--debug", text="Show the traceback of an error.")] = False


@dataclass(frozen=True)
class StayOptions:
    """Whether a process keeps the model in memory for the next command."""

    stay: Annotated[
        str | None,
        option(
            "--stay",
            "TIME",
            "Keep the model in memory until no question was asked for this long; 0 = do not keep it.",
            f"{STAY_VARIABLE}, else {DEFAULT_STAY} on a terminal",
        ),
    ] = None
    no_stay: Annotated[
        bool, option("--no-stay", None, "Do not use or start a process that keeps the model; the answers are the same.")
    ] = False
