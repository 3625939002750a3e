"""The desk: all questions of a server pass through it, whatever the client and the API.

Input: the name of an index and a question. Output: pieces of text and the ``Answer``. Knows nothing of HTTP.
"""

from __future__ import annotations

import asyncio
import threading
import time
from asyncio import to_thread
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sharedllm_docs.errors import IndexNotFoundError, StoreError, UnknownIndexError
from sharedllm_docs.index.index import Index
from sharedllm_docs.serving.resident import Resident

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sharedllm_docs.model.completion import Completion
    from sharedllm_docs.model.messages import Message
    from sharedllm_docs.model.shared_llm import SharedLLM
    from sharedllm_docs.retrieval.answer import Answer, Citation
    from sharedllm_docs.retrieval.passages import Passage
    from sharedllm_docs.serving.batches import Batches, Job, Tally
    from sharedllm_docs.serving.writings import Writing

T = TypeVar("T")
LONG = 2
"""Number of threads for long work other than decoding: embeddings, searches, loading of models."""
Observe = Callable[[str, "Answer | Completion"], None]
"""Called with the name of an index ("" for none) and each result; from other threads."""
Renewed = Callable[[str], None]
"""Called with the name of an index that was reopened because another one replaced it; from any thread."""


class Desk:
    """Answers the questions of many users over several indexes, decoded together (``batches``).

    Args:
        indexes: opened indexes by name.
        max_waiting: number of questions that may wait.
        max_waiting_each: number of them that may be of one caller.
        max_running: number of questions decoded together.
        answer_seconds: after which a question is dropped.

    Attributes:
        observers: called with each result.
        renewals: called with each index that was reopened.
    """

    def __init__(
        self,
        indexes: Mapping[str, Index],
        *,
        max_waiting: int = 256,
        max_waiting_each: int = 128,
        max_running: int = 8,
        answer_seconds: float = 600,
    ) -> None:
        self._indexes = dict(indexes)
        self._residents = {name: self._resident(name, index) for name, index in indexes.items()}
        self._renewing = threading.Lock()
        self._limits = {"max_waiting": max_waiting, "max_waiting_each": max_waiting_each, "max_running": max_running}
        self._answer_seconds = answer_seconds
        self._made: Batches | None = None
        self._long = ThreadPoolExecutor(LONG, thread_name_prefix="sharedllm-docs-long")
        self.observers: list[Observe] = []
        self.renewals: list[Renewed] = []

    # -- indexes ------------------------------------------------------------------------------------------------------

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the indexes."""
        return tuple(self._indexes)

    @property
    def models(self) -> set[str]:
        """Names and folders from which the models of the indexes are loaded."""
        found = set()
        for index in self._indexes.values():
            made = index.settings
            source = made.get("source")
            named = [made.get("model"), *(source.values() if isinstance(source, dict) else ())]
            found |= {one for one in named if isinstance(one, str) and one}
        return found

    def index(self, name: str) -> Index:
        """The index of this name, as it is on disk now; reopened if another one has replaced it.

        Reads a small file, which takes some time for a remote index.

        Raises:
            UnknownIndexError: there is none; names those there are.
            IndexNotFoundError: it has been moved or removed, or something else is in its place.
        """
        self.check_name(name)
        try:
            found = self._residents[name].index()
        except StoreError as error:
            if type(error) is not StoreError:
                raise
            # what is there now is not an index, for example a file: for clients it is missing
            raise IndexNotFoundError(error.message, remedy=error.remedy) from error
        with self._renewing:
            renewed, self._indexes[name] = found is not self._indexes[name], found
        if renewed:
            for tell in self.renewals:
                tell(name)
        return found

    def check_present(self) -> None:
        """Raise StoreError if an index is missing, or cannot be opened as it is now; see ``index``."""
        for name in self.names:
            self.index(name)

    def check_name(self, name: str) -> None:
        """Raise UnknownIndexError if no index has this name; lists the existing names."""
        if name not in self._indexes:
            raise UnknownIndexError(
                f"There is no index {name!r} (there are: {', '.join(map(repr, self._indexes))}).",
                remedy="Use one of these.",
            )

    def _resident(self, name: str, index: Index) -> Resident:
        return Resident(lambda _create: self._indexes[name].reopened(), index=index)

    async def warm(self) -> None:
        """Load the models, so that the first question does not wait for them.

        Raises:
            ModelError, FingerprintMismatchError: a model cannot be loaded.
        """
        loaded: list[SharedLLM] = []
        for name in self.names:
            await self.aside(partial(self._warm, name, loaded))

    def _warm(self, name: str, loaded: list[SharedLLM]) -> None:
        """Load a model and everything that it computes at first use, unless it is already in memory for another
        index."""
        index = self.index(name)
        if not any(index.adopt(llm) for llm in loaded):
            loaded.append(index.llm)
        llm = index.llm
        _ = llm.steps, llm.front
        llm.embedder.encode(["warm"])

    # -- questions ----------------------------------------------------------------------------------------------------

    async def ask(
        self,
        index_name: str,
        question: str,
        options: Mapping[str, Any] | None = None,
        *,
        conversation: Sequence[Message] = (),
        caller: str = "",
    ) -> Answer:
        """Answer a question; arguments and errors as for ``stream``. Cancelling it stops the model."""
        return await self.stream(index_name, question, options, conversation=conversation, caller=caller).whole()

    def stream(
        self,
        index_name: str,
        question: str,
        options: Mapping[str, Any] | None = None,
        *,
        conversation: Sequence[Message] = (),
        caller: str = "",
    ) -> Answering[Answer]:
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
            ConfigError, QuestionError: the question is not accepted. Errors that occur when its rows are selected are
                raised where the pieces are read.
        """
        self.check_name(index_name)
        query = Index.query(question, options or {}, conversation)

        def make(check: Callable[[], None]) -> Writing[Any]:
            from sharedllm_docs.index.reading import checked
            from sharedllm_docs.serving.writings import AnswerWriting

            with checked(check):
                return AnswerWriting(self.index(index_name).engine(query), query)

        return self._submit(index_name, make, caller)

    def chat(
        self, messages: Sequence[Message], options: Mapping[str, Any] | None = None, *, caller: str = ""
    ) -> Answering[Completion]:
        """Answer the last message without documents, by the first index's model; options as for ``SharedLLM.chat``."""
        from sharedllm_docs.serving.writings import chat_writing

        return self._submit("", lambda _check: chat_writing(self._plain(), messages, options or {}), caller)

    def complete(
        self, prompt: str, options: Mapping[str, Any] | None = None, *, caller: str = ""
    ) -> Answering[Completion]:
        """Continue a prompt without documents, by the first index's model; options as for ``SharedLLM.complete``."""
        from sharedllm_docs.serving.writings import completion_writing

        return self._submit("", lambda _check: completion_writing(self._plain(), prompt, options or {}), caller)

    async def embed(self, index_name: str, texts: Sequence[str]) -> tuple[NDArray[np.float32], int]:
        """Unit vectors of texts [N, D] by the embedder of an index ("" for the first), and their number of tokens."""
        name = index_name or self.names[0]
        self.check_name(name)

        def work() -> tuple[NDArray[np.float32], int]:
            index = self.index(name)
            return index.llm.embedder.encode(list(texts)), sum(map(index.llm.count_tokens, texts))

        return await self.aside(work)

    async def search(self, index_name: str, question: str, **options: Any) -> tuple[Passage, ...]:
        """The passages nearest to a question; arguments and errors as for ``Index.search``."""
        self.check_name(index_name)
        return await self.aside(lambda: self.index(index_name).search(question, **options))

    async def aside(self, work: Callable[[], T]) -> T:
        """Run long work in a thread where it delays nothing short."""
        return await asyncio.get_running_loop().run_in_executor(self._long, work)

    def _plain(self) -> SharedLLM:
        return self.index(self.names[0]).llm

    def _submit(
        self, index_name: str, make: Callable[[Callable[[], None]], Writing[Any]], caller: str
    ) -> Answering[Any]:
        from sharedllm_docs.serving.batches import Job

        answering: Answering[Any] = Answering(lambda result: self._observed(index_name, result))
        deadline = time.monotonic() + self._answer_seconds
        job = Job(make, answering.reader, caller, deadline)
        answering.started_by(self._batches, job)
        self._batches.submit(job)
        return answering

    def _observed(self, index_name: str, result: Answer | Completion) -> None:
        for observe in self.observers:
            observe(index_name, result)

    # -- state --------------------------------------------------------------------------------------------------------

    @property
    def _batches(self) -> Batches:
        """Made at the first question: making them loads torch."""
        if self._made is None:
            from sharedllm_docs.serving.batches import Batches

            self._made = Batches(**self._limits)
        return self._made

    @property
    def tally(self) -> Tally:
        """Counts since the start."""
        return self._batches.tally

    @property
    def waiting(self) -> int:
        """Number of questions that wait."""
        return self._made.waiting if self._made else 0

    @property
    def running(self) -> int:
        """Number of questions that are being answered."""
        return self._made.running if self._made else 0

    async def close(self) -> None:
        """End everything after the current step."""
        if self._made is not None:
            await to_thread(self._made.close)
            self._made = None
        for resident in self._residents.values():
            await to_thread(resident.close)


