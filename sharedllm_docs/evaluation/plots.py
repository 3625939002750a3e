"""PNG plots of a run: quality by length, by what the model was given, and against time. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from sharedllm_docs.evaluation.metrics import Interval
from sharedllm_docs.evaluation.table import Line
from sharedllm_docs.evaluation.tasks.base import Column

_MARKERS = "osD^vP*Xhd"
Point = tuple[float, Interval]


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def plot_run(lines: Sequence[Line], columns: Sequence[Column], main: str, task: str, folder: Path) -> list[Path]:
    """Draw ``TASK-by-length.png``, ``TASK-by-budget.png`` and ``TASK-against-time.png``, as far as there are values.

    Args:
        lines: lines of the table.
        columns: columns of the table.
        main: title of the column on the vertical axis.
        task: name of the task, for file names and titles.
        folder: folder of the files.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    titles = [column.title for column in columns]
    place = titles.index(main)

    def value(line: Line, title: str) -> float | None:
        interval = line.values[titles.index(title)] if title in titles else None
        return None if interval is None else interval.value

    def given(line: Line) -> float | None:
        rows, text = value(line, "rows"), value(line, "prompt tokens")
        return None if rows is None or text is None else rows + text

    waiting = "first token s" if "first token s" in titles else "total s"
    kinds: list[tuple[str, str, Callable[[Line], float | None], bool]] = [
        ("by-length", "tokens of the document", lambda line: line.length, True),
        ("by-budget", "injected rows and prompt tokens (median)", given, False),
        ("against-time", f"{waiting} (median)", lambda line: value(line, waiting), True),
    ]
    made = []
    for name, label, across, logarithmic in kinds:
        series = _series(lines, place, across)
        if series:
            path = folder / f"{task}-{name}.png"
            _draw(pyplot, series, path, task, label, main, logarithmic)
            made.append(path)
    return made


def _series(lines: Sequence[Line], place: int, across: Callable[[Line], float | None]) -> dict[str, list[Point]]:
    found: dict[str, list[Point]] = {}
    for line in lines:
        x, y = across(line), line.values[place]
        if x is not None and y is not None:
            found.setdefault(line.system, []).append((float(x), y))
    return found


def _draw(
    pyplot: Any, series: dict[str, list[Point]], path: Path, task: str, label: str, main: str, logarithmic: bool
) -> None:
    figure, axes = pyplot.subplots(figsize=(7.0, 4.5), layout="constrained")
    for number, (system, points) in enumerate(series.items()):
        ordered = sorted(points, key=lambda point: point[0])
        middles = [interval.value for _x, interval in ordered]
        below = [interval.value - interval.low for _x, interval in ordered]
        above = [interval.high - interval.value for _x, interval in ordered]
        axes.errorbar(
            [x for x, _interval in ordered],
            middles,
            yerr=[below, above],
            label=system,
            marker=_MARKERS[number % len(_MARKERS)],
            capsize=3,
        )
    if logarithmic and all(x > 0 for points in series.values() for x, _interval in points):
        axes.set_xscale("log", base=2 if "tokens" in label else 10)
    axes.set(title=task, xlabel=label, ylabel=f"{main} (95% bootstrap)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
