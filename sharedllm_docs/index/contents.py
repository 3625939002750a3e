"""The documents of an index: adding, reading the rest, listing, removing, checking and repairing.

Listing and checking load neither torch nor a model.
"""

from __future__ import annotations

import os
import time
from asyncio import to_thread
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, get_args

from sharedllm_docs.documents.readers.options import ReadKeywords, ReadOptions, reading_options
from sharedllm_docs.errors import ConfigError, DamagedIndexError
from sharedllm_docs.index.opening import OpenIndex
from sharedllm_docs.index.reading import Embed, Encode
from sharedllm_docs.index.views import AddedDocument, AddedFiles, DocumentInfo

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sharedllm_docs.index.ingest import Progress, Report, Source
    from sharedllm_docs.store.estimate import SizeEstimate
    from sharedllm_docs.store.verify import VerifyReport

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
    embed: Embed | None
    keep_source: bool | None


class Contents(OpenIndex):
    """One part of ``Index``: its documents."""

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
        embed: Embed | None = None,
        keep_source: bool | None = None,
        **reading: Unpack[ReadKeywords],
    ) -> AddedDocument:
        """Read, encode and store a document; returns at once if it exists already and is completely read.

        Args:
            source: path, fsspec URL, bytes, open binary file, or a ``Document``.
            name: display name (default: the file's). If the same content is there already, it is given this name.
            options: how the file is read, as a whole ``ReadOptions``.
            metadata: strings kept with the document, in addition to those of the file. If the document is there
                already, these values are set without reading or encoding it again; its other keys keep their values.
            progress: called with each step.
            max_bytes: disk budget for this call instead of the index's.
            timeout: seconds to wait for another process that writes.
            force: read and commit again even if the document is there.
            replace: remove older versions of the same name, under the same lock, once this one is committed; of the
                same bytes, only those that were read in the same way. None does so for files, but not for a
                ``Document`` or bytes without a name. False keeps both. True removes all others of the name, and refuses
                content that is there under another name.
            encode: when its chunks are encoded. ``"all"``: before this returns. ``"background"``: in a thread, after
                this has returned; ``wait`` waits for it. ``"when-asked"``: when a question needs them, or by
                ``read``. The document can be asked in any case, with the same answers: if a question needs chunks that
                are not encoded yet, these are encoded first. If the document is there already, its remaining chunks
                are treated in the same way.
            embed: when the vectors are made by which passages are searched. ``"all"``: before this returns.
                ``"when-asked"``: of a document with more than 128 passages, each question first has those 128 embedded
                that share most words with it, until the document is read on. None is ``"when-asked"`` with
                ``encode="background"``, else ``"all"``.
            keep_source: whether the file is kept in the index, so that its pages can be drawn (``page_image``). None
                keeps only PDF files. A file that is not kept is looked for where it was. If the document is there
                already without its source or its boxes, these are added; nothing is encoded again.
            reading: single fields of ``ReadOptions``, such as ``pages="1-20"``; all but its ``max_bytes``, which is the
                disk budget here.

        Raises:
            ConfigError: an unknown option, ``encode`` or ``embed``, a value out of its bounds, metadata that are not
                strings, or ``keep_source=True`` for a ``Document``, which has no file.
            DocumentError: the file cannot be read; says why.
            StoreError: ``replace=True``, and the same content is there under another name.
            DiskBudgetError: it would exceed the budget; nothing is encoded.
            DiskFullError: the disk is full; existing data stay.
            IndexLockedError: another process keeps writing.
            InterruptedIngestion: Ctrl-C; adding again continues from there.
        """
        from sharedllm_docs.documents.document import Document, check_metadata
        from sharedllm_docs.index.additions import Addition
        from sharedllm_docs.index.folders import with_attachments
        from sharedllm_docs.index.sources import Kept, check_keeping, held_source, local_path

        begun = time.perf_counter()
        told, options = progress or _ignore, reading_options(options, reading)
        check_metadata(metadata or {})
        if encode not in get_args(Encode):
            raise ConfigError(f"encode={encode!r} is not one of {', '.join(get_args(Encode))}.")
        if embed is not None and embed not in get_args(Embed):
            raise ConfigError(f"embed={embed!r} is not one of {', '.join(get_args(Embed))}.")
        check_keeping(source, keep_source)
        later = embed == "when-asked" or (embed is None and encode == "background")
        addition = Addition(
            self._store,
            self._library,
            lambda: self.llm,
            {**(source.metadata if isinstance(source, Document) else {}), **(metadata or {})},
            timeout,
            max_bytes,
            force,
            _is_file(source, name) if replace is None else replace,
            encode,
            self._reading,
            replace is True,
            embed=not later,
        )
        local = local_path(source)
        # a stream or a URL is read more than once: for itself, to be kept, and for what it holds
        with held_source(source, name, options.max_bytes) as (source, name):
            added = addition.read(source, name, options, metadata, told, begun, Kept(source, keep_source, local))
            if not options.attachments or isinstance(source, Document):
                return added
            same: dict[str, Any] = {"metadata": metadata, "progress": told, "timeout": timeout, "force": force}
            same |= {"encode": encode, "embed": embed, "keep_source": keep_source}
            return with_attachments(self, source, added, options, **same)

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

        A file in a folder is named by its path inside that folder. Files that no reader takes are skipped and listed.

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
        """``add`` in a thread, so that the event loop continues."""
        return await to_thread(lambda: self.add(source, **options))

    def read(
        self, reference: str | None = None, *, progress: Report | None = None, timeout: float = LOCK_TIMEOUT
    ) -> int:
        """Encode what is not read yet, of one document or of all; returns the number of chunks encoded.

        Questions that other threads ask meanwhile are answered first.

        Args:
            reference: name or key of the document; None for all documents.
            progress: called after each chunk.
            timeout: seconds to wait for another process that writes.

        Raises:
            DocumentNotFoundError: no such document.
            DiskBudgetError, DiskFullError, IndexLockedError: what was stored before stays.
            InterruptedIngestion: Ctrl-C; reading continues there the next time.
        """
        records = self._store.documents() if reference is None else [self._store.get(reference)]
        # one that was named is looked at more closely: questions may have read all chunks, and made no vectors
        keys = [record.key for record in records if record.unread or reference is not None]
        return self._reading.read(keys, progress, timeout=timeout)

    def read_in_background(self, reference: str | None = None, *, progress: Report | None = None) -> None:
        """``read`` in a thread, which lets questions go first; ``wait`` waits for it.

        Chunks that were asked for are read first, with their neighbours, then the rest from front to back. When the
        process ends, the thread stops after its current chunk.
        """
        records = self._store.documents() if reference is None else [self._store.get(reference)]
        self._reading.start([record.key for record in records if record.unread], progress)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until reading in the background has ended.

        Args:
            timeout: maximum number of seconds; None waits to the end.

        Returns:
            False if it is still reading.

        Raises:
            DiskBudgetError, DiskFullError, ...: the error that ended the reading. What was stored before stays.
        """
        return self._reading.wait(timeout)

    def close(self) -> None:
        """Stop reading in the background after the current chunk, and close files. The index can be used again."""
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
        """Bytes that a document would take, including its source if ``add`` would keep it; encodes nothing."""
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
        """Remove a document from the index; ``prune`` frees its rows.

        A document whose manifest is damaged can be removed too, by its key, or by its name if that can still be read.

        Returns:
            The document as it was. If its manifest is damaged, only the key is certain, and possibly the name; the
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
        """Delete data that no document needs; returns the bytes freed.

        Args:
            timeout: seconds to wait for another process that writes.
            grace: data written within so many seconds is kept, since workers may be about to commit it. None: a day at
                a URL, 0 in a local folder.
        """
        return self._store.prune(timeout=timeout, grace=grace).bytes

    def size(self) -> int:
        """Bytes of the whole index."""
        return self._store.total_bytes()

    def verify(self, reference: str | None = None, *, progress: Report | None = None) -> VerifyReport:
        """Check every byte of the index or of one document; reports every damaged file, and raises nothing for them."""
        from sharedllm_docs.index.ingest import Progress

        def tell(done: int, total: int, _path: str) -> None:
            (progress or _ignore)(Progress("verify", done, total, "bytes"))

        return self._store.verify(reference, progress=tell)

    def repair(self, reference: str | None = None, *, progress: Report | None = None) -> int:
        """Encode damaged chunks again, of one document or of all; returns their number.

        Raises:
            DamagedIndexError: a manifest, text or vectors file is damaged, which encoding cannot repair; names it.
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


def _is_file(source: Source, name: str | None) -> bool:
    """Whether a source is one file, of which an older version may exist; bytes without a name are not."""
    from sharedllm_docs.documents.document import Document

    return not isinstance(source, Document) and (name is not None or not isinstance(source, bytes))


def _ignore(_progress: Progress) -> None:
    """Ignore a report."""
