"""One part of ``IndexStore``: its documents and the files beside their manifests, read and checked."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

from numpy.typing import NDArray

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.errors import DamagedIndexError, SourceMissingError
from sharedllm_docs.store.canonical import sha256_hex
from sharedllm_docs.store.catalog import MAX_TEXT, damaged
from sharedllm_docs.store.opened import OpenStore
from sharedllm_docs.store.records import (
    DocumentRecord,
    FileRole,
    decode_document,
    decode_places,
    decode_tokens,
    decode_vectors,
    kept_source_path,
)
from sharedllm_docs.store.segment_files import SegmentFiles

KEEP_SOURCE = "Add the file again with keep_source=True (--keep-source): nothing is encoded again."
FORCE_SOURCE = "Add the file again: its source is written again, and nothing is encoded."

_ASKED: tuple[FileRole, ...] = ("text", "tokens", "vectors")
"""Files beside the manifest that a question needs."""
_PREFETCHED = 64
"""Number of these files that are in memory at the same time while they are fetched."""

T = TypeVar("T")


class StoredDocuments(OpenStore):
    """Lists and finds documents, and reads their text, tokens, vectors, boxes and source."""

    def documents(self) -> list[DocumentRecord]:
        """All documents, oldest first, without opening a shard. Raises DamagedIndexError, naming every manifest."""
        return self._catalog.documents()

    def keys(self) -> list[str]:
        """Keys of all documents, sorted, without reading a manifest."""
        return self._catalog.document_keys()

    def get(self, reference: str) -> DocumentRecord:
        """A document by key, by the beginning of its key (4 digits or more) or by name.

        Raises:
            DocumentNotFoundError: no such document.
            StoreError: several documents.
            DamagedIndexError: its manifest is damaged.
        """
        return self._catalog.find(reference)

    def get_all(self, references: Sequence[str]) -> list[DocumentRecord]:
        """Several documents, each once, in their order. Raises as ``get``."""
        return self._catalog.find_all(references)

    def find_key(self, reference: str) -> str:
        """The whole key of a document, found as by ``get``; its manifest may be damaged. Raises as ``get``."""
        return self._catalog.find_key(reference)

    def name_of(self, key: str) -> str:
        """The name of a document, also from a damaged manifest; "" if it cannot be read there."""
        return self._catalog.name_of(key)

    def has_document(self, key: str) -> bool:
        """Whether a document of that key is in the index (its manifest may be damaged)."""
        return self._catalog.has(key)

    def document(self, record: DocumentRecord) -> Document:
        """The text, outline and issues, as they were read. Raises DamagedIndexError, DocumentNotFoundError."""
        return self._decoded(record, "text", lambda data: decode_document(record, data))

    def tokens(self, record: DocumentRecord) -> DocumentTokens:
        """Token ids and character spans. Raises DamagedIndexError, DocumentNotFoundError."""
        return self._decoded(record, "tokens", lambda data: decode_tokens(record, data))

    def vectors(self, record: DocumentRecord) -> dict[str, NDArray[Any]]:
        """Arrays stored beside the rows, by name. Raises DamagedIndexError, DocumentNotFoundError."""
        return self._decoded(record, "vectors", decode_vectors)

    def _decoded(self, record: DocumentRecord, role: FileRole, decode: Callable[[bytes], T]) -> T:
        """A file beside the manifest, decoded. Its checksum is right, but an index may come from anyone."""
        data = self._side_file(record, role)
        try:
            return decode(data)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise damaged(record.file_path(role), f"it is not what was written ({error})") from error

    def _side_file(self, record: DocumentRecord, role: FileRole) -> bytes:
        """A file beside the manifest, checked; for a remote index from the cache if it is there."""
        sha256 = record.files[role].sha256
        data = None if self._cache is None else self._cache.get(sha256)
        if data is not None and sha256_hex(data) == sha256:
            return data
        data = self._catalog.side_file(record, role)
        if self._cache is not None:
            self._cache.put(sha256_hex(data), data)
        return data

    def prefetch(self, records: Sequence[DocumentRecord]) -> None:
        """Fetch what questions to these documents need besides rows into the cache, in parallel.

        Does nothing without a cache. If a file cannot be fetched, the error is raised when the file is read.
        """
        if self._cache is None:
            return
        files = {r.file_path(role): r.files[role] for r in records for role in _ASKED if role in r.files}
        wanted = [path for path, file in files.items() if file.sha256 not in self._cache]
        for start in range(0, len(wanted), _PREFETCHED):
            for path, data in self._files.read_many(wanted[start : start + _PREFETCHED], MAX_TEXT).items():
                if isinstance(data, bytes) and sha256_hex(data) == files[path].sha256:
                    self._cache.put(files[path].sha256, data)

    def places(self, record: DocumentRecord) -> Places | None:
        """Where the text is printed; None if that was not stored. Raises DamagedIndexError, DocumentNotFoundError."""
        if "boxes" not in record.files:
            return None
        try:
            return decode_places(self._side_file(record, "boxes"))
        except ValueError as error:
            raise damaged(record.file_path("boxes"), str(error)) from error

    def has_source(self, record: DocumentRecord) -> bool:
        """Whether the index has an intact copy of the source file of a document."""
        if not record.source_bytes:
            return False
        try:
            self.source(record).close()
        except DamagedIndexError:
            return False
        return True

    def source(self, record: DocumentRecord) -> BinaryIO:
        """The source file that the index keeps, completely checked; the caller closes it.

        Raises:
            SourceMissingError: none is kept.
            DamagedIndexError: it is missing or damaged.
        """
        if not record.source_bytes:
            raise SourceMissingError(f"The index keeps no source file of {record.name}.", remedy=KEEP_SOURCE)
        path = kept_source_path(record.source_sha256, self.fingerprint.salt)
        try:
            data = self._files.map(path) if self._files.mappable else memoryview(self._files.read(path))
        except FileNotFoundError as error:
            raise damaged(path, "it is missing", remedy=FORCE_SOURCE) from error
        if sha256_hex(data) != record.source_sha256:
            raise damaged(path, "its checksum does not match", remedy=FORCE_SOURCE)
        local = self._files.local_path(path)
        return io.BytesIO(data) if local is None else local.open("rb")

    def segment_files(self, folder: Path | None) -> SegmentFiles:
        """The files of the search index; ``folder`` is where this machine keeps those of a remote index."""
        return SegmentFiles(self._files, folder, self.max_bytes)
