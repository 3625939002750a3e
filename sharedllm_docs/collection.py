"""The documents of an index: opening, adding, listing, checking. Asks nothing; listing and checking load no model."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import IndexNotFoundError
from sharedllm_docs.library import Library
from sharedllm_docs.store import IndexStore
from sharedllm_docs.views import AddedDocument, DocumentInfo

if TYPE_CHECKING:
    from typing_extensions import Self

    from sharedllm_docs.ingest import Progress, Report, Source
    from sharedllm_docs.model import SharedLLM
    from sharedllm_docs.readers import ReadOptions
    from sharedllm_docs.store.estimate import SizeEstimate
    from sharedllm_docs.store.verify import VerifyReport

Url = str | os.PathLike[str]
LOCK_TIMEOUT = 60.0


class Collection:
    """The documents of an index folder (or fsspec URL), with the model that it was made with.

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
        self._library = Library(store)
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
    ) -> Self:
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
    ) -> Self:
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
    ) -> Self:
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
        replace: bool = False,
    ) -> AddedDocument:
        """Read, encode and store a document; returns at once when it is there already.

        Args:
            source: path, fsspec URL, bytes, open binary file, or a :class:`~sharedllm_docs.document.Document`.
            name: display name (default: the file's).
            options: of the reader (password, pages, engine, encoding).
            metadata: strings kept with the document; one that is there already keeps those it has.
            progress: told of every step.
            max_bytes: disk budget for this call instead of the index's.
            timeout: seconds to wait for another process that writes.
            force: read and commit again even if the document is there.
            replace: take other documents of the same name out, under the same lock, once this one is committed.

        Raises:
            DocumentError: the file cannot be read; says why.
            DiskBudgetError: it would exceed the budget; nothing is encoded.
            DiskFullError: the disk is full; what was there stays.
            IndexLockedError: another process goes on writing.
            InterruptedIngestion: Ctrl-C; adding again goes on from there.
        """
        from sharedllm_docs.additions import Addition
        from sharedllm_docs.document import Document
        from sharedllm_docs.ingest import read_source
        from sharedllm_docs.readers import ReadOptions
        from sharedllm_docs.readers.identify import identify

        begun = time.perf_counter()
        told, options = progress or _ignore, options or ReadOptions()
        addition = Addition(self._store, self._library, lambda: self.llm, timeout, max_bytes, force, replace)
        identity = None if isinstance(source, Document) else identify(source, name=name, options=options)
        known = addition.known(identity, options.max_pages, begun) if identity is not None else None
        if known is not None:
            return known
        document = read_source(source, name=name, options=options, metadata=metadata, report=told)
        return addition.run(document, told, begun)

    async def aadd(self, source: Source, **options: Any) -> AddedDocument:
        """:meth:`add` in a thread."""
        from asyncio import to_thread

        return await to_thread(self.add, source, **options)

    def estimate(self, source: Source, *, options: ReadOptions | None = None) -> SizeEstimate:
        """Bytes that a document will take, before anything is encoded."""
        from sharedllm_docs.ingest import Ingestion, read_source
        from sharedllm_docs.readers import ReadOptions

        document = read_source(source, name=None, options=options or ReadOptions(), metadata=None, report=_ignore)
        return Ingestion(self.llm, document, _ignore).estimate()

    def documents(self) -> list[DocumentInfo]:
        """All documents, oldest first."""
        return [self._library.info(record) for record in self._store.documents()]

    def document(self, reference: str) -> DocumentInfo:
        """A document by name, key, or the beginning of its key.

        Raises:
            DocumentNotFoundError: none.
            StoreError: several; they are named.
        """
        return self._library.info(self._store.get(reference))

    def remove(self, reference: str, *, timeout: float = LOCK_TIMEOUT) -> DocumentInfo:
        """Take a document out of the index; :meth:`prune` frees its rows."""
        info = self.document(reference)
        self._store.remove(info.key, timeout=timeout)
        self._library.forget(info.key)
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
                    mended += repair(self.llm, self._library.prepared(record), damaged, writer, progress or _ignore)
        return mended


def _ignore(_progress: Progress) -> None:
    """Nobody listens."""


def _remote_cache(url: Url) -> Any:
    """A cache for blocks of a remote index; None for a local one."""
    from sharedllm_docs.cache import cache_dir

    if "://" not in str(url) or str(url).startswith(("file://", "memory://")):
        return None
    from sharedllm_docs.store.bytecache import ByteCache

    return ByteCache(cache_dir() / "rows")
