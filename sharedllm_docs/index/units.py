"""The unit of work of an ingestion that many workers share: encode some chunks of a document; commit a document.

Encoding needs no lock and may be done by any worker, anywhere, any number of times: existing shards are found, and
nothing is written twice. Only committing takes the writer's lock, once per document, for as long as it takes to write
four files.
"""

from __future__ import annotations

import reprlib
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.documents.document import Document, check_metadata
from sharedllm_docs.documents.readers.identify import identify
from sharedllm_docs.documents.readers.options import ReadKeywords, ReadOptions, reading_options
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import ChunksMissingError, ConfigError
from sharedllm_docs.index.additions import Addition
from sharedllm_docs.index.contents import LOCK_TIMEOUT
from sharedllm_docs.index.index import Index
from sharedllm_docs.index.ingest import Ingestion, Progress, Report, Source, read_source
from sharedllm_docs.index.sources import NOT_KEPT, Kept, check_keeping, held_source, local_path
from sharedllm_docs.index.views import AddedDocument
from sharedllm_docs.store.records import ChunkRecord, DocumentRecord
from sharedllm_docs.store.writer import IndexWriter

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from sharedllm_docs.store.lockless import ShardWriter


@dataclass(frozen=True)
class EncodedChunks:
    """What a worker has done with a range of a document's chunks. Small, and may be sent to another process.

    Attributes:
        source_sha256: digest of the file that was read.
        first: number of the first chunk, from 0.
        total: number of chunks of the whole document.
        tokens: number of tokens of the chunks encoded now.
        records: of the chunks, in order, as a manifest names them.
        encoded: number of chunks that the model encoded; the others existed already.
        replaced: number of them that replaced damaged shards.
    """

    source_sha256: str
    first: int
    total: int
    tokens: int
    records: tuple[ChunkRecord, ...]
    encoded: int
    replaced: int = 0

    @property
    def end(self) -> int:
        """One past the last chunk."""
        return self.first + len(self.records)


class Work:
    """A document that was read and cut into chunks for an index, to be encoded and committed.

    Args:
        index: that it is for.
        document: as read.
        kept: whether and how the file that it was read from is kept.
        report: called with progress.
    """

    def __init__(self, index: Index, document: Document, kept: Kept = NOT_KEPT, report: Report | None = None) -> None:
        self.index, self.document = index, document
        self._report = report or _ignore
        self._ingestion = _Commit(index.llm, document, self._report, kept, index._store.fingerprint)
        self._shards = index._store.shard_writer()

    @property
    def chunks(self) -> int:
        """Number of chunks of the document."""
        return len(self._ingestion.chunks)

    @property
    def tokens(self) -> int:
        """Number of its tokens."""
        return len(self._ingestion.tokens)

    def known(self) -> DocumentRecord | None:
        """The record of the document if the index contains it by now, completely read; its name may be different."""
        record = _addition(self.index).present(self.document)
        return None if record is None or record.unread else record

    def encode(self, chunks: tuple[int, int] | None = None) -> EncodedChunks:
        """See ``encode_chunks``."""
        first, end = self._range(chunks)
        done = _Encoding(self._ingestion, self._shards, self._report)
        wanted = self._ingestion.chunks[first:end]
        self._check_room(first, end)
        records, encoded, tokens = done.run(wanted)
        replaced = sum(record.key in self._shards.replaced for record in records)
        sha256 = self.document.source_sha256
        return EncodedChunks(sha256, first, self.chunks, tokens, records, encoded, replaced)

    def _check_room(self, first: int, end: int) -> None:
        """Raise DiskBudgetError, DiskFullError or QuotaError if what is missing would not fit."""
        _addition(self.index).admit(self.document)
        keys, sizes = self._ingestion.keys[first:end], self._ingestion.estimate().chunk_bytes[first:end]
        there = self._shards.present(keys)
        self.index._store.check_room(sum(size for key, size in zip(keys, sizes, strict=True) if key not in there))

    def _range(self, chunks: tuple[int, int] | None) -> tuple[int, int]:
        pair = (0, self.chunks) if chunks is None else chunks
        whole = isinstance(pair, (tuple, list)) and len(pair) == 2 and all(type(one) is int for one in pair)
        first, end = pair if whole else (0, 0)
        if not 0 <= first < end <= self.chunks:
            raise ConfigError(
                f"chunks={chunks!r} is not a range of the {self.chunks} chunks of {self.document.name}.",
                remedy=f"Give the first and one past the last, within 0 and {self.chunks}.",
            )
        return first, end

    def commit(self, encoded: Iterable[EncodedChunks] = (), **options: Any) -> AddedDocument:
        """See ``commit_document``; ``options``: ``metadata``, ``timeout``, ``max_bytes``, ``replace``."""
        begun = time.perf_counter()
        self._ingestion.take(encoded)
        # a document whose damaged shards were replaced is written again, because its manifest names the old shards
        return _addition(self.index, force=self._ingestion.mended, **options).commit(self._ingestion, begun)


