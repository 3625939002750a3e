"""Questions to an index: one or several, whole or streamed; summaries; searches for passages."""

from __future__ import annotations

from asyncio import to_thread
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sharedllm_docs.config import check_options
from sharedllm_docs.index.opening import OpenIndex
from sharedllm_docs.index.reading import StoredRows
from sharedllm_docs.model.messages import Message, check_messages, transcript
from sharedllm_docs.retrieval.query import AskOptions, Query, SummaryOptions, Where
from sharedllm_docs.streams import AsyncStream, Stream

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sharedllm_docs.index.engine import Engine
    from sharedllm_docs.retrieval.answer import Answer, Citation
    from sharedllm_docs.retrieval.passages import Passage
    from sharedllm_docs.retrieval.searcher import Searcher, Selection


class Questions(OpenIndex):
    """One part of ``Index``: asking it."""

    def ask(self, question: str, *, conversation: Sequence[Message] = (), **options: Unpack[AskOptions]) -> Answer:
        """Answer a question from the stored rows.

        Args:
            question: in words.
            conversation: earlier turns; they are put before the question as text and take up space in the model's
                window, but passages are chosen by the question alone. System messages count as instructions.
            options: any of

                - ``documents``: names or keys to search; None searches all;
                - ``where``: metadata that a document must have, ``{"year": "2024"}`` or ``{"year": ["2023", "2024"]}``,
                  or a function of the metadata;
                - ``style``: ``short`` (a phrase from the text, the default), ``sentence``, or ``full``: several
                  sentences from three times the rows, each marked with the number of its citation, as ``[1]``;
                - ``instructions``: further instructions for the answer, in words; system messages of ``conversation``
                  are added to them;
                - the fields of ``RetrievalConfig``: ``budget``, ``selector``, ``candidates``, ``evidence_tokens``,
                  ``relevance_floor``, ``min_confidence``, ``max_citations``, ``grains``; or ``retrieval``, a whole one;
                - the fields of ``GenerationConfig``: ``max_new_tokens``, ``temperature``, ``top_p``, ``top_k``,
                  ``repetition_penalty``, ``stop``, ``seed``; or ``generation``, a whole one.

        Raises:
            ConfigError: an unknown option, or a value out of its bounds.
            EmptyQuestionError, QuestionError, QuestionTooLongError: the question cannot be asked.
            DocumentNotFoundError: a document is not in the index, none fits ``where``, or the index is empty.
            FingerprintMismatchError, DamagedIndexError: the index cannot be used; nothing is answered from it.
        """
        query = self.query(question, options, conversation)
        return self.engine(query).ask_many([query])[0]

    @staticmethod
    def query(question: str, options: Mapping[str, Any], conversation: Sequence[Message] = ()) -> Query:
        """A question as ``engine`` takes it, checked; arguments and errors of values as for ``ask``."""
        return Query.of(question, _instructed(options, conversation), conversation=_turns(conversation))

    def ask_many(self, questions: Sequence[str], **options: Unpack[AskOptions]) -> list[Answer]:
        """Answer several questions, decoded together; options as for ``ask``."""
        queries = [Query.of(question, options) for question in questions]
        return self.engine(queries[0]).ask_many(queries) if queries else []

    def stream(
        self, question: str, *, conversation: Sequence[Message] = (), **options: Unpack[AskOptions]
    ) -> Stream[Answer]:
        """Answer piece by piece: iterate for text, then take ``.result``; options as for ``ask``."""
        query = self.query(question, options, conversation)
        return self.engine(query).stream(query)

    def summarise(
        self, reference: str, *, section: str | None = None, about: str | None = None, **options: Unpack[SummaryOptions]
    ) -> Answer:
        """Summarise a document, or one of its sections, from passages spread over it.

        Args:
            reference: name or key of the document.
            section: title of a section (a part is enough if only one section has it); None for the whole document.
            about: what the summary should be about, in words; None for the main points.
            options: as for ``ask``, without those that choose documents or rank passages. The default ``style`` is
                ``full``.

        Raises:
            DocumentNotFoundError: no such document or section.
            ConfigError, QuestionError, QuestionTooLongError: as for ``ask``.
            FingerprintMismatchError, DamagedIndexError: the index cannot be used.
        """
        query = self._summary(reference, section, about, options)
        return self.engine(query).ask_many([query])[0]

    def stream_summary(
        self, reference: str, *, section: str | None = None, about: str | None = None, **options: Unpack[SummaryOptions]
    ) -> Stream[Answer]:
        """``summarise`` piece by piece: iterate for text, then take ``.result``."""
        query = self._summary(reference, section, about, options)
        return self.engine(query).stream(query)

    async def asummarise(
        self, reference: str, *, section: str | None = None, about: str | None = None, **options: Unpack[SummaryOptions]
    ) -> Answer:
        """``summarise`` in a thread."""
        return await to_thread(lambda: self.summarise(reference, section=section, about=about, **options))

    def _summary(self, reference: str, section: str | None, about: str | None, options: SummaryOptions) -> Query:
        check_options(SummaryOptions, options)
        document = self._store.get(reference)
        return Query.summary(document.key, document.name, section, about, options)

    async def aask(
        self, question: str, *, conversation: Sequence[Message] = (), **options: Unpack[AskOptions]
    ) -> Answer:
        """``ask`` in a thread, so that the event loop continues."""
        return await to_thread(lambda: self.ask(question, conversation=conversation, **options))

    async def aask_many(self, questions: Sequence[str], **options: Unpack[AskOptions]) -> list[Answer]:
        """``ask_many`` in a thread."""
        return await to_thread(lambda: self.ask_many(questions, **options))

    def astream(
        self, question: str, *, conversation: Sequence[Message] = (), **options: Unpack[AskOptions]
    ) -> AsyncStream[Answer]:
        """``stream`` for ``async for``; ``.result`` is available afterwards."""
        return AsyncStream(lambda: self.stream(question, conversation=conversation, **options))

    def select(self, question: str, **options: Unpack[AskOptions]) -> Selection:
        """The nodes that ``ask`` would inject; options as there."""
        query = Query.of(question, options)
        return self.engine(query).select(query)

    def search(
        self, question: str, *, k: int = 5, documents: Sequence[str] | None = None, where: Where | None = None
    ) -> tuple[Passage, ...]:
        """The leaves nearest to a question, best first, without generating anything.

        Args:
            question: in words.
            k: maximum number of passages.
            documents: names or keys to search; None searches all.
            where: metadata that a document must have; see ``ask``.

        Raises:
            ConfigError: ``k`` below 1.
            EmptyQuestionError, DocumentNotFoundError: see ``ask``.
        """
        from sharedllm_docs.retrieval.passages import best_passages, check_count

        check_count(k)
        query = Query(question, documents=documents, where=where)
        return best_passages(self._searcher(query), question, self.llm.embedder.encode([question])[0], k)

    async def asearch(
        self, question: str, *, k: int = 5, documents: Sequence[str] | None = None, where: Where | None = None
    ) -> tuple[Passage, ...]:
        """``search`` in a thread."""
        return await to_thread(lambda: self.search(question, k=k, documents=documents, where=where))

    def passages(self, citations: Sequence[Citation]) -> tuple[Passage, ...]:
        """The injected nodes that citations were taken from, with their whole text, each once, in their order.

        Args:
            citations: an answer's ``citations`` or a stream's ``sources``.

        Raises:
            DocumentNotFoundError: a document was removed since.
        """
        from sharedllm_docs.retrieval.passages import cited_passages

        keys = {citation.document_key for citation in citations}
        return cited_passages({key: self._library.by_key(key) for key in keys}, citations)

    def engine(self, query: Query) -> Engine:
        """The engine for a query, for measurements of single steps; ``ask`` is the ordinary way."""
        from sharedllm_docs.index.engine import Engine

        records = self._library.records(query.documents, query.where)
        searcher = self._library.searcher(records, self.llm.profile)
        return Engine(self.llm, StoredRows(self._store, self.llm, records, self._reading), searcher)

    def _searcher(self, query: Query) -> Searcher:
        return self._library.searcher(self._library.records(query.documents, query.where), self.llm.profile)


def _turns(conversation: Sequence[Message]) -> str:
    """The turns of a conversation as text, without its system messages."""
    check_messages(conversation)
    return transcript([message for message in conversation if message.role != "system"])


def _instructed(options: Mapping[str, Any], conversation: Sequence[Message]) -> dict[str, Any]:
    """The options with the conversation's system messages among the instructions."""
    check_messages(conversation)
    said = [message.content for message in conversation if message.role == "system" and message.content.strip()]
    own = options.get("instructions", "")
    if not said or not isinstance(own, str):  # anything else is refused by name when the query is made
        return dict(options)
    return {**options, "instructions": "\n".join(part for part in (own, *said) if part)}
