"""What the store says of a document without reading its rows: the manifest, as frozen records.

A manifest is canonical JSON with its own digest; ``docs/format.md`` lists its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sharedllm_docs.documents.document import Document, Issue, Page, Section
from sharedllm_docs.store.canonical import canonical_bytes
from sharedllm_docs.store.keys import document_key
from sharedllm_docs.store.shard import EncodedShard, ShardHead, shard_path

DOCUMENT_FORMAT = "sharedllm-docs-document"
CONTENT_FILE = "content.json"
TOKENS_FILE = "tokens.safetensors"
VECTORS_FILE = "vectors.safetensors"
CONTENT_SCHEMA = 1


def document_folder(key: str) -> str:
    """Folder of a document, relative to the index."""
    return f"documents/{key}"


def manifest_path(key: str) -> str:
    """The file whose presence makes a document part of the index."""
    return f"{document_folder(key)}/manifest.json"


@dataclass(frozen=True)
class ChunkRecord:
    """One chunk of a document and the shard that holds its rows.

    Attributes:
        key: names the shard.
        start: first token in the document.
        end: one past the last token.
        rows: stored rows.
        bytes: size of the shard.
        head_bytes: bytes of the shard before its block data.
        head_sha256: their digest.
        sha256: digest of the whole shard.
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
        """The shard, relative to the index."""
        return shard_path(self.key)

    @classmethod
    def of(cls, head: ShardHead, head_sha256: str, sha256: str, *, start: int, end: int) -> ChunkRecord:
        """The record of a shard for the tokens ``[start, end)`` of a document."""
        return cls(head.key, start, end, head.shape[0], head.file_bytes, head.head_bytes, head_sha256, sha256)

    @classmethod
    def of_encoded(cls, shard: EncodedShard, *, start: int, end: int) -> ChunkRecord:
        """The record of a shard just encoded."""
        return cls.of(shard.head, shard.head_sha256, shard.sha256, start=start, end=end)

    def describes_same_shard(self, other: ChunkRecord) -> bool:
        """Whether both records stand for the same bytes."""
        return self.sha256 == other.sha256


@dataclass(frozen=True)
class FileRecord:
    """A file beside the manifest: size and digest."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class DocumentRecord:
    """A document in the index.

    Attributes:
        key: its content address.
        name: display name.
        source_sha256: of the source bytes.
        reader: that read it.
        reader_version: of that reader.
        reader_options: that changed what was read.
        fingerprint: digest of the index's fingerprint.
        created: UTC time, as the caller gave it.
        tokens: how many.
        pages: how many.
        chunks: in document order.
        files: name -> size and digest of content, tokens and vectors.
    """

    key: str
    name: str
    source_sha256: str
    reader: str
    reader_version: str
    reader_options: Mapping[str, str]
    fingerprint: str
    created: str
    tokens: int
    pages: int
    chunks: tuple[ChunkRecord, ...]
    files: Mapping[str, FileRecord]

    @property
    def rows(self) -> int:
        """Stored rows of all chunks."""
        return sum(chunk.rows for chunk in self.chunks)

    @property
    def bytes(self) -> int:
        """Bytes of the shards (each counted once) and of the files beside the manifest."""
        shards = {chunk.key: chunk.bytes for chunk in self.chunks}
        return sum(shards.values()) + sum(file.bytes for file in self.files.values())

    @property
    def path(self) -> str:
        """Its manifest, relative to the index."""
        return manifest_path(self.key)

    def file_path(self, name: str) -> str:
        """A file beside the manifest, relative to the index."""
        return f"{document_folder(self.key)}/{name}"

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
        values["chunks"] = [asdict(chunk) for chunk in self.chunks]
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
            KeyError, TypeError: a field is missing or unknown.
        """
        names = ("key", "name", "source_sha256", "reader", "reader_version", "reader_options", "fingerprint", "created")
        return cls(
            **{name: values[name] for name in names},
            tokens=values["counts"]["tokens"],
            pages=values["counts"]["pages"],
            chunks=tuple(ChunkRecord(**chunk) for chunk in values["chunks"]),
            files={name: FileRecord(**file) for name, file in values["files"].items()},
        )


def encode_content(document: Document) -> bytes:
    """Text, outline, issues and metadata of a document; the rest of it is in the manifest."""
    return canonical_bytes(
        {
            "schema": CONTENT_SCHEMA,
            "pages": [asdict(page) for page in document.pages],
            "sections": [asdict(section) for section in document.sections],
            "issues": [asdict(issue) for issue in document.issues],
            "metadata": dict(document.metadata),
        }
    )


def decode_content(record: DocumentRecord, content: Mapping[str, Any]) -> Document:
    """The document as it was read."""
    return Document(
        name=record.name,
        source_sha256=record.source_sha256,
        reader=record.reader,
        reader_version=record.reader_version,
        pages=tuple(Page(**page) for page in content["pages"]),
        sections=tuple(Section(**section) for section in content["sections"]),
        issues=tuple(Issue(**issue) for issue in content["issues"]),
        metadata=dict(content["metadata"]),
        reader_options=dict(record.reader_options),
    )
