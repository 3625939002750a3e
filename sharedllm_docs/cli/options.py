"""The options that commands share, in groups; each group knows how to become what the engine takes."""

from __future__ import annotations

import getpass
import sys
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer

from sharedllm_docs.cli.units import parse_layers, parse_size
from sharedllm_docs.config import ProfileName, StoreDtype
from sharedllm_docs.errors import ConfigError

if TYPE_CHECKING:
    from sharedllm_docs.documents.readers.options import ReadOptions

DEFAULT_INDEX = ".sharedllm-docs"
INDEX_VARIABLE = "SHAREDLLM_DOCS_INDEX"
_READING, _MODEL, _PROFILE, _OUTPUT = "Reading the file", "Model", "Encoding", "Output"


def choices(literal: object) -> str:
    """The values of a ``Literal`` as a metavar: ``[a|b]``."""
    return f"[{'|'.join(get_args(literal))}]"


def given(group: Any) -> dict[str, Any]:
    """The fields of an options group that the user set, by name."""
    values = {f.name: getattr(group, f.name) for f in fields(group)}
    # typer gives an empty list for a repeatable option that was left out
    return {f.name: values[f.name] for f in fields(group) if values[f.name] not in (f.default, [])}


def flags(group: Any) -> str:
    """The options of a group that the user set, as they are written: ``--max-pages, --pages``."""
    return ", ".join(sorted(f"--{name.replace('_', '-')}" for name in given(group)))


@dataclass(frozen=True)
class IndexOption:
    """Which index."""

    index: Annotated[
        str,
        typer.Option(
            "--index", metavar="DIR", envvar=INDEX_VARIABLE, show_envvar=True, help="Index folder, or an fsspec URL."
        ),
    ] = DEFAULT_INDEX


@dataclass(frozen=True)
class OutputOptions:
    """What is printed, and how."""

    json: Annotated[
        bool, typer.Option("--json", help="Print JSON on stdout, errors included.", rich_help_panel=_OUTPUT)
    ] = False
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="No progress, notes or warnings.", rich_help_panel=_OUTPUT)
    ] = False
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.", rich_help_panel=_OUTPUT)] = (
        False
    )


@dataclass(frozen=True)
class ReadingOptions:
    """How a file is read."""

    password: Annotated[
        str | None,
        typer.Option(
            "--password", metavar="TEXT", help="Of an encrypted PDF; - asks for it.", rich_help_panel=_READING
        ),
    ] = None
    pages: Annotated[
        str | None,
        typer.Option("--pages", metavar="RANGE", help='Only these, e.g. "1-20,35,50-".', rich_help_panel=_READING),
    ] = None
    engine: Annotated[
        str | None,
        typer.Option(
            "--engine",
            metavar="[pdfium|pypdf]",
            show_default="pdfium",
            help="Which library takes the text from PDF pages.",
            rich_help_panel=_READING,
        ),
    ] = None
    encoding: Annotated[
        str | None,
        typer.Option(
            "--encoding",
            metavar="NAME",
            show_default="found out",
            help="Encoding of a text file.",
            rich_help_panel=_READING,
        ),
    ] = None
    max_pages: Annotated[
        int | None,
        typer.Option("--max-pages", metavar="N", help="Refuse a longer document.", rich_help_panel=_READING),
    ] = None
    max_bytes: Annotated[
        str | None,
        typer.Option("--max-bytes", metavar="SIZE", help="Refuse a larger file.", rich_help_panel=_READING),
    ] = None
    raw: Annotated[
        bool,
        typer.Option("--raw", help="Keep headers, footers and hyphens as they are.", rich_help_panel=_READING),
    ] = False

    def read_options(self) -> ReadOptions:
        """For the readers.

        Raises:
            ConfigError, PageRangeError: an option is malformed.
        """
        from sharedllm_docs.documents.readers.options import ReadOptions

        changes = given(self)
        if changes.pop("raw", False):
            changes["clean"] = False
        if "max_bytes" in changes:
            changes["max_bytes"] = parse_size(changes["max_bytes"], "--max-bytes")
        if changes.get("password") == "-":
            changes["password"] = _ask_password()
        return ReadOptions(**changes)


def _ask_password() -> str:
    """Without echo on a terminal, else the first line of stdin."""
    return getpass.getpass("Password: ") if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")


@dataclass(frozen=True)
class ModelOptions:
    """Which model, and where it computes. What is left out is the index's own."""

    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            metavar="NAME",
            show_default="the index's; smollm2-135m-instruct for a new one",
            help="Embedded model, local folder or hub name.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    adapter: Annotated[
        str | None,
        typer.Option(
            "--adapter",
            metavar="DIR",
            show_default="the index's; the embedded model's own for a new one",
            help="Folder of a trained adapter, one of the package's by name, or none.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    embedder: Annotated[
        str | None,
        typer.Option(
            "--embedder",
            metavar="NAME",
            show_default="the index's; all-minilm-l6-v2 for a new one",
            help="sentence-transformers folder or hub name.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    dtype: Annotated[
        str | None,
        typer.Option(
            "--dtype",
            metavar="NAME",
            show_default="the index's, or by the device",
            help="What the model computes in: float32, bfloat16, float16.",
            rich_help_panel=_MODEL,
        ),
    ] = None
    device: Annotated[
        str | None,
        typer.Option(
            "--device",
            metavar="NAME",
            show_default="cuda where there is one, else cpu",
            help="Where it computes.",
            rich_help_panel=_MODEL,
        ),
    ] = None

    def model_options(self) -> dict[str, Any]:
        """Keyword arguments of ``SharedLLM.from_pretrained``, only those that were set."""
        options = given(self)
        if "model" in options:
            options["name_or_path"] = options.pop("model")
        return options


@dataclass(frozen=True)
class ProfileOptions:
    """How documents are encoded."""

    profile: Annotated[
        str | None,
        typer.Option(
            "--profile",
            metavar=choices(ProfileName),
            show_default="the adapter's, else prefix",
            help="How keys and values reach the decoder.",
            rich_help_panel=_PROFILE,
        ),
    ] = None
    layers: Annotated[
        str | None,
        typer.Option(
            "--layers",
            metavar="A-B",
            show_default="the profile's",
            help="Layers that receive the injection, from 1.",
            rich_help_panel=_PROFILE,
        ),
    ] = None
    store_dtype: Annotated[
        str | None,
        typer.Option(
            "--store-dtype",
            metavar=choices(StoreDtype),
            show_default="the profile's",
            help="How keys and values are stored.",
            rich_help_panel=_PROFILE,
        ),
    ] = None

    def changes(self) -> dict[str, Any]:
        """Settings of the profile that were set, its name left out.

        Raises:
            ConfigError: the layers are malformed.
        """
        changes = given(self)
        changes.pop("profile", None)
        if "layers" in changes:
            changes["layers"] = parse_layers(changes["layers"])
        return changes


def refuse_without(options: Any, missing: str, *, why: str) -> None:
    """Refuse options that would have to be ignored.

    Raises:
        ConfigError: naming those of the group ``options`` that were set.
    """
    if given(options):
        raise ConfigError(
            f"{flags(options)} {why}, and there is no {missing}.", remedy=f"Add {missing}, or leave out the rest."
        )
