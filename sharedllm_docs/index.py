"""The public face: an index of documents that answers questions.

Joins store, model, ingestion and engine; everything the command line does is a method here. Listing, verifying,
removing and pruning load no model.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sharedllm_docs.config import GenerationSettings, Profile, QuestionSettings
from sharedllm_docs.errors import DocumentNotFoundError, EmptyQuestionError, IndexNotFoundError, QuestionError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.records import DocumentRecord
from sharedllm_docs.views import DocumentInfo, TreeView, tree_view

if TYPE_CHECKING:
    import torch

    from sharedllm_docs.answer import Answer
    from sharedllm_docs.engine import AnswerStream, Engine
    from sharedllm_docs.ingest import Progress, Report, Source
    from sharedllm_docs.model import SharedLLM
    from sharedllm_docs.prepared import PreparedDocument
    from sharedllm_docs.question import Searcher, Selection
    from sharedllm_docs.readers import ReadOptions
    from sharedllm_docs.store.estimate import SizeEstimate
    from sharedllm_docs.store.verify import VerifyReport

Url = str | os.PathLike[str]
LOCK_TIMEOUT = 60.0


@dataclass(frozen=True)
class AddedDocument:
    """Result of :meth:`Index.add`.

    Attributes:
        document: as it is in the index now.
        new: False when it was there already and nothing was read.
        chunks_encoded: by the model.
        chunks_reused: found in the store (resumed, shared or unchanged after an edit).
        seconds: from reading to commit.
        tokens_per_second: of the whole ingestion, reading and embedding included; 0 when nothing was encoded.
        stage_seconds: wall time by stage (``read``, ``tokenize``, ``encode``, ``store``, ``embed``, ``commit``).
    """

    document: DocumentInfo
    new: bool
    chunks_encoded: int
    chunks_reused: int
    seconds: float
    tokens_per_second: float
    stage_seconds: Mapping[str, float]


class Index:
    """An index folder (or fsspec URL) with the model that it was made with.

    Use :meth:`open`, :meth:`create` or :meth:`open_or_create`. Questions may be asked from several threads, and by
    several processes while one of them writes.

    Attributes:
        url: where it is.
    """

    def __init__(
        self,
        store: IndexStore,
        llm: SharedLLM | None,
        *,
        options: Mapping[str, Any] | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:
        self._store = store
        self._options = dict(options or {})
        self._report = report
        self._prepared: dict[str, PreparedDocument] = {}
        self._searchers: dict[tuple[str, ...], Searcher] = {}
        self.url = store.url
        self._llm = self._bind(llm) if llm is not None else None

    # -- opening ----------------------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        url: Url,
        llm: SharedLLM | None = None,
        *,
        report: Callable[[str], None] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        **model_options: Any,
    ) -> Index:
        """Open an existing index.

        Args:
            url: folder or fsspec URL.
            llm: the model; None loads the one recorded in the index when it is first needed.
            report: called with a sentence before each slow step.
            storage_options: of a remote file system.
            model_options: arguments of :meth:`SharedLLM.from_pretrained` that replace the recorded ones.

        Raises:
            IndexNotFoundError: there is none.
            FingerprintMismatchError: the model or settings are not those it was made with; names each.
            DamagedIndexError: its ``index.json`` is damaged.
        """
        store = IndexStore.open(url, storage_options=storage_options, cache=_remote_cache(url))
        return cls(store, llm, options=model_options, report=report)

    @classmethod
    def create(
        cls,
        url: Url,
        llm: SharedLLM,
        *,
        max_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
    ) -> Index:
        """Make a new, empty index for a model.

        Args:
            url: folder or fsspec URL.
            llm: the model that it will be bound to.
            max_bytes: disk budget of the whole index.
            storage_options: of a remote file system.

        Raises:
            StoreError: there is an index already.
        """
        settings = {"model": llm.name, "source": llm.source, "profile": llm.profile.to_dict()}
        store = IndexStore.create(
            url,
            llm.fingerprint,
            settings,
            max_bytes=max_bytes,
            storage_options=storage_options,
            cache=_remote_cache(url),
        )
        return cls(store, llm)

    @classmethod
    def open_or_create(
        cls,
        url: Url,
        llm: SharedLLM | None = None,
        *,
        report: Callable[[str], None] | None = None,
        max_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        **model_options: Any,
    ) -> Index:
        """:meth:`open` where there is an index, else :meth:`create` (with the model loaded as asked)."""
        if IndexStore.exists(url, storage_options=storage_options):
            return cls.open(url, llm, report=report, storage_options=storage_options, **model_options)
        if llm is None:
            from sharedllm_docs.model import SharedLLM

            llm = SharedLLM.from_pretrained(report=report, **model_options)
        return cls.create(url, llm, max_bytes=max_bytes, storage_options=storage_options)

    @property
    def settings(self) -> dict[str, Any]:
        """What the index was made with: model name, arguments to load it again, profile."""
        return dict(self._store.settings)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """Everything the stored rows depend on."""
        return self._store.fingerprint.to_dict()

    @property
    def llm(self) -> SharedLLM:
        """The model, loaded at first use and checked against the fingerprint.

        Raises:
            ModelUnavailableError: it cannot be loaded.
            FingerprintMismatchError: it is not the one that the index was made with.
        """
        if self._llm is None:
            from sharedllm_docs.model import SharedLLM

            recorded = self._store.settings
            options: dict[str, Any] = {"profile": Profile.from_dict(recorded["profile"]), **recorded["source"]}
            if not recorded["source"] and not self._options:
                raise IndexNotFoundError(
                    f"The index was made with a model in memory ({recorded['model']}), which cannot be loaded by name.",
                    remedy="Give the model: Index.open(url, llm).",
                )
            options |= {name: value for name, value in self._options.items() if value is not None}
            self._llm = self._bind(SharedLLM.from_pretrained(report=self._report, **options))
        return self._llm

    def _bind(self, llm: SharedLLM) -> SharedLLM:
        self._store.fingerprint.check(llm.fingerprint)
        return llm

    # -- documents --------------------------------------------------------------------------------------------------

    def add(
        self,
        source: Source,
        *,
        name: str | None = None,
        options: ReadOptions | None = None,
        metadata: Mapping[str, str] | None = None,
        progress: Report | None = None,
        max_bytes: int | None = None,
        timeout: float = LOCK_TIMEOUT,
        force: bool = False,
    ) -> AddedDocument:
        """Read, encode and store a document; returns at once when it is there already.

        Args:
            source: path, fsspec URL, bytes, open binary file, or a :class:`~sharedllm_docs.document.Document`.
            name: display name (default: the file's).
            options: of the reader (password, pages, engine, encoding).
            metadata: strings kept with the document.
            progress: told of every step.
            max_bytes: disk budget for this call instead of the index's.
            timeout: seconds to wait for another process that writes.
            force: read and commit again even if the document is there.

        Raises:
            DocumentError: the file cannot be read; says why.
            DiskBudgetError: it would exceed the budget; nothing is encoded.
            DiskFullError: the disk is full; what was there stays.
            IndexLockedError: another process goes on writing.
            InterruptedIngestion: Ctrl-C; adding again goes on from there.
        """
        import time

        from sharedllm_docs.ingest import Ingestion, read_source
        from sharedllm_docs.readers import ReadOptions

        begun = time.perf_counter()
        report = progress or _ignore
        document = read_source(source, name=name, options=options or ReadOptions(), metadata=metadata, report=report)
        read_seconds = time.perf_counter() - begun
        present = None if force else self._present(document)
        if present is not None:
            stages = {"read": read_seconds}
            return AddedDocument(self._info(present), False, 0, len(present.chunks), read_seconds, 0.0, stages)
        ingestion = Ingestion(self.llm, document, report)
        with self._store.writer(timeout=timeout, max_bytes=max_bytes) as writer:
            self._store.check_room(ingestion.missing_bytes(writer), max_bytes=max_bytes)
            done = ingestion.run(writer)
        seconds = time.perf_counter() - begun
        pairs = zip(ingestion.chunks, ingestion.reused, strict=True)
        encoded = sum(len(chunk) for chunk, reused in pairs if not reused)
        return AddedDocument(
            self._info(done.record),
            True,
            done.chunks_encoded,
            done.chunks_reused,
            seconds,
            encoded / seconds,
            {"read": read_seconds, **done.stage_seconds},
        )

    def _present(self, document: Any) -> DocumentRecord | None:
        """The record of this very document, if the index holds it intact."""
        from sharedllm_docs.store.keys import document_key

        key = document_key(
            self._store.fingerprint.digest(),
            source_sha256=document.source_sha256,
            reader=document.reader,
            reader_version=document.reader_version,
            reader_options=document.reader_options,
        )
        if not self._store.has_document(key):
            return None
        record = self._store.get(key)
        return record if record.name == document.name else None

    def estimate(self, source: Source, *, options: ReadOptions | None = None) -> SizeEstimate:
        """Bytes that a document will take, before anything is encoded."""
        from sharedllm_docs.ingest import Ingestion, read_source
        from sharedllm_docs.readers import ReadOptions

        document = read_source(source, name=None, options=options or ReadOptions(), metadata=None, report=_ignore)
        return Ingestion(self.llm, document, _ignore).estimate()

    def documents(self) -> list[DocumentInfo]:
        """All documents, oldest first."""
        return [self._info(record) for record in self._store.documents()]

    def document(self, reference: str) -> DocumentInfo:
        """A document by name, key, or the beginning of its key.

        Raises:
            DocumentNotFoundError: none.
            StoreError: several; they are named.
        """
        return self._info(self._store.get(reference))

    def _info(self, record: DocumentRecord) -> DocumentInfo:
        document = self._store.document(record)
        return DocumentInfo(
            key=record.key,
            name=record.name,
            pages=record.pages,
            tokens=record.tokens,
            chunks=len(record.chunks),
            bytes=record.bytes,
            created=record.created,
            reader=record.reader,
            title=document.metadata.get("title", ""),
            issues=document.issues,
        )

    def remove(self, reference: str, *, timeout: float = LOCK_TIMEOUT) -> DocumentInfo:
        """Take a document out of the index; :meth:`prune` frees its rows."""
        info = self.document(reference)
        self._store.remove(info.key, timeout=timeout)
        self._prepared.pop(info.key, None)
        return info

    def prune(self, *, timeout: float = LOCK_TIMEOUT) -> int:
        """Delete what no document needs; returns the bytes freed."""
        return self._store.prune(timeout=timeout).bytes

    def size(self) -> int:
        """Bytes of the whole index."""
        return self._store.total_bytes()

    def verify(self, reference: str | None = None, *, progress: Report | None = None) -> VerifyReport:
        """Check every byte of the index or of one document; names every damaged file and raises for none."""
        from sharedllm_docs.ingest import Progress

        def tell(done: int, total: int, _path: str) -> None:
            (progress or _ignore)(Progress("verify", done, total, "bytes"))

        return self._store.verify(reference, progress=tell)

    def repair(self, reference: str | None = None, *, progress: Report | None = None) -> int:
        """Encode damaged chunks again, of one document or of all; returns how many.

        Raises:
            DamagedIndexError: a manifest, text or vectors file is damaged, which encoding cannot mend; names it.
        """
        from sharedllm_docs.ingest import repair

        records = self._store.documents() if reference is None else [self._store.get(reference)]
        mended = 0
        for record in records:
            damaged = self._store.damaged_chunks(record)
            if damaged:
                with self._store.writer(timeout=LOCK_TIMEOUT) as writer:
                    mended += repair(self.llm, self._prepare(record), damaged, writer, progress or _ignore)
        return mended

    # -- questions --------------------------------------------------------------------------------------------------

    def ask(
        self,
        question: str,
        *,
        documents: Sequence[str] | None = None,
        settings: QuestionSettings | None = None,
        generation: GenerationSettings | None = None,
    ) -> Answer:
        """Answer a question from the stored rows.

        Args:
            question: in words.
            documents: names or keys to search; None searches all.
            settings: budget, selector, evidence, floor, citations.
            generation: length, sampling, stop strings, seed.

        Raises:
            EmptyQuestionError, QuestionTooLongError: of the question.
            DocumentNotFoundError: a document is not in the index, or it is empty.
            FingerprintMismatchError, DamagedIndexError: of the index; nothing is answered from it.
        """
        return self.ask_many([question], documents=documents, settings=settings, generation=generation)[0]

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
    ) -> AnswerStream:
        """Answer piece by piece: iterate for text, then take ``.answer``; see :meth:`ask`."""
        engine, searcher = self._ready([question], documents)
        return engine.stream(question, searcher, settings or QuestionSettings(), generation or GenerationSettings())

    async def aask(self, question: str, **options: Any) -> Answer:
        """:meth:`ask` in a thread, so that the event loop goes on."""
        from asyncio import to_thread

        return await to_thread(self.ask, question, **options)

    async def aask_many(self, questions: Sequence[str], **options: Any) -> list[Answer]:
        """:meth:`ask_many` in a thread."""
        from asyncio import to_thread

        return await to_thread(self.ask_many, questions, **options)

    async def aadd(self, source: Source, **options: Any) -> AddedDocument:
        """:meth:`add` in a thread."""
        from asyncio import to_thread

        return await to_thread(self.add, source, **options)

    def astream(self, question: str, **options: Any) -> Any:
        """:meth:`stream` for ``async for``; ``.answer`` is there afterwards."""
        from sharedllm_docs.asynchronous import AsyncAnswerStream

        return AsyncAnswerStream(lambda: self.stream(question, **options))

    def tree(
        self, reference: str, question: str | None = None, *, settings: QuestionSettings | None = None
    ) -> TreeView:
        """A document's trees, and with a question which branches are taken; loads no model without one."""
        record = self._store.get(reference)
        selection = self.select(question, documents=[record.key], settings=settings) if question is not None else None
        return tree_view(self._info(record), self._prepare(record), question, selection)

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

    # -- inner ------------------------------------------------------------------------------------------------------

    def _ready(self, questions: Sequence[str], references: Sequence[str] | None) -> tuple[Engine, Searcher]:
        from sharedllm_docs.engine import Engine

        for question in questions:
            _check_question(question)
        records = self._records(references)
        return Engine(self.llm, _StoredRows(self._store, self.llm, records)), self._searcher(records)

    def _records(self, references: Sequence[str] | None) -> list[DocumentRecord]:
        if references is None:
            records = self._store.documents()
        else:
            records = list({r.key: r for r in map(self._store.get, references)}.values())
        if not records:
            raise DocumentNotFoundError(f"The index at {self.url} holds no document.", remedy="Add one first.")
        return records

    def _searcher(self, records: Sequence[DocumentRecord]) -> Searcher:
        from sharedllm_docs.question import Searcher

        key = tuple(record.key for record in records)
        if key not in self._searchers:
            self._searchers.clear()  # one choice of documents at a time is kept
            self._searchers[key] = Searcher([self._prepare(record) for record in records], self.llm.profile)
        return self._searchers[key]

    def _prepare(self, record: DocumentRecord) -> PreparedDocument:
        from sharedllm_docs.chunks import Chunk
        from sharedllm_docs.prepared import PreparedDocument

        if record.key not in self._prepared:
            chunks = tuple(Chunk(i, chunk.start, chunk.end) for i, chunk in enumerate(record.chunks))
            self._prepared[record.key] = PreparedDocument(
                record.key,
                self._store.document(record),
                self._store.tokens(record),
                chunks,
                Profile.from_dict(self._store.settings["profile"]),
                self._store.vectors(record),
            )
        return self._prepared[record.key]


def _check_question(question: str) -> None:
    if not question.strip():
        raise EmptyQuestionError(f"The question {question!r} is empty.", remedy="Ask something.")
    try:
        question.encode("utf-8")
    except UnicodeEncodeError as error:
        raise QuestionError(
            f"The question {question!r} holds {question[error.start]!r} at {error.start}, which is no character.",
            remedy="Give it as valid UTF-8.",
        ) from error


class _StoredRows:
    """Rows of a selection out of the store (:class:`~sharedllm_docs.engine.RowSource`)."""

    def __init__(self, store: IndexStore, llm: SharedLLM, records: Sequence[DocumentRecord]) -> None:
        self._store, self._llm = store, llm
        self._records = {record.key: record for record in records}

    def rows(self, selection: Selection) -> tuple[torch.Tensor, torch.Tensor, int]:
        parts = []
        for document, chunk, rows in selection.row_numbers():
            record = self._records[selection.documents[document].key]
            parts.append((record.chunks[chunk], rows))
        gathered = self._store.gather(parts, self._llm.upper.dtype, device=self._llm.device)
        return gathered.keys, gathered.values, gathered.bytes_read


def _ignore(_progress: Progress) -> None:
    """Nobody listens."""


def _remote_cache(url: Url) -> Any:
    """A cache for blocks of a remote index; None for a local one."""
    from sharedllm_docs.cache import cache_dir

    if "://" not in str(url) or str(url).startswith(("file://", "memory://")):
        return None
    from sharedllm_docs.store.bytecache import ByteCache

    return ByteCache(cache_dir() / "rows")
