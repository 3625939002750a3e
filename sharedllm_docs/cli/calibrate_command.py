"""``calibrate``: in which layers a model reads its context, and what storing them costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.options import OutputOptions
from sharedllm_docs.cli.screen import opened
from sharedllm_docs.errors import ConfigError

EXAMPLE = Path("examples/R-intro.pdf")


@flattened
def calibrate(
    output: OutputOptions,
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL", show_default="smollm2-135m-instruct", help="Embedded model, local folder or hub name."
        ),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option("--file", metavar="FILE", show_default="the example", help="Document of prose to try it on."),
    ] = None,
    questions: Annotated[
        str | None,
        typer.Option(
            "--questions",
            metavar="FILE",
            show_default="the document's own sentences are completed",
            help="JSON lines with question, answer and evidence.",
        ),
    ] = None,
    samples: Annotated[int, typer.Option("--samples", metavar="N", help="Sentences or questions tried.")] = 24,
    tolerance: Annotated[
        float,
        typer.Option("--tolerance", metavar="SHARE", help="Share of what the rows gain that may be lost, 0 to 1."),
    ] = 0.02,
    seed: Annotated[
        int, typer.Option("--seed", metavar="N", show_default="0", help="Of the choice of sentences or questions.")
    ] = 0,
    dtype: Annotated[str, typer.Option("--dtype", metavar="NAME", help="What the model computes in.")] = "auto",
    device: Annotated[str, typer.Option("--device", metavar="NAME", help="Where it computes.")] = "auto",
) -> None:
    """Find the layers in which a model reads its context.

    Rows in the other layers need not be stored: an index made with --layers is smaller by their share. Measured without
    an adapter, by the loss of answers (or of sentences' endings) with the passage's rows in some layers only.
    """
    with opened(output) as screen:
        options = {"samples": samples, "tolerance": tolerance, "seed": seed}
        source, loading = _document(file), {"dtype": dtype, "device": device}
        found, layers = backend.calibrate(
            model,
            source,
            questions=questions,
            options=options,
            loading=loading,
            report=screen.report,
            say=screen.note,
        )
        first, last = found.layers
        if screen.json:
            losses = {"found": found.loss, "all": found.loss_all, "none": found.loss_none}
            sizes = {"found": found.bytes_per_token, "all": found.bytes_per_token_all}
            tried = [{"layers": list(one), "loss": loss} for one, loss in found.tried.items()]
            record = {"layers": [first, last], "num_layers": layers, "samples": found.samples}
            screen.emit({**record, "loss": losses, "bytes_per_token": sizes, "tried": tried})
            return
        what = "questions" if questions else "sentences"
        screen.print(f"Layers {first} to {last} of {layers}: use --layers {first}-{last} for a new index.")
        screen.print(
            f"Loss a token of {found.samples} {what}: {found.loss:.3f}; "
            f"{found.loss_all:.3f} with all layers, {found.loss_none:.3f} without rows."
        )
        here, everywhere = found.bytes_per_token, found.bytes_per_token_all
        screen.print(f"Bytes a token in an index: {here:,.0f}; {everywhere:,.0f} with all layers.")


def _document(file: str | None) -> str:
    if file is not None:
        return file
    if not EXAMPLE.is_file():
        raise ConfigError(f"There is no example at {EXAMPLE}.", remedy="Name a document of prose with --file.")
    return str(EXAMPLE)
