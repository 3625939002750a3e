"""``models``, ``convert`` and ``calibrate``: list, fetch and convert models, and find the layers that need rows."""

from __future__ import annotations

import shlex
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.options import DEFAULT_MODEL, MODEL_HELP, NAME, ComputeOptions, OutputOptions, flattened, option
from sharedllm_docs.cli.panels import PanelCommand
from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.records import calibration_record, model_record
from sharedllm_docs.cli.screen import Screen, opened
from sharedllm_docs.cli.units import count_text
from sharedllm_docs.errors import ConfigError, ModelUnavailableError
from sharedllm_docs.sizes import size_text

if TYPE_CHECKING:
    from sharedllm_docs.evaluation.calibrate import Calibration
    from sharedllm_docs.model.zoo import EmbeddedModel, Figures

EXAMPLE = Path("examples/R-intro.pdf")

models_app = typer.Typer(rich_markup_mode=None, invoke_without_command=True, no_args_is_help=False)


@models_app.callback()
@flattened
def models(ctx: typer.Context, output: OutputOptions) -> None:
    """List or fetch the embedded models.

    Without a command, lists them with size and licence, and says whether they are in the cache, and where; for language
    models also what was measured on two cores (docs/models.md). --model takes these names; any other model is named by
    its folder or hub name.
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
            if model.figures:
                screen.print(f"  {_figures_text(model.figures)}")


def _figures_text(figures: Figures) -> str:
    """What a model reaches and costs, in one line."""
    return (
        f"answers with F1 {figures.f1:.2f}, reads {figures.tokens_per_second} tokens/s, first word after "
        f"{figures.first_token:.2f} s, takes {figures.memory_gigabytes:.1f} GB of memory and "
        f"{figures.bytes_per_token:,} bytes a token"
    )


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

    Later commands then need no network. If a download breaks off, repeat the command to continue it.
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
    """Fetch one model, with a bar where progress is drawn, and another that only moves while it is converted."""
    if not screen.animated:
        return backend.fetch_model(model, screen.report)
    with bars(screen, model.name) as show:

        def listen(done: int, total: int) -> None:
            if show is not None:
                show(_Step("fetch", done, total))
                if done >= total and model.gguf:
                    show(_Step("convert", unit=""))

        return backend.fetch_model(model, screen.report, listen)


@dataclass(frozen=True)
class _Step:
    """How far a download is, as progress bars show it; without a ``unit`` where nobody knows."""

    stage: str
    done: int = 0
    total: int = 0
    unit: str = "bytes"


def _with_parent(ctx: typer.Context, output: OutputOptions) -> OutputOptions:
    """The output options, which may also stand before `fetch`."""
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


@flattened
def calibrate(
    compute: ComputeOptions,
    output: OutputOptions,
    model: Annotated[str | None, typer.Argument(metavar="MODEL", show_default=DEFAULT_MODEL, help=MODEL_HELP)] = None,
    file: Annotated[
        str | None,
        option(
            "--file",
            "FILE",
            "Document of prose to measure on, as similar to yours as possible. The default is relative to the working "
            "directory, and exists only in a clone of the project.",
            str(EXAMPLE),
        ),
    ] = None,
    questions: Annotated[
        str | None,
        option(
            "--questions",
            "FILE",
            "JSON lines with question, answer and perhaps evidence, verbatim words of the document that answer it.",
            "the document's own sentences are completed",
        ),
    ] = None,
    samples: Annotated[int, option("--samples", "N", "Maximum number of sentences or questions measured.")] = 24,
    tolerance: Annotated[
        float, option("--tolerance", "SHARE", "Share of what the rows gain that may be lost, 0 to 1.")
    ] = 0.02,
    seed: Annotated[int, option("--seed", "N", "Seed of the choice of sentences or questions.", "0")] = 0,
) -> None:
    """Find the layers in which a model reads its context.

    Rows in the other layers need not be stored, which makes an index smaller. Do this once for a model that does not
    come with the package, and give the layers found to `add --layers`. An existing index keeps its layers.

    The model is given the first half of some sentences and completes them, with rows injected into all layers, then
    into fewer. Layers are dropped while the loss stays within --tolerance. No adapter is used. With 30 layers it takes
    some minutes on a CPU.
    """
    with opened(output) as screen:
        found = backend.calibrate(
            model,
            _document(file),
            questions=questions,
            loading=asdict(compute),
            say=screen.report,
            samples=samples,
            tolerance=tolerance,
            seed=seed,
        )
        command = _add_command(model, found)
        if screen.json:
            screen.emit({**calibration_record(found), "command": command})
            return
        _print_calibration(screen, found, "question" if questions else "sentence", tolerance)
        if command:
            screen.print("For a new index:")
            screen.print(f"  {command}")


def _print_calibration(screen: Screen, found: Calibration, sample: str, tolerance: float) -> None:
    first, last = found.layers
    losses = f"{found.loss_all:.3f} with rows in all layers, {found.loss_none:.3f} without rows"
    measured = f"Loss per token on {count_text(found.samples, sample)}: "
    if not found.rows_help:
        screen.print(f"{measured}{losses}. The rows do not help here, so no layers can be distinguished.")
        screen.print("Try another document of prose (--file), your own questions (--questions) or another model.")
        return
    if found.layers == (1, found.num_layers):
        screen.print(
            f"All {last} layers are needed: leaving out the first or the last loses over {tolerance:.0%} of the gain."
        )
        screen.print("Leave --layers out, or allow a larger loss with --tolerance.")
    else:
        here, everywhere = found.bytes_per_token, found.bytes_per_token_all
        screen.print(f"The model reads its context in layers {first} to {last} of {found.num_layers}.")
        screen.print(
            f"An index of these layers takes {here:,.0f} bytes per token instead of {everywhere:,.0f}, "
            f"{1 - here / everywhere:.0%} less."
        )
        losses = f"{found.loss:.3f} with rows in these layers, {losses}"
    screen.print(f"{measured}{losses}.")


def _add_command(model: str | None, found: Calibration) -> str:
    """The command that uses what was found; "" where there is nothing to leave out."""
    if not found.rows_help or found.layers == (1, found.num_layers):
        return ""
    named = f" --model {shlex.quote(model)}" if model is not None else ""
    return f"{NAME} add FILE{named} --profile prefix --layers {found.layers[0]}-{found.layers[1]}"


def _document(file: str | None) -> str:
    if file is not None:
        return file
    if not EXAMPLE.is_file():
        raise ConfigError(
            f"There is no {EXAMPLE} in the working directory {Path.cwd()}.",
            remedy="Name a document of prose with --file, or run this in a clone of the project.",
        )
    return str(EXAMPLE)
