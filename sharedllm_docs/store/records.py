"""The manifest of a document as frozen records, and the bytes of the files beside it.

A manifest is canonical JSON with its own digest; ``docs/format.md`` lists its fields. Listing and filtering documents
read nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.document import Document, Issue, Page, Section
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.store.canonical import canonical_bytes, sha256_hex, strict_json
from sharedllm_docs.store.keys import document_key
from sharedllm_docs.store.shard import Buffer, EncodedShard, ShardHead, shard_path
from sharedllm_docs.store.tensorfile import MAX_COUNT, decode_tensors, encode_tensors

MANIFEST = "manifest.json"
DOCUMENT_FORMAT = "sharedllm-docs-document"
FileRole = Literal["text", "tokens", "vectors", "boxes"]
"""What a file beside the manifest is for."""

MAX_HEAD, MAX_SHARD = 256 << 20, 64 << 30
"""Bytes of a shard's head, and of a shard: larger ones are not read."""
_SUFFIXES: Mapping[FileRole, str] = {
    "text": "json",
    "tokens": "safetensors",
    "vectors": "safetensors",
    "boxes": "safetensors",
}
_OPTIONAL: frozenset[FileRole] = frozenset({"boxes"})
"""Roles that documents of formats without pages lack, as do those that earlier versions read."""
_NAME_DIGITS = 16
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[\w.-]{1,100}", re.ASCII)
_TEXT_SCHEMA = 2


def document_folder(key: str) -> str:
    """Folder of a document, relative to the index."""
    return f"documents/{key}"


def kept_source_path(sha256: str, salt: str | None = None) -> str:
    """The source file with this digest, as the index keeps it for all documents read from it.

    Args:
        sha256: digest of its bytes.
        salt: of the fingerprint: a tenant's files do not have the names that others can work out.
    """
    name = _salted(sha256, salt)
    return f"sources/{name[:2]}/{name}"


def _salted(digest: str, salt: str | None) -> str:
    return digest if salt is None else sha256_hex(f"{salt}\n{digest}".encode("ascii"))


def manifest_path(key: str) -> str:
    """The file whose presence makes a document part of the index."""
    return f"{document_folder(key)}/{MANIFEST}"


@dataclass(frozen=True)
class ChunkRecord:
    """One chunk of a document and the shard that contains its rows.

    Attributes:
        key: names the shard.
        start: first token in the document.
        end: one past the last token.
        rows: number of its rows.
        bytes: size of the shard; 0 while the chunk is not read yet.
        head_bytes: size of the shard's head, the bytes before its block data; 0 while it is not read yet.
        head_sha256: digest of the head; "" while it is not read yet.
        sha256: digest of the whole shard; "" while it is not read yet.
    """

    key: str
    start: int
    end: int
    rows: int
    bytes: int
    head_bytes: int
    head_sha256: str
    sha256: str

    @property
    def path(self) -> str:
        """The shard's path, relative to the index."""
        return shard_path(self.key)

    @property
    def unread(self) -> bool:
        """Whether its rows are not encoded yet, as far as this record knows."""
        return not self.sha256

    @classmethod
    def not_read(cls, key: str, rows: int, *, start: int, end: int) -> ChunkRecord:
        """The record of a chunk whose rows are not encoded yet."""
        return cls(key, start, end, rows, bytes=0, head_bytes=0, head_sha256="", sha256="")

    @classmethod
    def of(cls, head: ShardHead, head_sha256: str, sha256: str, *, start: int, end: int) -> ChunkRecord:
        """The record of a shard for the tokens ``[start, end)`` of a document."""
        return cls(head.key, start, end, head.shape[0], head.file_bytes, head.head_bytes, head_sha256, sha256)

    @classmethod
    def of_encoded(cls, shard: EncodedShard, *, start: int, end: int) -> ChunkRecord:
        """The record of a shard just encoded."""
        return cls.of(shard.head, shard.head_sha256, shard.sha256, start=start, end=end)


