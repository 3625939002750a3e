"""Indexes behind fsspec: what is fetched, the cache on disk, the advisory lock."""

from __future__ import annotations

import json
import pickle
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import fsspec
import pytest
import torch

from sharedllm_docs.errors import DamagedIndexError, IndexLockedError, StoreError
from sharedllm_docs.store import DocumentRecord, IndexStore
from sharedllm_docs.store.bytecache import ByteCache, BytesDisk
from sharedllm_docs.store.canonical import seal
from sharedllm_docs.store.locks import RENEW_SECONDS, STALE_SECONDS, RemoteLock
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.remote import RemoteFiles
from tests.store_helpers import add, check_document, fingerprint_of, ids_of, read_rows, tiny_profile

PROFILE = tiny_profile(store_dtype="int8")


@pytest.fixture
def url() -> Iterator[str]:
    yield f"memory://{uuid4().hex}/index"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def record(url: str) -> DocumentRecord:
    return add(IndexStore.create(url, fingerprint_of(PROFILE)), "a.txt", ids_of(1, 96), profile=PROFILE)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[list[tuple[str, int, int]]]:
    """Every bulk read of a remote index."""
    made: list[list[tuple[str, int, int]]] = []
    read = RemoteFiles.read_ranges

    def watched(self: RemoteFiles, ranges: Any) -> list[bytes]:
        if ranges:
            made.append(list(ranges))
        return read(self, ranges)

    monkeypatch.setattr(RemoteFiles, "read_ranges", watched)
    return made


def test_only_heads_and_wanted_blocks_are_fetched(
    url: str, record: DocumentRecord, requests: list[list[tuple[str, int, int]]]
) -> None:
    store = IndexStore.open(url)
    store.gather([(record.chunks[0], [3]), (record.chunks[2], [9, 17])], torch.float32)
    heads, blocks = requests
    assert heads == [(chunk.path, 0, chunk.head_bytes) for chunk in (record.chunks[0], record.chunks[2])]
    per_row = 2 * 2 * 8 * 2 + 2 * 2 * 2
    assert sum(end - start for _path, start, end in blocks) == 3 * 8 * per_row
    assert len(blocks) == 2 * 3, "neighbouring blocks of a tensor are one request"
    assert store.stats.fetched_bytes == sum(chunk.head_bytes for chunk in record.chunks[::2]) + 24 * per_row
    store.gather([(record.chunks[0], range(8))], torch.float32)
    assert len(requests) == 2, "what was fetched stays"


def test_remote_rows_equal_local_ones(url: str, record: DocumentRecord, tmp_path: Path) -> None:
    local = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    twin = add(local, "a.txt", ids_of(1, 96), profile=PROFILE)
    assert twin == record
    parts = [(chunk, [0, 31, 7]) for chunk in record.chunks]
    far, near = (store.gather(parts, torch.float32) for store in (IndexStore.open(url), local))
    assert torch.equal(far.keys, near.keys)
    assert torch.equal(far.values, near.values)
    assert far.bytes_read == near.bytes_read


def test_a_local_folder_works_through_fsspec_too(tmp_path: Path) -> None:
    """The remote implementation over another file system than memory."""
    files = RemoteFiles(fsspec.filesystem("file"), str(tmp_path / "index"), "file-by-fsspec")
    files.write("shards/aa/x", [b"01234", memoryview(b"56789")])
    assert files.read_ranges([("shards/aa/x", 2, 4), ("shards/aa/x", 8, 10)]) == [b"23", b"89"]
    assert files.sizes("shards") == {"shards/aa/x": 10}
    assert files.sizes("nothing") == {}
    assert files.exists("shards/aa/x")
    files.remove("shards/aa/x")
    files.remove("shards/aa/x")
    assert not files.exists("shards/aa/x")
    with pytest.raises(FileNotFoundError):
        files.read("shards/aa/x")


