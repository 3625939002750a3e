"""From a document as read and encoded to the files that stand for it. Writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.store.canonical import sha256_hex
from sharedllm_docs.store.keys import document_key
from sharedllm_docs.store.records import (
    CONTENT_FILE,
    TOKENS_FILE,
    VECTORS_FILE,
    ChunkRecord,
    DocumentRecord,
    FileRecord,
    encode_content,
)
from sharedllm_docs.store.tensorfile import encode_tensors


def side_files(document: Document, tokens: DocumentTokens, vectors: Mapping[str, NDArray[Any]]) -> dict[str, bytes]:
    """Name -> bytes of the files beside the manifest.

    Raises:
        ConfigError: arrays of a dtype or length that cannot be stored.
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
        CONTENT_FILE: encode_content(document),
        TOKENS_FILE: encode_tensors(places),
        VECTORS_FILE: encode_tensors(vectors),
    }


def describe(
    document: Document,
    chunks: Sequence[ChunkRecord],
    num_tokens: int,
    files: Mapping[str, bytes],
    *,
    fingerprint: str,
    created: str,
) -> DocumentRecord:
    """The record of a document with these chunks and files under the fingerprint of that digest."""
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
        tokens=num_tokens,
        pages=len(document.pages),
        chunks=tuple(chunks),
        files={name: FileRecord(len(data), sha256_hex(data)) for name, data in files.items()},
    )
