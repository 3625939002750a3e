"""The public face: an index of documents that answers questions.

Joins store, model, ingestion and engine; everything the command line does is a method here or of
:class:`~sharedllm_docs.collection.Collection`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sharedllm_docs.collection import Collection
from sharedllm_docs.config import GenerationSettings, QuestionSettings
from sharedllm_docs.errors import EmptyQuestionError
from sharedllm_docs.library import StoredRows
from sharedllm_docs.messages import Message, check_text
from sharedllm_docs.views import AddedDocument as AddedDocument
from sharedllm_docs.views import TreeView, tree_view

if TYPE_CHECKING:
    from sharedllm_docs.answer import Answer, Citation
    from sharedllm_docs.asynchronous import AsyncAnswerStream
    from sharedllm_docs.engine import AnswerStream, Engine
    from sharedllm_docs.passages import Passage
    from sharedllm_docs.question import Searcher, Selection


class Index(Collection):
    """An index folder (or fsspec URL) with the model that it was made with.

    Use :meth:`open`, :meth:`create` or :meth:`open_or_create`. Questions may be asked from several threads, and by
    several processes while one of them writes.
    """

    # -- questions --------------------------------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        *,
        documents: Sequence[str] | None = None,
        settings: QuestionSettings | None = None,
        generation: GenerationSettings | None = None,
        conversation: Sequence[Message] = (),
    ) -> Answer:
        """Answer a question from the stored rows.

        Args:
            question: in words.
            documents: names or keys to search; None searches all.
            settings: budget, selector, evidence, floor, citations.
            generation: length, sampling, stop strings, seed.
            conversation: earlier turns and system messages; they stand as text before the question and take room
                in the window, while passages are chosen by the question alone.

        Raises:
            EmptyQuestionError, QuestionTooLongError: of the question.
            DocumentNotFoundError: a document is not in the index, or it is empty.
            FingerprintMismatchError, DamagedIndexError: of the index; nothing is answered from it.
        """
        engine, searcher = self._ready([question], documents)
        asked = settings or QuestionSettings()
        return engine.ask_many([question], searcher, asked, generation or GenerationSettings(), conversation)[0]

    def ask_many(
        self,
        questions: Sequence[str],
        *,
        documents: Sequence[str] | None = None,
        settings: QuestionSettings | None = None,
        generation: GenerationSettings | None = None,
    ) -> list[Answer]:
        """Answer several questions, decoded together; see :meth:`ask`."""
        engine, searcher = self._ready(questions, documents)
        return engine.ask_many(questions, searcher, settings or QuestionSettings(), generation or GenerationSettings())

    def stream(
        self,
        question: str,
        *,
        documents: Sequence[str] | None = None,
        settings: QuestionSettings | None = None,
        generation: GenerationSettings | None = None,
        conversation: Sequence[Message] = (),
    ) -> AnswerStream:
        """Answer piece by piece: iterate for text, then take ``.answer``; see :meth:`ask`."""
        engine, searcher = self._ready([question], documents)
        asked = settings or QuestionSettings()
        return engine.stream(question, searcher, asked, generation or GenerationSettings(), conversation)

    async def aask(self, question: str, **options: Any) -> Answer:
        """:meth:`ask` in a thread, so that the event loop goes on."""
        from asyncio import to_thread

        return await to_thread(self.ask, question, **options)

    async def aask_many(self, questions: Sequence[str], **options: Any) -> list[Answer]:
        """:meth:`ask_many` in a thread."""
        from asyncio import to_thread

        return await to_thread(self.ask_many, questions, **options)

    def astream(self, question: str, **options: Any) -> AsyncAnswerStream:
        """:meth:`stream` for ``async for``; ``.answer`` is there afterwards."""
        from sharedllm_docs.asynchronous import AsyncAnswerStream

        return AsyncAnswerStream(lambda: self.stream(question, **options))

    def tree(
        self, reference: str, question: str | None = None, *, settings: QuestionSettings | None = None
    ) -> TreeView:
        """A document's trees, and with a question which branches are taken; loads no model without one."""
        record = self._store.get(reference)
        selection = self.select(question, documents=[record.key], settings=settings) if question is not None else None
        return tree_view(self._library.info(record), self._library.prepared(record), question, selection)

    def select(
        self,
        question: str,
        *,
        documents: Sequence[str] | None = None,
        settings: QuestionSettings | None = None,
        generation: GenerationSettings | None = None,
    ) -> Selection:
        """The nodes that :meth:`ask` would inject."""
        engine, searcher = self._ready([question], documents)
        return engine.select(question, searcher, settings or QuestionSettings(), generation or GenerationSettings())

    # -- passages ---------------------------------------------------------------------------------------------------

    def search(self, question: str, *, k: int = 5, documents: Sequence[str] | None = None) -> tuple[Passage, ...]:
        """The leaves nearest to a question, best first, without generating anything.

        Args:
            question: in words.
            k: most passages.
            documents: names or keys to search; None searches all.

        Raises:
            ConfigError: ``k`` below 1.
            EmptyQuestionError, DocumentNotFoundError: see :meth:`ask`.
        """
        from sharedllm_docs.passages import best_passages, check_count

        check_count(k)
        _check_question(question)
        searcher = self._library.searcher(self._library.records(documents), self.llm.profile)
        return best_passages(searcher, question, self.llm.embedder.encode([question])[0], k)

    async def asearch(self, question: str, **options: Any) -> tuple[Passage, ...]:
        """:meth:`search` in a thread."""
        from asyncio import to_thread

        return await to_thread(self.search, question, **options)

    def passages(self, citations: Sequence[Citation]) -> tuple[Passage, ...]:
        """The injected nodes that citations were taken from, with their whole text, each once, in their order.

        Args:
            citations: an answer's ``citations`` or a stream's ``sources``.

        Raises:
            DocumentNotFoundError: a document was removed since.
        """
        from sharedllm_docs.passages import cited_passages

        keys = {citation.document_key for citation in citations}
        return cited_passages({key: self._library.by_key(key) for key in keys}, citations)

    # -- inner ------------------------------------------------------------------------------------------------------

    def _ready(self, questions: Sequence[str], references: Sequence[str] | None) -> tuple[Engine, Searcher]:
        from sharedllm_docs.engine import Engine

        for question in questions:
            _check_question(question)
        records = self._library.records(references)
        searcher = self._library.searcher(records, self.llm.profile)
        return Engine(self.llm, StoredRows(self._store, self.llm, records)), searcher


def _check_question(question: str) -> None:
    if not question.strip():
        raise EmptyQuestionError(f"The question {question!r} is empty.", remedy="Ask something.")
    check_text(question, "question")
