"""Synthetic documents and rows for the tests of the store; also a program for tests that need other processes.

Rows follow from the tokens by integer arithmetic alone, so any process and any later version can tell what must be
in a shard. ``python -m tests.store_helpers golden`` writes the golden indexes of the current schema anew.
"""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.box import Box
from sharedllm_docs.documents.boxes import Places, Run
from sharedllm_docs.documents.chunks import Chunk, split_into_chunks
from sharedllm_docs.documents.document import Document, Issue, Page, Section
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import DocumentNotFoundError
from sharedllm_docs.store import ChunkRecord, DocumentRecord, Fingerprint, IndexStore, IndexWriter, chunk_key
from sharedllm_docs.store.opening import open_files
from tests.waiting import counting_calls

LAYERS, KV_HEADS, HEAD_DIM = 2, 2, 8
CREATED = "2026-01-01T00:00:00+00:00"
OLD_GOLDENS = {
    1: Path(__file__).parent / "golden_index",
    2: Path(__file__).parent / "golden_index_schema_2",
    3: Path(__file__).parent / "golden_index_schema_3",
}
"""By schema: indexes as earlier versions wrote them; they cannot be written anew and must go on opening."""
GOLDEN = Path(__file__).parent / "golden_index_schema_4"
"""Indexes of the current schema with the same documents, one that is half read (since schema 3), and one with boxes
and its source."""
GOLDEN_DTYPES = ("int8", "bfloat16")


def tiny_profile(**changes: Any) -> Profile:
    """Chunks of 32 tokens with four leaves of 8 rows."""
    settings: dict[str, Any] = {"chunk_tokens": 32, "depth": 2, "grains": (0, 1), "store_dtype": "float32"}
    return Profile.prefix(**(settings | changes)).resolve(LAYERS)


def fingerprint_of(profile: Profile, **changes: Any) -> Fingerprint:
    values: dict[str, Any] = {"weights": "w" * 64, "tokenizer": "t" * 64, "rope": {"theta": 1e4}, "dtype": "float32"}
    return Fingerprint.for_profile(profile, **(values | changes))


def ids_of(seed: int, count: int) -> NDArray[np.int32]:
    return (np.arange(count, dtype=np.int64) * 7919 + seed * 104729).astype(np.int32) % 50000


def document_of(name: str, ids: NDArray[np.int32]) -> Document:
    """Two pages whose text spells the ids; the source digest follows from them."""
    half = len(ids) // 2
    texts = [" ".join(map(str, part.tolist())) for part in (ids[:half], ids[half:])]
    return Document(
        name=name,
        source_sha256=hashlib.sha256(ids.tobytes()).hexdigest(),
        reader="text",
        reader_version="1",
        pages=(Page(1, texts[0], "i"), Page(2, texts[1] + " \N{GREEK SMALL LETTER ALPHA}\t\u2028\ud83d", "ii")),
        sections=(Section("Start", 1, 1, 0),),
        issues=(Issue("page-failed", "Page 3 could not be read.", 3), Issue("encoding-guessed", "As UTF-8.")),
        metadata={"title": "Numbers"},
        reader_options={"pages": "1-2"},
    )


def tokens_of(ids: NDArray[np.int32]) -> DocumentTokens:
    places = np.arange(len(ids), dtype=np.int32)
    return DocumentTokens(ids, places * 6, places * 6 + 5)


