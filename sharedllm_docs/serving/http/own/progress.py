"""Speed of some work, and its estimated remaining time. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

WINDOW = 60.0
"""Seconds of the past that count for the pace: questions that were answered meanwhile slow it down for a while."""


@dataclass
class Pace:
    """Amounts done, with the times at which they were."""

    _notes: deque[tuple[float, int]] = field(default_factory=deque)
    _done: int = 0
    _total: int = 0

    def note(self, done: int, total: int, now: float) -> None:
        """Note that ``done`` of ``total`` are done at ``now`` seconds."""
        self._done, self._total = done, total
        self._notes.append((now, done))
        while len(self._notes) > 2 and now - self._notes[1][0] > WINDOW:
            self._notes.popleft()

    @property
    def share(self) -> float:
        """Share that is done, 0 to 1."""
        return min(1.0, self._done / self._total) if self._total else 0.0

    def seconds_left(self, now: float) -> float | None:
        """Estimated seconds to the end, counted from the last note; None before anything has moved."""
        if len(self._notes) < 2 or self._done >= self._total:
            return 0.0 if self._total and self._done >= self._total else None
        (begun, before), (last, done) = self._notes[0], self._notes[-1]
        if done <= before or last <= begun:
            return None
        left = (self._total - done) * (last - begun) / (done - before)
        return max(0.0, left - max(0.0, now - last))