@dataclass(frozen=True)
class FileRecord:
    """A file beside the manifest.

    Attributes:
        name: in the document's folder.
        bytes: its size.
        sha256: its digest.
    """

    name: str
    bytes: int
    sha256: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or self.name.startswith("."):
            raise ValueError(f"{self.name!r} names no file of the document's folder")

    @classmethod
    def of(cls, role: FileRole, data: Buffer, salt: str | None = None) -> FileRecord:
        """The record of a new file; ``salt`` is that of the fingerprint.

        The name contains the beginning of the digest, so a document that is committed again never overwrites a file
        that its present manifest names: until the new manifest is in place, the old one and its files are whole.
        """
        digest = sha256_hex(data)
        name = _salted(digest, salt)[:_NAME_DIGITS]
        return cls(f"{role}-{name}.{_SUFFIXES[role]}", len(data), digest)


@dataclass(frozen=True)
class DocumentRecord:
    """A document in the index.

    Attributes:
        key: content address.
        name: display name.
        source_sha256: digest of the source's bytes.
        reader: name of the reader.
        reader_version: version of the reader.
        reader_options: options of the reader that changed what was read.
        fingerprint: digest of the index's fingerprint.
        created: UTC time, as the caller gave it.
        metadata: strings of the source and of the caller (title, author, year).
        issues: what was lost or guessed while reading.
        tokens: number of tokens.
        pages: number of pages.
        chunks: in document order.
        files: the files beside the manifest, by role.
        source_bytes: size of the source file, which the index keeps; 0 where it does not.
        source_path: where the source file was, if it is not kept; "" where that is not known.
    """

    key: str
    name: str
    source_sha256: str
    reader: str
    reader_version: str
    reader_options: Mapping[str, str]
    fingerprint: str
    created: str
    metadata: Mapping[str, str]
    issues: tuple[Issue, ...]
    tokens: int
    pages: int
    chunks: tuple[ChunkRecord, ...]
    files: Mapping[FileRole, FileRecord]
    source_bytes: int = 0
    source_path: str = ""

    @property
    def rows(self) -> int:
        """Number of rows of all chunks, those not read yet included."""
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def unread(self) -> tuple[int, ...]:
        """Numbers of the chunks that are not read yet."""
        return tuple(number for number, chunk in enumerate(self.chunks) if chunk.unread)

    @property
    def bytes(self) -> int:
        """Bytes of the shards that are there, each counted once, of the files beside the manifest and of the source."""
        shards = {chunk.key: chunk.bytes for chunk in self.chunks}
        return sum(shards.values()) + sum(file.bytes for file in self.files.values()) + self.source_bytes

    @property
    def path(self) -> str:
        """The manifest's path, relative to the index."""
        return manifest_path(self.key)

    @cached_property
    def leaves_digest(self) -> str:
        """Digest of all that the texts, titles and vectors of its leaves follow from."""
        parts = (self.key, self.files["text"].sha256, self.files["tokens"].sha256)
        return sha256_hex("\n".join(parts).encode("ascii"))[:32]

    def file_path(self, role: FileRole) -> str:
        """The path of a file beside the manifest, relative to the index."""
        return f"{document_folder(self.key)}/{self.files[role].name}"

    def expected_key(self) -> str:
        """The key that follows from the record's own fields."""
        return document_key(
            self.fingerprint,
            source_sha256=self.source_sha256,
            reader=self.reader,
            reader_version=self.reader_version,
            reader_options=self.reader_options,
        )

    def to_dict(self) -> dict[str, Any]:
        """The manifest without schema and digest."""
        values = asdict(self)
        for name in ("tokens", "pages"):
            del values[name]
        values["format"] = DOCUMENT_FORMAT
        values["counts"] = {
            "tokens": self.tokens,
            "pages": self.pages,
            "chunks": len(self.chunks),
            "rows": self.rows,
            "bytes": self.bytes,
        }
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> DocumentRecord:
        """Inverse of ``to_dict``.

        Raises:
            KeyError, TypeError, ValueError: a field is missing, unknown or wrong.
        """
        names = ("key", "name", "source_sha256", "reader", "reader_version", "fingerprint", "created")
        if values["source_bytes"] and not _DIGEST.fullmatch(_text(values["source_sha256"], "source_sha256")):
            raise ValueError(f"{values['source_sha256']!r} names no source file")  # it is part of a path
        return cls(
            **{name: _text(values[name], name) for name in names},
            reader_options=_texts(values["reader_options"], "reader_options"),
            metadata=_texts(values["metadata"], "metadata"),
            issues=tuple(_issue(issue) for issue in values["issues"]),
            tokens=_count(values["counts"]["tokens"], "tokens"),
            pages=_count(values["counts"]["pages"], "pages"),
            chunks=tuple(_chunk(chunk) for chunk in values["chunks"]),
            files={
                role: _file(values["files"][role])
                for role in _SUFFIXES
                if role in values["files"] or role not in _OPTIONAL
            },
            source_bytes=_count(values["source_bytes"], "source_bytes"),
            source_path=_text(values["source_path"], "source_path"),
        )


