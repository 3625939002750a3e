"""The index: opening it, adding documents, asking questions, listing and checking what is stored.

Joins store, model, ingestion and engine. Listing and checking load neither torch nor a model.
"""

from __future__ import annotations

import dataclasses
import os
import threading
import time
from asyncio import to_thread
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, get_args

from sharedllm_docs.config import ModelOptions, Profile, check_options
from sharedllm_docs.documents.readers.options import Process, ReadKeywords, ReadOptions, reading_options
from sharedllm_docs.errors import ConfigError, DamagedIndexError, FingerprintMismatchError, IndexNotFoundError
from sharedllm_docs.index.caches import cache_for
from sharedllm_docs.index.library import Library, boxes_missing
from sharedllm_docs.index.reading import Encode, Reading, StoredRows
from sharedllm_docs.index.recorded import recorded
from sharedllm_docs.index.views import AddedDocument, AddedFiles, DocumentInfo, TreeView, tree_view
from sharedllm_docs.model.messages import Message, check_messages, transcript
from sharedllm_docs.retrieval.query import AskOptions, Query, SummaryOptions, Where
from sharedllm_docs.store import IndexStore
from sharedllm_docs.streams import AsyncStream, Stream

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from sharedllm_docs.documents.box import Box
    from sharedllm_docs.documents.document import Document
    from sharedllm_docs.documents.page_image import PageImage
    from sharedllm_docs.documents.readers import ReadOptions
    from sharedllm_docs.index.engine import Engine
    from sharedllm_docs.index.ingest import Progress, Report, Source
    from sharedllm_docs.model.shared_llm import SharedLLM
    from sharedllm_docs.retrieval.answer import Answer, Citation
    from sharedllm_docs.retrieval.passages import Passage
    from sharedllm_docs.retrieval.searcher import Searcher, Selection
    from sharedllm_docs.store.estimate import SizeEstimate
    from sharedllm_docs.store.verify import VerifyReport

Url = str | os.PathLike[str]
LOCK_TIMEOUT = 60.0


class AddOptions(ReadKeywords, total=False):
    """Keywords of ``Index.add``."""

    name: str | None
    options: ReadOptions | None
    metadata: Mapping[str, str] | None
    progress: Report | None
    max_bytes: int | None
    timeout: float
    force: bool
    replace: bool | None
    encode: Encode
    keep_source: bool | None


