"""The documents of a store made ready for questions, and kept ready between them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sharedllm_docs.config import Profile
from sharedllm_docs.errors import DocumentNotFoundError
from sharedllm_docs.index.views import DocumentInfo
from sharedllm_docs.retrieval.query import Where, fits
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.records import DocumentRecord

if TYPE_CHECKING:
    import torch

    from sharedllm_docs.model.shared_llm import SharedLLM
    from sharedllm_docs.retrieval.prepared import PreparedDocument
    from sharedllm_docs.retrieval.searcher import Searcher, Selection


class Library:
    """What questions share: prepared documents, and the searcher of the last choice of them.

    Args:
        store: of the index.
    """

    def __init__(self, store: IndexStore) -> None:
        self._store = store
        self._prepared: dict[str, PreparedDocument] = {}
        self._searchers: dict[tuple[str, ...], Searcher] = {}

    def records(self, references: Sequence[str] | None, where: Where | None = None) -> list[DocumentRecord]:
        """Documents by name or key, each once, all of them for None; of these the ones whose metadata fit ``where``.

        Raises:
            DocumentNotFoundError: one is not in the index, none fits, or the index is empty.
        """
        if references is None:
            records = self._store.documents()
        else:
            records = list({r.key: r for r in map(self._store.get, references)}.values())
        if not records:
            raise DocumentNotFoundError(f"The index at {self._store.url} holds no document.", remedy="Add one first.")
        return records if where is None else self._fitting(records, where)

    def _fitting(self, records: Sequence[DocumentRecord], where: Where) -> list[DocumentRecord]:
        metadata = [self._store.document(record).metadata for record in records]
        found = [record for record, has in zip(records, metadata, strict=True) if fits(has, where)]
        if found:
            return found
        keys = sorted({key for has in metadata for key in has})
        asked = "the given function" if callable(where) else f"where={dict(where)!r}"
        raise DocumentNotFoundError(
            f"None of the {len(records)} documents fits {asked} (metadata keys there: {', '.join(keys) or 'none'}).",
            remedy="Correct the filter, or add documents with such metadata: index.add(..., metadata={...}).",
        )

    def searcher(self, records: Sequence[DocumentRecord], profile: Profile) -> Searcher:
        """Searches these documents; one choice of documents at a time is kept."""
        from sharedllm_docs.retrieval.searcher import Searcher

        key = tuple(record.key for record in records)
        found = self._searchers.get(key)
        if found is None:
            found = Searcher([self.prepared(record) for record in records], profile)
            self._searchers = {key: found}
        return found

    def prepared(self, record: DocumentRecord) -> PreparedDocument:
        """A document with its leaves, trees and vectors."""
        from sharedllm_docs.documents.chunks import Chunk
        from sharedllm_docs.retrieval.prepared import PreparedDocument

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

    def by_key(self, key: str) -> PreparedDocument:
        """A document by its whole key, from memory where it is prepared already (it may be removed meanwhile)."""
        return self._prepared.get(key) or self.prepared(self._store.get(key))

    def forget(self, key: str) -> None:
        """Drop a document that was removed."""
        self._prepared.pop(key, None)
        self._searchers = {keys: found for keys, found in self._searchers.items() if key not in keys}

    def info(self, record: DocumentRecord) -> DocumentInfo:
        """A document as lists show it."""
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
            metadata=document.metadata,
        )


class StoredRows:
    """Rows of a selection out of the store (``RowSource``)."""

    def __init__(self, store: IndexStore, llm: SharedLLM, records: Sequence[DocumentRecord]) -> None:
        self._store, self._llm = store, llm
        self._records = {record.key: record for record in records}

    def rows(self, selection: Selection) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Unrotated keys and values [Ls, KV, R, D], and the bytes read."""
        parts = []
        for document, chunk, rows in selection.row_numbers():
            record = self._records[selection.documents[document].key]
            parts.append((record.chunks[chunk], rows))
        gathered = self._store.gather(parts, self._llm.upper.dtype, device=self._llm.device)
        return gathered.keys, gathered.values, gathered.bytes_read
