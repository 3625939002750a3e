"""``models`` and ``convert``: what computes."""

from __future__ import annotations

import shlex
from dataclasses import fields
from typing import Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.options import OutputOptions
from sharedllm_docs.cli.panels import PanelCommand
from sharedllm_docs.cli.records import model_record
from sharedllm_docs.cli.screen import opened
from sharedllm_docs.errors import ModelUnavailableError

models_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True, no_args_is_help=False)


@models_app.callback()
@flattened
def models(ctx: typer.Context, output: OutputOptions) -> None:
    """List or fetch the embedded models.

    Without a command they are listed: whether they are in the cache, and where. Any other model is named by its folder
    or hub name with --model.
    """
    if ctx.invoked_subcommand is not None:
        return
    with opened(output) as screen:
        rows = [(model, *backend.model_state(model)) for model in backend.embedded_models().values()]
        if screen.json:
            screen.emit({"models": [model_record(*row) for row in rows]})
            return
        for model, ready, folder in rows:
            screen.print(f"{model.name}: {model.kind}, {model.licence}")
            state = "in the cache:" if ready else f"not fetched yet ({model.megabytes} MB), will be in"
            screen.print(f"  {state} {folder}")


@models_app.command(cls=PanelCommand)
@flattened
def fetch(
    ctx: typer.Context,
    output: OutputOptions,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", show_default="all", help="Embedded models.")
    ] = None,
) -> None:
    """Fetch embedded models into the cache.

    Later commands need no network then.
    """
    with opened(_with_parent(ctx, output)) as screen:
        known = backend.embedded_models()
        unknown = [name for name in names or () if name not in known]
        if unknown:
            raise ModelUnavailableError(
                f"There is no embedded model {unknown[0]!r} (known: {', '.join(known)}).",
                remedy="Other models are not fetched here: name their folder or hub name with --model.",
            )
        rows = []
        for name in names or known:
            folder = backend.fetch_model(known[name], screen.report)
            rows.append(model_record(known[name], True, folder))
            if not screen.json:
                screen.print(f"{name} is in {folder}")
        if screen.json:
            screen.emit({"models": rows})


def _with_parent(ctx: typer.Context, output: OutputOptions) -> OutputOptions:
    """Output options may stand before `fetch` as well."""
    above = ctx.parent.params if ctx.parent is not None else {}
    return OutputOptions(**{f.name: getattr(output, f.name) or above.get(f.name, False) for f in fields(output)})


@flattened
def convert(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Folder: config.json and *.safetensors.")],
    out: Annotated[str, typer.Argument(metavar="OUT", help="Folder to make.")],
    output: OutputOptions,
) -> None:
    """Convert a checkpoint of the authors' code.

    Makes OUT/model and OUT/adapter, for --model and --adapter.
    """
    with opened(output) as screen:
        model, adapter = backend.convert(source, out)
        if screen.json:
            screen.emit({"model": str(model), "adapter": str(adapter)})
            return
        screen.print(f"Model:   {model}")
        screen.print(f"Adapter: {adapter}")
        screen.note(f"Use them with --model {shlex.quote(str(model))} --adapter {shlex.quote(str(adapter))}")
