"""Reading documents with many workers: the unit of work, for whatever drives it, and Ray driving it."""

from __future__ import annotations

from sharedllm_docs.distributed.ingestion import FileReport, IngestReport, ingest
from sharedllm_docs.index.units import EncodedChunks, commit_document, count_chunks, encode_chunks

__all__ = ["EncodedChunks", "FileReport", "IngestReport", "commit_document", "count_chunks", "encode_chunks", "ingest"]