class Index:
    """An index folder (or fsspec URL) of documents, with the model that it was made with.

    Use ``open``, ``create`` or ``open_or_create``. Questions may be asked from several threads, and by several
    processes while one of them writes.

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
        self._loading = threading.RLock()
        self._library = Library(store)
        self.url = store.url
        self._llm = self._bind(llm) if llm is not None else None
        self._reading = Reading(store, self._library, lambda: self.llm)

    # -- opening ----------------------------------------------------------------------------------------------------

    @classmethod
    def open(
        cls,
        url: Url,
        llm: SharedLLM | None = None,
        *,
        report: Callable[[str], None] | None = None,
        storage_options: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        salt: str | bytes | None = None,
        **model_options: Unpack[ModelOptions],
    ) -> Self:
        """Open an existing index.

        Args:
            url: folder or fsspec URL.
            llm: the model; None loads the one recorded in the index when it is first needed.
            report: called with a sentence before each slow step.
            storage_options: of a remote file system.
            tenant: name of the tenant whose index it is; ``url`` is then the place that tenants share.
            salt: the tenant's secret; None takes ``SHAREDLLM_DOCS_SALT``.
            model_options: arguments of ``SharedLLM.from_pretrained`` that replace the recorded ones.

        Raises:
            IndexNotFoundError: there is no index, or no such tenant.
            TenantError: it belongs to a tenant, and the salt is another.
            ConfigError: an unknown option, or an ``llm`` that is a name instead of a loaded model.
            FingerprintMismatchError: the model or settings are not those it was made with; names each. Without ``llm``
                it is raised when the model is first needed.
            DamagedIndexError: its ``index.json`` is damaged.
        """
        _check_model(llm, model_options)
        store = IndexStore.open(url, storage_options=storage_options, cache=cache_for(url), tenant=tenant, salt=salt)
        return cls(store, llm, options=model_options, report=report)

    @classmethod
    def create(
        cls,
        url: Url,
        llm: SharedLLM,
        *,
        max_bytes: int | None = None,
        storage_options: Mapping[str, Any] | None = None,
        tenant: str | None = None,
        salt: str | bytes | None = None,
        max_documents: int | None = None,
    ) -> Self:
        """Make a new, empty index for a model.

        Args:
            url: folder or fsspec URL.
            llm: the model that it will be bound to.
            max_bytes: disk budget of the whole index.
            storage_options: of a remote file system.
            tenant: name of the tenant that it is for; its index lies below ``url``, and shares nothing with others.
            salt: the tenant's secret, 16 bytes or more, from which the names of what is stored follow; None takes
                ``SHAREDLLM_DOCS_SALT``.
            max_documents: number of documents that it may hold.

        Raises:
            StoreError: there is an index already.
            ConfigError: a bound, tenant or salt that cannot be used.
        """
        _check_model(llm, {})
        settings = {"model": llm.name, "source": llm.source, "profile": llm.profile.to_dict()}
        store = IndexStore.create(
            url,
            llm.fingerprint,
            settings,
            max_bytes=max_bytes,
            storage_options=storage_options,
            cache=cache_for(url),
            tenant=tenant,
            salt=salt,
            max_documents=max_documents,
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
        tenant: str | None = None,
        salt: str | bytes | None = None,
        max_documents: int | None = None,
        **model_options: Unpack[ModelOptions],
    ) -> Self:
        """``open`` where there is an index, else ``create`` (with the model loaded as asked)."""
        _check_model(llm, model_options)
        shared: dict[str, Any] = {"storage_options": storage_options, "tenant": tenant, "salt": salt}
        if IndexStore.exists(url, storage_options=storage_options, tenant=tenant):
            return cls.open(url, llm, report=report, **shared, **model_options)
        if llm is None:
            from sharedllm_docs.model.shared_llm import SharedLLM

            llm = SharedLLM.from_pretrained(report=report, **model_options)
        return cls.create(url, llm, max_bytes=max_bytes, max_documents=max_documents, **shared)

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
        with self._loading:  # two questions at once would load it twice
            if self._llm is None:
                from sharedllm_docs.model.shared_llm import SharedLLM

                self._llm = self._bind(SharedLLM.from_pretrained(report=self._report, **self._model_options()))
            return self._llm

    def adopt(self, llm: SharedLLM) -> bool:
        """Use a model that is in memory already, if this index was made with it and has loaded none yet.

        Returns:
            Whether it is used: False where another one is recorded, asked for or loaded.
        """
        with self._loading:
            if self._llm is None and not self._options and llm.source == self._store.settings["source"]:
                with suppress(FingerprintMismatchError):
                    self._llm = self._bind(llm)
                    return True
        return False

    def is_current(self) -> bool:
        """Whether opening it again would give the same: the index is still there, and no file of the model changed.

        For processes that keep an index open for long. Documents that come and go need no new opening.
        """
        return self._store.is_current() and (self._llm is None or self._llm.files_unchanged())

    def reopened(self) -> Self:
        """The index that is at this place now; it has the model in memory, where that is still the right one.

        Raises:
            IndexNotFoundError, ...: as ``open``.
        """
        found = type(self).open(self.url, report=self._report, **self._store.reopening, **self._options)
        if self._llm is not None and self._llm.files_unchanged():
            found.adopt(self._llm)
        return found

    def _model_options(self) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` that the index was made with, replaced by those it was opened with."""
        made = recorded(self._store)
        options: dict[str, Any] = {"profile": made.profile, **made.source}
        if not made.source and not self._options:
            raise IndexNotFoundError(
                f"The index was made with a model in memory ({made.model}), which cannot be loaded by name.",
                remedy="Give the model: Index.open(url, llm).",
            )
        if made.source and options.get("name_or_path") is None:
            # earlier versions did not record the name of their default model among the arguments
            options["name_or_path"] = made.model
        options |= {name: value for name, value in self._options.items() if value is not None}
        recorded_profile = isinstance(options["profile"], Profile)  # otherwise the name of one was asked for
        if (
            options.get("adapter") in (None, "none")
            and self._store.fingerprint.profile == "prefix"
            and recorded_profile
        ):
            options["profile"] = dataclasses.replace(options["profile"], name="prefix")
        return options

    def _bind(self, llm: SharedLLM) -> SharedLLM:
        """The model in the form that this index was made with."""
        stored = self._store.fingerprint.salted(None)  # a model knows no tenants
        llm = llm.matching(stored)
        stored.check(llm.fingerprint)
        return llm

    def warn_again(self) -> None:
        """Warn of rows that cannot be stored with the next question, though one was warned of them before.

        For processes that answer to several people in turn.
        """
        self._reading.warn_again()

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
        replace: bool | None = None,
        encode: Encode = "all",
        keep_source: bool | None = None,
        **reading: Unpack[ReadKeywords],
    ) -> AddedDocument:
        """Read, encode and store a document; returns at once when it is there already and wholly read.

        Args:
            source: path, fsspec URL, bytes, open binary file, or a ``Document``.
            name: display name (default: the file's); content that is there already is given this name.
            options: how the file is read, as a whole ``ReadOptions``.
            metadata: strings kept with the document, beside those of the file. A document that is there already is
                given these values too, without being read or encoded again; keys not named keep theirs.
            progress: called with each step.
            max_bytes: disk budget for this call instead of the index's.
            timeout: seconds to wait for another process that writes.
            force: read and commit again even if the document is there.
            replace: take older versions of the same name out, under the same lock, once this one is committed; of the
                same bytes only those that were read in the same way. None does so for files, not for a ``Document`` or
                bytes without a name. False keeps both. True takes all others of the name out, and refuses content that
                is there under another name.
            encode: when its chunks are encoded. ``"all"``: before this returns. ``"background"``: in a thread, after
                this has returned; ``wait`` waits for it. ``"when-asked"``: when a question needs them, or by
                ``read``. The document can be asked in any case, with the same answers: what a question needs and is
                not there is encoded first. A document that is there already is read on in the same way.
            keep_source: whether the file is kept in the index, to draw pages of it (``page_image``). None keeps PDF
                files and no others. What is not kept is looked for where it was. A document that is there already
                without its source or its boxes is given them, and nothing is encoded anew.
            reading: single fields of ``ReadOptions``, as in ``pages="1-20"``; all but its ``max_bytes``, which is the
                disk budget here.

        Raises:
            ConfigError: an unknown option or ``encode``, a value out of its bounds, metadata that are not strings, or
                ``keep_source=True`` for a ``Document``, which has no file.
            DocumentError: the file cannot be read; says why.
            StoreError: ``replace=True``, and the same content is there under another name.
            DiskBudgetError: it would exceed the budget; nothing is encoded.
            DiskFullError: the disk is full; what was there stays.
            IndexLockedError: another process goes on writing.
            InterruptedIngestion: Ctrl-C; adding again goes on from there.
        """
        from sharedllm_docs.documents.document import Document, check_metadata
        from sharedllm_docs.documents.readers.identify import identify
        from sharedllm_docs.index.additions import Addition
        from sharedllm_docs.index.folders import with_attachments
        from sharedllm_docs.index.ingest import read_source
        from sharedllm_docs.index.sources import Kept, check_keeping, held_source, local_path

        begun = time.perf_counter()
        told, options = progress or _ignore, reading_options(options, reading)
        check_metadata(metadata or {})
        given = {**(source.metadata if isinstance(source, Document) else {}), **(metadata or {})}
        if encode not in get_args(Encode):
            raise ConfigError(f"encode={encode!r} is not one of {', '.join(get_args(Encode))}.")
        check_keeping(source, keep_source)
        is_document = isinstance(source, Document)
        replaces = (
            not is_document and (name is not None or not isinstance(source, bytes)) if replace is None else replace
        )
        addition = Addition(
            self._store,
            self._library,
            lambda: self.llm,
            given,
            timeout,
            max_bytes,
            force,
            replaces,
            encode,
            self._reading,
            replace is True,
        )
        local = local_path(source)
        # a stream or a URL is read more than once: for itself, to be kept, and for what it holds
        with held_source(source, name, options.max_bytes) as (source, name):
            identity = None if isinstance(source, Document) else identify(source, name=name, options=options)
            kept = Kept(source, keep_source, local)
            added = addition.known(identity, options.max_pages, begun, told, kept) if identity is not None else None
            if added is None:
                document = read_source(source, name=name, options=options, metadata=metadata, report=told)
                added = addition.run(document, told, begun, kept)
            if not options.attachments or isinstance(source, Document):
                return added
            return with_attachments(
                self,
                source,
                added,
                options,
                metadata=metadata,
                progress=told,
                timeout=timeout,
                force=force,
                encode=encode,
                keep_source=keep_source,
            )

    def add_all(
        self,
        sources: Sequence[str | os.PathLike[str]],
        *,
        recursive: bool = False,
        ignored: bool = False,
        each: Callable[[AddedDocument], None] | None = None,
        **options: Unpack[AddOptions],
    ) -> AddedFiles:
        """Add files, folders, patterns (``reports/**/*.pdf``) and zip archives; one bad file never stops the others.

        A file in a folder is named by its path from that folder on. What no reader takes is skipped and told.

        Args:
            sources: paths, patterns or URLs.
            recursive: whether to read folders inside folders.
            ignored: whether to read files that a ``.gitignore`` names as well.
            each: called with each document, as soon as it is there.
            options: those of ``add`` but ``name``.

        Returns:
            what was added, skipped and failed.

        Raises:
            ConfigError: a wrong option, or ``name``.
            StoreError, ModelError: the index or the model cannot be used; files added so far stay.
        """
        from sharedllm_docs.index.folders import add_all

        return add_all(self, sources, recursive=recursive, ignored=ignored, each=each, options=options)

    async def aadd(self, source: Source, **options: Unpack[AddOptions]) -> AddedDocument:
        """``add`` in a thread, so that the event loop goes on."""
        return await to_thread(lambda: self.add(source, **options))

    def read(
        self, reference: str | None = None, *, progress: Report | None = None, timeout: float = LOCK_TIMEOUT
    ) -> int:
        """Encode what is not read yet, of one document or of all; returns the number of chunks encoded.

        Questions asked from other threads meanwhile go first.

        Args:
            reference: name or key of the document; None reads on in all.
            progress: called after each chunk.
            timeout: seconds to wait for another process that writes.

        Raises:
            DocumentNotFoundError: no such document.
            DiskBudgetError, DiskFullError, IndexLockedError: what was stored before stays.
            InterruptedIngestion: Ctrl-C; reading goes on from there the next time.
        """
        records = self._store.documents() if reference is None else [self._store.get(reference)]
        return self._reading.read([record.key for record in records if record.unread], progress, timeout=timeout)

    def read_in_background(self, reference: str | None = None, *, progress: Report | None = None) -> None:
        """``read`` in a thread, which lets questions go first; ``wait`` waits for it.

        What was asked for and its neighbours are read first, then the rest from front to back. The thread ends with
        the process, after the chunk in hand.
        """
        records = self._store.documents() if reference is None else [self._store.get(reference)]
        self._reading.start([record.key for record in records if record.unread], progress)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is read in the background any more.

        Args:
            timeout: maximum number of seconds; None waits to the end.

        Returns:
            False if it is still reading.

        Raises:
            DiskBudgetError, DiskFullError, ...: the error that ended the reading. What was stored before stays.
        """
        return self._reading.wait(timeout)

    def close(self) -> None:
        """End reading in the background, after the chunk in hand, and forget open files. It can be used again."""
        self._reading.stop()
        self._store.close()

    def estimate(
        self,
        source: Source,
        *,
        options: ReadOptions | None = None,
        keep_source: bool | None = None,
        **reading: Unpack[ReadKeywords],
    ) -> SizeEstimate:
        """Bytes that a document will take, its source included if ``add`` would keep it, before anything is encoded."""
        from sharedllm_docs.index.ingest import Ingestion, read_source
        from sharedllm_docs.index.sources import Kept, check_keeping, held_source

        chosen = reading_options(options, reading)
        check_keeping(source, keep_source)
        with held_source(source, None, chosen.max_bytes) as (source, name):
            document = read_source(source, name=name, options=chosen, metadata=None, report=_ignore)
            return Ingestion(self.llm, document, _ignore, Kept(source, keep_source)).estimate()

    def documents(self) -> list[DocumentInfo]:
        """All documents, oldest first."""
        return [self._library.info(record) for record in self._store.documents()]

    def document(self, reference: str) -> DocumentInfo:
        """A document by name, key, or the beginning of its key.

        Raises:
            DocumentNotFoundError: no such document.
            StoreError: several; they are named.
        """
        return self._library.info(self._store.get(reference))

    def find_key(self, reference: str) -> str:
        """The whole key of a document, found as by ``document``; its manifest may be damaged."""
        return self._store.find_key(reference)

    def remove(self, reference: str, *, timeout: float = LOCK_TIMEOUT) -> DocumentInfo:
        """Take a document out of the index; ``prune`` frees its rows.

        A document whose manifest is damaged can be removed as well, by key or by the name if it can still be read.

        Returns:
            The document as it was. Of one with a damaged manifest only the key is sure, and perhaps the name; the
            counts are 0 and the texts empty.

        Raises:
            DocumentNotFoundError: no such document.
            StoreError: several; they are named.
            IndexLockedError: another process goes on writing.
        """
        key = self.find_key(reference)
        try:
            info = self.document(key)
        except DamagedIndexError:
            name = self._store.name_of(key)
            info = DocumentInfo(key, name, pages=0, tokens=0, chunks=0, bytes=0, created="", reader="")
        self._store.remove(key, timeout=timeout)
        self._library.forget(key)
        return info

    def prune(self, *, timeout: float = LOCK_TIMEOUT, grace: float | None = None) -> int:
        """Delete what no document needs; returns the bytes freed.

        Args:
            timeout: seconds to wait for another process that writes.
            grace: seconds for which what was written stays, since workers may be about to commit it. None: a day at a
                URL, none in a local folder.
        """
        return self._store.prune(timeout=timeout, grace=grace).bytes

    def size(self) -> int:
        """Bytes of the whole index."""
        return self._store.total_bytes()

    def verify(self, reference: str | None = None, *, progress: Report | None = None) -> VerifyReport:
        """Check every byte of the index or of one document; names every damaged file and raises for none."""
        from sharedllm_docs.index.ingest import Progress

        def tell(done: int, total: int, _path: str) -> None:
            (progress or _ignore)(Progress("verify", done, total, "bytes"))

        return self._store.verify(reference, progress=tell)

    def repair(self, reference: str | None = None, *, progress: Report | None = None) -> int:
        """Encode damaged chunks again, of one document or of all; returns their number.

        Raises:
            DamagedIndexError: a manifest, text or vectors file is damaged, which encoding cannot mend; names it.
        """
        from sharedllm_docs.index.ingest import repair

        records = self._store.documents() if reference is None else [self._store.get(reference)]
        mended = 0
        for record in records:
            damaged = self._store.damaged_chunks(record)
            if damaged:
                with self._store.writer(timeout=LOCK_TIMEOUT) as writer:
                    mended += repair(self.llm, self._library.prepared(record), damaged, writer, progress or _ignore)
        return mended

    # -- questions --------------------------------------------------------------------------------------------------

    def ask(self, question: str, *, conversation: Sequence[Message] = (), **options: Unpack[AskOptions]) -> Answer:
        """Answer a question from the stored rows.

        Args:
            question: in words.
            conversation: earlier turns; they stand as text before the question and take room in the window, while
                passages are chosen by the question alone. System messages count as instructions.
            options: any of

                - ``documents``: names or keys to search; None searches all;
                - ``where``: metadata that a document must have, ``{"year": "2024"}`` or ``{"year": ["2023", "2024"]}``,
                  or a function of the metadata;
                - ``style``: ``short`` (a phrase from the text, the default), ``sentence``, or ``full``: several
                  sentences from three times the rows, each marked with the number of its citation, as ``[1]``;
                - ``instructions``: what else the model is to heed, in words; system messages of ``conversation`` are
                  added to them;
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
            section: title of a section (a part of it is enough where only one has it); None for the whole document.
            about: what the summary should say, in words; None for the main points.
            options: as for ``ask``, without those that choose documents or rank passages. ``style`` is ``full`` unless
                given.

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
        """``ask`` in a thread, so that the event loop goes on."""
        return await to_thread(lambda: self.ask(question, conversation=conversation, **options))

    async def aask_many(self, questions: Sequence[str], **options: Unpack[AskOptions]) -> list[Answer]:
        """``ask_many`` in a thread."""
        return await to_thread(lambda: self.ask_many(questions, **options))

    def astream(
        self, question: str, *, conversation: Sequence[Message] = (), **options: Unpack[AskOptions]
    ) -> AsyncStream[Answer]:
        """``stream`` for ``async for``; ``.result`` is there afterwards."""
        return AsyncStream(lambda: self.stream(question, conversation=conversation, **options))

    def select(self, question: str, **options: Unpack[AskOptions]) -> Selection:
        """The nodes that ``ask`` would inject; options as there."""
        query = Query.of(question, options)
        return self.engine(query).select(query)

    def tree(self, reference: str, question: str | None = None, **options: Unpack[AskOptions]) -> TreeView:
        """A document's trees, and with a question which branches are taken; loads no model without one.

        Args:
            reference: name or key of the document.
            question: in words, or None.
            options: as for ``ask``. Without ``documents`` this document alone is searched; with them, what is shown
                is the part of a question to all of them that this document has.

        Raises:
            ConfigError: an unknown option, or ``documents`` without this one.
            EmptyQuestionError, DocumentNotFoundError: see ``ask``.
        """
        record = self._store.get(reference)
        selection = None
        if question is not None:
            searched: dict[str, Any] = {"documents": [record.key], **options}
            selection = self.select(question, **searched).of_document(record.key)
        prepared = self._library.prepared(record)
        return tree_view(self._library.info(record), prepared, question, selection, record.unread)

    def contents(self, reference: str) -> Document:
        """A document as its reader delivered it: pages with their text, sections, issues; loads no model.

        Raises:
            DocumentNotFoundError: no such document.
            DamagedIndexError: its text is damaged.
        """
        return self._library.prepared(self._store.get(reference)).document

    # -- pages ------------------------------------------------------------------------------------------------------

    def boxes(self, reference: str, start: int, end: int) -> tuple[Box, ...]:
        """Where characters of a document stand on its pages: rectangles in their order, one a line.

        A wide gap parts a line (cells of a table); words of which only some characters are asked for count whole.
        What is not printed there (the repeated heads of a table) has no rectangle.

        Args:
            reference: name or key of the document.
            start: first character, counted in the document's canonical text as ``Citation.char_start`` is.
            end: one past the last.

        Raises:
            ConfigError: the characters are not in the document.
            BoxesMissingError: the document's format has no places on pages, or an earlier version read it.
            DocumentNotFoundError, DamagedIndexError: there is no such document, or its boxes are damaged.
        """
        record = self._store.get(reference)
        prepared = self._library.prepared(record)
        length = len(prepared.document.text)
        if not 0 <= start <= end <= length:
            raise ConfigError(
                f"The characters [{start}, {end}) are not in {record.name}, which has {length:,}.",
                remedy="Give places as citations have them.",
            )
        if prepared.places is None:
            raise boxes_missing(record)
        return prepared.places.boxes(start, end)

    def page_image(
        self,
        reference: str,
        page: int,
        *,
        scale: float = 2.0,
        password: str | None = None,
        process: Process | None = None,
        page_seconds: float = 30.0,
        max_memory: int = 2 << 30,
    ) -> PageImage:
        """A page of a PDF as viewers show it, drawn from the source file; ``PageImage.pixels`` places boxes on it.

        It is drawn in a process of its own, as documents are read, which may crash, hang or grow without harm.

        Args:
            reference: name or key of the document.
            page: 1-based number of the page in the source, as ``Box.page`` has it.
            scale: pixels a point; 1 draws 72 pixels an inch.
            password: of an encrypted file.
            process: ``own`` to draw in this process, without the two limits below; see ``ReadOptions.process``.
            page_seconds: maximum processor time of the picture, in seconds. On the clock it is five times as much.
            max_memory: maximum memory of the process that draws, in bytes.

        Raises:
            SourceMissingError: the file is neither kept in the index nor found where it was.
            ConfigError: a picture of no pixel, or of more than 50 million, or a limit that is none.
            PageRangeError: there is no such page.
            DocumentError: the format's pages cannot be drawn, or others take too long just now
                (EncryptedDocumentError: without the password; DamagedDocumentError: the page is damaged, or makes
                PDFium crash; DocumentTooLargeError: it takes more time or memory than the limits allow).
            DocumentNotFoundError, DamagedIndexError: there is no such document, or the file kept is damaged.
        """
        from sharedllm_docs.index.sources import page_image

        options = ReadOptions(password=password, process=process, page_seconds=page_seconds, max_memory=max_memory)
        return page_image(self._store, self._store.get(reference), page, scale, options)

    def open_source(self, reference: str) -> BinaryIO:
        """The file that a document was read from, as an open binary file; the caller closes it.

        Its digest is checked first. ``DocumentInfo.source`` tells whether it is kept in the index.

        Raises:
            SourceMissingError: it is neither kept in the index nor found where it was.
            DocumentNotFoundError, DamagedIndexError: see ``page_image``.
        """
        from sharedllm_docs.index.sources import open_source_file

        return open_source_file(self._store, self._store.get(reference))

    # -- passages ---------------------------------------------------------------------------------------------------

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
        """What answers a query: for measurements that look at single steps; ``ask`` is the ordinary way."""
        from sharedllm_docs.index.engine import Engine

        records = self._library.records(query.documents, query.where)
        searcher = self._library.searcher(records, self.llm.profile)
        return Engine(self.llm, StoredRows(self._store, self.llm, records, self._reading), searcher)

    # -- inner ------------------------------------------------------------------------------------------------------

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
    if not said or not isinstance(own, str):  # anything else is refused by name where the query is made
        return dict(options)
    return {**options, "instructions": "\n".join(part for part in (own, *said) if part)}


def _ignore(_progress: Progress) -> None:
    """Take a report and do nothing."""


def _check_model(llm: Any, options: Mapping[str, Any]) -> None:
    """Raise ConfigError for unknown options of the model, and for a name where a loaded model is expected."""
    check_options(ModelOptions, options)
    if isinstance(llm, (str, os.PathLike)):
        raise ConfigError(f"llm={str(llm)!r} is a name, not a SharedLLM.", remedy=f"Give name_or_path={str(llm)!r}.")
