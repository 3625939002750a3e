"""Waiting without a clock: for an event loop that goes on, and for the n-th function call, at which a process dies.

``PATIENCE`` is only how long a test waits for what never comes.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

PATIENCE = 120.0


class LoopWatch:
    """Stands where something is computed, and waits there until the event loop has come round once more.

    So what awaits the result gets on only while the loop is free, however fast or slow the machine is.

    Attributes:
        rounds: how often the loop came round.
    """

    def __init__(self) -> None:
        self.rounds = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0

    @contextmanager
    def watching(self) -> Iterator[LoopWatch]:
        """Within the block the running loop is waited for; outside it nothing is."""
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        try:
            yield self
        finally:
            self._loop = None

    def __call__(self, *_given: Any) -> None:
        """Wait for the loop; to be called, or hooked, where the work is done."""
        if self._loop is None:
            return
        assert threading.get_ident() != self._thread, "this is computed in the event loop's own thread"
        came = threading.Event()
        self._loop.call_soon_threadsafe(came.set)
        assert came.wait(PATIENCE), "the event loop stood still meanwhile"
        self.rounds += 1


@contextmanager
def loop_watch(llm: Any) -> Iterator[LoopWatch]:
    """Every question read and every step of the model waits for the event loop."""
    watch = LoopWatch()
    models = {id(arch): arch.model for arch in (llm.upper, llm.steps)}  # questions go by one, steps by the other
    hooks = [model.get_input_embeddings().register_forward_pre_hook(watch) for model in models.values()]
    try:
        yield watch
    finally:
        for hook in hooks:
            hook.remove()


@contextmanager
def counting_calls(dies_at: int | None = None) -> Iterator[Callable[[], int]]:
    """Within the block function calls and returns are counted, in threads begun there too.

    Args:
        dies_at: at which of them this process kills itself: before or after any call, of ``write`` and ``rename``
            too.
    """
    number, seen = itertools.count(1), [0]

    def count(_frame: Any, _event: str, _given: Any) -> None:
        seen[0] = next(number)
        if seen[0] == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)
    try:
        yield lambda: seen[0]
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]


def until(condition: Callable[[], object]) -> None:
    """Wait until something another thread does has come about."""
    given_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < given_up, "this never came about"
        time.sleep(0.02)
