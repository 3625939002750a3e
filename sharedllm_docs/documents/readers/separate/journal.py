"""What is known of one reading while its process is started again and again: failed steps and pages that are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

How = Literal["crash", "time", "memory"]
Step = tuple[str, int | None]
"""Who, and the page; None for the whole file."""

WHOLE: Step = ("read", None)
"""The step around all others."""

_TOO_OFTEN = {"crash": 20, "time": 3, "memory": 3}
_MAX_STARTS = 100


@dataclass
class Journal:
    """Filled by the side that watches.

    Attributes:
        failed: the steps that must not be tried again, with reasons.
        given_up: names of those who failed too often to be asked for any further page, with reasons.
        pages: what was read of each page, as plain values.
        starts: how often the process had to be started again.
    """

    failed: dict[Step, str] = field(default_factory=dict)
    given_up: dict[str, str] = field(default_factory=dict)
    pages: dict[int, Any] = field(default_factory=dict)
    starts: int = 0
    _counts: Counter[tuple[str, How]] = field(default_factory=Counter)

    def failure(self, step: Step, how: How, reason: str) -> bool:
        """Note a failed step; False when reading cannot go on without it."""
        self.starts += 1
        if step == WHOLE or step in self.failed or self.starts > _MAX_STARTS:
            return False
        self.failed[step] = reason
        name = step[0]
        self._counts[name, how] += 1
        if self._counts[name, how] >= _TOO_OFTEN[how]:
            others = self._counts[name, how] - 1
            self.given_up[name] = f"{reason}, as on {others} other page(s), so it is not tried again"
        return True

    @classmethod
    def joined(cls, parts: Sequence[Journal]) -> Journal:
        """What several processes noted that read different pages of one document."""
        whole = cls()
        for part in parts:
            whole.failed |= part.failed
            whole.given_up |= part.given_up
            whole.pages |= part.pages
            whole.starts += part.starts
            whole._counts += part._counts
        return whole

    def to_message(self) -> dict[str, Any]:
        """As the process is told of it."""
        return {
            "failed": [[name, page, reason] for (name, page), reason in self.failed.items()],
            "given_up": self.given_up,
            "pages": [[page, value] for page, value in self.pages.items()],
        }
