"""The lock of a model, shared by questions and background work; questions come first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

PAUSE = 0.25
"""Seconds without a step of the model after which the background may go on: a question's steps follow each other
sooner, and between two of them a chunk would hold up the answer."""

_POLL = 0.1


class TurnLock:
    """A reentrant lock, for ``with``, that the background gets only while nobody else wants it.

    A question waits at most for what the background has in hand.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._state = threading.Condition()
        self._wanted = 0
        self._quiet_at = 0.0

    def __enter__(self) -> TurnLock:
        with self._state:
            self._wanted += 1
        self._lock.acquire()
        return self

    def __exit__(self, *_error: object) -> None:
        self._lock.release()
        with self._state:
            self._wanted -= 1
            self._quiet_at = time.monotonic() + PAUSE
            self._state.notify_all()

    def announce(self) -> None:
        """Announce a question, so that the background starts nothing new."""
        with self._state:
            self._quiet_at = time.monotonic() + PAUSE

    @contextmanager
    def background(self, stopped: Callable[[], bool]) -> Iterator[bool]:
        """Take the lock as soon as nobody else wants it; yields False, without the lock, once ``stopped()`` is true."""
        held = self._wait_for_turn(stopped)
        try:
            yield held
        finally:
            if held:
                self._lock.release()

    def _wait_for_turn(self, stopped: Callable[[], bool]) -> bool:
        while not stopped():
            with self._state:
                left = self._quiet_at - time.monotonic()
                if self._wanted or left > 0:
                    self._state.wait(_POLL if self._wanted else min(left, _POLL))
                    continue
            self._lock.acquire()
            if not self._wanted:
                return True
            self._lock.release()  # a question came in between: it goes first
        return False
