"""The index on disk, at a local path or an fsspec URL (docs/format.md). Torch is loaded only to read rows as tensors.

It takes documents, chunks and their rows to write, and gives back records, rows of chosen nodes, and damage found.
Imported by model (the fingerprint), index, evaluation and cli; imports documents and root modules.
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
