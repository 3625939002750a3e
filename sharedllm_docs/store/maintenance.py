"""Housekeeping in the files of an index: removing, pruning, migrating. The caller holds the writer lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sharedllm_docs.errors import DamagedIndexError, DocumentNotFoundError
from sharedllm_docs.store.budget import FOLDERS
from sharedllm_docs.store.catalog import INDEX_FILE, Catalog
from sharedllm_docs.store.migrations import Kind
from sharedllm_docs.store.records import DocumentRecord, document_folder, kept_source_path, manifest_path
from sharedllm_docs.store.segment_files import outdated_segments


@dataclass(frozen=True)
class PruneReport:
    """What was removed.

    Attributes:
        files: number of files.
        bytes: bytes freed.
    """

    files: int
    bytes: int


def remove_document(catalog: Catalog, key: str) -> PruneReport:
    """Remove a document: first its manifest, after which readers no longer see it, then the files beside it.

    The source file is deleted with the last document that was read from it. Shards stay until ``prune``, for other
    documents and in case the document is added again.
    """
    path, source = manifest_path(key), _kept_source(catalog, key)
    sizes = catalog.files.sizes(document_folder(key))
    catalog.files.remove(path)
    for other in sizes:
        catalog.files.remove(other)
    if source is not None and not _is_needed(catalog, source):
        sizes[source] = catalog.files.sizes("sources").get(source, 0)
        catalog.files.remove(source)
    return PruneReport(len(sizes), sum(sizes.values()))


def _kept_source(catalog: Catalog, key: str) -> str | None:
    """The source file that a document has in the index; None if it has none, or its manifest is damaged."""
    try:
        record = catalog.manifest(key)
    except (DamagedIndexError, DocumentNotFoundError):
        return None
    return kept_source_path(record.source_sha256, catalog.salt) if record.source_bytes else None


def _is_needed(catalog: Catalog, source: str) -> bool:
    """Whether a document was read from this source, as far as manifests can be read; otherwise ``prune`` decides
    later."""
    records, damages = catalog.scan()
    return bool(damages) or any(
        record.source_bytes and kept_source_path(record.source_sha256, catalog.salt) == source for record in records
    )


def prune(catalog: Catalog, grace: float = 0.0) -> PruneReport:
    """Remove shards of no document, files of interrupted writes, and folders of documents never finished.

    Args:
        catalog: of the index.
        grace: seconds for which what was written stays: workers without a lock may be about to commit it.

    Raises:
        DamagedIndexError: a manifest cannot be read, so nobody knows which shards it needs. Nothing is removed.
    """
    records = catalog.documents()
    found = _unneeded(catalog, records)
    if grace > 0:
        ages = {path: age for folder in FOLDERS for path, age in catalog.files.ages(folder).items()}
        found = {path: size for path, size in found.items() if ages.get(path, 0.0) >= grace}
    found |= outdated_segments(catalog, records)  # older versions of removed objects are deleted too
    for path in found:
        catalog.files.remove(path)
    for folder in FOLDERS:
        catalog.files.remove_empty_folders(folder)
    return PruneReport(len(found), sum(found.values()))


def _unneeded(catalog: Catalog, records: Sequence[DocumentRecord]) -> dict[str, int]:
    """Path -> bytes of all files that none of ``records``, the documents of the index, needs."""
    wanted = {record.path for record in records}
    wanted |= {chunk.path for record in records for chunk in record.chunks}
    wanted |= {record.file_path(role) for record in records for role in record.files}
    wanted |= {kept_source_path(record.source_sha256, catalog.salt) for record in records if record.source_bytes}
    sizes = catalog.files.leftovers()
    for folder in FOLDERS:
        sizes |= catalog.files.sizes(folder)
    return {path: size for path, size in sizes.items() if path not in wanted}


def migrate_files(catalog: Catalog) -> list[str]:
    """Migrate every file of an older schema to this version's, on disk; returns the paths written.

    ``index.json`` is written last: as long as it has the old schema, an interrupted migration is continued.

    Raises:
        IndexNotFoundError: the index was moved or removed since it was opened.
        SchemaError: a file is newer than this version, or there is no migration for it.
    """
    _payload, outdated = catalog.load_index_file()
    if not outdated:
        return []
    paths: list[tuple[Kind, str]] = [("document", manifest_path(key)) for key in catalog.document_keys()]
    return [path for kind, path in [*paths, ("index", INDEX_FILE)] if _migrate(catalog, kind, path)]


def _migrate(catalog: Catalog, kind: Kind, path: str) -> bool:
    try:
        payload, outdated = catalog.load(kind, path)
    except (DamagedIndexError, DocumentNotFoundError):
        return False  # left as it is, for verify to name and the user to decide
    if outdated:
        catalog.save(path, payload)
    return outdated
