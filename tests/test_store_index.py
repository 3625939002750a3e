"""The index as a whole: documents in and out, reuse, resumption, edits, repair. Local folder and memory:// alike."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from sharedllm_docs.chunks import Chunk, split_into_chunks
from sharedllm_docs.errors import (
    ConfigError,
    DamagedIndexError,
    DocumentNotFoundError,
    IndexLockedError,
    IndexNotFoundError,
    SharedLLMError,
    StoreError,
)
from sharedllm_docs.store import IndexStore, chunk_key
from sharedllm_docs.store.background import BackgroundWriter
from sharedllm_docs.store.files import LocalFiles, open_files
from sharedllm_docs.store.records import ChunkRecord
from sharedllm_docs.tokens import DocumentTokens
from sharedllm_docs.tree import ContextTree, RowLayout
from tests.store_helpers import (
    CREATED,
    add,
    check_document,
    document_of,
    fingerprint_of,
    ids_of,
    put,
    rows_of,
    snapshot,
    tiny_profile,
    tokens_of,
    vectors_of,
)

PROFILE = tiny_profile()


@pytest.fixture(params=["local", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "local":
        yield str(tmp_path / "new" / "index")
        return
    name = f"memory://{uuid4().hex}/index"
    yield name
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def store(url: str) -> IndexStore:
    return IndexStore.create(url, fingerprint_of(PROFILE), {"model": "tiny"})


def damage(store: IndexStore, path: str, place: int = -1) -> None:
    """Flip a byte of a file, local or remote."""
    files = open_files(store.url)
    data = bytearray(files.read(path))
    data[place] ^= 0x10
    files.write(path, [bytes(data)])


# -- opening ------------------------------------------------------------------------------------------------------


def test_a_new_index_is_empty_and_opens_again(url: str) -> None:
    assert not IndexStore.exists(url)
    made = IndexStore.create(url, fingerprint_of(PROFILE), {"model": "tiny", "list": (1, 2)}, max_bytes=10**6)
    assert IndexStore.exists(url)
    opened = IndexStore.open(url, fingerprint_of(PROFILE))
    assert opened.settings == made.settings == {"model": "tiny", "list": [1, 2]}
    assert opened.max_bytes == 10**6
    assert IndexStore.open(url, max_bytes=5).max_bytes == 5
    assert opened.documents() == []
    assert opened.verify().ok


def test_an_index_is_not_made_twice(store: IndexStore) -> None:
    with pytest.raises(StoreError, match=f"There is an index at {re.escape(store.url)} already"):
        IndexStore.create(store.url, fingerprint_of(PROFILE))


def test_no_index_is_a_typed_error(url: str) -> None:
    with pytest.raises(IndexNotFoundError, match=f"no index at {re.escape(url)}.*Add a document first"):
        IndexStore.open(url)


def test_a_file_in_the_way_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="file"):
        IndexStore.create(tmp_path / "file", fingerprint_of(PROFILE))
    with pytest.raises(IndexNotFoundError):
        IndexStore.open(tmp_path / "file")


def test_an_unknown_protocol_is_a_typed_error() -> None:
    with pytest.raises(StoreError, match="nosuch://x/y cannot be opened"):
        IndexStore.open("nosuch://x/y")
    with pytest.raises(StoreError, match="storage_options mean nothing for the local path"):
        IndexStore.open("x", storage_options={"key": "k"})


def test_file_urls_are_local(tmp_path: Path) -> None:
    IndexStore.create(f"file://{tmp_path}/index", fingerprint_of(PROFILE))
    assert (tmp_path / "index" / "index.json").is_file()


@pytest.mark.parametrize("bound", [0, -5])
def test_a_senseless_budget_is_refused(bound: int, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=f"max_bytes={bound} must be at least 1"):
        IndexStore.create(tmp_path, fingerprint_of(PROFILE), max_bytes=bound)


# -- documents in -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens", [12, 31, 32, 33, 100])
def test_a_document_comes_back_as_it_went_in(store: IndexStore, tokens: int) -> None:
    record = add(store, "a.txt", ids_of(1, tokens), profile=PROFILE)
    again = IndexStore.open(store.url)
    assert again.documents() == [record]
    assert record.key == record.expected_key()
    assert (record.tokens, record.pages, record.rows, record.created) == (tokens, 2, tokens, CREATED)
    assert [(c.start, c.end) for c in record.chunks] == [(c.start, c.end) for c in split_into_chunks(tokens, 32)]
    check_document(again, record, PROFILE)
    assert again.verify().ok


def test_the_record_counts_the_bytes_on_disk(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 100), profile=PROFILE)
    files = open_files(store.url)
    sizes = {path: size for folder in ("documents", "shards") for path, size in files.sizes(folder).items()}
    assert record.bytes == sum(size for path, size in sizes.items() if not path.endswith("manifest.json"))
    info = store.info()
    assert info.bytes == store.total_bytes() == sum(sizes.values()) + len(files.read("index.json"))
    assert (info.documents, info.tokens, info.pages, info.chunks, info.unneeded_bytes) == (1, 100, 2, 4, 0)


def test_the_same_document_again_changes_nothing(store: IndexStore) -> None:
    first = add(store, "a.txt", ids_of(1, 100), profile=PROFILE)
    encoded: list[int] = []
    second = add(store, "b.txt", ids_of(1, 100), profile=PROFILE, encoded=encoded, created="later")
    assert second == first
    assert encoded == []
    assert store.has_document(first.key)
    assert not store.has_document("0" * 64)


def test_documents_are_listed_oldest_first(store: IndexStore) -> None:
    for name, created in (("b", "2026-02-02"), ("c", "2026-03-03"), ("a", "2026-01-01")):
        add(store, name, ids_of(ord(name), 20), profile=PROFILE, created=created)
    assert [record.name for record in store.documents()] == ["a", "b", "c"]


def test_get_by_key_prefix_and_name(store: IndexStore) -> None:
    records = [add(store, name, ids_of(seed, 20), profile=PROFILE) for seed, name in enumerate(["a", "b", "b"])]
    assert store.get(records[0].key) == store.get(records[0].key[:8]) == store.get("a") == records[0]
    with pytest.raises(StoreError, match=r"'b' stands for 2 documents: b \(.{12}\), b \(.{12}\)\. Give more digits"):
        store.get("b")
    with pytest.raises(DocumentNotFoundError, match=r"The index holds no document 'c'\. Use list"):
        store.get("c")
    with pytest.raises(DocumentNotFoundError):
        store.get(records[0].key[:3])


@pytest.mark.parametrize("reference", ["", ".", "..", "../index", "a/b", "*"])
def test_odd_references_find_nothing(store: IndexStore, reference: str) -> None:
    add(store, "a.txt", ids_of(1, 20), profile=PROFILE)
    with pytest.raises(DocumentNotFoundError):
        store.get(reference)
    with pytest.raises(DocumentNotFoundError):
        store.remove(reference)


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
    damage(store, first.chunks[1].path, place)
    other = np.concatenate([ids, ids_of(2, 32)])
    encoded: list[int] = []
    record = add(store, "b.txt", other, profile=PROFILE, encoded=encoded)
    assert encoded == [1, 2]
    assert store.verify().ok, "the first document's chunk is mended too"
    check_document(store, record, PROFILE)
    check_document(store, store.get(first.key), PROFILE)


def test_adding_again_mends_damaged_files_beside_the_manifest(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    for name in ("content.json", "tokens.safetensors", "vectors.safetensors", "manifest.json"):
        damage(store, record.file_path(name), 60)
        assert [d.path for d in store.verify().damaged] == [record.file_path(name)]
        assert add(store, "a.txt", ids_of(1, 64), profile=PROFILE) == record
        assert store.verify().ok


# -- repair -------------------------------------------------------------------------------------------------------


def test_only_damaged_chunks_are_encoded_again(store: IndexStore) -> None:
    ids = ids_of(1, 128)
    record = add(store, "a.txt", ids, profile=PROFILE)
    twin = add(store, "twin.txt", ids[:96], profile=PROFILE)
    damage(store, record.chunks[1].path)
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
    keys, _values = store.read_rows(store.get(twin.key), 1, [0], torch.float32)
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
        fresh.read_rows(record, 0, [0], torch.float32)
    fresh.read_rows(fresh.get(record.key), 0, [0], torch.float32)


# -- documents out ------------------------------------------------------------------------------------------------


def test_remove_takes_the_document_and_prune_its_shards(store: IndexStore) -> None:
    keep = add(store, "keep.txt", ids_of(1, 64), profile=PROFILE)
    gone = add(store, "gone.txt", np.concatenate([ids_of(1, 32), ids_of(2, 64)]), profile=PROFILE)
    before = store.total_bytes()
    removed = store.remove("gone.txt")
    assert store.documents() == [keep]
    assert removed.files == 4
    assert store.verify().unreferenced == 2
    unneeded = store.info().unneeded_bytes
    pruned = store.prune()
    assert pruned.files == 2
    assert pruned.bytes == unneeded == sum(chunk.bytes for chunk in gone.chunks[1:])
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
    damage(store, bad.path, 50)
    assert store.get(keep.key) == store.get("keep.txt") == keep
    for action in (store.documents, store.prune, store.info, lambda: store.get(bad.key), lambda: store.get("bad.txt")):
        with pytest.raises(DamagedIndexError) as caught:
            action()
        assert caught.value.paths == (bad.path,)
    assert not store.verify().ok
    assert [d.path for d in store.verify(bad.key).damaged] == [bad.path]
    store.remove(bad.key)
    assert store.prune().files == 2
    assert store.verify().ok


def test_prune_removes_leftovers_of_interrupted_writes(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    unfinished = tmp_path / "documents" / ("0" * 64)
    unfinished.mkdir()
    leftovers = [tmp_path / ".tmp-1", unfinished / "content.json", (tmp_path / record.chunks[0].path).parent / ".tmp-2"]
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
        reader.read_rows(record, 0, [0], torch.float32)
    with pytest.raises(DocumentNotFoundError):
        reader.tokens(record)


def test_a_local_reader_keeps_what_it_has_open(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 32), profile=PROFILE)
    reader = IndexStore.open(tmp_path)
    before = reader.read_rows(record, 0, range(32), torch.float32)
    store.remove(record.key)
    store.prune()
    after = reader.read_rows(record, 0, range(32), torch.float32)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[1], after[1])


def test_a_missing_shard_that_a_document_wants_is_damage(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    open_files(store.url).remove(record.chunks[0].path)
    with pytest.raises(DamagedIndexError, match="is damaged: it is missing") as caught:
        store.read_rows(record, 0, [0], torch.float32)
    assert caught.value.paths == (record.chunks[0].path,)


# -- the writer ---------------------------------------------------------------------------------------------------


def test_nothing_is_there_before_the_commit(store: IndexStore) -> None:
    ids = ids_of(1, 64)
    with store.writer() as writer:
        for chunk in split_into_chunks(64, 32):
            put(writer, store, PROFILE, chunk, ids)
            key = chunk_key(store.fingerprint.digest(), ids[chunk.start : chunk.end])
            assert writer.has_chunk(key)
        assert not writer.has_chunk("0" * 64)
    assert store.documents() == []


@pytest.mark.parametrize("kept", [[], [0], [1, 0], [0, 0], [1]])
def test_a_commit_wants_all_chunks_in_order(store: IndexStore, kept: list[int]) -> None:
    ids = ids_of(1, 64)
    with store.writer() as writer:
        records = [put(writer, store, PROFILE, chunk, ids) for chunk in split_into_chunks(64, 32)]
        with pytest.raises(StoreError, match="do not cover the document's 64 tokens"):
            writer.commit(document_of("a", ids), [records[i] for i in kept], tokens_of(ids), {}, created=CREATED)


def commit_with(store: IndexStore, **changes: Any) -> None:
    ids = ids_of(1, 32)
    arguments: dict[str, Any] = {"tokens": tokens_of(ids), "vectors": vectors_of(ids), "created": CREATED}
    arguments |= changes
    with store.writer() as writer:
        chunks = arguments.pop("chunks", None) or [put(writer, store, PROFILE, Chunk(0, 0, 32), ids)]
        writer.commit(document_of("a", ids), chunks, arguments.pop("tokens"), arguments.pop("vectors"), **arguments)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"created": ""}, ConfigError, "created='' must be a UTC time"),
        ({"vectors": {"v": np.zeros(3, dtype=np.int64)}}, ConfigError, "vectors 'v' are int64. Store them as float32"),
        (
            {"tokens": DocumentTokens(*(np.zeros(32, dtype=np.int64),) * 3)},
            ConfigError,
            "Token arrays must be int32 of one length",
        ),
        ({"chunks": [ChunkRecord("k" * 64, 0, 32, 32, 1, 1, "", "")]}, StoreError, "The chunk k{64} was not stored"),
    ],
)
def test_what_cannot_be_committed_is_refused(
    store: IndexStore, changes: dict[str, Any], error: type[SharedLLMError], message: str
) -> None:
    with pytest.raises(error, match=message):
        commit_with(store, **changes)
    assert store.documents() == []


def test_a_writer_that_is_not_open_says_so(store: IndexStore) -> None:
    with pytest.raises(StoreError, match="Use it as a context manager"):
        put(store.writer(), store, PROFILE, Chunk(0, 0, 32), ids_of(1, 32))


def test_a_second_writer_waits_and_gives_up(store: IndexStore) -> None:
    with store.writer():
        begun = time.monotonic()
        for action in (store.writer(timeout=0.3).__enter__, lambda: store.prune(timeout=0.3)):
            with pytest.raises(IndexLockedError, match=r"waited 0\.3 s"):
                action()
        assert 0.6 <= time.monotonic() - begun < 5
    with store.writer(timeout=0.3):
        pass


def test_a_waiting_writer_gets_its_turn(store: IndexStore) -> None:
    done: list[str] = []

    def later() -> None:
        add(store, "second.txt", ids_of(2, 32), profile=PROFILE)
        done.append("second")

    with store.writer() as writer:
        thread = threading.Thread(target=later)
        thread.start()
        time.sleep(0.2)
        add(store, "first.txt", ids_of(1, 32), profile=PROFILE, writer=writer)
        done.append("first")
    thread.join(timeout=20)
    assert done == ["first", "second"]
    assert len(store.documents()) == 2


def test_writing_goes_on_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    write = LocalFiles.write

    def slow(self: LocalFiles, path: str, buffers: Any) -> None:
        time.sleep(0.1)
        write(self, path, buffers)

    monkeypatch.setattr(LocalFiles, "write", slow)
    with store.writer() as writer:
        begun = time.monotonic()
        for chunk in split_into_chunks(64, 32):
            put(writer, store, PROFILE, chunk, ids_of(1, 64))
        assert time.monotonic() - begun < 0.1, "handing over does not wait for the disk"
        for chunk in split_into_chunks(160, 32):
            put(writer, store, PROFILE, chunk, ids_of(2, 160))
        assert writer.waited_seconds > 0.1, "but the queue is bounded"
        assert writer.writing_seconds > 0.2
    assert len(list(tmp_path.glob("shards/*/*.safetensors"))) == 7


def test_a_failure_in_the_background_surfaces_and_stops_the_rest() -> None:
    ran: list[int] = []
    writer = BackgroundWriter()
    writer.submit(lambda: ran.append(1))
    writer.flush()

    def fail() -> None:
        raise StoreError("the disk is on fire")

    writer.submit(fail)
    with pytest.raises(StoreError, match="on fire"):
        writer.flush()
    with pytest.raises(StoreError, match="on fire"):
        writer.submit(lambda: ran.append(2))
    with pytest.raises(StoreError, match="on fire"):
        writer.close()
    assert ran == [1]


# -- verify -------------------------------------------------------------------------------------------------------


def test_verify_reports_progress_and_can_take_one_document(store: IndexStore) -> None:
    one = add(store, "one.txt", ids_of(1, 64), profile=PROFILE)
    two = add(store, "two.txt", ids_of(2, 64), profile=PROFILE)
    seen: list[tuple[int, int, str]] = []
    report = store.verify(progress=lambda *step: seen.append(step))
    assert (report.ok, report.files, report.bytes) == (True, 3 + 2 * 5, one.bytes + two.bytes)
    assert seen[-1][:2] == (report.bytes, report.bytes)
    assert [done for done, _total, _path in seen] == sorted(done for done, _total, _path in seen)
    damage(store, two.chunks[0].path)
    assert store.verify("one.txt").ok
    assert store.verify(one.key).files == 6
    found = store.verify("two.txt").damaged
    assert [(d.path, d.document, d.reason) for d in found] == [
        (two.chunks[0].path, two.key, "its checksum does not match")
    ]
    assert str(found[0]) == f"{two.chunks[0].path}: its checksum does not match"


def test_verify_names_missing_and_truncated_files(store: IndexStore) -> None:
    record = add(store, "one.txt", ids_of(1, 96), profile=PROFILE)
    files = open_files(store.url)
    files.remove(record.chunks[0].path)
    files.write(record.chunks[1].path, [files.read(record.chunks[1].path)[:-3]])
    files.write(record.chunks[2].path, [b""])
    files.remove(record.file_path("tokens.safetensors"))
    files.remove("index.json")
    size = record.chunks[1].bytes
    assert {d.path: d.reason for d in store.verify().damaged} == {
        "index.json": "it is missing",
        record.file_path("tokens.safetensors"): "it is missing",
        record.chunks[0].path: "it is missing",
        record.chunks[1].path: f"it has {size - 3} bytes instead of {size}",
        record.chunks[2].path: f"it has 0 bytes instead of {size}",
    }
    for number in range(3):
        with pytest.raises(DamagedIndexError, match="is damaged"):
            store.read_rows(record, number, range(32), torch.float32)


def test_a_manifest_in_the_wrong_place_is_damage(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 32), profile=PROFILE)
    shutil.copytree(tmp_path / "documents" / record.key, tmp_path / "documents" / ("f" * 64))
    with pytest.raises(DamagedIndexError, match=f"it belongs to the document '{record.key}'"):
        store.documents()


def test_a_sealed_manifest_that_lies_about_its_key_is_damage(store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 32), profile=PROFILE)
    from sharedllm_docs.store.catalog import Catalog

    Catalog(open_files(store.url)).save(record.path, replace(record, source_sha256="0" * 64).to_dict())
    with pytest.raises(DamagedIndexError, match="it belongs to the document"):
        store.get(record.key)


def test_the_folder_holds_only_the_documented_files(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 32), profile=PROFILE)
    folder = f"documents/{record.key}"
    assert sorted(snapshot(tmp_path)) == sorted(
        [
            "index.json",
            f"{folder}/content.json",
            f"{folder}/manifest.json",
            f"{folder}/tokens.safetensors",
            f"{folder}/vectors.safetensors",
            f"shards/{record.chunks[0].key[:2]}/{record.chunks[0].key}.safetensors",
        ]
    )
