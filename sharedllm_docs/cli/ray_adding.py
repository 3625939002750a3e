"""``add --ray``: files read into the index by the workers of a Ray cluster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from sharedllm_docs.cli.options import AddingOptions, ClusterOptions, FolderOptions, flags
from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.screen import Screen, one_line
from sharedllm_docs.cli.units import count_text
from sharedllm_docs.errors import ConfigError, DocumentError

if TYPE_CHECKING:
    from sharedllm_docs.distributed import FileReport, IngestReport

_SHOWN = 20  # failed files that are named on the screen


def add_with_ray(
    screen: Screen,
    url: str,
    files: list[str],
    folders: FolderOptions,
    adding: AddingOptions,
    cluster: ClusterOptions,
    **settings: Any,
) -> None:
    """Read the files, show how far it is, then what became of them.

    Args:
        screen: the command's output.
        url: of the index, which is there.
        files: as they were named.
        folders: how folders are searched.
        adding: how documents enter the index; only metadata apply.
        cluster: which workers.
        settings: of ``distributed.ingest``: ``model_options``, ``options``, ``keep_source``, ``salt``.

    Raises:
        ConfigError: options that workers cannot heed.
    """
    others = replace(adding, metadata=None)
    told = ", ".join(filter(None, (flags(others), "--no-gitignore" if folders.no_gitignore else "")))
    if told:
        raise ConfigError(f"{told} cannot apply with --ray.", remedy="Leave it out, or add without --ray.")
    from sharedllm_docs.distributed import ingest
    from sharedllm_docs.index.ingest import Progress

    with bars(screen) as listener:
        report = ingest(
            files,
            url,
            ray_address=cluster.ray_address,
            metadata=adding.keywords().get("metadata"),
            recursive=folders.recursive,
            workers=cluster.workers,
            report=cluster.report,
            progress=None if listener is None else lambda done, all: listener(Progress("encode", done, all, "files")),
            **settings,
        )
    _tell(screen, url, report)


def _tell(screen: Screen, url: str, report: IngestReport) -> None:
    failed = [file for file in report.files if file.status == "failed"]
    if screen.json:
        screen.emit({"index": url, "files": [vars(file) for file in report.files], "seconds": report.seconds})
    else:
        counts = ", ".join(f"{report.count(status):,} {status}" for status in ("done", "known", "skipped", "failed"))
        screen.print(f"{count_text(len(report.files), 'file')}: {counts}; {report.seconds:,.0f} s.")
        for file in failed[:_SHOWN]:
            screen.note(one_line(_line(file)))
        if len(failed) > _SHOWN:
            screen.note(f"  and {len(failed) - _SHOWN:,} more; --report FILE lists all.")
    if failed:
        raise typer.Exit(DocumentError.exit_code)


def _line(file: FileReport) -> str:
    return f"  {file.source}: {file.reason}"