class Answering(Generic[T]):
    """A text that is being generated: ``async for`` yields its pieces, then ``result`` is the whole; ``cancel`` stops
    it.

    Created in the event loop that reads it.

    Attributes:
        sources: citations of the nodes that are injected, known before the first piece.
    """

    def __init__(self, observe: Callable[[T], None]) -> None:
        self.sources: tuple[Citation, ...] = ()
        self.reader = _LoopReader(self, observe)
        self._pieces: asyncio.Queue[str | None] = asyncio.Queue()
        self._result: list[T] = []
        self._failure: BaseException | None = None
        self._cancel: Callable[[], None] = lambda: None

    @property
    def result(self) -> T:
        """The whole result.

        Raises:
            RuntimeError: it was not read to its end.
        """
        if not self._result:
            raise RuntimeError("The answer is not complete: iterate to its end first.")
        return self._result[0]

    @property
    def complete(self) -> bool:
        """Whether the result or the error is there."""
        return bool(self._result) or self._failure is not None

    async def whole(self) -> T:
        """Wait for the whole result. If waiting is cancelled, the model stops."""
        try:
            async for _piece in self:
                pass
        finally:
            self.cancel()
        return self.result

    def cancel(self) -> None:
        """Stop: the model computes nothing more for it. No effect once it is complete."""
        if not self.complete:
            self._cancel()

    async def __aiter__(self) -> AsyncIterator[str]:
        while (piece := await self._pieces.get()) is not None:
            yield piece
        if self._failure is not None:
            raise self._failure

    def started_by(self, batches: Batches, job: Job) -> None:
        """Set what ``cancel`` cancels."""
        self._cancel = lambda: batches.cancel(job)

    def put(self, piece: str | None, *, result: Sequence[T] = (), failure: BaseException | None = None) -> None:
        """Take a piece, or the end with a result or an error; in the event loop."""
        self._result += result
        self._failure = failure
        self._pieces.put_nowait(piece)


class _LoopReader(Generic[T]):
    """Passes what other threads produce to the event loop of an ``Answering``."""

    def __init__(self, answering: Answering[T], observe: Callable[[T], None]) -> None:
        self._answering, self._observe = answering, observe
        self._loop = asyncio.get_running_loop()

    def begin(self, sources: tuple[Citation, ...]) -> None:
        """The sources are known."""
        self._answering.sources = sources

    def piece(self, text: str) -> None:
        """A piece is final."""
        self._call(lambda: self._answering.put(text))

    def finish(self, result: T) -> None:
        """It is complete."""
        self._observe(result)
        self._call(lambda: self._answering.put(None, result=[result]))

    def fail(self, error: BaseException) -> None:
        """It cannot be completed."""
        self._call(lambda: self._answering.put(None, failure=error))

    def _call(self, function: Callable[[], None]) -> None:
        try:
            self._loop.call_soon_threadsafe(function)
        except RuntimeError:  # the loop is closed: nobody reads any more
            self._answering.cancel()
