"""Means over the steps since the last line of the log, and how fast it goes. Part of a checkpoint."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from sharedllm_docs.training.examples import Example
from sharedllm_docs.training.trainee import Losses


class Meter:
    """Collects losses, tokens and seconds.

    Attributes:
        norm: of the latest gradient.
        slowest_save: seconds of the slowest checkpoint of this call.
        seconds_a_step: of the latest window.
    """

    def __init__(self) -> None:
        self.sums: dict[str, list[float]] = {}
        self.tokens = 0
        self.seconds = 0.0
        self.norm = 0.0
        self.slowest_save = 0.0
        self.seconds_a_step = 0.0
        self._window_tokens = 0
        self._window_steps = 0
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
        """What a resumed run goes on with."""
        return {"sums": self.sums, "tokens": self.tokens, "seconds": self.seconds}

    def restart(self) -> None:
        """Begin a window of time: what happened since the last one is not training."""
        self._since = self._latest = time.monotonic()
        self._window_tokens = self._window_steps = 0

    def add(self, examples: Sequence[Example], losses: Losses, processes: int) -> None:
        """Count one pass on each of ``processes`` devices."""
        for example, loss in zip(examples, losses.by_example.tolist(), strict=True):
            self._sum("loss", loss)
            self._sum(example.objective, loss)
            read = sum(map(len, example.chunks)) + len(example.before) + len(example.target)
            self.tokens += read * processes
            self._window_tokens += read * processes
        if losses.divergence is not None:
            self._sum("kl", float(losses.divergence))

    def end_step(self, norm: float) -> None:
        """Count a step."""
        self.norm = norm
        self._window_steps += 1
        now = time.monotonic()
        self.seconds += now - self._latest
        self._latest = now
        self.seconds_a_step = (now - self._since) / self._window_steps

    def _sum(self, name: str, value: float) -> None:
        pair = self.sums.setdefault(name, [0.0, 0.0])
        pair[0] += value
        pair[1] += 1

    def row(self, step: int, steps: int) -> dict[str, Any]:
        """The means, and a new window."""
        means = {name: total / count for name, (total, count) in self.sums.items()}
        passed = max(time.monotonic() - self._since, 1e-9)
        a_step = passed / max(1, self._window_steps)
        timing = {
            "tokens_per_second": self._window_tokens / passed,
            "minutes": self.seconds / 60,
            "minutes_left": (steps - step) * a_step / 60,
        }
        self.sums = {}
        self.restart()
        return {"step": step, **means, "gradient_norm": self.norm, "tokens": self.tokens, **timing}
