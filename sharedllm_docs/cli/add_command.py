"""``add``: read files into the index, or tell how much disk they would take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.failures import Failure, resumable_encoding
from sharedllm_docs.cli.options import (
    AddingOptions,
    IndexOption,
    LoadingOptions,
    OutputOptions,
    ProfileOptions,
    ReadingOptions,
    flags,
    flattened,
    given,
)
from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.records import added_record, estimate_record
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.errors import ConfigError, DocumentError

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.index.views import AddedDocument


@flattened
def add(
    files: Annotated[list[str], typer.Argument(metavar="FILE", help="PDF, text, Markdown or HTML; a path or a URL.")],
    location: IndexOption,
    adding: AddingOptions,
    reading: ReadingOptions,
    model: LoadingOptions,
    profile: ProfileOptions,
    output: OutputOptions,
    estimate: Annotated[
        bool, typer.Option("--estimate", help="Only tell how much disk the files would take; adds nothing.")
    ] = False,
) -> None:
    """Read files into the index, once.

    A file that is there already costs nothing; it is given the --metadata named now, and keeps its others. Of an edited
    file, only the chunks that changed are encoded again.

    With --lazy a file can be asked after seconds; each question then encodes the chunks it needs, once. `add` without
    --lazy, or `read`, reads the rest. The answers are the same.

    Ctrl-C keeps what was encoded: the same command resumes there.

    A file that cannot be read does not stop the others; the exit code is that of the first error.
    """
    with opened(output) as screen:
        if estimate:
            if given(adding):
                raise ConfigError(f"--estimate adds nothing: {flags(adding)} cannot apply.", remedy="Leave it out.")
            options = reading.read_options()
            with backend.index_for_estimates(location.index, screen.report, model, profile) as index:
                _estimate_all(screen, index, files, options)
            return
        if adding.name is not None and len(files) > 1:
            raise ConfigError(f"--name fits one file, {len(files)} were given.", remedy="Add them one by one.")
        settings = {"options": reading.read_options(), **adding.keywords()}
        with resumable_encoding(location.index):
            limit = settings.get("max_bytes")  # kept with a new index, and holds for this call in any
            index = backend.open_or_create(location.index, screen.report, model, profile, max_bytes=limit)
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
                from sharedllm_docs.cli.render import added_line

                screen.print(one_line(added_line(done, index_bytes=index.size())))
    if screen.json:
        failed = [{"source": file, **failure.to_dict()} for file, failure in failures]
        screen.emit({"index": index.url, "added": added, "failed": failed})
    if failures:
        raise typer.Exit(failures[0][1].exit_code)


def add_file(screen: Screen, index: Index, source: str, **keywords: Any) -> AddedDocument:
    """``Index.add`` with a progress bar where there is a terminal."""
    with bars(screen, source.replace("\\", "/").rstrip("/").rpartition("/")[2] or source) as progress:
        return index.add(source, progress=progress, **keywords)


def _estimate_all(screen: Screen, index: Index, files: list[str], options: Any) -> None:
    estimates = [(file, index.estimate(file, options=options)) for file in files]
    if screen.json:
        screen.emit({"estimates": [estimate_record(file, estimate) for file, estimate in estimates]})
        return
    from sharedllm_docs.cli.render import estimate_line

    for file, estimate in estimates:
        screen.print(one_line(estimate_line(file, estimate)))