def _issue(values: Mapping[str, Any]) -> Issue:
    issue = Issue(**values)
    _text(issue.code, "code"), _text(issue.message, "message")
    if issue.page is not None:
        _count(issue.page, "page")
    return issue


def _chunk(values: Mapping[str, Any]) -> ChunkRecord:
    """A chunk's record out of a manifest, whose key cannot lead out of the index."""
    chunk = ChunkRecord(**values)
    if not _DIGEST.fullmatch(_text(chunk.key, "key")):
        raise ValueError(f"{chunk.key!r} names no shard")
    digests = (_text(chunk.sha256, "sha256"), _text(chunk.head_sha256, "head_sha256"))
    if chunk.unread and (any(digests) or chunk.bytes or chunk.head_bytes):
        raise ValueError("a chunk that is not read yet has the size or the digest of a shard")
    for name in ("start", "end", "rows", "bytes", "head_bytes"):
        _count(getattr(chunk, name), name)
    if chunk.head_bytes > MAX_HEAD or chunk.bytes > MAX_SHARD:
        raise ValueError(f"a shard of {chunk.bytes:,} bytes with a head of {chunk.head_bytes:,} is larger than any")
    if not chunk.start < chunk.end:
        raise ValueError(f"a chunk ends at {chunk.end}, not behind its start at {chunk.start}")
    return chunk


def _file(values: Mapping[str, Any]) -> FileRecord:
    file = FileRecord(**values)
    _count(file.bytes, "bytes")
    return file


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} is {value!r}, not text")
    return value


def _texts(values: object, name: str) -> dict[str, str]:
    if not isinstance(values, dict):
        raise TypeError(f"{name} is {values!r}, not a mapping")
    return {_text(key, name): _text(value, f"{name}[{key!r}]") for key, value in values.items()}


def _count(value: object, name: str) -> int:
    if type(value) is not int or not 0 <= value <= MAX_COUNT:
        raise ValueError(f"{name} is {value!r}, not a count")
    return value


def encode_text(document: Document) -> bytes:
    """The file with pages and outline of a document; all else about it is in the manifest."""
    return canonical_bytes(
        {
            "schema": _TEXT_SCHEMA,
            "pages": [_page_record(page) for page in document.pages],
            "sections": [asdict(section) for section in document.sections],
        }
    )


def _page_record(page: Page) -> dict[str, Any]:
    """A page as it is written: places of repeated text only where there are any, as files before them have none."""
    values = asdict(page)
    return values if page.repeats else {key: value for key, value in values.items() if key != "repeats"}


def _page(values: Mapping[str, Any]) -> Page:
    repeats = tuple((_count(start, "repeats"), _count(end, "repeats")) for start, end in values.get("repeats", ()))
    page = Page(**{**values, "repeats": repeats})
    _count(page.number, "number"), _text(page.text, "text"), _text(page.label, "label")
    return page


def _section(values: Mapping[str, Any]) -> Section:
    section = Section(**values)
    _text(section.title, "title")
    for name in ("level", "page", "char"):
        _count(getattr(section, name), name)
    return section


def decode_document(record: DocumentRecord, data: bytes) -> Document:
    """The document as it was read, out of its manifest and its text file.

    The ``content.json`` of an index that began with schema 1 also contains metadata and issues; the manifest's count.

    Raises:
        KeyError, TypeError, ValueError: a field is missing or wrong, or there are other pages than the manifest says.
    """
    content = strict_json(data)
    if len(content["pages"]) != record.pages:
        raise ValueError(f"it holds {len(content['pages'])} pages, its manifest says {record.pages}")
    return Document(
        name=record.name,
        source_sha256=record.source_sha256,
        reader=record.reader,
        reader_version=record.reader_version,
        pages=tuple(_page(page) for page in content["pages"]),
        sections=tuple(_section(section) for section in content["sections"]),
        issues=record.issues,
        metadata=dict(record.metadata),
        reader_options=dict(record.reader_options),
    )