class _Encoding:
    """Encodes missing chunks, in the same batches as a single process would for the whole document."""

    def __init__(self, ingestion: Ingestion, shards: ShardWriter, report: Report) -> None:
        self._ingestion, self._shards, self._report = ingestion, shards, report

    def run(self, chunks: Sequence[Chunk]) -> tuple[tuple[ChunkRecord, ...], int, int]:
        """The records of the chunks, the number of chunks encoded, and that of their tokens."""
        ingestion, records = self._ingestion, dict[int, ChunkRecord]()
        total, tokens, encoded = sum(map(len, chunks)), 0, 0
        size = ingestion.llm.encoding_batch
        for number in sorted({chunk.index // size for chunk in chunks}):
            batch = [chunk for chunk in chunks if chunk.index // size == number]
            found = {chunk.index: self._shards.find(chunk, ingestion.keys[chunk.index]) for chunk in batch}
            missing = [chunk for chunk in batch if found[chunk.index] is None]
            made = self._encode(missing)
            records |= {number: record for number, record in found.items() if record is not None} | made
            tokens, encoded = tokens + sum(map(len, missing)), encoded + len(missing)
            done = sum(len(chunk) for chunk in chunks if chunk.index in records)
            self._report(Progress("encode", done, total, "tokens"))
        return tuple(records[chunk.index] for chunk in chunks), encoded, tokens

    def _encode(self, batch: Sequence[Chunk]) -> dict[int, ChunkRecord]:
        if not batch:
            return {}
        ingestion, made = self._ingestion, {}
        for chunk, rows in zip(batch, ingestion.encode_batch(batch), strict=True):
            blocks = RowLayout(ContextTree(ingestion.llm.profile, len(chunk))).blocks
            key = ingestion.keys[chunk.index]
            made[chunk.index] = self._shards.put(chunk, key, rows.keys, rows.values, blocks, rows.ranks)
        return made


class _Commit(Ingestion):
    """Commits a document whose chunks workers have encoded; encodes nothing."""

    _vectors: NDArray[np.float32]
    _embeddings: NDArray[np.float32]
    mended = False
    """Whether a worker replaced a damaged shard."""

    def take(self, encoded: Iterable[EncodedChunks]) -> None:
        """Take the workers' results, in any order; missing ones are looked for in the store.

        Raises:
            ConfigError: one is of another document, or none of a worker's results.
        """
        if not isinstance(encoded, Iterable) or isinstance(encoded, EncodedChunks):
            raise _no_result(encoded)
        self._taken = dict[str, ChunkRecord]()
        for part in encoded:
            if not isinstance(part, EncodedChunks):
                raise _no_result(part)
            keys = self.keys[part.first : part.end]
            if part.source_sha256 != self.document.source_sha256 or [r.key for r in part.records] != keys:
                raise ConfigError(
                    f"The encoded chunks {part.first} to {part.end - 1} are not those of {self.document.name}.",
                    remedy="Encode and commit the same source with the same settings.",
                )
            self._taken |= {record.key: record for record in part.records}
            self.mended = self.mended or bool(part.replaced)

    def prepare(self) -> None:
        """The vectors of nodes and leaves: before the lock is taken, so that others need not wait."""
        self._vectors = np.concatenate([self._node_vectors(chunk) for chunk in self.chunks])
        self._embeddings = super()._embed()

    def _embed(self) -> NDArray[np.float32]:
        return self._embeddings

    def _store_chunks(self, writer: IndexWriter, records: dict[int, ChunkRecord]) -> NDArray[np.float32]:
        """Fill ``records``; every shard must exist now that the lock is held, so that none can be deleted any more."""
        writer.take_chunks(list(self._taken.values()), mend=self.mended)
        for chunk, key in zip(self.chunks, self.keys, strict=True):
            found = writer.find_chunk(chunk, key)
            if found is not None:
                records[chunk.index] = found
                self.reused[chunk.index] = True
        missing = tuple(chunk.index for chunk in self.chunks if chunk.index not in records)
        if missing:
            raise ChunksMissingError(
                f"{len(missing)} of the {len(self.chunks)} chunks of {self.document.name} are not encoded "
                f"(the first is number {missing[0]}).",
                chunks=missing,
                remedy="Encode them with encode_chunks, then commit again.",
            )
        return self._vectors


def _no_result(given: object) -> ConfigError:
    return ConfigError(
        f"encoded: {reprlib.repr(given)} is not a list of what encode_chunks returned.",
        remedy="Give a list of its results, or leave it out.",
    )


@contextmanager
def opened_work(
    source: Source,
    index: Index,
    *,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    keep_source: bool | None = None,
    progress: Report | None = None,
    options: ReadOptions | None = None,
    **reading: Unpack[ReadKeywords],
) -> Iterator[Work]:
    """Read a document once, to encode and commit it within the block; arguments as for ``encode_chunks``."""
    chosen = reading_options(options, reading)
    with _held(source, name, metadata, keep_source, chosen) as (held, shown, kept):
        yield _read(index, held, shown, metadata, kept, chosen, progress)


@contextmanager
def known_or_work(
    source: Source,
    index: Index,
    *,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    keep_source: bool | None = None,
    options: ReadOptions | None = None,
) -> Iterator[DocumentRecord | Work]:
    """The record of an existing, completely read document, found without reading the file; else as ``opened_work``.

    Raises:
        DocumentError, ConfigError: as ``encode_chunks``.
    """
    chosen = options or ReadOptions()
    with _held(source, name, metadata, keep_source, chosen) as (held, shown, kept):
        known = _addition(index).present(held) if isinstance(held, Document) else _known(held, shown, index, chosen)
        if known is not None and not known.unread:
            yield known
        else:
            yield _read(index, held, shown, metadata, kept, chosen, None)


@contextmanager
def _held(
    source: Source,
    name: str | None,
    metadata: Mapping[str, str] | None,
    keep_source: bool | None,
    options: ReadOptions,
) -> Iterator[tuple[Any, str | None, Kept]]:
    check_metadata(metadata or {})
    check_keeping(source, keep_source)
    if options.attachments:
        raise ConfigError("attachments=True is not for workers.", remedy="Add the attached files by themselves.")
    local = local_path(source)
    with held_source(source, name, options.max_bytes) as (held, shown):
        yield held, shown, Kept(held, keep_source, local)


def _known(held: Any, shown: str | None, index: Index, options: ReadOptions) -> DocumentRecord | None:
    identity = identify(held, name=shown, options=options)
    return None if identity is None else _addition(index).present(identity)


def _read(
    index: Index,
    held: Any,
    shown: str | None,
    metadata: Mapping[str, str] | None,
    kept: Kept,
    options: ReadOptions,
    report: Report | None,
) -> Work:
    document = read_source(held, name=shown, options=options, metadata=metadata, report=report or _ignore)
    return Work(index, document, kept, report)


def encode_chunks(
    source: Source,
    index: Index,
    chunks: tuple[int, int] | None = None,
    *,
    name: str | None = None,
    progress: Report | None = None,
    options: ReadOptions | None = None,
    **reading: Unpack[ReadKeywords],
) -> EncodedChunks:
    """Encode chunks of a document, and write those that are not there yet. Takes no lock.

    What is written, and under which names, depends only on the source, the settings of the index and the model. So it
    can be run again, by several workers at once, on any machines, and a second run writes nothing. The document becomes
    part of the index by ``commit_document``.

    Args:
        source: as for ``Index.add``; a ``Document`` that was read already is not read again.
        index: open, with the model.
        chunks: first and one past the last, from 0; None for all. ``count_chunks`` returns their number. On a GPU,
            chunks are
            encoded in batches of 8: the bytes are those of a single process if ranges begin at multiples of 8.
        name: display name (default: the file's).
        progress: called after each batch.
        options: how the file is read, as a whole ``ReadOptions``.
        reading: single fields of ``ReadOptions``.

    Returns:
        What was done, to be given to ``commit_document``.

    Raises:
        ConfigError: an invalid range.
        DocumentError: the file cannot be read; says why.
        DiskBudgetError: what is missing would exceed the index's disk budget; nothing is encoded.
        DiskFullError, StoreError: it cannot be written; what was written before stays and is found again.
    """
    with opened_work(source, index, name=name, progress=progress, options=options, **reading) as work:
        return work.encode(chunks)


def count_chunks(
    source: Source, index: Index, *, options: ReadOptions | None = None, **reading: Unpack[ReadKeywords]
) -> int:
    """The number of chunks of a document, to be divided among workers; arguments and errors as ``encode_chunks``."""
    with opened_work(source, index, options=options, **reading) as work:
        return work.chunks


def commit_document(
    source: Source,
    index: Index,
    encoded: Iterable[EncodedChunks] = (),
    *,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    keep_source: bool | None = None,
    replace: bool | None = None,
    timeout: float = LOCK_TIMEOUT,
    max_bytes: int | None = None,
    progress: Report | None = None,
    options: ReadOptions | None = None,
    **reading: Unpack[ReadKeywords],
) -> AddedDocument:
    """Make a document part of the index whose chunks are encoded; takes the writer's lock while it writes.

    The manifest, and the files beside it, are those that ``Index.add`` would have written. Committing a document that
    is there already writes nothing.

    Args:
        source: as given to ``encode_chunks``.
        index: open, with the model.
        encoded: what the workers returned, in any order. Chunks that are not among them are looked for in the store and
            checked whole, so it may be left out.
        name: display name (default: the file's).
        metadata: strings kept with the document.
        keep_source: whether the file is kept in the index; see ``Index.add``.
        replace: whether older versions of the same name are removed; see ``Index.add``.
        timeout: seconds to wait for another process that commits.
        max_bytes: disk budget for this call instead of the index's.
        progress: called with each step.
        options: as given to ``encode_chunks``.
        reading: single fields of ``ReadOptions``.

    Raises:
        ChunksMissingError: some are not encoded, or were pruned since; names them.
        ConfigError: ``encoded`` is of another source.
        DocumentError, DiskBudgetError, DiskFullError, IndexLockedError, StoreError: as for ``Index.add``.
    """
    read: dict[str, Any] = {"name": name, "metadata": metadata, "keep_source": keep_source, "progress": progress}
    with opened_work(source, index, options=options, **read, **reading) as work:
        named = name is not None or not isinstance(source, (bytes, Document))
        replaces = named if replace is None else replace
        given = {**(source.metadata if isinstance(source, Document) else {}), **(metadata or {})}
        return work.commit(encoded, metadata=given, timeout=timeout, max_bytes=max_bytes, replace=replaces)


def _addition(
    index: Index,
    *,
    metadata: Mapping[str, str] | None = None,
    timeout: float = LOCK_TIMEOUT,
    max_bytes: int | None = None,
    replace: bool = True,
    force: bool = False,
) -> Addition:
    return Addition(
        index._store,
        index._library,
        lambda: index.llm,
        dict(metadata or {}),
        timeout,
        max_bytes,
        force=force,
        replace=replace,
        encode="all",
        reading=index._reading,
    )


def _ignore(_progress: Progress) -> None:
    """Ignore a report."""
