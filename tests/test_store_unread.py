"""Chunks that are not read yet: held, stored later, found after a crash; never damage, never lost to prune."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import (
    DamagedIndexError,
    DiskBudgetError,
    DocumentNotFoundError,
    IndexLockedError,
    StoreError,
)
from sharedllm_docs.store import ChunkRecord, DocumentRecord, IndexStore, held
from sharedllm_docs.store.canonical import seal, unseal
from tests.store_helpers import (
    add,
    check_document,
    fingerprint_of,
    flip,
    ids_of,
    read_rows,
    rows_of,
    snapshot,
    tiny_profile,
    vectors_of,
)

IDS = ids_of(1, 75)
"""Three chunks, the last one short."""


def lazily(store: IndexStore, name: str = "a.txt", ids: NDArray[np.int32] = IDS, **options: Any) -> DocumentRecord:
    return add(store, name, ids, profile=profile_of(store), encode=False, **options)


def profile_of(store: IndexStore) -> Profile:
    return tiny_profile(store_dtype=store.fingerprint.store_dtype)


def hold(store: IndexStore, record: DocumentRecord, number: int) -> ChunkRecord:
    """Encode a chunk as a question would."""
    profile, chunk = profile_of(store), record.chunks[number]
    keys, values = rows_of(profile, store.tokens(record).ids[chunk.start : chunk.end])
    return store.hold(chunk, keys, values, RowLayout(ContextTree(profile, chunk.end - chunk.start)).blocks)


def keep(store: IndexStore, record: DocumentRecord, *numbers: int, **options: Any) -> DocumentRecord:
    return store.keep(record.key, {record.chunks[number].key for number in numbers}, **options)


@pytest.fixture(params=["float32", "bfloat16", "int8", "int4"])
def typed(request: pytest.FixtureRequest, tmp_path: Path) -> IndexStore:
    profile = tiny_profile(store_dtype=request.param)
    return IndexStore.create(tmp_path / "index", fingerprint_of(profile))


def test_a_document_is_there_before_its_rows(store: IndexStore) -> None:
    record = lazily(store)
    assert record.unread == (0, 1, 2)
    assert [chunk.rows for chunk in record.chunks] == [32, 32, 11]
    assert record.bytes == sum(file.bytes for file in record.files.values())
    opened = IndexStore.open(store.url)
    assert opened.documents() == [record]
    check_document(opened, record, profile_of(store))
    assert opened.settled(record.chunks[0]) is None
    with pytest.raises(StoreError, match=r"The chunk of tokens 32\.\.63 is not read yet\. Ask a question"):
        opened.gather([(record.chunks[1], [0])], torch.float32)


def test_verify_counts_what_is_not_read_and_calls_none_of_it_damage(store: IndexStore) -> None:
    record = lazily(store)
    for report in (store.verify(), store.verify(record.key)):
        assert report.ok
        assert report.unread == 3
    assert store.damaged_chunks(record) == ()
    hold(store, record, 1)
    keep(store, record, 1)
    assert (store.verify().ok, store.verify().unread, store.verify().unreferenced) == (True, 2, 0)


def test_held_rows_are_those_that_are_stored(typed: IndexStore) -> None:
    record = lazily(typed)
    made = hold(typed, record, 1)
    assert typed.settled(record.chunks[1]) == made
    before = typed.gather([(made, [3, 0, 9])], torch.float64)
    noted = keep(typed, record, 1)
    assert noted.chunks[1] == made
    assert noted.unread == (0, 2)
    for store in (typed, IndexStore.open(typed.url)):
        after = store.gather([(store.get("a.txt").chunks[1], [3, 0, 9])], torch.float64)
        assert torch.equal(before.keys, after.keys)
        assert torch.equal(before.values, after.values)


def test_read_later_an_index_has_the_same_bytes(typed: IndexStore, tmp_path: Path) -> None:
    whole = IndexStore.create(tmp_path / "whole", typed.fingerprint)
    add(whole, "a.txt", IDS, profile=profile_of(typed))
    with typed.writer() as writer:  # without the vectors that come with the rows
        record = lazily(typed, writer=writer)
    vectors = vectors_of(IDS)
    first = typed.keep(record.key, vectors={"leaf_embeddings": vectors["leaf_embeddings"]})
    for number in (2, 0, 1):
        hold(typed, record, number)
        keep(typed, record, number)
    assert typed.get("a.txt").files == first.files
    typed.keep(record.key, vectors=vectors)
    assert snapshot(tmp_path / "index") == snapshot(tmp_path / "whole")


def test_a_reader_with_the_old_manifest_finds_vectors_that_took_the_place_of_others(store: IndexStore) -> None:
    record = lazily(store)
    more = {**vectors_of(IDS), "more": np.zeros((1, 2), np.float32)}
    store.keep(record.key, vectors=more)
    assert set(store.vectors(record)) == set(more)
    store.remove(record.key)
    with pytest.raises(DocumentNotFoundError):
        store.vectors(record)


def test_a_shard_that_a_dead_process_left_is_found_and_noted(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(tiny_profile()))
    record = lazily(store)
    manifest = (tmp_path / record.path).read_bytes()
    made = hold(store, record, 0)
    keep(store, record, 0)
    (tmp_path / record.path).write_bytes(manifest)  # it died before the manifest was in place
    after = IndexStore.open(tmp_path)
    assert after.get("a.txt").unread == (0, 1, 2)
    assert after.settled(record.chunks[0]) == made
    assert (after.verify().ok, after.verify().unread) == (True, 2)
    assert after.prune().files == 0
    assert keep(after, record, 0).unread == (1, 2)
    check_document(after, after.get("a.txt"), tiny_profile())


def test_a_damaged_shard_of_an_unread_chunk_is_never_used_and_is_named(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(tiny_profile()))
    record = lazily(store)
    manifest = (tmp_path / record.path).read_bytes()
    hold(store, record, 0)
    keep(store, record, 0)
    (tmp_path / record.path).write_bytes(manifest)
    size = (tmp_path / record.chunks[0].path).stat().st_size
    for place in (0, 9, size // 2, size - 1):
        flip(store, record.chunks[0].path, place)
        after = IndexStore.open(tmp_path)
        assert after.settled(record.chunks[0]) is None
        assert [damage.path for damage in after.verify().damaged] == [record.chunks[0].path]
        assert after.damaged_chunks(record) == (0,)
        flip(store, record.chunks[0].path, place)
    flip(store, record.chunks[0].path)
    hold(after, record, 0)
    assert keep(after, record, 0).unread == (1, 2)
    assert after.verify().ok
    check_document(after, after.get("a.txt"), tiny_profile())


def test_two_processes_encode_the_same_chunk(tmp_path: Path) -> None:
    """The second takes what the first wrote, even if its own bits differ (another machine)."""
    one = IndexStore.create(tmp_path, fingerprint_of(tiny_profile()))
    record = lazily(one)
    other = IndexStore.open(tmp_path)
    first = hold(one, record, 0)
    chunk = record.chunks[0]
    keys, values = rows_of(tiny_profile(), IDS[:32])
    second = other.hold(chunk, keys + 1, values, RowLayout(ContextTree(tiny_profile(), 32)).blocks)
    assert first.sha256 != second.sha256
    keep(one, record, 0)
    assert keep(other, record, 0).chunks[0] == first
    for store in (one, other, IndexStore.open(tmp_path)):
        assert store.verify().ok
        check_document(store, store.get("a.txt"), tiny_profile())


def test_a_chunk_that_another_document_has_is_read(store: IndexStore) -> None:
    add(store, "b.txt", ids_of(1, 32), profile=profile_of(store))
    assert lazily(store).unread == (1, 2)
    assert store.verify().unread == 2


def test_prune_keeps_what_half_read_documents_need(store: IndexStore) -> None:
    record = lazily(store)
    hold(store, record, 2)
    keep(store, record, 2)
    assert store.prune().files == 0
    store.remove("a.txt")
    assert store.prune().files == 1
    assert store.verify().unreferenced == 0


def test_nothing_is_written_for_a_document_that_was_removed(store: IndexStore) -> None:
    record = lazily(store)
    hold(store, record, 0)
    store.remove("a.txt")
    with pytest.raises(DocumentNotFoundError):
        keep(store, record, 0)
    assert store.settled(record.chunks[0]) is None, "it is not held any more"
    assert store.prune().files == 0


def test_what_cannot_be_written_stays_held(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(tiny_profile()))
    record = lazily(store)
    made = hold(store, record, 0)
    before = snapshot(tmp_path)
    with pytest.raises(DiskBudgetError):
        keep(store, record, 0, max_bytes=store.total_bytes() + 10)
    with IndexStore.open(tmp_path).writer(), pytest.raises(IndexLockedError):
        keep(store, record, 0, timeout=0)
    assert snapshot(tmp_path) == before
    assert store.settled(record.chunks[0]) == made
    keys, _values = read_rows_of(store, made)
    assert torch.equal(keys, torch.from_numpy(rows_of(tiny_profile(), IDS[:32])[0]))
    assert keep(store, record, 0).chunks[0] == made


def read_rows_of(store: IndexStore, chunk: ChunkRecord) -> tuple[torch.Tensor, torch.Tensor]:
    gathered = store.gather([(chunk, range(chunk.rows))], torch.float32, layout="rows_first")
    return gathered.keys, gathered.values


def test_the_memory_of_held_shards_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(tiny_profile()))
    record = lazily(store)
    one = hold(store, record, 0)
    monkeypatch.setattr(held, "MAX_HELD_BYTES", one.bytes)
    hold(store, record, 1)
    assert store.settled(record.chunks[0]) == one, "the question that holds both may still need it"
    store.trim_held()
    assert store.settled(record.chunks[0]) is None
    assert store.settled(record.chunks[1]) is not None
    assert keep(store, record, 0, 1).unread == (0, 2), "what was forgotten is not read yet"


def test_committed_again_a_document_keeps_the_chunks_that_are_read(store: IndexStore) -> None:
    record = lazily(store)
    hold(store, record, 1)
    keep(store, record, 1)
    assert lazily(store).unread == (0, 2)
    assert add(store, "a.txt", IDS, profile=profile_of(store)).unread == ()
    check_document(store, store.get("a.txt"), profile_of(store))


@pytest.mark.parametrize(
    "change", [{"bytes": 5}, {"head_bytes": 5}, {"head_sha256": "x"}, {"sha256": None}, {"sha256": 1}]
)
def test_an_unread_chunk_with_the_size_or_digest_of_a_shard_is_damage(change: dict[str, Any], tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(tiny_profile()))
    record = lazily(store)
    payload = unseal((tmp_path / record.path).read_bytes())
    payload["chunks"][0] |= change
    (tmp_path / record.path).write_bytes(seal(payload))
    with pytest.raises(DamagedIndexError, match="a field is missing, unknown or wrong"):
        store.get(record.key)


def test_a_store_read_later_reads_row_by_row(store: IndexStore) -> None:
    record = lazily(store)
    for number in range(3):
        hold(store, record, number)
    record = keep(store, record, 0, 1, 2)
    keys, _values = read_rows(store, record, 2, [10], torch.float32)
    assert torch.equal(keys[0], torch.from_numpy(rows_of(profile_of(store), IDS[64:])[0][10]))
