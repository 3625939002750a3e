"""Adds a document to a store: finds what is there already, encodes the rest, replaces an older version."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.document import PLACING_READERS, Document
from sharedllm_docs.documents.readers.base import UNREAD_CODES
from sharedllm_docs.documents.readers.identify import Identity, identify
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.read import warn_of_losses
from sharedllm_docs.errors import StoreError
from sharedllm_docs.index.ingest import Ingested, Ingestion, Report, Source, read_source
from sharedllm_docs.index.library import Library
from sharedllm_docs.index.reading import Encode, Reading
from sharedllm_docs.index.sources import NOT_KEPT, Kept
from sharedllm_docs.index.views import AddedDocument
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, are_made
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.keys import document_key
from sharedllm_docs.store.records import DocumentRecord
from sharedllm_docs.store.writer import IndexWriter


@dataclass(frozen=True)
class _Named:
    """The fields that decide which other documents a document replaces."""

    key: str
    name: str
    source_sha256: str
    reader_options: Mapping[str, str]


def _named(document: Document | DocumentRecord, key: str) -> _Named:
    return _Named(key, document.name, document.source_sha256, document.reader_options)


@dataclass(frozen=True)
class Addition:
    """Adds documents to one store.

    Attributes:
        store: the store that they go into.
        library: is notified of documents that were removed.
        llm: returns the model; called only when something must be encoded.
        metadata: given by the caller; also set if the document exists already.
        timeout: seconds to wait for another writer.
        max_bytes: disk budget instead of the index's.
        force: commit again even if the document exists.
        replace: remove other versions of the same name once the new one is committed: those of other bytes, and those
            of the same bytes read in the same way by an earlier version of a reader.
        encode: when its chunks are encoded.
        reading: continues reading documents that are not completely read.
        strict: whether a name belongs to one document only: then all others of the name are removed, and content that
            exists under another name is an error. Otherwise it is given the new name.
        embed: whether the vectors of its leaves are made before it is committed.
    """

    store: IndexStore
    library: Library
    llm: Callable[[], SharedLLM]
    metadata: Mapping[str, str]
    timeout: float
    max_bytes: int | None
    force: bool
    replace: bool
    encode: Encode
    reading: Reading
    strict: bool = False
    embed: bool = True

    def read(
        self,
        source: Source,
        name: str | None,
        options: ReadOptions,
        metadata: Mapping[str, str] | None,
        report: Report,
        begun: float,
        kept: Kept,
    ) -> AddedDocument:
        """Read a source and add its document, unless it is there already; arguments and errors as for ``Index.add``."""
        identity = None if isinstance(source, Document) else identify(source, name=name, options=options)
        added = self.known(identity, options.max_pages, begun, report, kept) if identity is not None else None
        if added is not None:
            return added
        document = read_source(source, name=name, options=options, metadata=metadata, report=report)
        return self.run(document, report, begun, kept)

    def run(self, document: Document, report: Report, begun: float, kept: Kept = NOT_KEPT) -> AddedDocument:
        """Add a document.

        Args:
            document: as read, the caller's metadata included.
            report: called with each step.
            begun: time of the performance counter at which reading began.
            kept: whether and how the file that it was read from is kept.

        Raises:
            StoreError: ``strict`` is set, and the same content exists under another name.
        """
        read_seconds = time.perf_counter() - begun
        present = self.present(document)
        if present is not None and not self.force and self._has_the_same_text(present, document):
            return self._found(present, document.name, read_seconds, report, kept, document.places)
        ingestion = Ingestion(self.llm(), document, report, kept, self.store.fingerprint)
        with self.store.writer(timeout=self.timeout, max_bytes=self.max_bytes) as writer:
            self.admit(document)
            needed = ingestion.missing_bytes(writer, shards=self.encode != "when-asked")
            self.store.check_room(needed, max_bytes=self.max_bytes)
            done = ingestion.run(writer, encode=self.encode == "all", embed=self.embed)
            replaced = self._retire(writer, done.record)
        if self.encode == "background":
            self.reading.start([done.record.key], report)
        return self._added(ingestion, done, read_seconds, begun, replaced)

    def commit(self, ingestion: Ingestion, begun: float) -> AddedDocument:
        """Add a document whose chunks are encoded already, by workers; whatever else takes time is done before.

        Args:
            ingestion: of the document; its ``run`` finds every chunk, or says which are missing.
            begun: time of the performance counter at which the work began.

        Raises:
            StoreError: see ``run``.
        """
        present = self.present(ingestion.document)
        if present is not None and not self.force and self._has_the_same_text(present, ingestion.document):
            spent = time.perf_counter() - begun
            name, places = ingestion.document.name, ingestion.document.places
            return self._found(present, name, spent, ingestion.report, ingestion.kept, places)
        ingestion.prepare()
        with self.store.writer(timeout=self.timeout, max_bytes=self.max_bytes) as writer:
            self.admit(ingestion.document)
            self.store.check_room(ingestion.missing_bytes(writer, shards=False), max_bytes=self.max_bytes)
            done = ingestion.run(writer)
            replaced = self._retire(writer, done.record)
        return self._added(ingestion, done, 0.0, begun, replaced)

    def _added(
        self, ingestion: Ingestion, done: Ingested, read_seconds: float, begun: float, replaced: tuple[str, ...]
    ) -> AddedDocument:
        """The result of ``add`` for a new document."""
        seconds = time.perf_counter() - begun
        later = {done.record.chunks[number].start for number in done.record.unread}
        pairs = zip(ingestion.chunks, ingestion.reused, strict=True)
        encoded = sum(len(chunk) for chunk, reused in pairs if not reused and chunk.start not in later)
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

    def known(
        self, identity: Identity, max_pages: int, begun: float, report: Report, kept: Kept = NOT_KEPT
    ) -> AddedDocument | None:
        """What ``run`` would return for an existing document, found without reading its text.

        Args:
            identity: identity of the document.
            max_pages: maximum number of pages that may be read.
            begun: time of the performance counter at which the work began.
            report: called with each step.
            kept: whether and how the file that it is read from is kept.

        Returns:
            None if the document must be read: it does not exist, or has no boxes, or has more pages than may be read,
            which is reported when it is read.
        """
        present = None if self.force else self._read_before(identity)
        if present is None or present.pages > max_pages:
            return None
        if present.reader in PLACING_READERS and "boxes" not in present.files:
            return None  # an earlier version read it
        warn_of_losses(present.name, present.issues)
        return self._found(present, identity.name, time.perf_counter() - begun, report, kept)

    def _read_before(self, identity: Identity) -> DocumentRecord | None:
        """The document as it would be read now, with recognised text if some of it can be recognised."""
        present = self.present(identity)
        if identity.recognised_options is None:
            return present
        recognised = self.present(replace(identity, reader_options=identity.recognised_options))
        unread = present is None or any(issue.code in UNREAD_CODES for issue in present.issues)
        return recognised if unread else present

    def present(self, document: Document | Identity) -> DocumentRecord | None:
        """The record of the document with this content, if the index holds it; its name may be another."""
        key = self._key(document)
        if not self.store.has_document(key):
            return None
        record = self.store.get(key)
        if self.strict and record.name != document.name:
            raise StoreError(
                f"The content of {document.name!r} is in the index already, as {record.name!r}.",
                remedy=f"Remove {record.name!r} first, or add it under that name.",
            )
        return record

    def _key(self, document: Document | Identity) -> str:
        return document_key(
            self.store.fingerprint.digest(),
            source_sha256=document.source_sha256,
            reader=document.reader,
            reader_version=document.reader_version,
            reader_options=document.reader_options,
        )

    def _found(
        self,
        present: DocumentRecord,
        name: str,
        seconds: float,
        report: Report,
        kept: Kept,
        places: Places | None = None,
    ) -> AddedDocument:
        """The existing document, with the new name and metadata, and with boxes and source if it lacked them."""
        replaced: tuple[str, ...] = ()
        renamed = present.name != name
        record, outdated = replace(present, name=name), not self.metadata.items() <= present.metadata.items()
        # older ones exist if an earlier replacement was interrupted, or under the new name of the document
        added = self._to_be_added(present, kept, places)
        if outdated or renamed or added or self._older(_named(record, record.key)):
            with self.store.writer(timeout=self.timeout, max_bytes=self.max_bytes) as writer:
                if renamed:
                    writer.rename(present.key, name)
                    self.library.forget(present.key)
                if added:
                    writer.supplement(present.key, **added)
                    self.library.forget(present.key)
                record = writer.update_metadata(present.key, self.metadata)
                replaced = self._retire(writer, record)
        begun = time.perf_counter()
        encoded = self._read_on(record, report)
        spent = time.perf_counter() - begun
        record = self.store.get(record.key)
        return AddedDocument(
            self.library.info(record),
            False,
            encoded,
            len(record.chunks) - len(record.unread) - encoded,
            seconds + spent,
            0.0,
            {"read": seconds, "encode": spent} if encoded else {"read": seconds},
            replaced,
            metadata_updated=outdated,
            renamed_from=present.name if renamed else "",
        )

    def _has_the_same_text(self, present: DocumentRecord, document: Document) -> bool:
        """Whether a document that is to get boxes has exactly the text that they were measured for.

        An earlier version of the same reader may have left out letters that are read now; then it is added again.
        """
        if document.places is None or "boxes" in present.files:
            return True
        stored = self.store.document(present)
        return stored.text == document.text and [page.repeats for page in stored] == [p.repeats for p in document]

    def _to_be_added(self, present: DocumentRecord, kept: Kept, places: Places | None) -> dict[str, Any]:
        """What ``IndexWriter.supplement`` is to add to an existing document."""
        lacking: dict[str, Any] = {}
        if places is not None and "boxes" not in present.files:
            lacking["places"] = places
        if kept.wanted(present.reader) and not self.store.has_source(present):
            lacking["source"] = kept.data()
        elif not present.source_bytes and kept.path and not os.path.exists(present.source_path):
            lacking["source_path"] = kept.path
        return lacking

    def _read_on(self, record: DocumentRecord, report: Report) -> int:
        """Read the rest of an existing document; returns the number of chunks encoded immediately."""
        if self.encode == "when-asked":
            return 0
        if not record.unread and are_made(self.store.vectors(record)[EMBEDDINGS]):
            return 0  # otherwise questions have read all its chunks, and made few of its vectors
        if self.encode == "background":
            self.reading.start([record.key], report)
            return 0
        return self.reading.read([record.key], report, timeout=self.timeout, max_bytes=self.max_bytes)

    def admit(self, document: Document) -> None:
        """Raise QuotaError if the index may not contain a further document, before anything is encoded for it."""
        if self.store.max_documents is not None:
            key = self._key(document)
            self.store.check_documents(key, self._older(_named(document, key)))

    def _older(self, kept: _Named) -> list[str]:
        """Keys of the documents to be replaced."""
        if not self.replace:
            return []
        return [
            other.key
            for other in self.store.documents()
            if other.name == kept.name
            and other.key != kept.key
            and (
                self.strict
                or other.source_sha256 != kept.source_sha256
                or _read_alike(other.reader_options, kept.reader_options)
            )
        ]

    def _retire(self, writer: IndexWriter, kept: DocumentRecord) -> tuple[str, ...]:
        older = self._older(_named(kept, kept.key))
        for key in older:
            writer.remove(key)
            self.library.forget(key)
        return tuple(older)


def _read_alike(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether two readings of the same bytes had the same options; only the versions of the OCR engine may differ."""
    return all(one.get(name) == other.get(name) for name in (one.keys() | other.keys()) - {"ocr"})
