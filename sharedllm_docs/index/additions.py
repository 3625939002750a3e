"""Adding a document to a store: what is there already is found, the rest is encoded, an older version is replaced."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.identify import Identity
from sharedllm_docs.documents.readers.read import warn_of_losses
from sharedllm_docs.errors import StoreError
from sharedllm_docs.index.ingest import Ingestion, Report
from sharedllm_docs.index.library import Library
from sharedllm_docs.index.views import AddedDocument
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.keys import document_key
from sharedllm_docs.store.records import DocumentRecord
from sharedllm_docs.store.writer import IndexWriter


@dataclass(frozen=True)
class Addition:
    """Adds documents to one store.

    Attributes:
        store: that they go into.
        library: told of what is taken out.
        llm: gives the model, only called when something must be encoded.
        timeout: seconds to wait for another writer.
        max_bytes: disk budget instead of the index's.
        force: commit again even if the document is there.
        replace: take out other documents of the same name, once the new one is committed.
    """

    store: IndexStore
    library: Library
    llm: Callable[[], SharedLLM]
    timeout: float
    max_bytes: int | None
    force: bool
    replace: bool

    def run(self, document: Document, report: Report, begun: float) -> AddedDocument:
        """Add one document that was read since ``begun``.

        Raises:
            StoreError: ``replace``, and the very content is there under another name, which it would keep.
        """
        read_seconds = time.perf_counter() - begun
        present = self.present(document)
        if present is not None and not self.force:
            return self._found(present, read_seconds)
        ingestion = Ingestion(self.llm(), document, report)
        with self.store.writer(timeout=self.timeout, max_bytes=self.max_bytes) as writer:
            self.store.check_room(ingestion.missing_bytes(writer), max_bytes=self.max_bytes)
            done = ingestion.run(writer)
            replaced = self._retire(writer, done.record)
        seconds = time.perf_counter() - begun
        pairs = zip(ingestion.chunks, ingestion.reused, strict=True)
        encoded = sum(len(chunk) for chunk, reused in pairs if not reused)
        return AddedDocument(
            self.library.info(done.record),
            True,
            done.chunks_encoded,
            done.chunks_reused,
            seconds,
            encoded / seconds,
            {"read": read_seconds, **done.stage_seconds},
            replaced,
        )

    def known(self, identity: Identity, max_pages: int, begun: float) -> AddedDocument | None:
        """What ``run`` returns of a document that is there already, without reading it; None where it is not.

        Args:
            identity: of the document.
            max_pages: most pages that may be read of it; where it has more, reading is to say so.
            begun: when the work on it began.
        """
        present = None if self.force else self.present(identity)
        if present is None or present.pages > max_pages:
            return None
        warn_of_losses(self.store.document(present))
        return self._found(present, time.perf_counter() - begun)

    def present(self, document: Document | Identity) -> DocumentRecord | None:
        """The record of this very document, if the index holds it intact."""
        key = document_key(
            self.store.fingerprint.digest(),
            source_sha256=document.source_sha256,
            reader=document.reader,
            reader_version=document.reader_version,
            reader_options=document.reader_options,
        )
        if not self.store.has_document(key):
            return None
        record = self.store.get(key)
        if record.name == document.name:
            return record
        if self.replace:
            raise StoreError(
                f"The content of {document.name!r} is in the index already, as {record.name!r}.",
                remedy=f"Remove {record.name!r} first, or add it under that name.",
            )
        return None

    def _found(self, present: DocumentRecord, seconds: float) -> AddedDocument:
        replaced: tuple[str, ...] = ()
        if self._older(present):  # an earlier replacement was cut short
            with self.store.writer(timeout=self.timeout) as writer:
                replaced = self._retire(writer, present)
        info, chunks = self.library.info(present), len(present.chunks)
        return AddedDocument(info, False, 0, chunks, seconds, 0.0, {"read": seconds}, replaced)

    def _older(self, kept: DocumentRecord) -> list[str]:
        """Keys of the documents to be replaced."""
        if not self.replace:
            return []
        return [r.key for r in self.store.documents() if r.name == kept.name and r.key != kept.key]

    def _retire(self, writer: IndexWriter, kept: DocumentRecord) -> tuple[str, ...]:
        older = self._older(kept)
        for key in older:
            writer.remove(key)
            self.library.forget(key)
        return tuple(older)
