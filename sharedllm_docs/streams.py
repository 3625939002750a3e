"""Text that arrives piece by piece, and the whole result afterwards; for plain loops and for event loops."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from sharedllm_docs.retrieval.answer import Citation

T = TypeVar("T")


class Stream(Iterator[str], Generic[T]):
    """Pieces of text as they become certain; ``result`` is the whole once they are all taken.

    Leaving a loop early loses nothing: the next loop, or ``result``, continues after the last piece taken.

    Args:
        pieces: a generator that yields text and returns the result.
        sources: see below, or a function that gives them; it is called when they are first wanted.

    Attributes:
        sources: citations of the nodes that are injected, best first, known before the first piece. They name the
            same passages as the answer's citations, but their quotes follow from the question alone, and they stay
            when the model then says that the document does not say. None for text generated without documents.
    """

    def __init__(
        self,
        pieces: Generator[str, None, T],
        sources: tuple[Citation, ...] | Callable[[], tuple[Citation, ...]] | None = None,
    ) -> None:
        self._sources = sources
        self._pieces = pieces
        self._result: list[T] = []
        self._failure: BaseException | None = None
        self._lock = threading.Lock()  # two threads may read on: each piece goes to one of them

    @property
    def sources(self) -> tuple[Citation, ...] | None:
        """Citations of what is injected; None for text generated without documents."""
        if callable(self._sources):
            self._sources = self._sources()
        return self._sources

    def __next__(self) -> str:
        with self._lock:
            return self._next()

    def _next(self) -> str:
        if self._failure is not None:
            raise self._failure
        if self._result:
            raise StopIteration
        try:
            return next(self._pieces)
        except StopIteration as end:
            self._result.append(end.value)
            raise StopIteration from None
        except BaseException as failure:
            self._failure = failure
            raise

    @property
    def result(self) -> T:
        """The whole result; reads the rest of the stream first."""
        for _piece in self:
            pass
        return self._result[0]


class AsyncStream(Generic[T]):
    """A ``Stream`` for ``async for``, computed in a thread; ``result`` is there after the last piece.

    Leaving the loop early stops the thread at its next piece.

    Args:
        start: makes the stream; called in the thread, since selecting and loading rows take time too.
    """

    def __init__(self, start: Callable[[], Stream[T]]) -> None:
        self._start = start
        self._result: list[T] = []

    @property
    def result(self) -> T:
        """The whole result.

        Raises:
            RuntimeError: the stream was not read to its end.
        """
        if not self._result:
            raise RuntimeError("The result is not complete: iterate over the stream to its end first.")
        return self._result[0]

    async def __aiter__(self) -> AsyncIterator[str]:
        import asyncio  # takes long, and plain loops do without it

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
                self._result.append(stream.result)
                send(None)
            except BaseException as error:  # raised again where the stream is read
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
