"""Check every byte of an index, or of one document, and name every file that is not as it was written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sharedllm_docs.errors import DamagedIndexError, IndexNotFoundError
from sharedllm_docs.store.catalog import INDEX_FILE, Catalog, Damage, damage_of
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.records import MAX_SHARD, ChunkRecord, DocumentRecord, kept_source_path
from sharedllm_docs.store.shard import check_shard
from sharedllm_docs.store.sources import lacking_ranks

Progress = Callable[[int, int, str], None]
"""Called with bytes done, bytes in all, and the file just checked."""

_Expected = tuple[str, int, str, str, tuple[ChunkRecord, int] | None]
"""Path, bytes, sha256 ("": a chunk not read yet), document key; of a shard with ranks its record and their number."""


@dataclass(frozen=True)
class VerifyReport:
    """Result of a check.

    Attributes:
        files: number of files checked.
        bytes: number of bytes checked.
        damaged: every file that is not as it was written.
        unreferenced: number of shards that no document needs (left behind by removed or interrupted documents);
            ``prune`` removes them.
        unread: number of chunks that are not read yet, which is not damage.
    """

    files: int
    bytes: int
    damaged: tuple[Damage, ...]
    unreferenced: int
    unread: int = 0

    @property
    def ok(self) -> bool:
        """Whether nothing is damaged."""
        return not self.damaged


def verify_index(catalog: Catalog, progress: Progress | None = None) -> VerifyReport:
    """Check ``index.json``, all documents and their shards."""
    damaged = _head_damage(catalog)
    records, manifests = catalog.scan(whole=True)
    wanted = {chunk.path for record in records for chunk in record.chunks}
    unreferenced = 0 if manifests else sum(path not in wanted for path in catalog.files.sizes("shards"))
    found = _verify(catalog, records, progress)
    count = 1 + len(records) + len(manifests) + found.files
    return VerifyReport(count, found.bytes, (*damaged, *manifests, *found.damaged), unreferenced, found.unread)


def verify_document(catalog: Catalog, key: str, progress: Progress | None = None) -> VerifyReport:
    """Check one document: manifest, files beside it, shards."""
    try:
        record = catalog.manifest(key)
    except DamagedIndexError as error:
        return VerifyReport(1, 0, (damage_of(error, key),), 0)
    found = _verify(catalog, [record], progress)
    return VerifyReport(1 + found.files, found.bytes, found.damaged, 0, found.unread)


def damaged_chunks(catalog: Catalog, record: DocumentRecord) -> tuple[int, ...]:
    """Numbers of the document's chunks whose shard is missing or damaged; chunks not read yet are neither."""
    fingerprint = _fingerprint(catalog)
    expected = [_shard(chunk, record, fingerprint) for chunk in record.chunks]
    return tuple(number for number, one in enumerate(expected) if _damage(catalog, one) is not None)


def _verify(catalog: Catalog, records: list[DocumentRecord], progress: Progress | None) -> VerifyReport:
    entries: dict[str, _Expected] = {}
    fingerprint = _fingerprint(catalog)
    for entry in (entry for record in records for entry in _expected(record, fingerprint)):
        # another document may know the digest that this one does not
        if entry[0] not in entries or not entries[entry[0]][2]:
            entries[entry[0]] = entry
    unread = {path for path, entry in entries.items() if not entry[2] and not catalog.files.exists(path)}
    expected = [entry for path, entry in entries.items() if path not in unread]
    total, done, damages = sum(entry[1] for entry in expected), 0, []
    for entry in expected:
        damage = _damage(catalog, entry)
        if damage is not None:
            damages.append(damage)
        done += entry[1]
        if progress is not None:
            progress(done, total, entry[0])
    return VerifyReport(len(expected), done, tuple(damages), 0, len(unread))


def _expected(record: DocumentRecord, fingerprint: Fingerprint | None) -> Iterator[_Expected]:
    for role, file in record.files.items():
        yield record.file_path(role), file.bytes, file.sha256, record.key, None
    if record.source_bytes:
        path = kept_source_path(record.source_sha256, None if fingerprint is None else fingerprint.salt)
        yield path, record.source_bytes, record.source_sha256, record.key, None
    for chunk in record.chunks:
        yield _shard(chunk, record, fingerprint)


def _shard(chunk: ChunkRecord, record: DocumentRecord, fingerprint: Fingerprint | None) -> _Expected:
    ranks = 0 if fingerprint is None else fingerprint.ranks_of(chunk.end - chunk.start)
    return chunk.path, chunk.bytes, chunk.sha256, record.key, (chunk, ranks) if ranks else None


def _fingerprint(catalog: Catalog) -> Fingerprint | None:
    """Of the index; None where its head cannot be read, which is found by itself."""
    try:
        return catalog.load_head().fingerprint
    except (DamagedIndexError, IndexNotFoundError):
        return None


def _damage(catalog: Catalog, expected: _Expected) -> Damage | None:
    path, size, sha256, document, ranked = expected
    try:
        if not sha256:
            return _own_damage(path, catalog.files.read(path, MAX_SHARD), document, ranked)
        present = catalog.files.size(path)
        found, digest = (present, "") if present not in (None, size) else catalog.files.digest(path)
    except FileNotFoundError:
        return Damage(path, "it is missing", document) if sha256 else None
    except DamagedIndexError as error:
        return damage_of(error, document)
    if found != size:
        return Damage(path, f"it has {found} bytes instead of {size}", document)
    if digest != sha256:
        return Damage(path, "its checksum does not match", document)
    if ranked is not None:
        reason = lacking_ranks(catalog.files, *ranked)
        return None if reason is None else Damage(path, reason, document)
    return None


def _own_damage(path: str, data: bytes, document: str, ranked: tuple[ChunkRecord, int] | None) -> Damage | None:
    """What is wrong with a shard that its manifest does not know yet, by the shard's own checksums."""
    try:
        held = check_shard(data).ranked
    except ValueError as error:
        return Damage(path, str(error), document)
    wanted = 0 if ranked is None else ranked[1]
    if wanted and held != wanted:
        return Damage(path, f"it holds the ranks of {held} tokens instead of {wanted}", document)
    return None


def _head_damage(catalog: Catalog) -> list[Damage]:
    try:
        catalog.load_head()
    except DamagedIndexError as error:
        return [damage_of(error)]
    except IndexNotFoundError:
        return [Damage(INDEX_FILE, "it is missing")]
    return []
