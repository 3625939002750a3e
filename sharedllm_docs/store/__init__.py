"""The index on disk: documents, chunks and their rows, at a local path or any fsspec URL. See docs/format.md.

Listing and verifying need neither torch nor a model; torch is loaded when rows are read into tensors.
"""

from sharedllm_docs.store.catalog import Damage
from sharedllm_docs.store.estimate import SizeEstimate, VectorSize, estimate_bytes
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.index import IndexStore
from sharedllm_docs.store.keys import chunk_key, document_key
from sharedllm_docs.store.maintenance import PruneReport
from sharedllm_docs.store.reader import GatheredRows
from sharedllm_docs.store.records import ChunkRecord, DocumentRecord
from sharedllm_docs.store.sources import ReadStats
from sharedllm_docs.store.verify import VerifyReport
from sharedllm_docs.store.writer import IndexWriter

__all__ = [
    "ChunkRecord",
    "Damage",
    "DocumentRecord",
    "Fingerprint",
    "GatheredRows",
    "IndexStore",
    "IndexWriter",
    "PruneReport",
    "ReadStats",
    "SizeEstimate",
    "VectorSize",
    "VerifyReport",
    "chunk_key",
    "document_key",
    "estimate_bytes",
]