def test_errors_of_the_connection_are_typed(url: str, record: DocumentRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IndexStore.open(url)

    def broken(*_arguments: Any, **_options: Any) -> Any:
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(fsspec.filesystem("memory"), "cat_ranges", broken)
    with pytest.raises(StoreError, match=r"Reading shards/.* failed: reset by peer\. Check the connection"):
        read_rows(store, record, 0, [0], torch.float32)


def test_fetched_blocks_are_bounded_in_memory(
    url: str, record: DocumentRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharedllm_docs.store.reader.MAX_FETCHED_BYTES", record.chunks[0].bytes)
    store = IndexStore.open(url)
    parts = [(chunk, range(32)) for chunk in record.chunks]
    first, second = (store.gather(parts, torch.float32).keys for _ in range(2))
    assert torch.equal(first, second)
    assert len(store._reader._open) == 1


# -- the cache on disk --------------------------------------------------------------------------------------------


def test_cached_blocks_are_not_fetched_again(url: str, record: DocumentRecord, tmp_path: Path) -> None:
    parts = [(chunk, range(16)) for chunk in record.chunks]
    cache = ByteCache(tmp_path)
    first = IndexStore.open(url, cache=cache)
    made = first.gather(parts, torch.float32)
    assert first.stats.cached_bytes == 0
    again = IndexStore.open(url, cache=cache)
    assert torch.equal(again.gather(parts, torch.float32).keys, made.keys)
    assert again.stats.cached_bytes == made.bytes_read
    assert again.stats.fetched_bytes == 0, "heads are kept too"
    cache.close()


def test_wrong_bytes_in_the_cache_are_fetched_anew(url: str, record: DocumentRecord, tmp_path: Path) -> None:
    cache = ByteCache(tmp_path)
    wanted = read_rows(IndexStore.open(url, cache=cache), record, 0, [0], torch.float32)
    for name in list(cache._cache.iterkeys()):
        cache.put(name, b"poison")
    store = IndexStore.open(url, cache=cache)
    made = read_rows(store, record, 0, [0], torch.float32)
    assert torch.equal(made[0], wanted[0])
    assert store.stats.cached_bytes == 0
    assert all(cache.get(name) != b"poison" for name in cache._cache.iterkeys())
    cache.close()


def test_damage_behind_the_cache_is_found(url: str, record: DocumentRecord, tmp_path: Path) -> None:
    files = open_files(url)
    data = bytearray(files.read(record.chunks[0].path))
    data[-1] ^= 1
    files.write(record.chunks[0].path, [bytes(data)])
    cache = ByteCache(tmp_path)
    for _ in range(2):
        with pytest.raises(DamagedIndexError, match=r"rows 24\.\.31 of 'values'"):
            read_rows(IndexStore.open(url, cache=cache), record, 0, [31], torch.float32)
    cache.close()


class Boom:
    """Runs code when it is unpickled."""

    exploded = False

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return (setattr, (Boom, "exploded", True))


def poison(folder: Path, **fields: Any) -> None:
    """Turn the cache's only row into what an attacker would leave there."""
    with sqlite3.connect(folder / "cache.db") as database:
        changes = ", ".join(f"{name} = ?" for name in fields)
        assert database.execute(f"UPDATE Cache SET {changes}", list(fields.values())).rowcount == 1


@pytest.mark.parametrize("inline", [True, False])
def test_a_pickled_row_is_refused_unread(inline: bool, tmp_path: Path) -> None:
    cache = ByteCache(tmp_path)
    cache.put("block", b"good" * (1 if inline else 20_000))
    payload = pickle.dumps(Boom())
    if inline:
        poison(tmp_path, mode=4, value=payload, filename=None)
    else:
        (tmp_path / "payload.val").write_bytes(payload)
        poison(tmp_path, mode=4, value=None, filename="payload.val")
    with pytest.raises(StoreError, match="serialised object, which is refused"):
        cache._cache.get("block")
    assert cache.get("block") is None, "for the store it counts as absent"
    assert cache._cache.get("block") is None, "and is deleted"
    assert not Boom.exploded
    cache.close()


def test_a_pickled_key_is_refused_unread(tmp_path: Path) -> None:
    cache = ByteCache(tmp_path)
    cache.put("block", b"good")
    poison(tmp_path, key=sqlite3.Binary(pickle.dumps(Boom())), raw=0)
    with pytest.raises(StoreError, match="serialised key, which is refused"):
        list(cache._cache.iterkeys())
    assert not Boom.exploded
    cache.close()


@pytest.mark.parametrize(("mode", "value"), [(1, "text"), (1, 5), (3, "text"), (2**20, b"")])
def test_rows_of_any_other_kind_are_refused(mode: int, value: object, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="refused"):
        BytesDisk(str(tmp_path)).fetch(mode, None, value, False)


def test_only_bytes_under_strings_are_cached(tmp_path: Path) -> None:
    cache = ByteCache(tmp_path)
    with pytest.raises(TypeError, match="value must be bytes, not dict"):
        cache.put("a", {})  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="key must be str, not tuple"):
        cache.put((1,), b"")  # type: ignore[arg-type]
    for data in (b"", b"x", b"y" * 100_000):
        cache.put("a", data)
        assert cache.get("a") == data
    cache.close()


def test_the_cache_is_limited_and_in_the_user_s_cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path))
    cache = ByteCache(limit=1_000_000)
    assert cache.folder == tmp_path / "rows"
    for number in range(60):
        cache.put(str(number), bytes(50_000))
    assert cache._cache.volume() < 1_300_000
    assert cache.get("59") is not None
    assert cache.get("0") is None
    cache.close()


