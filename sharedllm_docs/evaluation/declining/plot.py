"""The risk-coverage curve of a fit: what share of the answers is wrong if only the surest are given."""

from __future__ import annotations

from pathlib import Path

from sharedllm_docs.evaluation.declining.fit import Declining, Fit


def draw(fit: Fit, title: str, path: Path) -> Path:
    """Write the curve as a PNG file, with the model's own words and the threshold as points; needs matplotlib.

    Args:
        fit: with its curve.
        title: of the plot.
        path: of the file.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 4))
    shown = [one for one in fit.curve if one.answered > 0]
    axes.plot([one.answered for one in shown], [one.risk for one in shown], label="surest answers first")
    points: tuple[tuple[str, Declining, str], ...] = (
        ("the model's own words", fit.own, "s"),
        ("threshold", fit.declining, "o"),
    )
    for name, one, marker in points:
        axes.plot([one.answered], [one.risk], marker, label=name)
    axes.set(title=title, xlabel="share of questions answered", ylabel="share of answers wrong (1 - F1)", ylim=(0, 1))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    return path
