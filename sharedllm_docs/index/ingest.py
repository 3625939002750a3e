"""Ingestion: a file becomes a document of the index. Read, tokenise, encode chunk by chunk, embed leaves, commit.

Every chunk is stored as soon as it is encoded and found again by its content, so an interrupted ingestion
continues where it stopped, and of an edited document only the chunks whose tokens changed are encoded.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray

from sharedllm_docs.documents.chunks import Chunk, split_into_chunks
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.tokens import DocumentTokens, tokenize
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import InterruptedIngestion
from sharedllm_docs.index.sources import NOT_KEPT, Kept
from sharedllm_docs.injection.encoder import EncodedChunk
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.candidates import EMBEDDED_FIRST, Embed
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, NODE_VECTORS, PreparedDocument
from sharedllm_docs.store.estimate import SizeEstimate, VectorSize, estimate_bytes
from sharedllm_docs.store.fingerprint import Fingerprint
from sharedllm_docs.store.keys import chunk_key
from sharedllm_docs.store.records import ChunkRecord, DocumentRecord, encode_places, encode_text
from sharedllm_docs.store.writer import IndexWriter

Source = str | Path | bytes | BinaryIO | Document
EMBED_BATCH = 64


@dataclass(frozen=True)
class Progress:
    """How far an operation has come.

    Attributes:
        stage: ``read``, ``tokenize``, ``encode``, ``embed``, ``commit`` or ``verify``.
        done: amount done so far.
        total: the whole amount.
        unit: ``pages``, ``tokens``, ``passages`` or ``files``.
    """

    stage: str
    done: int
    total: int
    unit: str


Report = Callable[[Progress], None]


@dataclass(frozen=True)
class Ingested:
    """What an ingestion did.

    Attributes:
        record: the document's record in the store.
        chunks_encoded: number of chunks that the model encoded.
        chunks_reused: number of chunks found in the store.
        stage_seconds: wall time of each stage: ``tokenize``, ``encode`` (the model), ``store`` (packing rows,
            waiting for the disk), ``embed``, ``commit``.
    """

    record: DocumentRecord
    chunks_encoded: int
    chunks_reused: int
    stage_seconds: Mapping[str, float]


def read_source(
    source: Source,
    *,
    name: str | None,
    options: ReadOptions,
    metadata: Mapping[str, str] | None,
    report: Report,
) -> Document:
    """Read a file, or take a document that is read already; the caller's metadata is added to the document's own."""
    if isinstance(source, Document):
        document = replace(source, name=name or source.name)
    else:
        document = read_document(
            source,
            name=name,
            options=options,
            progress=lambda done, total: report(Progress("read", done, total, "pages")),
        )
    return replace(document, metadata={**document.metadata, **(metadata or {})})


class Ingestion:
    """Brings one document into the store.

    Args:
        llm: the model; its lock is held while a batch is encoded.
        document: as read.
        report: called with progress.
        kept: whether and how the file that it was read from is kept.
        fingerprint: of the index, which includes the tenant; None for the model's own.
    """

    def __init__(
        self,
        llm: SharedLLM,
        document: Document,
        report: Report,
        kept: Kept = NOT_KEPT,
        fingerprint: Fingerprint | None = None,
    ) -> None:
        self.llm = llm
        self.kept = kept
        self.document = document
        self.report = report
        self.stage_seconds = dict.fromkeys(("tokenize", "encode", "store", "embed", "commit"), 0.0)
        begun = time.perf_counter()
        self.tokens: DocumentTokens = tokenize(
            document, llm.tokenizer, progress=lambda done, total: report(Progress("tokenize", done, total, "pages"))
        )
        self.chunks = split_into_chunks(len(self.tokens), llm.profile.chunk_tokens)
        self.prepared = PreparedDocument("", document, self.tokens, self.chunks, llm.profile)
        digest = (fingerprint or llm.fingerprint).digest()
        self.keys = [chunk_key(digest, self.ids(chunk)) for chunk in self.chunks]
        self.reused = [False] * len(self.chunks)
        self._spent("tokenize", begun)

    def _spent(self, stage: str, since: float) -> None:
        self.stage_seconds[stage] += time.perf_counter() - since

    def estimate(self) -> SizeEstimate:
        """Bytes that the document will take in the index."""
        llm = self.llm
        vectors = {
            EMBEDDINGS: VectorSize("leaf", llm.embedder.size),
            NODE_VECTORS: VectorSize("node", llm.upper.hidden_size),
        }
        places = self.document.places
        return estimate_bytes(
            len(self.tokens),
            llm.profile,
            kv_heads=llm.upper.kv_heads,
            head_dim=llm.upper.head_dim,
            vectors=vectors,
            text_bytes=len(encode_text(self.document)),
            box_bytes=0 if places is None else len(encode_places(places)),
            source_bytes=self.kept.size() if self.kept.wanted(self.document.reader) else 0,
        )

    def missing_bytes(self, writer: IndexWriter, *, shards: bool = True) -> int:
        """Bytes still to be written: the estimate minus the existing shards, or without any shards."""
        estimate = self.estimate()
        if not shards:
            return estimate.total - sum(estimate.chunk_bytes)
        pairs = zip(self.chunks, self.keys, estimate.chunk_bytes, strict=True)
        return estimate.total - sum(size for chunk, key, size in pairs if writer.find_chunk(chunk, key) is not None)

    def ids(self, chunk: Chunk) -> list[int]:
        """Token ids of a chunk."""
        ids: list[int] = self.tokens.ids[chunk.start : chunk.end].tolist()
        return ids

    def run(self, writer: IndexWriter, *, encode: bool = True, embed: bool = True) -> Ingested:
        """Encode the missing chunks and commit.

        Args:
            writer: of the index.
            encode: False leaves missing chunks to be read later; questions can be asked all the same.
            embed: False leaves the vectors of leaves for later as well, if chunks are left and there are more leaves
                than a question waits for.

        Raises:
            InterruptedIngestion: Ctrl-C; what was encoded is kept.
            DiskFullError, DiskBudgetError: what was stored before stays.
        """
        records: dict[int, ChunkRecord] = {}
        try:
            vectors = self._store_chunks(writer, records) if encode else self._find_chunks(writer, records)
            later = not embed and any(chunk.unread for chunk in records.values())
            embeddings = self._no_embeddings() if later else self._embed()
            self.report(Progress("commit", 0, 1, "files"))
            begun = time.perf_counter()
            record = writer.commit(
                self.document,
                [records[chunk.index] for chunk in self.chunks],
                self.tokens,
                {EMBEDDINGS: embeddings, **({} if vectors is None else {NODE_VECTORS: vectors})},
                created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
                source=self.kept.data() if self.kept.wanted(self.document.reader) else None,
                source_path=self.kept.path,
            )
            self._spent("commit", begun)
            self.report(Progress("commit", 1, 1, "files"))
        except KeyboardInterrupt as error:
            stored = sum(not chunk.unread for chunk in records.values())
            raise InterruptedIngestion(
                f"Interrupted: {stored} of {len(self.chunks)} chunks of {self.document.name} are stored; the "
                "document is not in the index yet.",
                remedy=f"Add the same file again{' to go on from there' if stored else ''}.",
            ) from error
        return Ingested(
            record,
            chunks_encoded=len(self.chunks) - sum(self.reused) - len(record.unread),
            chunks_reused=sum(self.reused),
            stage_seconds=self.stage_seconds,
        )

    def prepare(self) -> None:
        """Work that needs no lock, done before it is taken; nothing here, because encoding stores chunks as it goes."""

    # -- steps ------------------------------------------------------------------------------------------------------

    def _find_chunks(self, writer: IndexWriter, records: dict[int, ChunkRecord]) -> NDArray[np.float32] | None:
        """Fill ``records`` without encoding; returns the node vectors only if all chunks exist."""
        for chunk, key in zip(self.chunks, self.keys, strict=True):
            rows = RowLayout(ContextTree(self.llm.profile, len(chunk))).num_rows
            found = writer.find_chunk(chunk, key)
            records[chunk.index] = found or ChunkRecord.not_read(key, rows, start=chunk.start, end=chunk.end)
            self.reused[chunk.index] = found is not None
        return self._store_chunks(writer, records) if all(self.reused) else None

    def _store_chunks(self, writer: IndexWriter, records: dict[int, ChunkRecord]) -> NDArray[np.float32]:
        """Fill ``records`` by chunk index; returns the node vectors of all chunks, one after another."""
        vectors: dict[int, NDArray[np.float32]] = {}
        missing = []
        for chunk, key in zip(self.chunks, self.keys, strict=True):
            found = writer.find_chunk(chunk, key)
            if found is None:
                missing.append(chunk)
            else:
                records[chunk.index] = found
                self.reused[chunk.index] = True
                vectors[chunk.index] = self._node_vectors(chunk)
        done = sum(len(self.chunks[index]) for index in records)
        self.report(Progress("encode", done, len(self.tokens), "tokens"))
        for batch in _batches(missing, self.llm.encoding_batch):
            encoded = self.encode_batch(batch)
            begun = time.perf_counter()
            for chunk, rows in zip(batch, encoded, strict=True):
                blocks = RowLayout(ContextTree(self.llm.profile, len(chunk))).blocks
                vectors[chunk.index] = _float32(rows.node_vectors)
                key = self.keys[chunk.index]
                records[chunk.index] = writer.put_chunk(chunk, key, rows.keys, rows.values, blocks, rows.ranks)
            self._spent("store", begun)
            done += sum(map(len, batch))
            self.report(Progress("encode", done, len(self.tokens), "tokens"))
        return np.concatenate([vectors[chunk.index] for chunk in self.chunks])

    def encode_batch(self, batch: Sequence[Chunk]) -> list[EncodedChunk]:
        """The rows of several chunks, encoded together."""
        begun = time.perf_counter()
        with self.llm.lock:
            encoded = self.llm.encoder.encode([self.ids(chunk) for chunk in batch])
        self._spent("encode", begun)
        return encoded

    def _node_vectors(self, chunk: Chunk) -> NDArray[np.float32]:
        with self.llm.lock:
            return _float32(self.llm.encoder.node_vectors(self.ids(chunk)))

    def _no_embeddings(self) -> NDArray[np.float32]:
        """Zeros in place of vectors; those of a document that a question would embed whole are made at once."""
        leaves = len(self.prepared.leaves)
        if leaves <= EMBEDDED_FIRST:
            return self._embed()
        return np.zeros((leaves, self.llm.embedder.size), dtype=np.float32)

    def _embed(self) -> NDArray[np.float32]:
        begun = time.perf_counter()
        embeddings = np.empty((len(self.prepared.leaves), self.llm.embedder.size), dtype=np.float32)
        for numbers, vectors in leaf_vectors(self.prepared, self.llm.embedder.encode, self.report):
            embeddings[numbers] = vectors
        self._spent("embed", begun)
        return embeddings


def leaf_vectors(
    prepared: PreparedDocument, embed: Embed, report: Report
) -> Iterator[tuple[list[int], NDArray[np.float32]]]:
    """The vectors of all leaves of a document, batch by batch: numbers of the leaves, and their vectors.

    In the same batches whoever asks for them, so that the last bits are the same as well.
    """
    passages = prepared.passages(range(len(prepared.leaves)))
    # longest first over the whole document: texts of one length in a batch need no padding (docs/log.md, embedding)
    order = sorted(range(len(passages)), key=lambda number: -len(passages[number]))
    done = 0
    for batch in _batches(order, EMBED_BATCH):
        vectors = embed([passages[number] for number in batch])
        done += len(batch)
        report(Progress("embed", done, len(passages), "passages"))
        yield list(batch), vectors


def repair(
    llm: SharedLLM, prepared: PreparedDocument, damaged: Sequence[int], writer: IndexWriter, report: Report
) -> int:
    """Encode the chunks with these indices again and replace their damaged shards.

    Returns:
        The number of chunks encoded.
    """
    digest = writer.fingerprint.digest()
    sizes = [len(prepared.trees[index].chunk) for index in damaged]
    for index, done in zip(damaged, accumulate(sizes), strict=True):
        tree = prepared.trees[index]
        ids = prepared.tokens.ids[tree.chunk.start : tree.chunk.end]
        with llm.lock:
            rows = llm.encoder.encode([ids.tolist()])[0]
        key = chunk_key(digest, ids)
        writer.replace_chunk(tree.chunk, key, rows.keys, rows.values, tree.layout.blocks, rows.ranks)
        report(Progress("encode", done, sum(sizes), "tokens"))
    return len(damaged)


def _float32(tensor: torch.Tensor) -> NDArray[np.float32]:
    return np.asarray(tensor.float().cpu().numpy(), dtype=np.float32)


def _batches(items: Sequence[object], size: int) -> list[Sequence]:  # type: ignore[type-arg]
    return [items[start : start + size] for start in range(0, len(items), size)]
