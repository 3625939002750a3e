"""``models`` and ``convert``: what computes."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.options import OutputOptions
from sharedllm_docs.cli.panels import PanelCommand
from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.records import model_record
from sharedllm_docs.cli.screen import Screen, opened
from sharedllm_docs.cli.units import size_text
from sharedllm_docs.errors import ModelUnavailableError

if TYPE_CHECKING:
    from pathlib import Path

    from sharedllm_docs.model.zoo import EmbeddedModel

models_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True, no_args_is_help=False)


@models_app.callback()
@flattened
def models(ctx: typer.Context, output: OutputOptions) -> None:
    """List or fetch the embedded models.

    Without a command they are listed: sizes, licence, whether they are in the cache, and where. --model takes their
    names; any other model is named by its folder or hub name.
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
            on_disk = f"{size_text(1e6 * model.disk_megabytes)} on disk"
            fetched = f"in the cache ({on_disk}):"
            missing = f"not fetched yet ({size_text(1e6 * model.megabytes)}, then {on_disk}), will be in"
            screen.print(f"  {fetched if ready else missing} {folder}")


@models_app.command(cls=PanelCommand)
@flattened
def fetch(
    ctx: typer.Context,
    output: OutputOptions,
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", show_default="the two defaults", help="Embedded models.")
    ] = None,
) -> None:
    """Fetch embedded models into the cache.

    Later commands need no network then. A download that breaks off goes on when the command is repeated.
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
        for name in names or backend.default_models():
            folder = _fetch(known[name], screen)
            rows.append(model_record(known[name], True, folder))
            if not screen.json:
                screen.print(f"{name} is in {folder}")
        if screen.json:
            screen.emit({"models": rows})


def _fetch(model: EmbeddedModel, screen: Screen) -> Path:
    """Fetch one model, with a bar where progress is drawn."""
    if not screen.animated:
        return backend.fetch_model(model, screen.report)
    with bars(screen, model.name) as show:
        return backend.fetch_model(
            model, screen.report, lambda done, total: show(_Fetched(done, total)) if show is not None else None
        )


@dataclass(frozen=True)
class _Fetched:
    """How far a download is, as progress bars show it."""

    done: int
    total: int
    stage: str = "fetch"
    unit: str = "bytes"


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
