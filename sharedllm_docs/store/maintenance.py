"""What an index holds and what it could lose. Whoever removes something holds the writer lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sharedllm_docs.store.budget import FOLDERS, present_bytes
from sharedllm_docs.store.catalog import Catalog
from sharedllm_docs.store.records import DocumentRecord, document_folder, manifest_path


@dataclass(frozen=True)
class PruneReport:
    """What was removed.

    Attributes:
        files: how many.
        bytes: freed.
    """

    files: int
    bytes: int


@dataclass(frozen=True)
class IndexInfo:
    """An index at a glance.

    Attributes:
        url: where it is.
        documents: how many, and of all of them together:
        pages: how many.
        tokens: how many.
        chunks: how many (a chunk that two documents share counts twice).
        bytes: on disk, of the whole index.
        unneeded_bytes: of these, what prune would free.
    """

    url: str
    documents: int
    pages: int
    tokens: int
    chunks: int
    bytes: int
    unneeded_bytes: int


def remove_document(catalog: Catalog, key: str) -> PruneReport:
    """Take a document out: its manifest first, which is the whole of it for readers, then the files beside it.

    Its shards stay, for other documents and for adding it again, until ``prune``.
    """
    path = manifest_path(key)
    sizes = catalog.files.sizes(document_folder(key))
    catalog.files.remove(path)
    for other in sizes:
        catalog.files.remove(other)
    return PruneReport(len(sizes), sum(sizes.values()))


def prune(catalog: Catalog) -> PruneReport:
    """Remove shards of no document, files of interrupted writes, and folders of documents never finished.

    Raises:
        DamagedIndexError: a manifest cannot be read, so nobody knows which shards it needs. Nothing is removed.
    """
    found = unneeded(catalog, catalog.documents())
    for path in found:
        catalog.files.remove(path)
    for folder in FOLDERS:
        catalog.files.remove_empty_folders(folder)
    return PruneReport(len(found), sum(found.values()))


def unneeded(catalog: Catalog, records: Sequence[DocumentRecord]) -> dict[str, int]:
    """Path -> bytes of all files that none of ``records``, the documents of the index, needs."""
    wanted = {record.path for record in records}
    wanted |= {chunk.path for record in records for chunk in record.chunks}
    wanted |= {record.file_path(role) for record in records for role in record.files}
    sizes = catalog.files.leftovers()
    for folder in FOLDERS:
        sizes |= catalog.files.sizes(folder)
    return {path: size for path, size in sizes.items() if path not in wanted}


def summarise(catalog: Catalog) -> IndexInfo:
    """The index at a glance. Raises DamagedIndexError, naming every manifest that cannot be read."""
    records = catalog.documents()
    return IndexInfo(
        url=catalog.files.url,
        documents=len(records),
        pages=sum(record.pages for record in records),
        tokens=sum(record.tokens for record in records),
        chunks=sum(len(record.chunks) for record in records),
        bytes=present_bytes(catalog.files),
        unneeded_bytes=sum(unneeded(catalog, records).values()),
    )