# -- the advisory lock --------------------------------------------------------------------------------------------


class Shared:
    """An object store with one object, and a clock."""

    def __init__(self) -> None:
        self.data: bytes | None = None
        self.now = 1000.0

    def lock(self) -> RemoteLock:
        return RemoteLock(lambda: self.data, self._put, lambda: self._put(None), "s3://b/writer.lock", lambda: self.now)

    def _put(self, data: bytes | None) -> None:
        self.data = data


def test_the_remote_lock_names_owner_and_time() -> None:
    shared = Shared()
    lock = shared.lock()
    with lock.held(1):
        assert shared.data is not None
        content = json.loads(shared.data)
        assert content["owner"] == lock.owner
        assert content["time"] == 1000.0
        with pytest.raises(IndexLockedError, match=r"s3://b/writer\.lock belongs to .*; waited 0 s\..*delete s3://b"):
            shared.lock().acquire(0)
    assert shared.data is None
    with shared.lock().held(0):
        pass


def test_a_silent_owner_is_taken_for_dead_and_notices() -> None:
    shared = Shared()
    first, second = shared.lock(), shared.lock()
    first.acquire(0)
    shared.now += STALE_SECONDS - 1
    with pytest.raises(IndexLockedError):
        second.acquire(0)
    shared.now += 1
    second.acquire(0)
    with pytest.raises(IndexLockedError, match=f"was lost to {second.owner}"):
        first.renew()
    first.release()
    assert shared.data is not None, "a lost lock is not taken from its new owner"
    second.release()
    assert shared.data is None


def test_renewing_keeps_the_lock() -> None:
    shared = Shared()
    lock = shared.lock()
    lock.acquire(0)
    for _ in range(40):
        shared.now += RENEW_SECONDS
        lock.renew()
    with pytest.raises(IndexLockedError):
        shared.lock().acquire(0)
    written = shared.data
    shared.now += RENEW_SECONDS / 2
    lock.renew()
    assert shared.data == written, "not at every write"


def test_an_unreadable_lock_is_respected() -> None:
    shared = Shared()
    shared.data = seal({"owner": "x", "time": 0.0})[:-1]
    with pytest.raises(IndexLockedError, match="an unknown writer"):
        shared.lock().acquire(0)


def test_of_two_that_write_the_lock_at_once_one_wins() -> None:
    shared = Shared()
    first, second = shared.lock(), shared.lock()
    put = shared._put
    # the second writes its name between the first one's look and its second look
    first._write = lambda data: (put(data), put(seal({"owner": second.owner, "time": shared.now})))[0]
    with pytest.raises(IndexLockedError):
        first.acquire(0)
    second.acquire(0)


def test_the_remote_lock_object_goes_away(url: str, record: DocumentRecord) -> None:
    assert not open_files(url).exists("writer.lock")
    with IndexStore.open(url).writer():
        assert open_files(url).exists("writer.lock")
    assert not open_files(url).exists("writer.lock")


def test_remote_documents_come_back(url: str) -> None:
    profile = tiny_profile(store_dtype="bfloat16")
    store = IndexStore.create(url, fingerprint_of(profile))
    check_document(store, add(store, "a.txt", ids_of(4, 70), profile=profile), profile)
