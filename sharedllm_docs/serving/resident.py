"""``Resident``: one open index with its model, kept for many questions. Knows neither sockets nor HTTP.

An interface (``stay/``, ``http/``) uses ``index`` to ask questions, holds ``work`` during each request and ``turn``
during each question, and checks ``reason_to_leave`` regularly.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.serving.memory import own_memory

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index

_POLL = 0.1
"""Seconds between checks, by a question that waits for its turn, whether anyone still wants the answer."""


class LeavingError(SharedLLMError):
    """The process accepts no more work: it was asked to end, or what it has in memory is no longer what is on disk."""


@dataclass
class Counters:
    """What a resident has done so far.

    Attributes:
        requests: number of requests begun.
        questions: number of questions that were answered.
        failures: number of requests that ended in an error.
        waiting: number of questions that wait for their turn now.
    """

    requests: int = 0
    questions: int = 0
    failures: int = 0
    waiting: int = 0


class Resident:
    """One open index and its model, turns for questions, counters, and the conditions under which it should end.

    Questions are answered one after another in the order in which they arrive: the first answer then comes sooner, and
    the last one no later. Other requests (listing, adding, reading) do not wait.

    Args:
        opened: opens the index; with ``create=True`` it creates one if there is none.
        index: the index, if it is already open.
        keep_seconds: seconds without work after which it should end; None for never.
        max_memory: bytes of its own memory above which it should end; None for no limit.
        clock: seconds, for tests.
        memory: bytes of memory of its own, for tests.

    Attributes:
        counters: what it has done so far.
        keep_seconds: as given; may be set later.
    """

    def __init__(
        self,
        opened: Callable[[bool], Index],
        *,
        index: Index | None = None,
        keep_seconds: float | None = None,
        max_memory: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        memory: Callable[[], int] = own_memory,
    ) -> None:
        self.counters = Counters()
        self.keep_seconds = keep_seconds
        self.max_memory = max_memory
        self._opened, self._clock, self._memory = opened, clock, memory
        self._index = index
        self._opening = threading.Lock()
        self._state = threading.Condition()
        self._tickets = 0
        self._queue: list[int] = []
        self._in_hand = 0
        self._since = self.begun = clock()
        self._leaving = ""

    # -- the index --------------------------------------------------------------------------------------------------

    def index(self, *, create: bool = False) -> Index:
        """The index, opened at first use and kept; reopened if another index has replaced it.

        Args:
            create: create one if there is none.

        Raises:
            IndexNotFoundError, DamagedIndexError, ...: as ``Index.open``.
        """
        with self._opening:
            if self._index is not None and not self._index.is_current():
                self._index.close()
                self._index = None
            if self._index is None:
                self._index = self._opened(create)
            return self._index

    # -- work -------------------------------------------------------------------------------------------------------

    @contextmanager
    def work(self) -> Iterator[Counters]:
        """Held during a request: meanwhile the resident is not idle.

        Raises:
            LeavingError: it is about to end and accepts no more requests.
        """
        with self._state:
            if self._leaving:
                raise LeavingError(f"The process leaves: {self._leaving}.", remedy="Ask again.")
            self._in_hand += 1
            self.counters.requests += 1
        try:
            yield self.counters
        except BaseException:
            self.counters.failures += 1
            raise
        finally:
            with self._state:
                self._in_hand -= 1
                self._since = self._clock()
                self._state.notify_all()

    @contextmanager
    def turn(self, unwanted: Callable[[], bool] = lambda: False) -> Iterator[bool]:
        """Held during a question; yields False at once, without a turn, if nobody wants the answer any more.

        Args:
            unwanted: returns whether the client has gone.
        """
        with self._state:
            self._tickets += 1
            ticket = self._tickets
            self._queue.append(ticket)
            self.counters.waiting += 1
        try:
            had = self._wait(ticket, unwanted)
            yield had
            if had:
                with self._state:
                    self.counters.questions += 1
        finally:
            with self._state:
                self._queue.remove(ticket)
                self._state.notify_all()

    def _wait(self, ticket: int, unwanted: Callable[[], bool]) -> bool:
        try:
            while not unwanted():
                with self._state:
                    if self._queue[0] == ticket:
                        return True
                    self._state.wait(_POLL)
            return False
        finally:
            with self._state:
                self.counters.waiting -= 1

    # -- leaving ----------------------------------------------------------------------------------------------------

    def leave(self, reason: str) -> None:
        """Accept no more work; current work continues."""
        with self._state:
            self._leaving = self._leaving or reason
            self._state.notify_all()

    @property
    def leaving(self) -> str:
        """Why it accepts no more work; "" while it does."""
        return self._leaving

    @property
    def idle(self) -> bool:
        """Whether there is no current work."""
        return not self._in_hand

    def reason_to_leave(self) -> str:
        """Why it should end now, or ""; never during current work."""
        with self._state:
            if self._in_hand:
                return ""
            if self._leaving:
                return self._leaving
            if self.keep_seconds is not None and self._clock() - self._since >= self.keep_seconds:
                return f"nothing was asked for {self.keep_seconds:g} s"
        if self.max_memory is not None and (held := self._memory()) > self.max_memory:
            return f"it holds {held:,} bytes of memory, more than {self.max_memory:,}"
        return ""

    def wait_until_idle(self, seconds: float) -> bool:
        """Wait until there is no current work; False if that takes longer."""
        with self._state:
            return self._state.wait_for(lambda: not self._in_hand, timeout=seconds)

    def close(self) -> None:
        """End reading in the background, after the current chunk, and close files."""
        with self._opening:
            if self._index is not None:
                self._index.close()

    def status(self) -> Mapping[str, Any]:
        """Its state, as JSON-ready values."""
        now = self._clock()
        with self._state:
            idle = 0.0 if self._in_hand else now - self._since
            return {
                "seconds": now - self.begun,
                "idle_seconds": idle,
                "keep_seconds": self.keep_seconds,
                "memory": self._memory(),
                "max_memory": self.max_memory,
                "in_hand": self._in_hand,
                "leaving": self._leaving,
                **vars(self.counters),
            }
