"""The queue of waiting questions: bounded, and fair to callers, who take turns."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

from sharedllm_docs.errors import BusyError

T = TypeVar("T")


class FairLine(Generic[T]):
    """A queue that serves each caller in order of arrival; the callers take turns. Not thread-safe.

    Args:
        most: maximum number of entries.
        most_each: maximum number of entries of one caller.
    """

    def __init__(self, most: int, most_each: int) -> None:
        self._most, self._most_each = most, most_each
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def append(self, caller: str, thing: T, *, retry_after: int) -> None:
        """Add an entry.

        Raises:
            BusyError: the queue is full.
        """
        own = len(self._lines.get(caller, ()))
        if len(self) >= self._most or own >= self._most_each:
            whose, bound = ("yours", self._most_each) if own >= self._most_each else ("questions", self._most)
            raise BusyError(
                f"{bound} {whose} wait already, and no more may.",
                retry_after=retry_after,
                remedy=f"Ask again in {retry_after} s.",
            )
        self._lines.setdefault(caller, deque()).append(thing)

    def pop(self) -> T:
        """The next entry, of the caller whose turn it is."""
        caller, line = next(iter(self._lines.items()))
        thing = line.popleft()
        del self._lines[caller]
        if line:
            self._lines[caller] = line  # after all others
        return thing

    def remove(self, thing: T) -> bool:
        """Remove an entry; returns whether it was there."""
        for caller, line in self._lines.items():
            if thing in line:
                line.remove(thing)
                if not line:
                    del self._lines[caller]
                return True
        return False

    def things(self) -> list[T]:
        """All entries."""
        return [thing for line in self._lines.values() for thing in line]
