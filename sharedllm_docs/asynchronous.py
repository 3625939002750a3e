"""Streaming for event loops: the text is computed in a thread, its pieces are handed over as they come."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from sharedllm_docs.answer import Answer
    from sharedllm_docs.plain import Completion, CompletionStream

    class AnswerSource(Protocol):
        """Pieces of an answer, and the answer."""

        def __iter__(self) -> Iterator[str]: ...

        @property
        def answer(self) -> Answer: ...


Result = TypeVar("Result")


class _Relay(Generic[Result]):
    """Hands over pieces of text; leaving the loop early stops the thread at its next piece.

    Args:
        run: yields pieces and calls its argument with the result at the end; runs in the thread.
    """

    def __init__(self, run: Callable[[Callable[[Result], None]], Iterator[str]]) -> None:
        self._run = run
        self._results: list[Result] = []

    def _result(self, what: str) -> Result:
        if not self._results:
            raise RuntimeError(f"The {what} is not complete: iterate over the stream to its end first.")
        return self._results[0]

    async def __aiter__(self) -> AsyncIterator[str]:
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[str | BaseException | None] = asyncio.Queue()
        stopped = threading.Event()

        def send(item: str | BaseException | None) -> None:
            loop.call_soon_threadsafe(queue.put_nowait, item)

        def work() -> None:
            try:
                for piece in self._run(self._results.append):
                    if stopped.is_set():
                        return
                    send(piece)
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


class AsyncAnswerStream(_Relay["Answer"]):
    """``async for piece in stream``; afterwards :attr:`answer` is the complete answer.

    Leaving the loop early stops the thread at its next piece.

    Args:
        start: makes the stream; called in the thread, as selection and loading take time too.
    """

    def __init__(self, start: Callable[[], AnswerSource]) -> None:
        def run(done: Callable[[Answer], None]) -> Iterator[str]:
            stream = start()
            yield from stream
            done(stream.answer)

        super().__init__(run)

    @property
    def answer(self) -> Answer:
        """The complete answer.

        Raises:
            RuntimeError: the stream was not taken to its end.
        """
        return self._result("answer")


class AsyncCompletionStream(_Relay["Completion"]):
    """Like :class:`AsyncAnswerStream`, with :attr:`completion` afterwards."""

    def __init__(self, start: Callable[[], CompletionStream]) -> None:
        def run(done: Callable[[Completion], None]) -> Iterator[str]:
            stream = start()
            yield from stream
            done(stream.completion)

        super().__init__(run)

    @property
    def completion(self) -> Completion:
        """The whole of what the model said.

        Raises:
            RuntimeError: the stream was not taken to its end.
        """
        return self._result("completion")
