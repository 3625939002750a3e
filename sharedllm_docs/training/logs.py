"""Logs of a run: means since the last line, one CSV, and TensorBoard and a plot if they are installed."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharedllm_docs.training.examples import Example
    from sharedllm_docs.training.trainee import Losses

CSV_FILE, PLOT_FILE = "log.csv", "loss.png"
COLUMNS = (
    *("step", "loss", "continuation", "reconstruction", "questions", "passkey", "kl"),
    *("right", "wrong", "none", "learning_rate", "gradient_norm", "gate", "layers"),
    *("tokens", "tokens_per_second", "minutes", "minutes_left"),
)


class Meter:
    """Means over the steps since the last line of the log, and the speed of training. Part of a checkpoint.

    Attributes:
        norm: norm of the latest gradient.
        slowest_save: seconds of this call's slowest checkpoint.
        seconds_a_step: seconds per step since the last line of the log.
    """

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}
        self.tokens = 0
        self.seconds = 0.0
        self.norm = 0.0
        self.slowest_save = 0.0
        self.seconds_a_step = 0.0
        self._stretch_tokens = 0
        self._stretch_steps = 0
        self._since = time.monotonic()
        self._latest = self._since

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Meter:
        """Inverse of ``to_dict``."""
        made = cls()
        made.sums = {name: list(pair) for name, pair in values["sums"].items()}
        made.tokens, made.seconds = int(values["tokens"]), float(values["seconds"])
        return made

    def to_dict(self) -> dict[str, Any]:
        """JSON values with which a resumed run continues."""
        return {"sums": self.sums, "tokens": self.tokens, "seconds": self.seconds}

    def restart(self) -> None:
        """Begin a new stretch of time: what happened since the last step was not training."""
        self._since = self._latest = time.monotonic()
        self._stretch_tokens = self._stretch_steps = 0

    def add(self, examples: Sequence[Example], losses: Losses, processes: int) -> None:
        """Count one pass on each of ``processes`` devices."""
        for example, loss in zip(examples, losses.by_example.tolist(), strict=True):
            self._sum("loss", loss)
            self._sum(example.objective, loss)
            read = sum(map(len, example.chunks)) + len(example.before) + len(example.target)
            self.tokens += read * processes
            self._stretch_tokens += read * processes
        if losses.divergence is not None:
            self._sum("kl", float(losses.divergence))

    def end_step(self, norm: float) -> None:
        """Count a step."""
        self.norm = norm
        self._stretch_steps += 1
        now = time.monotonic()
        self.seconds += now - self._latest
        self._latest = now
        self.seconds_a_step = (now - self._since) / self._stretch_steps

    def _sum(self, name: str, value: float) -> None:
        pair = self.sums.setdefault(name, [0.0, 0.0])
        pair[0] += value
        pair[1] += 1

    def row(self, step: int, steps: int) -> dict[str, Any]:
        """The means as a row of the log; counting starts again."""
        means = {name: total / count for name, (total, count) in self.sums.items()}
        passed = max(time.monotonic() - self._since, 1e-9)
        a_step = passed / max(1, self._stretch_steps)
        timing = {
            "tokens_per_second": self._stretch_tokens / passed,
            "minutes": self.seconds / 60,
            "minutes_left": (steps - step) * a_step / 60,
        }
        self.sums = {}
        self.restart()
        return {"step": step, **means, "gradient_norm": self.norm, "tokens": self.tokens, **timing}


class RunLog:
    """Appends rows; a resumed run drops the rows after the step at which it resumes.

    Args:
        folder: the run's folder.
        step: step at which the run resumes (0 = a new run).
        tensorboard: also write event files, if tensorboard is installed.
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
        """Append a row; columns that it lacks stay empty."""
        shown = {name: f"{value:.6g}" if isinstance(value, float) else value for name, value in row.items()}
        with self.path.open("a", newline="", encoding="utf-8") as out:
            csv.DictWriter(out, COLUMNS).writerow(shown)
        if self._board is not None:
            for name, value in row.items():
                if name != "step" and isinstance(value, (int, float)):
                    self._board.add_scalar(name, value, row["step"])

    def close(self) -> None:
        """Flush buffered events."""
        if self._board is not None:
            self._board.close()


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter  # type: ignore[attr-defined]
    except ImportError:  # an extra
        return None
    return SummaryWriter(str(folder), purge_step=step + 1)  # type: ignore[no-untyped-call]


def line_of(row: Mapping[str, Any], steps: int) -> str:
    """A row in words, for the terminal."""
    shown = [f"step {row['step']}/{steps}"]
    for name in ("loss", "kl", "right", "wrong", "none", "gate"):
        if isinstance(row.get(name), float):
            shown.append(f"{name} {row[name]:.3f}")
    shown.append(f"{row.get('tokens_per_second', 0):.0f} tokens/s")
    shown.append(f"{row.get('minutes_left', 0):.1f} min left")
    return "  ".join(shown)


def read_log(path: Path) -> list[dict[str, str]]:
    """Rows of a log file."""
    with path.open(newline="", encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def plot_losses(folder: Path) -> Path | None:
    """Plot the log of a run; None without matplotlib, or with fewer than two points."""
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
