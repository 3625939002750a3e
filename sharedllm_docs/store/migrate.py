"""Carry the files of an index over to the current schema, on disk."""

from __future__ import annotations

from sharedllm_docs.errors import DamagedIndexError, DocumentNotFoundError
from sharedllm_docs.store.catalog import INDEX_FILE, Catalog
from sharedllm_docs.store.migrations import Kind
from sharedllm_docs.store.records import manifest_path


def migrate_files(catalog: Catalog) -> list[str]:
    """Migrate what is older than this version; the caller holds the writer lock. Returns the paths written.

    ``index.json`` goes last: as long as it has the old schema, an interrupted migration is taken up again.

    Raises:
        SchemaError: a file is newer than this version, or no migration leads on.
    """
    _payload, outdated = catalog.load("index", INDEX_FILE)
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
