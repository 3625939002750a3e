"""The JSON side of an index: its head and its documents, read, checked and migrated. Opens no shard."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any

from sharedllm_docs.documents.names import document_name, shown_name
from sharedllm_docs.errors import DamagedIndexError, DocumentNotFoundError, IndexNotFoundError, StoreError
from sharedllm_docs.store.canonical import seal, sha256_hex, strict_json, unseal
from sharedllm_docs.store.files import Files
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.migrations import MIGRATIONS, Kind, Payload
from sharedllm_docs.store.records import (
    MANIFEST,
    ChunkRecord,
    DocumentRecord,
    FileRole,
    document_folder,
    manifest_path,
)

INDEX_FILE = "index.json"
INDEX_FORMAT = "sharedllm-docs-index"
MAX_MANIFEST = 64 << 20
"""Bytes of ``index.json`` and of a manifest, that of a document of 100 million tokens included."""
MAX_SIDE_FILE = 4 << 30
"""Bytes of a file beside a manifest; the text, which is JSON, may have ``MAX_TEXT``."""
MAX_TEXT = 512 << 20
MIN_PREFIX = 4
"""Minimum number of hex digits that may stand for a key."""

_KEY = re.compile("[0-9a-f]{64}")

ADD_AGAIN = (
    "Repair it (`verify --repair`, `Index.repair`), or remove the document and add it again: "
    "intact chunks are used again."
)


@dataclass(frozen=True)
class IndexHead:
    """What ``index.json`` says.

    Attributes:
        fingerprint: what the rows depend on.
        settings: JSON of the caller, used to open the index again with the same model.
        max_bytes: disk budget of the whole index, None without one.
        max_documents: number of documents that it may contain, None without a bound.
        tenant: name of the tenant that it belongs to, None without one.
    """

    fingerprint: Fingerprint
    settings: Mapping[str, Any]
    max_bytes: int | None = None
    max_documents: int | None = None
    tenant: str | None = None


@dataclass(frozen=True)
class Damage:
    """A file that differs from what was written.

    Attributes:
        path: relative to the index.
        reason: what is wrong with it.
        document: key of the document it belongs to, "" for the index's own.
    """

    path: str
    reason: str
    document: str = ""

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def damaged(path: str, reason: str, *, remedy: str = ADD_AGAIN) -> DamagedIndexError:
    """The error for one damaged file."""
    return DamagedIndexError(f"{path} is damaged: {reason}.", paths=(path,), remedy=remedy)


def damage_of(error: DamagedIndexError, document: str = "") -> Damage:
    """The damage that an error of ``damaged`` names."""
    path = error.paths[0]
    return Damage(path, error.message.removeprefix(f"{path} is damaged: ").removesuffix("."), document)


class Catalog:
    """Reads and writes the sealed JSON files of an index.

    Args:
        files: the files of the index.
        salt: of the index's fingerprint.
    """

    def __init__(self, files: Files, salt: str | None = None) -> None:
        self.files, self.salt = files, salt
        self._read: dict[str, tuple[bytes, DocumentRecord]] = {}
        """Manifests as they were when last read: every question asks for all of them."""
        self._signed: dict[str, object] = {}
        """Signatures of the manifests when they were read, which show whether they have changed since."""
        self._scanned: tuple[Mapping[str, object], list[DocumentRecord]] | None = None

    # -- sealed files ----------------------------------------------------------------------------------------------

    def load(self, kind: Kind, path: str) -> tuple[Payload, bool]:
        """Fields of a sealed file at the current schema, and whether they had to be migrated.

        Raises:
            FileNotFoundError: there is no such file.
            DamagedIndexError: a byte is wrong.
            SchemaError: no migration leads to the current schema.
        """
        return self._opened(kind, path, self.files.read(path, MAX_MANIFEST))

    def _opened(self, kind: Kind, path: str, data: bytes) -> tuple[Payload, bool]:
        try:
            payload = unseal(data)
        except ValueError as error:
            raise damaged(path, str(error)) from error
        try:
            upgraded = MIGRATIONS.upgrade(kind, payload, path, partial(self._beside, path, payload))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _odd_fields(path, error) from error
        return upgraded, upgraded is not payload

    def _beside(self, path: str, manifest: Payload, name: str) -> bytes:
        """A file beside the manifest of an older schema at ``path``, checked against it."""
        key = path.split("/")[1]
        return self._checked(key, f"{document_folder(key)}/{name}", manifest["files"][name]["sha256"])

    def sealed(self, fields: Mapping[str, Any]) -> bytes:
        """The bytes of a file with these fields, at the current schema."""
        return seal({**fields, "schema": MIGRATIONS.current})

    def save(self, path: str, fields: Mapping[str, Any]) -> None:
        """Put a file with these fields in place atomically."""
        self.files.write(path, [self.sealed(fields)])

    # -- the index -------------------------------------------------------------------------------------------------

    def load_index_file(self) -> tuple[Payload, bool]:
        """``load`` of ``index.json``.

        Raises:
            IndexNotFoundError: there is no index, or no longer.
        """
        try:
            return self.load("index", INDEX_FILE)
        except FileNotFoundError as error:
            raise IndexNotFoundError(
                f"There is no index at {self.files.url}.", remedy="Add a document first, or correct the path."
            ) from error

    def load_head(self) -> IndexHead:
        """What ``index.json`` says.

        Raises:
            IndexNotFoundError: there is no index.
        """
        payload, _migrated = self.load_index_file()
        if payload.get("format") != INDEX_FORMAT:
            raise damaged(INDEX_FILE, f"its format is {payload.get('format')!r}, not {INDEX_FORMAT!r}")
        try:
            return _head(payload)
        except (KeyError, TypeError, ValueError) as error:
            raise _odd_fields(INDEX_FILE, error) from error

    def save_head(self, head: IndexHead) -> None:
        """Write ``index.json``."""
        fields = {
            "format": INDEX_FORMAT,
            "fingerprint": head.fingerprint.to_dict(),
            "settings": dict(head.settings),
            "max_bytes": head.max_bytes,
        }
        # only if they are used, so that other indexes have the same bytes as before there were tenants
        fields |= {name: getattr(head, name) for name in _OPTIONAL if getattr(head, name) is not None}
        self.save(INDEX_FILE, fields)

    # -- documents -------------------------------------------------------------------------------------------------

    def document_keys(self) -> list[str]:
        """Keys of the documents, sorted."""
        return [path.split("/")[1] for path in self.files.named("documents", MANIFEST)]

    def has(self, key: str) -> bool:
        """Whether there is a document of that key; its manifest may be damaged."""
        return _KEY.fullmatch(key) is not None and self.files.exists(manifest_path(key))

    def manifest(self, key: str) -> DocumentRecord:
        """The record of a document.

        Raises:
            DocumentNotFoundError: the index has none of that key.
            DamagedIndexError: its manifest is damaged.
        """
        try:
            data = self.files.read(manifest_path(key), MAX_MANIFEST)
        except FileNotFoundError as error:
            self._read.pop(key, None)
            raise _not_found(key) from error
        return self._record(key, data)

    def _record(self, key: str, data: bytes) -> DocumentRecord:
        """The record that the bytes of a manifest give. Raises DamagedIndexError."""
        path = manifest_path(key)
        known = self._read.get(key)
        if known is not None and known[0] == data:  # byte for byte: nothing about it can have changed
            return known[1]
        payload, _migrated = self._opened("document", path, data)
        try:
            record = DocumentRecord.from_dict(payload)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _odd_fields(path, error) from error
        if not key == record.key == record.expected_key():
            raise damaged(path, f"it belongs to the document {record.key!r}")
        self._read[key] = data, record
        return record

    def remember(self, record: DocumentRecord, manifest: bytes) -> None:
        """Remember a manifest that was just written, so that it need not be read to know its name."""
        self._read[record.key] = manifest, record
        self._signed.pop(record.key, None)

    def scan(self, *, whole: bool = False) -> tuple[list[DocumentRecord], list[Damage]]:
        """All documents, oldest first, and what is wrong with the manifests that cannot be read.

        Args:
            whole: read every manifest; otherwise only those that have changed since they were read, as far as that is
                known.
        """
        signatures = self.files.signatures("documents", MANIFEST)
        settled = not whole and None not in signatures.values()
        if settled and self._scanned is not None and self._scanned[0] == signatures:
            return list(self._scanned[1]), []
        records, damages = self._scan(signatures, whole)
        ordered = sorted(records, key=lambda record: (record.created, record.name, record.key))
        self._scanned = (signatures, ordered) if settled and not damages else None
        return list(ordered), damages

    def _scan(self, signatures: Mapping[str, object], whole: bool) -> tuple[list[DocumentRecord], list[Damage]]:
        records, damages = list[DocumentRecord](), list[Damage]()
        keys = {path.split("/")[1]: sign for path, sign in signatures.items()}
        same = {key for key, sign in keys.items() if not whole and sign is not None and self._signed.get(key) == sign}
        same &= self._read.keys()
        found = self.files.read_many([manifest_path(key) for key in keys if key not in same], MAX_MANIFEST)
        for key, sign in keys.items():
            if key in same:
                records.append(self._read[key][1])
                continue
            data = found[manifest_path(key)]
            if isinstance(data, FileNotFoundError):
                self._read.pop(key, None)
                continue  # removed since the folder was listed
            try:
                if isinstance(data, Exception):
                    raise data
                records.append(self._record(key, data))
                self._signed[key] = sign
            except DamagedIndexError as error:
                damages.append(damage_of(error, key))
        return records, damages

    def documents(self) -> list[DocumentRecord]:
        """All documents, oldest first.

        Raises:
            DamagedIndexError: names every manifest that cannot be read.
        """
        records, damages = self.scan()
        raise_damages(damages)
        return records

    def find(self, reference: str) -> DocumentRecord:
        """A document by key, name, or the beginning of its key (``MIN_PREFIX`` digits or more).

        Raises:
            DocumentNotFoundError: no such document.
            StoreError: several documents.
            DamagedIndexError: its manifest is damaged, or no intact one fits and a damaged one may be meant.
        """
        return self._found(self._locate(reference))

    def find_all(self, references: Sequence[str]) -> list[DocumentRecord]:
        """Several documents, each once, in their order, with one look at the manifests. Raises as ``find``."""
        if len(references) == 1:
            return [self.find(references[0])]
        there = self.scan()
        known, several = dict[str, DocumentRecord](), set[str]()
        for record in there[0] if not there[1] else ():  # a damaged one may have any name
            if record.name in known:
                several.add(record.name)
            known[record.name] = record
        known = {name: record for name, record in known.items() if name not in several}
        known |= {record.key: record for record in there[0]}
        found = [known.get(one) or self._found(self._locate(one, there)) for one in references]
        return list({record.key: record for record in found}.values())

    def _found(self, located: tuple[str, DocumentRecord | None]) -> DocumentRecord:
        key, record = located
        return self.manifest(key) if record is None else record

    def find_key(self, reference: str) -> str:
        """The key of a document that ``find`` would find; its manifest may be damaged.

        A damaged manifest counts under the name that can still be read in it, if any. Raises as ``find``.
        """
        return self._locate(reference)[0]

    def _locate(
        self, reference: str, there: tuple[list[DocumentRecord], list[Damage]] | None = None
    ) -> tuple[str, DocumentRecord | None]:
        """Key and, if it had to be read and is intact, record of a document; ``there`` is what ``scan`` gave."""
        if self.has(reference):
            return reference, None
        records, damages = self.scan() if there is None else there
        intact = {record.key: record for record in records}
        names = {record.key: record.name for record in records}
        names |= {damage.document: self.name_of(damage.document) for damage in damages}
        found = [key for key, name in names.items() if name == reference]
        shown = document_name(reference)  # as it is shown, and as the file is called that it was read from
        found = found or [key for key, name in names.items() if document_name(name) == shown]
        found = found or [key for key in names if _is_prefix(reference, key)]
        if len(found) > 1:
            listed = ", ".join(f"{names[key] or 'damaged'} ({key[:12]})" for key in found)
            raise StoreError(
                f"{reference!r} matches {len(found)} documents: {listed}.", remedy="Give more digits of the key."
            )
        if not found:
            raise_damages(damages)
            raise _not_found(reference, [name for name in names.values() if name])
        return found[0], intact.get(found[0])

    def name_of(self, key: str) -> str:
        """The name of a document, as far as it can be read: "" if its manifest is too damaged to tell."""
        known = self._read.get(key)
        if known is not None:
            return known[1].name
        try:
            manifest = strict_json(self.files.read(manifest_path(key), MAX_MANIFEST))
        except (FileNotFoundError, DamagedIndexError, ValueError):
            return ""
        name = manifest.get("name") if isinstance(manifest, dict) else None
        return name if isinstance(name, str) else ""

    def side_file(self, record: DocumentRecord, role: FileRole) -> bytes:
        """A file beside the manifest, checked; the present one where another took its place since ``record`` was read.

        Raises:
            DamagedIndexError: the file is missing or damaged.
            DocumentNotFoundError: the document was removed meanwhile.
        """
        try:
            return self._side_file(record, role)
        except DamagedIndexError:
            now = self.manifest(record.key)
            if now.files[role] == record.files[role]:
                raise
            return self._side_file(now, role)

    def _side_file(self, record: DocumentRecord, role: FileRole) -> bytes:
        file = record.files[role]
        limit = min(file.bytes, MAX_TEXT if role == "text" else MAX_SIDE_FILE)
        return self._checked(record.key, record.file_path(role), file.sha256, limit)

    def _checked(self, key: str, path: str, sha256: str, limit: int = MAX_TEXT) -> bytes:
        """A file of the document ``key``. Raises as ``side_file``."""
        try:
            data = self.files.read(path, limit)
        except FileNotFoundError as error:
            if not self.files.exists(manifest_path(key)):
                raise _not_found(key) from error
            raise damaged(path, "it is missing") from error
        if sha256_hex(data) != sha256:
            raise damaged(path, "its checksum does not match")
        return data

    def missing_shard(self, chunks: Sequence[ChunkRecord]) -> DamagedIndexError | DocumentNotFoundError:
        """The error for a missing shard: damage if a document still needs it, otherwise its document was removed."""
        gone = [chunk.path for chunk in chunks if not self.files.exists(chunk.path)]
        records, _damages = self.scan()
        wanted = {chunk.path for record in records for chunk in record.chunks}
        for path in gone:
            if path in wanted:
                return damaged(path, "it is missing")
        return DocumentNotFoundError(
            f"{', '.join(gone) or 'A shard'} is gone: the document was removed from the index meanwhile.",
            remedy="List the documents again.",
        )


_OPTIONAL = ("max_documents", "tenant")


def _head(payload: Payload) -> IndexHead:
    """The head that ``index.json`` gives. Raises KeyError, TypeError, ValueError for fields that cannot be."""
    settings, max_bytes, fingerprint = payload["settings"], payload["max_bytes"], payload["fingerprint"]
    if not isinstance(settings, dict) or not isinstance(fingerprint, dict):
        raise TypeError("settings and fingerprint are objects")
    if max_bytes is not None and (type(max_bytes) is not int or max_bytes < 1):
        raise ValueError(f"max_bytes is {max_bytes!r}")
    most, tenant = (payload.get(name) for name in _OPTIONAL)
    if most is not None and (type(most) is not int or most < 1):
        raise ValueError(f"max_documents is {most!r}")
    found = Fingerprint.from_dict(fingerprint)
    if not isinstance(tenant, (str, type(None))) or (tenant is None) != (found.salt is None):
        raise ValueError(f"tenant is {tenant!r}, the fingerprint's salt {found.salt!r}")
    return IndexHead(found, settings, max_bytes, most, tenant)


def _odd_fields(path: str, error: Exception) -> DamagedIndexError:
    return damaged(path, f"a field is missing, unknown or wrong ({error})")


def raise_damages(damages: list[Damage]) -> None:
    """Raise one error that names every damaged file, if there is any."""
    if damages:
        paths = tuple(damage.path for damage in damages)
        raise DamagedIndexError(f"Damaged: {'; '.join(map(str, damages))}.", paths=paths, remedy=ADD_AGAIN)


def _is_prefix(reference: str, key: str) -> bool:
    return len(reference) >= MIN_PREFIX and key.startswith(reference)


def _not_found(reference: str, names: Sequence[str] = ()) -> DocumentNotFoundError:
    near = " or ".join(repr(shown_name(name)) for name in _nearest(reference, names))
    remedy = "List the documents to see what it holds, or add it."
    return DocumentNotFoundError(
        f"The index contains no document {reference!r}.", remedy=f"Did you mean {near}? {remedy}" if near else remedy
    )


_SUGGESTED = 3
_COMPARED = 10_000
"""Names among which similar ones are looked for; among more, only those that end alike."""


def _nearest(reference: str, names: Sequence[str]) -> list[str]:
    """The names most like one that is not there: in another folder, in other case, without its ending, mistyped."""
    asked = reference.casefold()
    last = asked.rstrip("/").rpartition("/")[2]
    if not last:
        return []
    lasts: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        own = name.casefold().rpartition("/")[2]
        lasts.setdefault(own, []).append(name)
        lasts.setdefault(own.rpartition(".")[0] or own, []).append(name)
    found = [*lasts.get(last, ()), *lasts.get(last.rpartition(".")[0] or last, ())]
    if len(names) <= _COMPARED:
        whole = {name.casefold(): name for name in names}
        found += [whole[one] for one in get_close_matches(asked, whole, n=_SUGGESTED, cutoff=0.75)]
        found += [name for one in get_close_matches(last, lasts, n=_SUGGESTED, cutoff=0.75) for name in lasts[one]]
    return list(dict.fromkeys(found))[:_SUGGESTED]
