"""Pieces of text on their way: repeated starts, a time limit, white space at the ends, a thread for event loops."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import closing, suppress
from contextvars import copy_context
from itertools import chain
from typing import TypeVar

from langchain_sharedllm.errors import AnswerTimeoutError

T = TypeVar("T")
Started = TypeVar("Started", bound=Iterable[str])
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


def begin(start: Callable[[], Started], retries: int) -> tuple[Started, Iterator[str]]:
    """Start a stream and wait for its first piece; start again where reading files failed on the way.

    Args:
        start: makes the stream.
        retries: most further attempts.

    Returns:
        the stream, and its pieces with the first one in front.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            stream = start()
            pieces = iter(stream)
            return stream, chain([next(pieces, "")], pieces)
        except Exception as error:
            if retries <= 0 or not _may_pass(error):
                raise
        time.sleep(pause)
        retries, pause = retries - 1, min(2 * pause, LONGEST_PAUSE)


def _may_pass(error: Exception) -> bool:
    """True for a failed read or connection; what is missing stays missing."""
    cause = error.__cause__ or error
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)


def within(pieces: Iterable[str], timeout: float | None, begun: float) -> Iterator[str]:
    """The same pieces, until ``timeout`` seconds after ``begun`` (of ``time.monotonic``); looked at between pieces.

    Raises:
        AnswerTimeoutError: a piece came too late.
    """
    for piece in pieces:
        passed = time.monotonic() - begun
        if timeout is not None and passed > timeout:
            raise AnswerTimeoutError(
                f"The answer was not complete after {passed:.1f} s; timeout={timeout:g} s are allowed.",
                remedy="Allow more seconds, or lower max_tokens.",
            )
        yield piece


def trimmed(pieces: Iterable[str]) -> Iterator[str]:
    """The same text without white space at its two ends, blank pieces left out."""
    begun, held = False, ""
    for piece in pieces:
        text = held + piece if begun else piece.lstrip()
        said = text.rstrip()
        held = text[len(said) :] if begun or said else ""
        if said:
            begun = True
            yield said


async def in_thread(start: Callable[[], Generator[T, None, None]]) -> AsyncIterator[T]:
    """Run a generator in a thread and hand its items over as they come, so that the event loop goes on.

    Leaving early, or being cancelled, stops the thread at its next item.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[tuple[str, T | BaseException | None]] = asyncio.Queue()
    stopped = threading.Event()

    def send(kind: str, value: T | BaseException | None = None) -> None:
        with suppress(RuntimeError):  # the loop was closed: nobody listens any more
            loop.call_soon_threadsafe(queue.put_nowait, (kind, value))

    def work() -> None:
        try:
            with closing(start()) as items:
                for item in items:
                    if stopped.is_set():
                        return
                    send("item", item)
            send("end")
        except BaseException as error:  # handed over: it is raised where the items are read
            send("error", error)

    loop.run_in_executor(None, copy_context().run, work)
    try:
        while (received := await queue.get())[0] == "item":
            yield received[1]  # type: ignore[misc]
        if received[0] == "error":
            raise received[1]  # type: ignore[misc]
    finally:
        stopped.set()
