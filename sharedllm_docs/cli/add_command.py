"""``add``: read files into the index, or tell what they would take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.failures import Failure
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.ingest import add_file, resumable
from sharedllm_docs.cli.options import (
    IndexOption,
    ModelOptions,
    OutputOptions,
    ProfileOptions,
    ReadingOptions,
    flags,
    given,
)
from sharedllm_docs.cli.records import added_record, estimate_record
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.cli.units import parse_size
from sharedllm_docs.cli.wording import added_line, estimate_line
from sharedllm_docs.errors import ConfigError, DocumentError

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index


@dataclass(frozen=True)
class AddOptions:
    """How files enter the index."""

    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", show_default="the file's", help="Call the document this.")
    ] = None
    max_disk: Annotated[
        str | None,
        typer.Option(
            "--max-disk", "--budget-bytes", metavar="SIZE", help="Most that the index may take on disk, e.g. 2GB."
        ),
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Encode again what the index has already.")] = False
    wait: Annotated[
        float | None, typer.Option("--wait", metavar="SECONDS", help="Longest wait for another process that writes.")
    ] = None

    def add_settings(self) -> dict[str, Any]:
        """Keyword arguments of ``Index.add`` that were set.

        Raises:
            ConfigError: the disk budget is malformed.
        """
        names = {"name": "name", "force": "force", "wait": "timeout", "max_disk": "max_bytes"}
        settings = {names[name]: value for name, value in given(self).items()}
        if self.max_disk is not None:
            settings["max_bytes"] = parse_size(self.max_disk, "--max-disk")
        return settings


@flattened
def add(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="PDF, text, Markdown or HTML; a path or a URL.")],
    where: IndexOption,
    adding: AddOptions,
    reading: ReadingOptions,
    model: ModelOptions,
    profile: ProfileOptions,
    output: OutputOptions,
    estimate: Annotated[bool, typer.Option("--estimate", help="Only tell how much disk the files would take.")] = False,
) -> None:
    """Read files into the index, once.

    A file that is there already costs nothing, and of an edited one only the chunks that changed are encoded again.
    Ctrl-C keeps what was encoded: the same command resumes there.

    Of several files, one that cannot be read does not stop the others; the exit code is that of the first error.
    """
    with opened(output) as screen:
        if estimate:
            if given(adding):
                raise ConfigError(f"--estimate adds nothing: {flags(adding)} cannot apply.", remedy="Leave it out.")
            options = reading.read_options()
            with backend.index_for_estimates(where.index, screen.report, model, profile) as index:
                _estimate_all(screen, index, files, options)
            return
        if adding.name is not None and len(files) > 1:
            raise ConfigError(f"--name fits one file, {len(files)} were given.", remedy="Add them one by one.")
        settings = {"options": reading.read_options(), **adding.add_settings()}
        with resumable(where.index):
            limit = settings.get("max_bytes")  # kept with a new index, and holds for this call in any
            index = backend.open_or_create(where.index, screen.report, model, profile, max_bytes=limit)
            _add_all(screen, index, files, settings)


def _add_all(screen: Screen, index: Index, files: list[str], settings: dict[str, Any]) -> None:
    added: list[dict[str, Any]] = []
    failures: list[tuple[str, Failure]] = []
    for file in files:
        try:
            done = add_file(screen, index, file, **settings)
        except DocumentError as error:
            if len(files) == 1:
                raise
            # among several the error is shown at once, or kept for the one JSON object at the end
            failures.append((file, Failure.of(error) if screen.json else screen.fail(error)))
        else:
            added.append(added_record(file, done))
            if not screen.json:
                screen.print(one_line(added_line(done, index_bytes=index.size())))
    if screen.json:
        failed = [{"source": file, **failure.to_dict()} for file, failure in failures]
        screen.emit({"index": index.url, "added": added, "failed": failed})
    if failures:
        raise typer.Exit(failures[0][1].exit_code)


def _estimate_all(screen: Screen, index: Index, files: list[str], options: Any) -> None:
    estimates = [(file, index.estimate(file, options=options)) for file in files]
    if screen.json:
        screen.emit({"estimates": [estimate_record(file, estimate) for file, estimate in estimates]})
        return
    for file, estimate in estimates:
        screen.print(one_line(estimate_line(file, estimate)))
