"""Turns a document that was read and encoded into its manifest and the files beside it. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.store.keys import document_key
from sharedllm_docs.store.records import ChunkRecord, DocumentRecord, FileRecord, FileRole, encode_text
from sharedllm_docs.store.tensorfile import encode_tensors


def side_files(
    document: Document, tokens: DocumentTokens, vectors: Mapping[str, NDArray[Any]]
) -> dict[FileRole, bytes]:
    """The bytes of the files beside the manifest, by role.

    Raises:
        ConfigError: the arrays have a dtype or length that cannot be stored.
    """
    wrong = [name for name, array in vectors.items() if array.dtype not in (np.float32, np.float16)]
    if wrong:
        raise ConfigError(
            f"The vectors {wrong[0]!r} are {vectors[wrong[0]].dtype}.", remedy="Store them as float32 or float16."
        )
    places = {name: np.asarray(getattr(tokens, name)) for name in ("ids", "char_start", "char_end")}
    sizes = {name: (array.dtype.name, array.shape) for name, array in places.items()}
    if set(sizes.values()) != {("int32", (len(tokens),))}:
        raise ConfigError(f"Token arrays must be int32 of one length, not {sizes}.")
    return {
        "text": encode_text(document),
        "tokens": encode_tensors(places),
        "vectors": encode_tensors(vectors),
    }


def describe(
    document: Document,
    chunks: Sequence[ChunkRecord],
    num_tokens: int,
    files: Mapping[FileRole, bytes],
    *,
    fingerprint: str,
    created: str,
) -> DocumentRecord:
    """The record of a document.

    Args:
        document: as read.
        chunks: in document order.
        num_tokens: number of its tokens.
        files: the files beside the manifest, by role.
        fingerprint: digest of the index's fingerprint.
        created: UTC time, ISO 8601.
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
        files={role: FileRecord.of(role, data) for role, data in files.items()},
    )
