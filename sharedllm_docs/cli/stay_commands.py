"""``status`` and ``stop``: the processes that keep a model in memory between commands."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from sharedllm_docs.cli.options import OutputOptions, flattened
from sharedllm_docs.cli.screen import one_line, opened
from sharedllm_docs.cli.units import count_text, seconds_text
from sharedllm_docs.sizes import size_text

if TYPE_CHECKING:
    from sharedllm_docs.serving.stay.overview import StayingProcess

_Index = Annotated[
    str | None, typer.Option("--index", metavar="DIR", help="Only the processes of this index.", show_default="all")
]


@flattened
def status(output: OutputOptions, index: _Index = None) -> None:
    """List the processes that keep a model in memory between questions."""
    with opened(output) as screen:
        found, others = _chosen(index)
        if screen.json:
            screen.emit({"processes": [{**asdict(one), "folder": str(one.folder)} for one in found]})
            return
        if not found:
            screen.print(_none(index, others))
        for one in found:
            screen.print(one_line(_line(one)))


@flattened
def stop(output: OutputOptions, index: _Index = None) -> None:
    """End the processes that keep a model in memory, each after its current answer."""
    with opened(output) as screen:
        found, others = _chosen(index)
        stopped = [one for one in found if one.stop()]
        if screen.json:
            screen.emit({"stopped": [{"pid": one.pid, "url": one.url} for one in stopped]})
            return
        if not stopped:
            screen.print(_none(index, others))
        for one in stopped:
            screen.print(one_line(f"Stopped {one.pid}: {one.url}"))


def _chosen(index: str | None) -> tuple[list[StayingProcess], int]:
    """The processes of an index, of all for None, and the number of the others."""
    from sharedllm_docs.serving.stay.overview import running
    from sharedllm_docs.serving.stay.settings import absolute_url

    found = running()
    chosen = [one for one in found if index is None or one.url == absolute_url(index)]
    return chosen, len(found) - len(chosen)


def _none(index: str | None, others: int) -> str:
    if index is None:
        return "No process stays."
    said = f"No process stays for the index {index}."
    return (
        f"{said} {count_text(others, 'process', 'processes')} of other indexes: `sharedllm-docs status`."
        if others
        else said
    )


def _line(one: StayingProcess) -> str:
    parts = [f"{one.pid}: {one.url}", f"for {seconds_text(time.time() - one.begun)}"]
    if one.status:
        parts += [
            f"{count_text(one.status['questions'], 'question')} answered",
            f"{size_text(one.status['memory'])} of its own",
            _doing(one),
        ]
    return ", ".join(parts)


def _doing(one: StayingProcess) -> str:
    if one.status["leaving"]:
        return f"leaves: {one.status['leaving']}"
    if one.status["in_hand"]:
        return "at work"
    keep = one.status["keep_seconds"]
    rest = "" if keep is None else f", leaves in {seconds_text(max(0.0, keep - one.status['idle_seconds']))}"
    return f"idle{rest}"
