"""PNG plots: each metric against the length of the documents, a curve per peer, extremes as bars. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench_plan import size_label
from bench_summary import METRICS, Line, Metric

_MARKERS = "osD^vP*Xhd"


def can_plot() -> bool:
    """Whether matplotlib is installed."""
    return find_spec("matplotlib") is not None


def plot(lines: Sequence[Line], prefix: str, folder: Path) -> list[Path]:
    """Draw ``PREFIX-METRIC.png`` for every metric that grows with the documents and has values."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    made = []
    for metric in METRICS:
        series = _series(lines, metric)
        if metric.grows and series:
            path = folder / f"{prefix}-{metric.name}.png"
            _draw(pyplot, series, metric, path)
            made.append(path)
    return made


def _series(lines: Sequence[Line], metric: Metric) -> dict[str, list[tuple[int, float, float, float]]]:
    found: dict[str, list[tuple[int, float, float, float]]] = {}
    for line in lines:
        spread = line.values[metric.name]
        if spread is not None and spread.median > 0:  # 0 bytes on disk have no place on a logarithmic axis
            found.setdefault(line.label, []).append((line.size, spread.median, spread.low, spread.high))
    return found


def _draw(pyplot: Any, series: dict[str, list[tuple[int, float, float, float]]], metric: Metric, path: Path) -> None:
    figure, axes = pyplot.subplots(figsize=(8.0, 4.5), layout="constrained")
    for number, (label, points) in enumerate(series.items()):
        sizes, middles, lows, highs = zip(*sorted(points), strict=True)
        below = [middle - low for middle, low in zip(middles, lows, strict=True)]
        above = [high - middle for middle, high in zip(middles, highs, strict=True)]
        axes.errorbar(
            sizes, middles, yerr=[below, above], label=label, marker=_MARKERS[number % len(_MARKERS)], capsize=3
        )
    ticks = sorted({point[0] for points in series.values() for point in points})
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, [size_label(size) for size in ticks])
    axes.xaxis.minorticks_off()
    axes.yaxis.set_major_locator(pyplot.matplotlib.ticker.LogLocator(subs=(1, 2, 5)))  # a decade may hold all points
    axes.yaxis.set_major_formatter(pyplot.FuncFormatter(lambda value, _place: f"{value:g}"))
    axes.yaxis.minorticks_off()
    axes.set(xlabel="tokens of the document", ylabel=metric.title)
    axes.grid(alpha=0.3)
    figure.legend(fontsize="small", loc="outside right upper")
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
