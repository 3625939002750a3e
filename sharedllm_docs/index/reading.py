"""Reads chunks that are not read yet: those that a question needs immediately, the others in the background or on
request.

A chunk's rows depend only on its tokens, so it makes no difference when or by which process it is encoded.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import (
    DamagedIndexError,
    DocumentNotFoundError,
    IndexLockedError,
    InterruptedIngestion,
    SharedLLMError,
    StoreError,
    UnstoredRowsWarning,
)
from sharedllm_docs.index.library import Library
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, NODE_VECTORS, are_made
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.catalog import damaged
from sharedllm_docs.store.records import ChunkRecord, DocumentRecord

if TYPE_CHECKING:
    import torch

    from sharedllm_docs.index.ingest import Progress, Report
    from sharedllm_docs.model.shared_llm import SharedLLM
    from sharedllm_docs.retrieval.prepared import PreparedDocument, Tree
    from sharedllm_docs.retrieval.searcher import Selection
    from sharedllm_docs.store.reader import GatheredRows

Encode = Literal["all", "background", "when-asked"]
"""When the chunks of a new document are encoded: before it can be asked, in the background, or when a question needs
them."""
Embed = Literal["all", "when-asked"]
"""When the vectors of a new document's passages are made: before it can be asked, or as questions need them."""

QUESTION_PATIENCE = 0.5
"""Seconds that a question waits for another writer before it leaves its rows in memory."""
NOTES = 64
"""How often a document's manifest is written while the document is read; more often if more than ``WAITING`` chunks
would wait in memory."""
WAITING = 16
"""Number of chunks that wait in memory to be stored, while no other process writes."""


