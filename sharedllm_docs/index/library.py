"""Documents of a store: chosen for a question, prepared for it, and kept in memory for the next one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.document import PLACING_READERS
from sharedllm_docs.errors import BoxesMissingError, DocumentNotFoundError
from sharedllm_docs.index.recorded import check_leaves, recorded
from sharedllm_docs.index.segments import Segments, is_large
from sharedllm_docs.index.views import DocumentInfo
from sharedllm_docs.retrieval.query import Where, fits
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.catalog import damaged
from sharedllm_docs.store.records import DocumentRecord
from sharedllm_docs.store.segment_files import REBUILD

if TYPE_CHECKING:
    from sharedllm_docs.retrieval.candidates import Embed
    from sharedllm_docs.retrieval.prepared import PreparedDocument
    from sharedllm_docs.retrieval.searcher import Searcher
    from sharedllm_docs.retrieval.segments import SegmentedIndex

T = TypeVar("T")
READY = 256
"""Number of documents that are kept in memory, of an index with very many."""
SEARCHERS = 8
"""Number of sets of documents whose searcher is kept: several users may ask about different sets in turn."""


class Library:
    """What questions share: prepared documents, and the searchers over the documents of the last questions.

    Args:
        store: the store of the index.
        embed: makes vectors of passages, for documents that have none yet.
    """

    def __init__(self, store: IndexStore, embed: Embed | None = None) -> None:
        self._store, self._embed = store, embed
        self._prepared: dict[str, PreparedDocument] = {}
        self._searchers: OrderedDict[tuple[int, ...], Searcher] = OrderedDict()
        self._indexes: OrderedDict[tuple[str, ...], SegmentedIndex] = OrderedDict()
        self._segments = Segments(store, self._complete)

    def records(self, references: Sequence[str] | None, where: Where | None = None) -> list[DocumentRecord]:
        """The documents to search. Reads manifests and nothing else.

        Args:
            references: names or keys, each document once; None for all documents.
            where: metadata that a document must have as well; see ``retrieval.query.Where``.

        Raises:
            DocumentNotFoundError: a document is not in the index, none fits ``where``, or the index is empty.
            ConfigError: ``where`` is of the wrong type.
        """
        records = self._store.documents() if references is None else self._store.get_all(references)
        if not records:
            raise DocumentNotFoundError(
                f"The index at {self._store.url} contains no documents.", remedy="Add one first."
            )
        return records if where is None else self._fitting(records, where)

    def _fitting(self, records: Sequence[DocumentRecord], where: Where) -> list[DocumentRecord]:
        found = [record for record in records if fits(record.metadata, where)]
        if found:
            return found
        keys = sorted({key for record in records for key in record.metadata})
        asked = "the given function" if callable(where) else f"where={dict(where)!r}"
        which = "The document does not fit" if len(records) == 1 else f"None of the {len(records)} documents fits"
        raise DocumentNotFoundError(
            f"{which} {asked} (metadata keys there: {', '.join(keys) or 'none'}).",
            remedy="Correct the filter, or add documents with such metadata (metadata={...}).",
        )

    def searcher(self, records: Sequence[DocumentRecord], profile: Profile) -> Searcher:
        """The searcher over these documents; kept for the next question about the same ones, as are a few others."""
        from sharedllm_docs.retrieval.searcher import Searcher

        if is_large(records):
            return self._large(records, profile)
        self._store.prefetch([record for record in records if record.key not in self._prepared])
        prepared = [self.prepared(record) for record in records]
        same = tuple(map(id, prepared))
        found = self._searchers.pop(same, None)  # it keeps its documents alive, so no other objects have their ids
        if found is None:
            partly = any(len(document.missing) for document in prepared)
            found = Searcher(prepared, profile, embed=self._embed if partly else None)
        self._keep(self._searchers, same, found)
        return found

    @staticmethod
    def _keep(kept: OrderedDict[Any, T], same: Any, found: T) -> None:
        kept[same] = found
        while len(kept) > SEARCHERS:
            kept.popitem(last=False)

    def _large(self, records: Sequence[DocumentRecord], profile: Profile) -> Searcher:
        """The searcher over very many documents, which prepares only those that a question needs."""
        from sharedllm_docs.retrieval.large import LargeSearcher
        from sharedllm_docs.retrieval.segments import SegmentedIndex

        names = tuple(record.leaves_digest for record in records)
        index = self._indexes.pop(names, None)
        if index is None:
            parts, sizes = self._segments.covering(records), [0] * len(records)
            for segment, owners in parts:
                for place, size in zip(owners.tolist(), np.diff(segment.first).tolist(), strict=True):
                    if place >= 0:
                        sizes[place] = size
            index = SegmentedIndex(parts, sizes)
        self._keep(self._indexes, names, index)

        def prepare(place: int) -> PreparedDocument:
            found = self.prepared(records[place])
            self._few(records[place].key)
            leaves = int(index.first[place + 1] - index.first[place])
            if len(found.leaves) != leaves:
                raise damaged("search", f"it has {leaves} leaves of {found.document.name}", remedy=REBUILD)
            return found

        return LargeSearcher(len(records), index, prepare, profile, self._embed)

    def _few(self, key: str) -> None:
        """Keep the documents that were used last; the others are prepared again when they are needed."""
        last = self._prepared.pop(key, None)
        if last is not None:
            self._prepared[key] = last
        for oldest in list(self._prepared)[:-READY]:  # other threads may be doing the same
            self._prepared.pop(oldest, None)

    def prepared(self, record: DocumentRecord) -> PreparedDocument:
        """A document with its leaves, trees and vectors, from memory unless its name or metadata changed since."""
        known = self._prepared.get(record.key)
        if known is not None and (known.document.metadata, known.document.name) == (record.metadata, record.name):
            digest = record.files["vectors"].sha256
            if digest == known.vectors_digest or not len(known.missing):
                known.vectors_digest = digest  # what was added since is not needed here
                return known
        made = self._made(record)
        self._prepared[record.key] = made
        return made

    def _made(self, record: DocumentRecord) -> PreparedDocument:
        from sharedllm_docs.documents.chunks import Chunk
        from sharedllm_docs.retrieval.prepared import EMBEDDINGS, PreparedDocument

        profile, vectors = recorded(self._store).profile, self._store.vectors(record)
        tokens = self._store.tokens(record)
        if any(chunk.end - chunk.start > profile.chunk_tokens for chunk in record.chunks):
            raise damaged(record.path, f"it has a chunk of more than {profile.chunk_tokens} tokens")
        made = PreparedDocument(
            record.key,
            self._store.document(record),
            tokens,
            tuple(Chunk(i, chunk.start, chunk.end) for i, chunk in enumerate(record.chunks)),
            profile,
            vectors,
            lambda: self._store.places(record),
        )
        made.vectors_digest = record.files["vectors"].sha256
        rows = [tree.layout.num_rows for tree in made.trees]
        check_leaves(record, made.first_leaf[-1], rows, vectors, EMBEDDINGS)
        return made

    def _complete(self, record: DocumentRecord) -> PreparedDocument:
        """A document with the vectors of all its leaves, for a search index that is kept."""
        made = self._made(record)
        if self._embed is not None:
            made.embed_missing(self._embed)
        return made

    def by_key(self, key: str) -> PreparedDocument:
        """A document by its whole key, from memory if it is already prepared (it may have been removed meanwhile)."""
        return self._prepared.get(key) or self.prepared(self._store.get(key))

    def forget(self, key: str) -> None:
        """Drop a document that was removed."""
        self._prepared.pop(key, None)
        self._searchers.clear()

    def info(self, record: DocumentRecord) -> DocumentInfo:
        """A document as lists show it."""
        return DocumentInfo(
            key=record.key,
            name=record.name,
            pages=record.pages,
            tokens=record.tokens,
            chunks=len(record.chunks),
            bytes=record.bytes,
            created=record.created,
            reader=record.reader,
            title=record.metadata.get("title", ""),
            issues=record.issues,
            metadata=dict(record.metadata),
            unread_chunks=len(record.unread),
            boxes="boxes" in record.files,
            source="kept" if record.source_bytes else "path" if record.source_path else "",
        )


def boxes_missing(record: DocumentRecord) -> BoxesMissingError:
    """The error for a document without boxes."""
    if record.reader in PLACING_READERS:
        return BoxesMissingError(
            f"It is not known where the text of {record.name} stands on its pages: an earlier version read it.",
            remedy="Add the same file again: nothing is encoded again.",
        )
    return BoxesMissingError(
        f"The text of {record.name} has no places on pages: its format is {record.reader!r}.",
        remedy="Only the formats " + ", ".join(sorted(PLACING_READERS)) + " have them.",
    )
