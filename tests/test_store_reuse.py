"""What is stored is used again, mended alone when damaged, and taken out whole. Local folder and memory:// alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sharedllm_docs.documents.chunks import Chunk, split_into_chunks
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import (
    DamagedIndexError,
    DocumentNotFoundError,
    StoreError,
)
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.opening import open_files
from tests.store_helpers import (
    add,
    check_document,
    fingerprint_of,
    flip,
    ids_of,
    put,
    read_rows,
    rows_of,
    tiny_profile,
)

PROFILE = tiny_profile()


# -- reuse --------------------------------------------------------------------------------------------------------


def put_and_interrupt(store: IndexStore, chunks: Sequence[Chunk], ids: NDArray[np.int32]) -> None:
    with store.writer() as writer:
        for chunk in chunks:
            put(writer, store, PROFILE, chunk, ids)
        raise KeyboardInterrupt


def test_interrupted_work_goes_on_where_it_stopped(store: IndexStore) -> None:
    ids = ids_of(1, 200)
    with pytest.raises(KeyboardInterrupt):
        put_and_interrupt(store, split_into_chunks(200, 32)[:4], ids)
    assert store.documents() == []
    encoded: list[int] = []
    record = add(IndexStore.open(store.url), "a.txt", ids, profile=PROFILE, encoded=encoded)
    assert encoded == [4, 5, 6]
    check_document(store, record, PROFILE)


def test_an_edit_encodes_only_the_chunks_whose_tokens_changed(store: IndexStore) -> None:
    ids = ids_of(1, 200)
    add(store, "old.txt", ids, profile=PROFILE)
    edited = ids.copy()
    edited[70] += 1
    encoded: list[int] = []
    record = add(store, "new.txt", edited, profile=PROFILE, encoded=encoded)
    assert encoded == [2]
    check_document(store, record, PROFILE)
    longer = np.concatenate([edited, ids_of(9, 20)])
    encoded.clear()
    add(store, "longer.txt", longer, profile=PROFILE, encoded=encoded)
    assert encoded == [6]


def test_equal_chunks_share_a_shard_within_and_across_documents(store: IndexStore) -> None:
    part = ids_of(1, 32)
    encoded: list[int] = []
    record = add(store, "twice.txt", np.concatenate([part, part]), profile=PROFILE, encoded=encoded)
    assert encoded == [0]
    assert record.chunks[0].key == record.chunks[1].key
    assert record.bytes < 2 * record.chunks[0].bytes + sum(f.bytes for f in record.files.values())
    assert len(open_files(store.url).sizes("shards")) == 1
    check_document(store, record, PROFILE)


@pytest.mark.parametrize("place", [3, 200, 900, -1])
def test_a_damaged_shard_is_not_used_again(store: IndexStore, place: int) -> None:
    ids = ids_of(1, 64)
    first = add(store, "a.txt", ids, profile=PROFILE)
    flip(store, first.chunks[1].path, place)
    other = np.concatenate([ids, ids_of(2, 32)])
    encoded: list[int] = []
    record = add(store, "b.txt", other, profile=PROFILE, encoded=encoded)
    assert encoded == [1, 2]
    assert store.verify().ok, "the first document's chunk is mended too"
    check_document(store, record, PROFILE)
    check_document(store, store.get(first.key), PROFILE)


def test_adding_again_mends_damaged_files_beside_the_manifest(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    for path in (*map(record.file_path, record.files), record.path):
        flip(store, path, 60)
        assert [d.path for d in store.verify().damaged] == [path]
        assert add(store, "a.txt", ids_of(1, 64), profile=PROFILE) == record
        assert store.verify().ok


# -- repair -------------------------------------------------------------------------------------------------------


def test_only_damaged_chunks_are_encoded_again(store: IndexStore) -> None:
    ids = ids_of(1, 128)
    record = add(store, "a.txt", ids, profile=PROFILE)
    twin = add(store, "twin.txt", ids[:96], profile=PROFILE)
    flip(store, record.chunks[1].path)
    open_files(store.url).remove(record.chunks[3].path)
    assert store.damaged_chunks(record) == (1, 3)
    assert store.damaged_chunks(twin) == (1,)
    with store.writer() as writer:
        for number in store.damaged_chunks(record):
            chunk = Chunk(number, record.chunks[number].start, record.chunks[number].end)
            part = ids[chunk.start : chunk.end]
            keys, values = rows_of(PROFILE, part)
            # another machine need not give the same bits
            blocks = RowLayout(ContextTree(PROFILE, len(part))).blocks
            writer.replace_chunk(chunk, record.chunks[number].key, keys + 1e-6, values, blocks)
    assert store.verify().ok
    mended = store.get(record.key)
    assert [a.sha256 == b.sha256 for a, b in zip(mended.chunks, record.chunks, strict=True)] == [
        True,
        False,
        True,
        False,
    ]
    keys, _values = read_rows(store, store.get(twin.key), 1, [0], torch.float32)
    np.testing.assert_array_equal(keys.numpy(), rows_of(PROFILE, ids[32:64])[0][:1] + np.float32(1e-6))


def test_an_old_record_of_a_replaced_chunk_is_refused_not_misread(store: IndexStore) -> None:
    ids = ids_of(1, 32)
    record = add(store, "a.txt", ids, profile=PROFILE)
    keys, values = rows_of(PROFILE, ids)
    with store.writer() as writer:
        writer.replace_chunk(
            Chunk(0, 0, 32), record.chunks[0].key, keys * 2, values, ((0, 8), (8, 16), (16, 24), (24, 32))
        )
    fresh = IndexStore.open(store.url)
    with pytest.raises(DamagedIndexError, match="does not match the checksum in the manifest"):
        read_rows(fresh, record, 0, [0], torch.float32)
    read_rows(fresh, fresh.get(record.key), 0, [0], torch.float32)


# -- documents out ------------------------------------------------------------------------------------------------


def test_remove_takes_the_document_and_prune_its_shards(store: IndexStore) -> None:
    keep = add(store, "keep.txt", ids_of(1, 64), profile=PROFILE)
    gone = add(store, "gone.txt", np.concatenate([ids_of(1, 32), ids_of(2, 64)]), profile=PROFILE)
    before = store.total_bytes()
    removed = store.remove("gone.txt")
    assert store.documents() == [keep]
    assert removed.files == 4
    assert store.verify().unreferenced == 2
    pruned = store.prune()
    assert pruned.files == 2
    assert pruned.bytes == sum(chunk.bytes for chunk in gone.chunks[1:])
    assert store.total_bytes() == before - removed.bytes - pruned.bytes
    assert store.prune().files == 0
    check_document(store, keep, PROFILE)
    with pytest.raises(DocumentNotFoundError):
        store.get(gone.key)


def test_removed_and_added_again_encodes_nothing(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    store.remove(record.key[:10])
    encoded: list[int] = []
    assert add(store, "a.txt", ids_of(1, 64), profile=PROFILE, encoded=encoded) == record
    assert encoded == []


def test_a_document_with_a_damaged_manifest_can_be_removed_but_not_pruned_around(store: IndexStore) -> None:
    keep = add(store, "keep.txt", ids_of(1, 64), profile=PROFILE)
    bad = add(store, "bad.txt", ids_of(2, 64), profile=PROFILE)
    flip(store, bad.path, 50)
    assert store.get(keep.key) == store.get("keep.txt") == keep
    for action in (store.documents, store.prune, lambda: store.get(bad.key), lambda: store.get("bad.txt")):
        with pytest.raises(DamagedIndexError) as caught:
            action()
        assert caught.value.paths == (bad.path,)
    assert not store.verify().ok
    assert [d.path for d in store.verify(bad.key).damaged] == [bad.path]
    store.remove(bad.key)
    assert store.prune().files == 2
    assert store.verify().ok


@pytest.mark.parametrize("reference", ["key", "prefix", "name"])
@pytest.mark.parametrize("reopened", [False, True])
@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "a list"])
def test_removing_a_damaged_document_touches_nothing_else(
    store: IndexStore, damage: str, reopened: bool, reference: str
) -> None:
    keep = add(store, "keep.txt", ids_of(1, 64), profile=PROFILE)
    bad = add(store, "bad.txt", ids_of(2, 64), profile=PROFILE)
    files = open_files(store.url)
    whole = files.read(bad.path)
    spoilt = {"flip": whole.replace(b'"rows":', b'"rowz":'), "cut": whole[:-9], "empty": b"", "a list": b"[]"}[damage]
    assert spoilt != whole
    files.write(bad.path, [spoilt])
    if reopened:
        store = IndexStore.open(store.url)
    before = contents(store)
    given = {"key": bad.key, "prefix": bad.key[:8], "name": "bad.txt"}[reference]
    if reference == "name" and damage != "flip" and reopened:
        with pytest.raises(DamagedIndexError):  # nobody knows the name: the error says which manifest it may be
            store.remove(given)
        assert contents(store) == before
        return
    store.remove(given)
    folder = f"documents/{bad.key}/"
    assert contents(store) == {path: data for path, data in before.items() if not path.startswith(folder)}
    assert store.documents() == [keep]


def test_a_name_that_a_damaged_document_has_too_stands_for_both(store: IndexStore) -> None:
    bad, keep = (add(store, "a.txt", ids_of(seed, 64), profile=PROFILE) for seed in (1, 2))
    flip(store, bad.path, 50)
    with pytest.raises(StoreError, match=f"'a.txt' matches 2 documents: .*{bad.key[:12]}"):
        store.remove("a.txt")
    store.remove(bad.key)
    assert store.get("a.txt") == keep


def contents(store: IndexStore) -> dict[str, bytes]:
    files = open_files(store.url)
    return {path: files.read(path) for folder in ("documents", "shards") for path in files.sizes(folder)}


def test_prune_removes_leftovers_of_interrupted_writes(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    unfinished = tmp_path / "documents" / ("0" * 64)
    unfinished.mkdir()
    leftovers = [
        tmp_path / ".tmp-1",
        unfinished / "text-0123456789abcdef.json",
        (tmp_path / record.chunks[0].path).parent / ".tmp-2",
    ]
    for path in leftovers:
        path.write_bytes(b"12345")
    (tmp_path / "mine.txt").write_text("not the store's")
    assert store.documents() == [record]
    assert store.verify().ok
    assert store.prune().bytes == 15
    assert not any(path.exists() for path in (*leftovers, unfinished))
    assert (tmp_path / "mine.txt").exists()
    check_document(store, record, PROFILE)


def test_rows_of_a_document_removed_meanwhile_are_a_typed_error(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    reader = IndexStore.open(store.url)
    store.remove(record.key)
    store.prune()
    with pytest.raises(DocumentNotFoundError, match=r"gone: the document was removed from the index meanwhile"):
        read_rows(reader, record, 0, [0], torch.float32)
    with pytest.raises(DocumentNotFoundError):
        reader.tokens(record)


def test_a_local_reader_keeps_what_it_has_open(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 32), profile=PROFILE)
    reader = IndexStore.open(tmp_path)
    before = read_rows(reader, record, 0, range(32), torch.float32)
    store.remove(record.key)
    store.prune()
    after = read_rows(reader, record, 0, range(32), torch.float32)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_missing_shard_that_a_document_wants_is_damage(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    open_files(store.url).remove(record.chunks[0].path)
    with pytest.raises(DamagedIndexError, match="is damaged: it is missing") as caught:
        read_rows(store, record, 0, [0], torch.float32)
    assert caught.value.paths == (record.chunks[0].path,)


def test_a_commit_cut_short_leaves_the_old_document_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of other bytes come beside the old ones, whose manifest holds until the new one is in place."""
    from sharedllm_docs.errors import StoreError
    from sharedllm_docs.store.files import LocalFiles

    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    ids = ids_of(1, 64)
    record = add(store, "a.txt", ids, profile=PROFILE)
    flip(store, record.file_path("text"), 60)  # so that it is committed again
    write = LocalFiles.write

    def failing(self: LocalFiles, path: str, buffers: Any) -> None:
        if path.endswith("manifest.json"):
            raise StoreError("the power went out")
        write(self, path, buffers)

    vectors = {"leaf_embeddings": np.ones((3, 4), dtype=np.float32), "node_vectors": np.ones((2, 3), dtype=np.float16)}
    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "write", failing)
        patch.setattr("tests.store_helpers.vectors_of", lambda _ids: vectors)
        with pytest.raises(StoreError, match="power"):
            add(store, "a.txt", ids, profile=PROFILE)
    assert store.verify().ok
    check_document(store, store.get("a.txt"), PROFILE)
