"""Content addresses: the names of chunks and documents are computed from their content."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.store.canonical import canonical_bytes, sha256_hex

CHUNK_KEY_PREFIX = b"sharedllm-docs/chunk/1\n"
DOCUMENT_KEY_KIND = "sharedllm-docs/document/1"

TokenIds = Sequence[int] | NDArray[Any]


def token_bytes(ids: TokenIds) -> bytes:
    """Token ids as little-endian int32."""
    return np.asarray(ids, dtype="<i4").tobytes()


def front_digest(ids: TokenIds) -> str:
    """Digest of the tokens that precede every chunk while it is encoded (none: that of no bytes)."""
    return sha256_hex(token_bytes(ids))


def chunk_key(fingerprint_digest: str, ids: TokenIds) -> str:
    """Name of a chunk's shard: depends on the fingerprint and on the chunk's own tokens, on nothing else.

    So the same text under the same fingerprint is encoded once, in whichever document and at whichever place.
    """
    digest = hashlib.sha256(CHUNK_KEY_PREFIX)
    digest.update(fingerprint_digest.encode("ascii") + b"\n")
    digest.update(token_bytes(ids))
    return digest.hexdigest()


def document_key(
    fingerprint_digest: str,
    *,
    source_sha256: str,
    reader: str,
    reader_version: str,
    reader_options: Mapping[str, str],
) -> str:
    """Name of a document: source bytes, reader with its version and options, fingerprint."""
    return sha256_hex(
        canonical_bytes(
            {
                "kind": DOCUMENT_KEY_KIND,
                "fingerprint": fingerprint_digest,
                "source_sha256": source_sha256,
                "reader": reader,
                "reader_version": reader_version,
                "reader_options": dict(reader_options),
            }
        )
    )
