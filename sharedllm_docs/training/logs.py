"""Logs of a run: one CSV, TensorBoard where it is installed, and a plot of the losses where matplotlib is."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

CSV_FILE, PLOT_FILE = "log.csv", "loss.png"
COLUMNS = (
    *("step", "loss", "continuation", "reconstruction", "questions", "passkey", "kl"),
    *("right", "wrong", "none", "learning_rate", "gradient_norm", "gate", "layers"),
    *("tokens", "tokens_per_second", "minutes", "minutes_left"),
)
TIMING = ("tokens_per_second", "minutes", "minutes_left")
"""Columns that differ between two equal runs."""


class RunLog:
    """Appends rows; a resumed run drops the rows behind the step it resumes at.

    Args:
        folder: of the run.
        step: resumed at (0 = a new run).
        tensorboard: also write event files, where tensorboard is installed.
    """

    def __init__(self, folder: Path, step: int, *, tensorboard: bool = True) -> None:
        self.path = folder / CSV_FILE
        kept = [row for row in read_log(self.path) if int(row["step"]) <= step] if self.path.exists() else []
        with self.path.open("w", newline="", encoding="utf-8") as out:
            writer = csv.DictWriter(out, COLUMNS)
            writer.writeheader()
            writer.writerows(kept)
        self._board = _board(folder / "tensorboard", step) if tensorboard else None

    def write(self, row: Mapping[str, Any]) -> None:
        """Append a row; what it lacks stays empty."""
        shown = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        with self.path.open("a", newline="", encoding="utf-8") as out:
            csv.DictWriter(out, COLUMNS).writerow(shown)
        if self._board is not None:
            for name, value in row.items():
                if name != "step" and isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Flush what is buffered."""
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined]
    except ImportError:  # an extra
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)  # type: ignore[no-untyped-call]


def line_of(row: Mapping[str, Any], steps: int) -> str:
    """A row in words, for who watches."""
    shown = [f"step {row['step']}/{steps}"]
    for name in ("loss", "kl", "right", "wrong", "none", "gate"):
        if isinstance(row.get(name), float):
            shown.append(f"{name} {row[name]:.3f}")
    shown.append(f"{row.get('tokens_per_second', 0):.0f} tokens/s")
    shown.append(f"{row.get('minutes_left', 0):.1f} min left")
    return "  ".join(shown)


def read_log(path: Path) -> list[dict[str, str]]:
    """Rows of a log."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def plot_losses(folder: Path) -> Path | None:
    """Draw the log of a run; None without matplotlib or without two points."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:  # an extra
        return None
    rows = read_log(folder / CSV_FILE)
    figure = Figure(figsize=(8, 4.5))
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for name in ("continuation", "reconstruction", "questions", "passkey", "kl"):
        steps, values = _series(rows, name)
        if len(steps) > 1:
            axes.plot(steps, _smooth(values), label=name, linewidth=1)
    for name, style in (("right", "o-"), ("wrong", "x--"), ("none", "+:")):
        steps, values = _series(rows, name)
        if steps:
            axes.plot(steps, values, style, label=f"{name} chunks", markersize=3)
    if not axes.lines:
        return None
    axes.set_xlabel("step")
    axes.set_ylabel("loss a token")
    axes.legend(fontsize=8)
    figure.tight_layout()
    figure.savefig(folder / PLOT_FILE, dpi=110)
    return folder / PLOT_FILE


def _series(rows: Sequence[Mapping[str, str]], name: str) -> tuple[list[int], list[float]]:
    found = [(int(row["step"]), float(row[name])) for row in rows if row.get(name)]
    found = [(step, value) for step, value in found if math.isfinite(value)]
    return [step for step, _ in found], [value for _, value in found]


def _smooth(values: Sequence[float], keep: float = 0.8) -> list[float]:
    """Exponential average, unbiased at the beginning."""
    made, total, weight = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        made.append(total / weight)
    return made
