"""The desk: the one place through which all questions of a server go, whoever asks and in whichever dialect.

In come the name of an index and a question, out come pieces of text and the ``Answer``. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sharedllm_docs.errors import CancelledError, UnknownIndexError
from sharedllm_docs.index.index import Index

if TYPE_CHECKING:
    from sharedllm_docs.model.messages import Message
    from sharedllm_docs.retrieval.answer import Answer, Citation


class Desk:
    """Answers the questions of many users over several indexes.

    Args:
        indexes: opened indexes by name.
    """

    def __init__(self, indexes: Mapping[str, Index]) -> None:
        self._indexes = dict(indexes)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the indexes."""
        return tuple(self._indexes)

    def index(self, name: str) -> Index:
        """The index of this name.

        Raises:
            UnknownIndexError: there is none; names those there are.
        """
        if name not in self._indexes:
            raise UnknownIndexError(
                f"There is no index {name!r} (there are: {', '.join(map(repr, self._indexes))}).",
                remedy="Use one of these.",
            )
        return self._indexes[name]

    async def ask(
        self,
        index_name: str,
        question: str,
        options: Mapping[str, Any] | None = None,
        *,
        conversation: Sequence[Message] = (),
        caller: str = "",
    ) -> Answer:
        """Answer a question; arguments and errors as for ``stream``."""
        answering = self.stream(index_name, question, options, conversation=conversation, caller=caller)
        try:
            async for _piece in answering:
                pass
        finally:
            answering.cancel()  # where whoever asked has gone meanwhile, the model stops
        return answering.result

    def stream(
        self,
        index_name: str,
        question: str,
        options: Mapping[str, Any] | None = None,
        *,
        conversation: Sequence[Message] = (),
        caller: str = "",
    ) -> Answering:
        """Begin to answer a question, piece by piece.

        Args:
            index_name: the index that is asked.
            question: in words.
            options: keywords of ``Index.ask``.
            conversation: earlier messages.
            caller: who asks; callers take turns.

        Raises:
            UnknownIndexError: there is no such index.
            BusyError: too many questions wait.
        """
        index = self.index(index_name)
        answering = Answering()

        def work() -> None:
            try:
                stream = index.stream(question, conversation=conversation, **(options or {}))
                answering._send(stream.sources or ())
                for piece in stream:
                    if answering.cancelled:
                        raise CancelledError("Cancelled.")
                    answering._send(piece)
                answering._finish(stream.result)
            except BaseException as error:
                answering._fail(error)

        threading.Thread(target=work, daemon=True).start()
        return answering

    async def close(self) -> None:
        """End everything, after the step in hand."""
        for index in self._indexes.values():
            await asyncio.to_thread(index.close)


class Answering:
    """An answer on its way: ``async for`` gives its pieces, then ``result`` is the whole; ``cancel`` stops the model.

    Attributes:
        sources: citations of the nodes that are injected, known before the first piece.
        cancelled: whether it was cancelled.
    """

    def __init__(self) -> None:
        self.sources: tuple[Citation, ...] = ()
        self.cancelled = False
        self._loop = asyncio.get_running_loop()
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._result: Answer | None = None
        self._failure: BaseException | None = None

    @property
    def result(self) -> Answer:
        """The whole answer.

        Raises:
            RuntimeError: it was not read to its end.
        """
        if self._result is None:
            raise RuntimeError("The answer is not complete: iterate to its end first.")
        return self._result

    def cancel(self) -> None:
        """Stop: the model computes nothing more for this question. Without effect on a complete answer."""
        self.cancelled = True

    async def __aiter__(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
        if self._failure is not None:
            raise self._failure

    # -- called by whoever writes the answer, in another thread ------------------------------------------------------

    def _send(self, item: str | tuple[Citation, ...]) -> None:
        if isinstance(item, tuple):
            self.sources = item
        else:
            self._loop.call_soon_threadsafe(self._pieces.put_nowait, item)

    def _finish(self, result: Answer) -> None:
        self._result = result
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, None)

    def _fail(self, error: BaseException) -> None:
        self._failure = error
        self._loop.call_soon_threadsafe(self._pieces.put_nowait, None)