@dataclass
class _Unfinished:
    """A document that is being read.

    Attributes:
        record: of the document, as the reading began.
        report: called with progress.
        todo: numbers of the chunks that are neither encoded nor found.
        unnoted: keys of chunks that are encoded or found, but not yet recorded in the manifest.
        embedding: makes the vectors of its leaves, batch by batch, where they are missing; None once all are made.
        embeddings: those vectors [leaves, E], until they are stored; None where none are missing.
        steps: of embedding, that are still to be reported.
    """

    record: DocumentRecord
    report: Report | None
    todo: set[int] = field(default_factory=set)
    unnoted: set[str] = field(default_factory=set)
    embedding: Iterator[tuple[list[int], NDArray[np.float32]]] | None = None
    embeddings: NDArray[np.float32] | None = None
    steps: list[Progress] = field(default_factory=list)

    def tell(self) -> None:
        """Report the number of tokens whose rows exist."""
        if self.report is None:
            return
        from sharedllm_docs.index.ingest import Progress

        left = sum(self.record.chunks[n].end - self.record.chunks[n].start for n in self.todo)
        self.report(Progress("encode", self.record.tokens - left, self.record.tokens, "tokens"))

    @property
    def wants_note(self) -> bool:
        """Whether enough was encoded since the manifest was last written."""
        return len(self.unnoted) >= min(max(1, len(self.record.chunks) // NOTES), WAITING) or not self.todo


def next_chunk(todo: Collection[int], asked: Sequence[int]) -> int:
    """The chunk to read next: one that a question needed, or its neighbour, latest first; otherwise the first unread
    one.

    Args:
        todo: numbers of the chunks to be read, at least one.
        asked: numbers of the chunks that questions selected, the latest last.
    """
    near = (number + step for number in reversed(asked) for step in (0, 1, -1))
    return next((number for number in near if number in todo), min(todo))


class Reading:
    """Reads the rest of documents of one open index. Safe to use from several threads.

    Args:
        store: the store of the index.
        library: provides the documents' tokens.
        llm: returns the model; called only when something must be encoded.
    """

    def __init__(self, store: IndexStore, library: Library, llm: Callable[[], SharedLLM]) -> None:
        self._store, self._library, self._llm = store, library, llm
        self._asked: dict[str, list[int]] = {}
        self._node_vectors: dict[str, NDArray[np.float32]] = {}
        self._unnoted: dict[str, set[str]] = {}
        self._warned = False
        self._state = threading.Lock()
        self._queue: dict[str, Report | None] = {}
        self._thread: threading.Thread | None = None
        self._running = False
        self._stop = threading.Event()
        self._failure: BaseException | None = None

    # -- for a question ---------------------------------------------------------------------------------------------

    def settle(self, record: DocumentRecord, numbers: Iterable[int]) -> tuple[dict[int, ChunkRecord], int]:
        """Encode those of these chunks that are not read yet, and store them if the index can be written to.

        Returns:
            The records of the chunks, whose rows can be read now, by number; and how many were encoded now.
        """
        wanted = list(dict.fromkeys(numbers))
        self._store.trim_held()
        with self._state:
            before = self._asked.pop(record.key, [])  # moved to the end: the latest document
            self._asked[record.key] = [number for number in before if number not in wanted] + wanted
        unread = [number for number in wanted if record.chunks[number].unread]
        settled = {number: record.chunks[number] for number in wanted}
        if not unread:
            return settled, 0
        encoded = 0
        try:
            for batch in _batches(unread, self._llm().encoding_batch):
                _CHECK.get()()
                with self._llm().lock:
                    encoded += self._encode(record, batch)
        except BaseException:
            if encoded:  # nobody waits for the rest any more; what was encoded is stored
                held = [record.chunks[number] for number in unread]
                self._keep_if_possible(record, {one.key for one in held if self._store.settled(one) is not None})
            raise
        settled |= {number: found for number in unread if (found := self._store.settled(record.chunks[number]))}
        noted = self._keep_if_possible(record, {record.chunks[number].key for number in unread})
        if noted is not None:  # another process may have written other bits of the same chunk meanwhile
            settled |= {number: noted.chunks[number] for number in unread if not noted.chunks[number].unread}
        return settled, encoded

    def _encode(self, record: DocumentRecord, numbers: Sequence[int]) -> int:
        """Encode and hold the rows of those chunks that have none, under the model's lock. Returns their number."""
        todo = [number for number in numbers if self._store.settled(record.chunks[number]) is None]
        if not todo:
            return 0
        prepared = self._library.prepared(record)
        trees = [prepared.trees[number] for number in todo]
        ids = [self._ids(record, prepared, tree) for tree in trees]
        for number, tree, rows in zip(todo, trees, self._llm().encoder.encode(ids), strict=True):
            chunk = record.chunks[number]
            self._store.hold(chunk, rows.keys, rows.values, tree.layout.blocks, rows.ranks)
            self._node_vectors[chunk.key] = _float32(rows.node_vectors)
        return len(todo)

    def _ids(self, record: DocumentRecord, prepared: PreparedDocument, tree: Tree) -> list[int]:
        """The token ids of a chunk, checked to be in the model's vocabulary. Raises DamagedIndexError."""
        ids: list[int] = prepared.tokens.ids[tree.chunk.start : tree.chunk.end].tolist()
        known = len(self._llm().tokenizer)
        if max(ids) >= known:
            raise damaged(record.file_path("tokens"), f"it holds the token {max(ids)}, the model knows {known}")
        return ids

    def _keep_if_possible(self, record: DocumentRecord, keys: set[str]) -> DocumentRecord | None:
        """Store held rows for a question; if that is not possible, the question is answered all the same."""
        with self._state:
            keys = self._unnoted.setdefault(record.key, set()) | keys
            self._unnoted[record.key] = keys
        try:
            noted = self._store.keep(record.key, keys, timeout=QUESTION_PATIENCE)
        except IndexLockedError:
            return None  # tried again with the next rows of this document
        except (DocumentNotFoundError, DamagedIndexError):
            return None  # the question itself reports what is wrong
        except StoreError as error:
            self._warn(record, error)
            return None
        with self._state:
            self._unnoted[record.key] -= keys
        return noted

    def warn_again(self) -> None:
        """Warn again about rows that cannot be stored."""
        self._warned = False

    def _warn(self, record: DocumentRecord, error: StoreError) -> None:
        if not self._warned:
            self._warned = True
            warnings.warn(
                UnstoredRowsWarning(
                    f"{record.name}: what was read for the question stays in memory, since it cannot be stored "
                    f"({error.message.rstrip('.')}). The next process reads it again."
                ),
                stacklevel=2,
            )

    # -- on request -------------------------------------------------------------------------------------------------

    def read(self, keys: Sequence[str], report: Report | None, *, timeout: float, max_bytes: int | None = None) -> int:
        """Read the rest of these documents; returns the number of chunks encoded.

        Raises:
            InterruptedIngestion: Ctrl-C; what was encoded is kept.
            IndexLockedError, DiskBudgetError, DiskFullError: what was stored before stays.
        """
        encoded = 0
        for key in keys:
            work = self._begin(self._store.get(key), report)
            try:
                while work.embedding is not None:
                    self._embed(work, lambda: self._llm().lock)
                self._note_embeddings(work, timeout=timeout)
                while work.todo or work.unnoted:
                    encoded += self._step(work, lambda: self._llm().lock)
                    if work.wants_note:
                        self._note(work, timeout=timeout, max_bytes=max_bytes)
                self._finish(work, timeout=timeout)
            except KeyboardInterrupt as interrupt:
                done, chunks = self._save(work), len(work.record.chunks)
                raise InterruptedIngestion(
                    f"Interrupted: {done:,} of {chunks:,} chunks of {work.record.name} are read.",
                    remedy="Add the same file again, or run `sharedllm-docs read`, to go on from there.",
                ) from interrupt
        return encoded

    def _begin(self, record: DocumentRecord, report: Report | None) -> _Unfinished:
        """Find chunks that are already stored although the manifest does not say so: a process may have died."""
        found = {number for number in record.unread if self._store.settled(record.chunks[number]) is not None}
        work = _Unfinished(record, report, set(record.unread) - found)
        work.unnoted = {record.chunks[number].key for number in found}
        stored = self._store.vectors(record)[EMBEDDINGS]
        if not are_made(stored):
            from sharedllm_docs.index.ingest import leaf_vectors

            prepared, embed = self._library.prepared(record), self._llm().embedder.encode
            work.embeddings = np.empty_like(stored)
            work.embedding = leaf_vectors(prepared, embed, work.steps.append)
        else:
            work.tell()
        return work

    def _embed(self, work: _Unfinished, lock: Callable[[], AbstractContextManager[Any]]) -> None:
        """Make the vectors of the next leaves of a document."""
        with lock() as held:
            if held is False or work.embedding is None or work.embeddings is None:
                return
            made = next(work.embedding, None)
            if made is None:
                work.embedding = None
            else:
                numbers, vectors = made
                work.embeddings[numbers] = vectors
        steps, work.steps[:] = list(work.steps), []
        if work.report is not None:
            for step in steps:  # without the lock: whoever is told may wait for a question's answer
                work.report(step)
        if work.embedding is None:
            work.tell()

    def _note_embeddings(self, work: _Unfinished, *, timeout: float) -> None:
        """Store the vectors of all leaves of a document, once they are made."""
        if work.embedding is None and work.embeddings is not None:
            stored = self._store.vectors(self._store.get(work.record.key))
            self._store.keep(work.record.key, vectors={**stored, EMBEDDINGS: work.embeddings}, timeout=timeout)
            work.embeddings = None

    def _step(self, work: _Unfinished, lock: Callable[[], AbstractContextManager[Any]]) -> int:
        """Encode the next chunk of a document, or as many as the model takes at once; returns their number."""
        if not work.todo:
            return 0
        with self._state:
            asked = tuple(self._asked.get(work.record.key, ()))
        numbers: list[int] = []
        while work.todo - set(numbers) and len(numbers) < self._llm().encoding_batch:
            numbers.append(next_chunk(work.todo - set(numbers), asked))
        with lock() as held:
            if held is False:
                return 0
            encoded = self._encode(work.record, numbers)
        self._store.trim_held()
        work.todo -= set(numbers)
        work.unnoted |= {work.record.chunks[number].key for number in numbers}
        work.tell()
        return encoded

    def _note(self, work: _Unfinished, *, timeout: float, max_bytes: int | None = None) -> None:
        """Write the held shards, and the manifest."""
        if work.unnoted:
            noted = self._store.keep(work.record.key, work.unnoted, timeout=timeout, max_bytes=max_bytes)
            # shards that had to wait too long are no longer in memory
            work.todo |= {number for number in noted.unread if work.record.chunks[number].key in work.unnoted}
            work.unnoted.clear()

    def _finish(self, work: _Unfinished, *, timeout: float) -> None:
        """Store the vectors that branch selection by hidden states needs, once all chunks of a document are read."""
        self._note_embeddings(work, timeout=timeout)
        record = self._store.get(work.record.key)
        stored = self._store.vectors(record)
        if record.unread or NODE_VECTORS in stored:
            return
        vectors = {EMBEDDINGS: stored[EMBEDDINGS], NODE_VECTORS: self.node_vectors(record)}
        self._store.keep(record.key, vectors=vectors, timeout=timeout)
        for chunk in record.chunks:
            self._node_vectors.pop(chunk.key, None)

    def node_vectors(self, record: DocumentRecord) -> NDArray[np.float32]:
        """The vectors [nodes, H] of all chunks of a document; missing ones are computed with the model's first
        layer."""
        prepared = self._library.prepared(record)
        made = []
        for chunk, tree in zip(record.chunks, prepared.trees, strict=True):
            known = self._node_vectors.get(chunk.key)
            if known is None:
                ids = self._ids(record, prepared, tree)
                with self._llm().lock:
                    known = _float32(self._llm().encoder.node_vectors(ids))
            made.append(known)
        return np.concatenate(made)

    def _save(self, work: _Unfinished) -> int:
        """Store the held shards before stopping; returns the number of chunks that are read."""
        with suppress(SharedLLMError):  # what is lost is encoded again when reading continues
            self._note_embeddings(work, timeout=QUESTION_PATIENCE)
            self._note(work, timeout=QUESTION_PATIENCE)
        return len(work.record.chunks) - len(work.todo)

    # -- in the background ------------------------------------------------------------------------------------------

    def start(self, keys: Sequence[str], report: Report | None) -> None:
        """Read these documents in a thread, after those that it is reading already."""
        if not keys:
            return
        self._llm()  # loaded here; otherwise a question at the same moment would load it a second time
        with self._state:
            self._queue |= dict.fromkeys(keys, report)
            if not self._running:
                self._running, self._failure = True, None
                self._stop.clear()
                # not a daemon: when the interpreter ends, the current chunk is finished first
                self._thread = threading.Thread(target=self._work, name="sharedllm-docs-reading")
                self._thread.start()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until nothing is read in the background; False if that takes longer than ``timeout`` seconds.

        Raises:
            the error that ended the reading, once.
        """
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                return False
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return True

    def stop(self) -> None:
        """End the reading in the background after the current chunk; what was encoded is stored."""
        self._stop.set()
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _stopped(self) -> bool:
        return self._stop.is_set() or not threading.main_thread().is_alive()

    def _work(self) -> None:
        works: dict[str, _Unfinished] = {}
        try:
            while not self._stopped() and self._begin_queued(works):
                if not works:
                    continue
                work = works[self._next_document(works)]
                if work.embedding is not None:
                    self._embed(work, lambda: self._llm().lock.background(self._stopped))
                    continue
                if len(work.unnoted) <= WAITING:  # otherwise another process is writing: it is waited for
                    self._step(work, lambda: self._llm().lock.background(self._stopped))
                if work.wants_note:
                    self._note_if_free(work)
                if not work.todo and not work.unnoted and self._finished(work):
                    del works[work.record.key]
        except BaseException as error:  # raised by ``wait``
            self._failure = error
        finally:
            try:
                for work in works.values():
                    self._save(work)
            finally:  # whatever happens, a later document is read again
                with self._state:
                    self._queue.clear()
                    self._running = False

    def _begin_queued(self, works: dict[str, _Unfinished]) -> bool:
        """Begin documents that were queued since; False if there is nothing left to do."""
        with self._state:
            queued, self._queue = self._queue, {}
            self._running = bool(queued or works)
        for key, report in queued.items():
            try:
                works[key] = self._begin(self._store.get(key), report)
            except DocumentNotFoundError:
                continue  # removed meanwhile
            except DamagedIndexError as error:
                self._failure = error  # raised by ``wait``; the other documents are read all the same
        return self._running

    def _next_document(self, works: dict[str, _Unfinished]) -> str:
        """The document that a question was last asked about, otherwise the one that was queued first."""
        with self._state:
            asked = [key for key in self._asked if key in works]
        return asked[-1] if asked else next(iter(works))

    def _note_if_free(self, work: _Unfinished) -> None:
        """``_note``; if another writer has the index, it is tried again after the next chunk."""
        try:
            self._note_embeddings(work, timeout=QUESTION_PATIENCE)
            self._note(work, timeout=QUESTION_PATIENCE)
        except IndexLockedError:
            return
        except DocumentNotFoundError:  # removed meanwhile: there is nothing to be read any more
            work.todo.clear()
            work.unnoted.clear()

    def _finished(self, work: _Unfinished) -> bool:
        """``_finish``; False if another writer has the index, so that it is tried again."""
        try:
            self._finish(work, timeout=QUESTION_PATIENCE)
        except IndexLockedError:
            return False
        except DocumentNotFoundError:
            return True
        return True


class StoredRows:
    """Rows of a selection out of the store (``RowSource``); what is not read yet is read for it.

    Args:
        store: the store of the index.
        llm: the model.
        records: the documents that are searched.
        reading: encodes what is not read yet.
    """

    def __init__(self, store: IndexStore, llm: SharedLLM, records: Sequence[DocumentRecord], reading: Reading) -> None:
        self._store, self._llm, self._reading = store, llm, reading
        self._listed = {record.key: record for record in records}
        self._records = dict(self._listed)

    def encode(self, selection: Selection) -> int:
        """Encode the chunks of a selection that are not read yet; returns their number."""
        wanted: dict[str, list[int]] = {}
        for document, chunk in selection.chunks():
            wanted.setdefault(selection.documents[document].key, []).append(chunk)
        encoded = 0
        for key, numbers in wanted.items():
            record = self._records[key]
            settled, count = self._reading.settle(record, numbers)
            chunks = tuple(settled.get(number, chunk) for number, chunk in enumerate(record.chunks))
            self._records[key] = replace(record, chunks=chunks)
            encoded += count
        return encoded

    def rows(self, selection: Selection) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Unrotated keys and values [Ls, KV, R, D], and the bytes read."""
        wanted = [(selection.documents[d].key, chunk) for d, chunk in selection.chunks()]
        if any(self._records[key].chunks[chunk].unread for key, chunk in wanted):
            self.encode(selection)
        try:
            gathered = self._gather(selection)
        except DamagedIndexError:
            if not any(self._listed[key].chunks[chunk].unread for key, chunk in wanted):
                raise
            # what was held for this question made room for what another one holds
            self._records = dict(self._listed)
            self.encode(selection)
            gathered = self._gather(selection)
        return gathered.keys, gathered.values, gathered.bytes_read

    def _gather(self, selection: Selection) -> GatheredRows:
        if self._llm.profile.ranked:
            self._learn_ranks(selection)
        parts = [
            (self._records[selection.documents[d].key].chunks[chunk], rows)
            for d, chunk, rows in selection.row_numbers()
        ]
        return self._store.gather(parts, self._llm.upper.dtype, device=self._llm.device)

    def _learn_ranks(self, selection: Selection) -> None:
        """Tell the trees of a selection which rows their nodes keep, as their shards have it."""
        trees, records = [], []
        for document, chunk in selection.chunks():
            record = self._records[selection.documents[document].key].chunks[chunk]
            tree = selection.documents[document].trees[chunk]
            if tree.ranked_by != record.sha256:
                trees.append(tree)
                records.append(record)
        for tree, record, ranks in zip(trees, records, self._store.ranks(records), strict=True):
            tree.learn(ranks, record.sha256)

    def add_node_vectors(self, documents: Iterable[PreparedDocument]) -> None:
        """Give documents that are not wholly read the vectors that selection by hidden states needs."""
        for document in documents:
            if NODE_VECTORS not in document.vectors:
                made = self._reading.node_vectors(self._records[document.key])
                document.vectors = {**document.vectors, NODE_VECTORS: made}


_CHECK: ContextVar[Callable[[], None]] = ContextVar("check", default=lambda: None)


@contextmanager
def checked(check: Callable[[], None]) -> Iterator[None]:
    """Within the block, ``check`` is called before each step of encoding chunks for a question, which it may end.

    What it raises reaches whoever asked; what was encoded before is stored.
    """
    token = _CHECK.set(check)
    try:
        yield
    finally:
        _CHECK.reset(token)


def _batches(items: Sequence[int], size: int) -> list[Sequence[int]]:
    return [items[start : start + size] for start in range(0, len(items), size)]


def _float32(tensor: Any) -> NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy(), dtype=np.float32)
