"""``verify`` and ``prune``: the health and the size of an index."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sharedllm_docs.cli import backend
from sharedllm_docs.cli.flatten import flattened
from sharedllm_docs.cli.ingest import resumable
from sharedllm_docs.cli.options import IndexOption, ModelOptions, OutputOptions
from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.screen import Screen, one_line, opened
from sharedllm_docs.cli.units import count_text, size_text
from sharedllm_docs.errors import DamagedIndexError

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.store.verify import VerifyReport

_REPAIR = "Run `sharedllm-docs verify --repair`."
_AGAIN = "These cannot be encoded again from the index: remove the document and add its file."


@flattened
def verify(
    where: IndexOption,
    model: ModelOptions,
    output: OutputOptions,
    document: Annotated[
        str | None, typer.Argument(metavar="DOC", show_default="all", help="Only this document: name or key.")
    ] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Encode damaged chunks again.")] = False,
) -> None:
    """Check every file of the index against its checksum.

    Exit code 5 when something is damaged and was not repaired.
    """
    with opened(output) as screen:
        index = backend.open_index(where.index, screen.report, model)
        report = _check(screen, index, document)
        repaired = None
        if repair and not report.ok:
            _print_damage(screen, report)
            with resumable(where.index), bars(screen) as progress:
                repaired = index.repair(document, progress=progress)
            report = _check(screen, index, document)
        _tell(screen, report, repaired, where.index)


def _check(screen: Screen, index: Index, document: str | None) -> VerifyReport:
    with bars(screen) as progress:
        return index.verify(document, progress=progress)


def _print_damage(screen: Screen, report: VerifyReport) -> None:
    if not screen.json:
        for damage in report.damaged:
            screen.print(one_line(f"damaged: {damage}"))


def _tell(screen: Screen, report: VerifyReport, repaired: int | None, url: str) -> None:
    checked = f"{count_text(report.files, 'file')} ({size_text(report.bytes)}) checked"
    if screen.json:
        counts = {"files": report.files, "bytes": report.bytes, "repaired": repaired or 0}
        screen.emit({"index": url, "ok": report.ok, **counts, "damaged": [str(damage) for damage in report.damaged]})
        if not report.ok:
            raise typer.Exit(DamagedIndexError.exit_code)
        return
    if repaired is not None:
        screen.print(f"{count_text(repaired, 'chunk')} encoded again.")
    if report.ok:
        screen.print(f"{checked}: all sound.")
        return
    _print_damage(screen, report)
    raise DamagedIndexError(
        f"{checked}: {len(report.damaged):,} damaged.",
        paths=tuple(str(damage) for damage in report.damaged),
        remedy=_AGAIN if repaired is not None else _REPAIR,
    )


@flattened
def prune(where: IndexOption, output: OutputOptions) -> None:
    """Delete what no document uses.

    That is what removed documents and interrupted additions left behind.
    """
    with opened(output) as screen:
        index = backend.open_index(where.index, screen.report)
        freed = index.prune()
        if screen.json:
            screen.emit({"index": index.url, "freed_bytes": freed, "bytes": index.size()})
        else:
            screen.print(f"Freed {size_text(freed)}; the index has {size_text(index.size())}.")