def places_of(ids: NDArray[np.int32]) -> Places:
    """The words of ``document_of``, ten a line, on its two pages."""
    half = len(ids) // 2
    runs, start = list[Run](), 0
    for page, part in enumerate((ids[:half], ids[half:]), start=1):
        for number, word in enumerate(map(str, part.tolist())):
            left, bottom = 72.0 + 40 * (number % 10), 700.0 - 12 * (number // 10)
            runs.append(Run(start, start + len(word), Box(page, left, bottom, left + 5.5 * len(word), bottom + 10.4)))
            start += len(word) + 1
    return Places.of(runs)


def rows_of(profile: Profile, ids: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Keys and values [G, Ls, KV, D] of a chunk: multiples of 1/8 up to 15.875, exact in bfloat16."""
    offsets = RowLayout(ContextTree(profile, len(ids))).offsets
    per_row = LAYERS * KV_HEADS * HEAD_DIM
    base = ids[list(offsets)].astype(np.int64)[:, None] * 31 + np.arange(per_row) * 17
    shape = (len(offsets), LAYERS, KV_HEADS, HEAD_DIM)
    keys = ((base % 255 - 127) / 8).astype(np.float32).reshape(shape)
    values = (((base * 13) % 255 - 127) / 8).astype(np.float32).reshape(shape)
    return keys, values


def put(writer: IndexWriter, store: IndexStore, profile: Profile, chunk: Chunk, ids: NDArray[np.int32]) -> Any:
    part = ids[chunk.start : chunk.end]
    keys, values = rows_of(profile, part)
    blocks = RowLayout(ContextTree(profile, len(chunk))).blocks
    return writer.put_chunk(chunk, chunk_key(store.fingerprint.digest(), part), keys, values, blocks)


def read_rows(store: IndexStore, record: DocumentRecord, chunk: int, rows: Any, dtype: Any) -> tuple[Any, Any]:
    """Unrotated keys and values [R, Ls, KV, D] of some rows of one chunk."""
    gathered = store.gather([(record.chunks[chunk], rows)], dtype, layout="rows_first")
    return gathered.keys, gathered.values


def vectors_of(ids: NDArray[np.int32]) -> dict[str, NDArray[Any]]:
    return {
        "leaf_embeddings": (ids[:12].astype(np.float32) / 8).reshape(3, 4),
        "node_vectors": (ids[:6] % 100).astype(np.float16).reshape(2, 3),
    }


def add(
    store: IndexStore,
    name: str,
    ids: NDArray[np.int32],
    *,
    profile: Profile,
    encoded: list[int] | None = None,
    writer: IndexWriter | None = None,
    created: str = CREATED,
    encode: bool = True,
    placed: bool = False,
) -> DocumentRecord:
    """Ingest as the product does: reuse what is there, encode the rest or leave it for later, commit.

    ``encoded`` collects chunk numbers. ``placed`` gives the document boxes, and keeps its source.
    """
    if writer is None:
        with store.writer(timeout=60) as opened:
            return add(
                store,
                name,
                ids,
                profile=profile,
                encoded=encoded,
                writer=opened,
                created=created,
                encode=encode,
                placed=placed,
            )
    records = []
    for chunk in split_into_chunks(len(ids), profile.chunk_tokens):
        key = chunk_key(store.fingerprint.digest(), ids[chunk.start : chunk.end])
        found = writer.find_chunk(chunk, key)
        if found is None and not encode:
            rows = RowLayout(ContextTree(profile, len(chunk))).num_rows
            found = ChunkRecord.not_read(key, rows, start=chunk.start, end=chunk.end)
        if found is None:
            found = put(writer, store, profile, chunk, ids)
            if encoded is not None:
                encoded.append(chunk.index)
        records.append(found)
    document = document_of(name, ids)
    if placed:
        document = replace(document, places=places_of(ids))
    source = ids.tobytes() if placed else None
    return writer.commit(document, records, tokens_of(ids), vectors_of(ids), created=created, source=source)


def check_document(store: IndexStore, record: DocumentRecord, profile: Profile) -> None:
    """Everything the store gives for a document equals what follows from its tokens (float32 or bfloat16 rows).

    Chunks that are not read yet have no rows to be compared.
    """
    import torch

    ids = store.tokens(record).ids
    assert store.document(record) == document_of(record.name, ids)
    for name, array in vectors_of(ids).items():
        np.testing.assert_array_equal(store.vectors(record)[name], array)
    for number, chunk in enumerate(record.chunks):
        if chunk.unread:
            continue
        keys, values = read_rows(store, record, number, range(chunk.rows), torch.float32)
        wanted_keys, wanted_values = rows_of(profile, ids[chunk.start : chunk.end])
        np.testing.assert_array_equal(keys.numpy(), wanted_keys)
        np.testing.assert_array_equal(values.numpy(), wanted_values)


def new_url(kind: str, tmp_path: Path) -> Iterator[str]:
    """Where a new index can be made: ``local`` or ``memory``; cleans up when taken up again."""
    if kind == "local":
        yield str(tmp_path / "new" / "index")
        return
    yield f"memory://{uuid4().hex}/index"
    fsspec.filesystem("memory").store.clear()


def flip(store: IndexStore, path: str, place: int = -1) -> None:
    """Flip a bit of a file, local or remote."""
    files = open_files(store.url)
    data = bytearray(files.read(path))
    data[place] ^= 0x10
    files.write(path, [bytes(data)])


def snapshot(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of every file of an index, the lock file left out."""
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}
    return {path: data for path, data in files.items() if path != "writer.lock"}


def write_golden(folder: Path) -> None:
    """The golden indexes: one a dtype, two documents that share a chunk, a short last chunk, a third half read.

    A fourth has boxes and its source.
    """
    for dtype in GOLDEN_DTYPES:
        profile = tiny_profile(store_dtype=dtype)
        fingerprint = fingerprint_of(profile, front_ids=[1, 2, 3])
        store = IndexStore.create(folder / dtype, fingerprint, {"model": "tiny", "numbers": [1, 2.5]}, max_bytes=10**9)
        add(store, "first.txt", ids_of(1, 75), profile=profile)
        add(store, "second.txt", ids_of(1, 32), profile=profile)
        add(store, "third.txt", np.concatenate([ids_of(1, 32), ids_of(3, 40)]), profile=profile, encode=False)
        add(store, "fourth.txt", ids_of(1, 75)[:64], profile=profile, placed=True)
        (folder / dtype / "writer.lock").unlink()


# -- programs for other processes ---------------------------------------------------------------------------------


def _numbers(seed: int) -> Iterator[int]:
    while True:
        seed += 1
        yield seed


def write_until_dead(folder: str, seed: int, dies_at: int) -> None:
    """Add, remove and prune; dies at the function call of that number."""
    profile = tiny_profile()
    store = IndexStore.open(folder)
    chance = random.Random(seed)
    with counting_calls(dies_at):
        for number in _numbers(seed * 1000):
            add(store, f"doc-{number}", ids_of(number, chance.randint(12, 300)), profile=profile)
            records = store.documents()
            if len(records) > 3:
                store.remove(chance.choice(records).key)
            if chance.random() < 0.3:
                store.prune()


def write_some(folder: str, seed: int) -> None:
    """Add ten documents, and remove one in three of its own again."""
    profile = tiny_profile()
    store = IndexStore.open(folder)
    for number in range(seed * 100, seed * 100 + 10):
        record = add(store, f"doc-{number}", ids_of(number, 90), profile=profile)
        if number % 3 == 0:
            store.remove(record.key, timeout=60)
            store.prune(timeout=60)


def read_until(folder: str, over: str) -> None:
    """Check every document over and over until the file ``over`` is there; prints how many were whole, and vanished."""
    profile = tiny_profile()
    whole, gone = 0, 0
    while not Path(over).exists() or not whole:
        store = IndexStore.open(folder)
        for record in store.documents():
            try:
                check_document(store, record, profile)
                whole += 1
            except DocumentNotFoundError:
                gone += 1
    print(json.dumps({"whole": whole, "gone": gone}))


def main(arguments: list[str]) -> None:
    command, *rest = arguments
    if command == "golden":
        shutil.rmtree(GOLDEN, ignore_errors=True)
        write_golden(GOLDEN)
    elif command == "write-some":
        write_some(rest[0], int(rest[1]))
    elif command == "read-until":
        read_until(rest[0], rest[1])
    else:
        raise SystemExit(f"unknown command {command!r}")


if __name__ == "__main__":
    main(sys.argv[1:])
