"""Progress bars of slow work, on stderr: how much is done, how fast, and the time left."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sharedllm_docs.cli.screen import Screen, one_line
from sharedllm_docs.sizes import size_text

if TYPE_CHECKING:
    from rich.progress import Progress as Bars

_VERBS = {
    "read": "Reading",
    "tokenize": "Tokenizing",
    "encode": "Encoding",
    "embed": "Embedding",
    "commit": "Writing",
    "verify": "Checking",
    "fetch": "Fetching",
    "convert": "Converting",
}
_BYTES = "bytes"


class Step(Protocol):
    """What the engine reports; see ``Progress`` of the Python API.

    Without a ``unit`` nobody knows how far it is: the bar only moves.
    """

    @property
    def stage(self) -> str: ...

    @property
    def done(self) -> int: ...

    @property
    def total(self) -> int: ...

    @property
    def unit(self) -> str: ...


Listener = Callable[[Any], None]


@contextmanager
def bars(screen: Screen, label: str = "") -> Iterator[Listener | None]:
    """Within the block, bars are drawn; gives what the engine takes as ``progress``, None if nothing is to be drawn.

    Args:
        screen: the command's output.
        label: name of what is worked on, shown after the name of each stage.
    """
    if not screen.animated:
        yield None
        return
    display = _display(screen)
    with display:
        yield _listener(display, label)


def _display(screen: Screen) -> Bars:
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    # on a narrow terminal the bar gives way first, the numbers last
    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis", ratio=2)),
        BarColumn(bar_width=None, table_column=Column(ratio=1)),
        TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[speed]}", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True, table_column=Column(no_wrap=True)),
        console=screen.err,
        expand=True,
    )


def _listener(display: Bars, label: str) -> Listener:
    tasks: dict[str, Any] = {}

    def listen(step: Step) -> None:
        if step.stage not in tasks:
            # begins at what is done already, so that resumed work does not count as speed
            name = _VERBS.get(step.stage, step.stage.capitalize())
            tasks[step.stage] = display.add_task(
                one_line(f"{name} {label}"), total=_total(step), completed=step.done, count=_count(step), speed=""
            )
            return
        task = tasks[step.stage]
        display.update(task, completed=step.done, total=_total(step), count=_count(step))
        speed = display.tasks[display.task_ids.index(task)].speed
        display.update(task, speed=_speed(speed, step.unit) if speed else "")

    return listen


def _total(step: Step) -> int | None:
    return step.total if step.unit else None


def _count(step: Step) -> str:
    if not step.unit:
        return ""
    if step.unit == _BYTES:
        return f"{size_text(step.done)} of {size_text(step.total)}"
    return f"{step.done:,}/{step.total:,} {step.unit}"


def _speed(per_second: float, unit: str) -> str:
    return f"{size_text(per_second)}/s" if unit == _BYTES else f"{per_second:,.0f} {unit}/s"