def decode_tokens(record: DocumentRecord, data: bytes) -> DocumentTokens:
    """The tokens of a document. Raises ValueError where they are not those that its manifest speaks of."""
    arrays = decode_tensors(data)
    found = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    if found != dict.fromkeys(("ids", "char_start", "char_end"), ("int32", (record.tokens,))):
        raise ValueError(f"it holds {found}, not the {record.tokens} tokens of its manifest")
    if record.tokens and min(int(array.min()) for array in arrays.values()) < 0:
        raise ValueError("a token or its place is below 0")
    ends = [0, *(chunk.end for chunk in record.chunks)]
    if [chunk.start for chunk in record.chunks] != ends[:-1] or ends[-1] != record.tokens:
        raise ValueError("its chunks do not follow one another from the first token to the last")
    return DocumentTokens(**arrays)


def decode_vectors(data: bytes) -> dict[str, NDArray[Any]]:
    """Vectors as ``encode_vectors`` wrote them. Raises ValueError for other arrays, and for numbers that are none."""
    arrays = decode_tensors(data)
    for name, array in arrays.items():
        if array.dtype not in (np.float32, np.float16) or array.ndim != 2 or not np.isfinite(array).all():
            raise ValueError(f"the vectors {name!r} are not all finite numbers")
    return arrays


def side_files(
    document: Document, tokens: DocumentTokens, vectors: Mapping[str, NDArray[Any]]
) -> dict[FileRole, bytes]:
    """The bytes of the files beside the manifest, by role.

    Raises:
        ConfigError: the arrays have a dtype or length that cannot be stored.
    """
    places = {name: np.asarray(getattr(tokens, name)) for name in ("ids", "char_start", "char_end")}
    sizes = {name: (array.dtype.name, array.shape) for name, array in places.items()}
    if set(sizes.values()) != {("int32", (len(tokens),))}:
        raise ConfigError(f"Token arrays must be int32 of one length, not {sizes}.")
    return {
        "text": encode_text(document),
        "tokens": encode_tensors(places),
        "vectors": encode_vectors(vectors),
        **({"boxes": encode_places(document.places)} if document.places is not None else {}),
    }


def encode_places(places: Places) -> bytes:
    """The file with the rectangles of a document's text."""
    return encode_tensors(places.to_arrays())


def decode_places(data: bytes) -> Places:
    """Inverse of ``encode_places``. Raises ValueError for anything else."""
    return Places(decode_tensors(data))


def encode_vectors(vectors: Mapping[str, NDArray[Any]]) -> bytes:
    """The file with the vectors of a document.

    Raises:
        ConfigError: an array of a dtype that cannot be stored.
    """
    wrong = [name for name, array in vectors.items() if array.dtype not in (np.float32, np.float16)]
    if wrong:
        raise ConfigError(
            f"The vectors {wrong[0]!r} are {vectors[wrong[0]].dtype}.", remedy="Store them as float32 or float16."
        )
    return encode_tensors(vectors)


def record_of(
    document: Document,
    chunks: Sequence[ChunkRecord],
    num_tokens: int,
    files: Mapping[FileRole, bytes],
    *,
    fingerprint: str,
    created: str,
    source_bytes: int = 0,
    source_path: str = "",
    salt: str | None = None,
) -> DocumentRecord:
    """The record of a document that was read and encoded.

    Args:
        document: as read.
        chunks: in document order.
        num_tokens: number of its tokens.
        files: the files beside the manifest, by role.
        fingerprint: digest of the index's fingerprint.
        created: UTC time, ISO 8601.
        source_bytes: size of the source file if the index keeps it.
        source_path: where it is, if not.
        salt: of the fingerprint.
    """
    options = dict(document.reader_options)
    key = document_key(
        fingerprint,
        source_sha256=document.source_sha256,
        reader=document.reader,
        reader_version=document.reader_version,
        reader_options=options,
    )
    return DocumentRecord(
        key=key,
        name=document.name,
        source_sha256=document.source_sha256,
        reader=document.reader,
        reader_version=document.reader_version,
        reader_options=options,
        fingerprint=fingerprint,
        created=created,
        metadata=dict(document.metadata),
        issues=document.issues,
        tokens=num_tokens,
        pages=len(document.pages),
        chunks=tuple(chunks),
        files={role: FileRecord.of(role, data, salt) for role, data in files.items()},
        source_bytes=source_bytes,
        source_path=source_path,
    )
