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
    """Take a document out: its manifest first, which is the whole of it for readers, then the files beside it.

    The source file goes with the last document that was read from it. Its shards stay, for other documents and for
    adding it again, until ``prune``.
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
    """Whether a document was read from this source, as far as manifests can be read; else ``prune`` will tell."""
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
    found |= outdated_segments(catalog, records)  # nothing that was removed stays, in whatever form
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
    """Bring every file of an older schema up to this version's, on disk; returns the paths written.

    ``index.json`` goes last: as long as it has the old schema, an interrupted migration is taken up again.

    Raises:
        IndexNotFoundError: the index was moved or removed since it was opened.
        SchemaError: a file is newer than this version, or no migration leads on.
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
