"""The search index of a store, kept up to date: missing parts are built when they are first searched, small ones
merged."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from sharedllm_docs.errors import DamagedIndexError
from sharedllm_docs.index.caches import search_folder
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.records import DocumentRecord

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sharedllm_docs.retrieval.prepared import PreparedDocument
    from sharedllm_docs.retrieval.segments import Leaves, Segment

MANY_DOCUMENTS = 64
KEPT_TOKENS = 500_000
"""From this many documents and tokens on, the search index is kept on disk, and documents are loaded when they are
needed. Below, both are built in every process, in a fraction of a second."""
BUILT_TOKENS = 2_000_000
"""Number of tokens of the documents that are in memory together while the search index is built."""
MOST_SEGMENTS = 8
"""Maximum number of segments; if there are more, small ones are merged, because a question searches each of them."""


def is_large(records: Sequence[DocumentRecord]) -> bool:
    """Whether these are so many documents that their search index is kept on disk."""
    return len(records) > MANY_DOCUMENTS and sum(record.tokens for record in records) >= KEPT_TOKENS


class Segments:
    """The segments of one store.

    Args:
        store: the store of the index.
        prepare: loads a document, without keeping it.
    """

    def __init__(self, store: IndexStore, prepare: Callable[[DocumentRecord], PreparedDocument]) -> None:
        self._files = store.segment_files(search_folder(store.url, store.fingerprint.salt))
        self._prepare = prepare
        self._open: dict[str, Segment] = {}
        self._unkept: list[Segment] = []
        """Segments that cannot be written."""
        self._words: dict[str, int] = {}
        self._lock = threading.Lock()

    def covering(self, records: Sequence[DocumentRecord]) -> list[tuple[Segment, NDArray[np.int32]]]:
        """Segments that together contain these documents, each with the places of its documents among them.

        The place is -1 for a document that is not among them, or is in an earlier segment.
        """
        names = [record.leaves_digest for record in records]
        with self._lock:
            if self._missing(names):
                self._open_new()
            missing = self._missing(names)
            if missing:
                self._build([record for record, name in zip(records, names, strict=True) if name in missing])
            if len(self._open) > MOST_SEGMENTS:
                self._merge(set(names))
            return _owned(self._all(), names)

    def _all(self) -> list[Segment]:
        return [*self._open.values(), *self._unkept]

    def _missing(self, names: Sequence[str]) -> set[str]:
        return set(names).difference(*(segment.documents for segment in self._all()))

    def _open_new(self) -> None:
        """Open segments by other processes; damaged ones are rebuilt like missing ones."""

        present = self._files.names()
        for name in set(self._open) - set(present):
            del self._open[name]  # merged by another process
        for name in present:
            if name not in self._open:
                self._map(name)

    def _build(self, records: Sequence[DocumentRecord]) -> None:
        from sharedllm_docs.retrieval.segments import build

        for batch in _batches(records):
            self._keep(build([_leaves(record, self._prepare(record)) for record in batch], self._words))

    def _keep(self, segment: Segment) -> None:
        """Write a segment and use it from its file, without keeping it in memory; if that is not possible, keep it."""
        name = self._files.save(segment.documents, segment.to_arrays())
        if name is None or not self._map(name):
            self._unkept.append(segment)

    def _merge(self, wanted: set[str]) -> None:
        """Merge small segments: in each step those that are together larger than the next larger one."""
        from sharedllm_docs.retrieval.segments import merged

        by_size = sorted(self._open.items(), key=lambda one: len(one[1].vectors))
        small, leaves = [by_size[0]], len(by_size[0][1].vectors)
        for name, segment in by_size[1:]:
            if len(by_size) - len(small) < MOST_SEGMENTS // 2 and len(segment.vectors) > 2 * leaves:
                break
            small.append((name, segment))
            leaves += len(segment.vectors)
        seen: set[str] = set()
        parts = []
        for _name, segment in small:
            kept = [name in wanted and name not in seen for name in segment.documents]
            seen.update(segment.documents)
            parts.append((segment, kept))
        kept_name = ""
        if any(any(kept) for _segment, kept in parts):
            documents, arrays = merged(parts)
            found = self._files.save(documents, arrays)
            if found is None or not self._map(found):  # it cannot be written: the small ones are used
                return
            kept_name = found
        for name, _segment in small:
            if name != kept_name:
                del self._open[name]
                self._files.remove(name)

    def _map(self, name: str) -> bool:
        """Use a segment from its file; False if it cannot be read: deleted meanwhile, or a faulty disk."""
        from sharedllm_docs.retrieval.segments import Segment

        try:
            self._open[name] = Segment.from_arrays(*self._files.load(name))
        except (FileNotFoundError, DamagedIndexError, ValueError):
            return False
        return True


def _owned(segments: Sequence[Segment], names: Sequence[str]) -> list[tuple[Segment, NDArray[np.int32]]]:
    import numpy as np

    places = {name: place for place, name in enumerate(names)}
    found = []
    for segment in sorted(segments, key=lambda one: -len(one.vectors)):
        owners = np.array([places.pop(name, -1) for name in segment.documents], dtype=np.int32)
        if (owners >= 0).any():
            found.append((segment, owners))
    return found


def _batches(records: Sequence[DocumentRecord]) -> list[list[DocumentRecord]]:
    """Documents in order, in batches of about ``BUILT_TOKENS``."""
    found: list[list[DocumentRecord]] = []
    tokens = BUILT_TOKENS
    for record in records:
        if tokens >= BUILT_TOKENS:
            found.append([])
            tokens = 0
        found[-1].append(record)
        tokens += record.tokens
    return found


def _leaves(record: DocumentRecord, prepared: PreparedDocument) -> Leaves:
    from sharedllm_docs.retrieval.prepared import EMBEDDINGS
    from sharedllm_docs.retrieval.segments import Leaves

    titles = [leaf.title for leaf in prepared.leaves]
    return Leaves(record.leaves_digest, prepared.leaf_texts, titles, prepared.vectors[EMBEDDINGS])
