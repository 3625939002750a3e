"""Streaming for event loops: the answer is computed in a thread, its pieces are handed over as they come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sharedllm_docs.answer import Answer
    from sharedllm_docs.engine import AnswerStream


class AsyncAnswerStream:
    """``async for piece in stream``; afterwards :attr:`answer` is the complete answer.

    Leaving the loop early stops the thread at its next piece.

    Args:
        start: makes the stream; called in the thread, as selection and loading take time too.
    """

    def __init__(self, start: Callable[[], AnswerStream]) -> None:
        self._start = start
        self._answer: Answer | None = None

    @property
    def answer(self) -> Answer:
        """The complete answer.

        Raises:
            RuntimeError: the stream was not taken to its end.
        """
        if self._answer is None:
            raise RuntimeError("The answer is not complete: iterate over the stream to its end first.")
        return self._answer

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        stopped = threading.Event()

        def send(item: str | BaseException | None) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, item)

        def work() -> None:
            try:
                stream = self._start()
                for piece in stream:
                    if stopped.is_set():
                        return
                    send(piece)
                self._answer = stream.answer
                send(None)
            except BaseException as error:  # handed over: it is raised where the stream is read
                send(error)

        worker = asyncio.create_task(asyncio.to_thread(work))
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stopped.set()
            await worker
