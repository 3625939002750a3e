"""Indexes in an S3 bucket, against moto's server: conditional writes, generations, faults, requests counted."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.errors import ConfigError, IndexLockedError, IndexNotFoundError, SharedLLMError, StoreError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.bytecache import ByteCache
from sharedllm_docs.store.index import REMOTE_GRACE
from sharedllm_docs.store.locks import FREE, STALE_SECONDS
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.s3 import GAP, S3Files
from sharedllm_docs.store.s3_requests import PARALLEL, PART, merged
from tests.s3_server import BUCKET, KEYS, S3Server, at_random, need_s3
from tests.store_helpers import add, check_document, fingerprint_of, ids_of, tiny_profile

PROFILE = tiny_profile()
FAULTS = ("503", "500", "429", "cut", "lost", "reset")


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    need_s3()
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def server(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": running.url, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sharedllm_docs.store.s3_requests.LONGEST_PAUSE", 0.01)
    monkeypatch.setattr(running, "conditions", True)
    running.requests.clear()
    return running


@pytest.fixture
def url(server: S3Server) -> str:
    return f"s3://{BUCKET}/{uuid4().hex}/index"


@pytest.fixture
def store(url: str) -> IndexStore:
    return IndexStore.create(url, fingerprint_of(PROFILE))


def files_of(url: str) -> S3Files:
    files = open_files(url)
    assert isinstance(files, S3Files)
    return files


# -- what is stored ------------------------------------------------------------------------------------------------


def test_documents_come_back_and_equal_local_ones(url: str, store: IndexStore, tmp_path: Path) -> None:
    record = add(store, "a.txt", ids_of(1, 96), profile=PROFILE)
    opened = IndexStore.open(url)
    check_document(opened, record, PROFILE)
    assert opened.verify().ok
    local = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    assert add(local, "a.txt", ids_of(1, 96), profile=PROFILE) == record
    for path in [record.path, *(chunk.path for chunk in record.chunks)]:
        assert files_of(url).read(path) == (tmp_path / path).read_bytes()
    store.remove(record.key)
    assert opened.documents() == []
    with pytest.raises(IndexNotFoundError):
        IndexStore.open(url + "-none")


def test_a_large_file_goes_and_comes_in_parts(url: str, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sharedllm_docs.store.s3_requests.MULTIPART", 12 << 20)
    files, data = files_of(url), bytes(range(256)) * (17 << 12)
    files.write("sources/aa/big", [data])
    assert len([path for method, path in server.requests if method == "PUT"]) == -(-len(data) // PART)
    server.requests.clear()
    assert files.read("sources/aa/big") == data
    assert server.counts() == {"GET": -(-len(data) // PART)}
    files.write("sources/aa/none", [])
    assert files.read("sources/aa/none") == b""
    with pytest.raises(SharedLLMError, match="more than 1,000 bytes"):
        files.read("sources/aa/big", 1000)


@given(
    st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 4 * PART), st.integers(1, PART)), min_size=1, max_size=12)
)
def test_merged_ranges_cover_what_was_asked_for(asked: list[tuple[str, int, int]]) -> None:
    ranges = [(path, start, start + length) for path, start, length in asked]
    joined = merged(ranges, GAP)
    for path, start, end in ranges:
        assert any(path == name and first <= start and end <= last for name, first, last in joined)
    assert len(joined) <= len(set(ranges))
    assert all(end - start <= PART for _path, start, end in joined)


def test_ranges_are_fetched_side_by_side_and_near_ones_at_once(url: str, server: S3Server) -> None:
    files, data = files_of(url), bytes(range(256)) * 4096
    files.write("shards/aa/x", [data])
    far = [("shards/aa/x", start, start + 5) for start in range(0, len(data) - 5, 2 * GAP)]
    ranges = [*far, ("shards/aa/x", 3, 9), ("shards/aa/x", 100, 101), ("shards/aa/x", len(data) - 2, len(data) + 9)]
    server.requests.clear()
    assert files.read_ranges(ranges[::-1]) == [data[start:end] for _path, start, end in ranges[::-1]]
    assert len(server.requests) == len(far) + 1
    waiting = threading.Barrier(len(far), timeout=60)  # all of them are under way at once, or it breaks

    def wait(*_request: object) -> None:
        waiting.wait()

    with server.failing(wait):
        files.read_ranges(far)
    assert len(far) <= PARALLEL


# -- the lock ------------------------------------------------------------------------------------------------------


def test_of_two_writers_at_once_one_wins_and_the_other_is_told(url: str, store: IndexStore) -> None:
    for _round in range(8):
        start, held, told = threading.Barrier(4), list[int](), list[str]()

        def write(start: threading.Barrier = start, held: list[int] = held, told: list[str] = told) -> None:
            lock = files_of(url).lock()
            start.wait()
            try:
                lock.acquire(0)
                held.append(1)
            except IndexLockedError as error:
                told.append(str(error))
            start.wait()
            lock.release()

        with ThreadPoolExecutor(4) as pool:
            for one in [pool.submit(write) for _ in range(4)]:
                one.result()
        assert len(held) == 1
        assert all(f"{url}/writer.lock belongs to" in message for message in told)
    assert files_of(url).read("writer.lock") == FREE


def test_a_lock_whose_answer_got_lost_is_held_all_the_same(url: str, store: IndexStore, server: S3Server) -> None:
    lost = {"PUT": 1}

    def plan(method: str, path: str, _number: int) -> str | None:
        lost[method] = lost.get(method, 0) - 1
        return "lost" if path.endswith("writer.lock") and lost[method] == 0 else None

    with server.failing(plan), files_of(url).lock().held(0), pytest.raises(IndexLockedError):
        files_of(url).lock().acquire(0)
    with files_of(url).lock().held(0):
        pass


def test_a_server_that_ignores_conditions_is_noticed(url: str, server: S3Server) -> None:
    server.conditions = False
    files = files_of(url)
    first, second = files.lock(), files_of(url).lock()
    with first.held(0):
        assert files._honoured is False
        with pytest.raises(IndexLockedError):
            second.acquire(0)
    second.acquire(0)


def test_a_silent_owner_is_taken_for_dead_by_the_store_s_clock(
    url: str, store: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = files_of(url).lock(), files_of(url).lock()
    first.acquire(0)
    monkeypatch.setattr("sharedllm_docs.store.s3_requests._age", lambda *_: STALE_SECONDS - 1)
    with pytest.raises(IndexLockedError):
        second.acquire(0)
    monkeypatch.setattr("sharedllm_docs.store.s3_requests._age", lambda *_: STALE_SECONDS)
    second.acquire(0)
    monkeypatch.setattr("sharedllm_docs.store.s3_requests._age", lambda *_: 0.0)
    monkeypatch.setattr("sharedllm_docs.store.locks.RENEW_SECONDS", 0.0)
    with pytest.raises(IndexLockedError, match="was lost to"):
        first.renew()
    second.renew()
    first.release()
    assert files_of(url).read("writer.lock") != FREE, "a lost lock is not taken from its new owner"


# -- manifests -----------------------------------------------------------------------------------------------------


def test_a_writer_that_lost_the_lock_writes_over_nobody(url: str, store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)
    with store.writer() as writer:
        late = writer._catalog.manifest(record.key)
        # meanwhile the lock is taken for abandoned, and another writer changes the same manifest
        files_of(url).write("writer.lock", [FREE])
        with IndexStore.open(url).writer() as other:
            other.rename(record.key, "by-the-other.txt")
        with pytest.raises(IndexLockedError, match="changed by another writer meanwhile; nothing was written over it"):
            writer._changed(late, name="by-the-late.txt")
    assert [one.name for one in IndexStore.open(url).documents()] == ["by-the-other.txt"]


def test_a_new_manifest_does_not_replace_one_that_came_meanwhile(url: str) -> None:
    first, second = files_of(url), files_of(url)
    path = f"documents/{'a' * 64}/manifest.json"
    for files in (first, second):
        with pytest.raises(FileNotFoundError):
            files.read(path)
    first.write(path, [b"one"])
    first.write(path, [b"one more"])
    with pytest.raises(IndexLockedError):
        second.write(path, [b"two"])
    assert second.read(path) == b"one more"
    second.write(path, [b"two"])


def test_an_answer_that_got_lost_does_not_lose_the_manifest(url: str, store: IndexStore, server: S3Server) -> None:
    lost = iter(["lost"])

    def plan(method: str, path: str, _number: int) -> str | None:
        return next(lost, None) if method == "PUT" and path.endswith("manifest.json") else None

    with server.failing(plan):
        record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)
    assert IndexStore.open(url).documents() == [record]


def test_a_question_with_nothing_new_costs_one_request(url: str, store: IndexStore, server: S3Server) -> None:
    for number in range(3):
        add(store, f"{number}.txt", ids_of(number, 40), profile=PROFILE)
    reader = IndexStore.open(url)
    assert len(reader.documents()) == 3
    server.requests.clear()
    assert len(reader.documents()) == 3
    assert [path.rpartition("/")[2] for _method, path in server.requests] == ["generation.json"]
    add(store, "new.txt", ids_of(9, 40), profile=PROFILE)
    server.requests.clear()
    assert len(reader.documents()) == 4, "seen at once"
    assert server.counts() == {"GET": 3}, "the generation, the listing and the new manifest"
    store.remove("new.txt")
    assert len(reader.documents()) == 3


def test_a_change_that_was_not_counted_is_seen_after_a_while(
    url: str, store: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = IndexStore.open(url)
    assert reader.documents() == []
    with monkeypatch.context() as patch:
        patch.setattr(S3Files, "_count_up", lambda _self: None)
        record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)
    assert reader.documents() == []
    monkeypatch.setattr("sharedllm_docs.store.s3.LISTING_SECONDS", 0.0)
    assert reader.documents() == [record]


def test_many_objects_are_listed_in_parts(url: str, server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    files = files_of(url)
    names = {f"shards/{digit}{number:x}/x" for digit in "09f" for number in range(4)}
    for name in names:
        files.write(name, [b"1"])
    monkeypatch.setattr(files._bucket.fs, "s3_additional_kwargs", {"MaxKeys": 2})
    assert files.sizes("shards") == dict.fromkeys(sorted(names), 1)


# -- prune ---------------------------------------------------------------------------------------------------------


def test_prune_leaves_what_a_running_ingestion_has_written(url: str, store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)
    files_of(url).write("shards/aa/unfinished.safetensors", [b"encoded by a worker, not committed yet"])
    store.remove(record.key)
    assert store.prune().files == 0
    assert files_of(url).exists("shards/aa/unfinished.safetensors")
    assert store.prune(grace=0).files == 1 + len(record.chunks)
    assert REMOTE_GRACE >= 3600
    with pytest.raises(ConfigError, match="grace=-1"):
        store.prune(grace=-1)


def test_the_grace_ends_by_the_store_s_clock(url: str, store: IndexStore, monkeypatch: pytest.MonkeyPatch) -> None:
    files_of(url).write("shards/aa/x.safetensors", [b"1"])
    monkeypatch.setattr("sharedllm_docs.store.s3_requests._age", lambda *_: 99.0)
    assert store.prune(grace=100).files == 0
    assert store.prune(grace=99).files == 1


# -- faults --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [*FAULTS, "all"])
def test_with_faults_nothing_is_lost_and_nothing_wrong_is_read(fault: str, url: str, server: S3Server) -> None:
    faults = FAULTS if fault == "all" else (fault,)
    with server.failing(at_random(7, 0.3, faults)):
        store = IndexStore.create(url, fingerprint_of(PROFILE))
        records = [add(store, f"{n}.txt", ids_of(n, 70), profile=PROFILE) for n in range(3)]
        store.remove(records[1].key)
        opened = IndexStore.open(url)
        for record in (records[0], records[2]):
            check_document(opened, record, PROFILE)
    sound = IndexStore.open(url)
    assert {one.key for one in sound.documents()} == {records[0].key, records[2].key}
    assert sound.verify().ok


@pytest.mark.parametrize("fault", FAULTS)
def test_a_store_that_stays_down_is_an_error_and_never_a_wrong_answer(
    fault: str, url: str, store: IndexStore, server: S3Server
) -> None:
    record = add(store, "a.txt", ids_of(1, 96), profile=PROFILE)
    opened = IndexStore.open(url)
    with server.failing(lambda *_request: fault), pytest.raises(StoreError) as raised:
        opened.gather([(record.chunks[0], [3])], torch.float32)
    assert "after several attempts" in str(raised.value)
    assert "\n" not in str(raised.value)
    with server.failing(lambda method, *_: fault if method == "PUT" else None), suppress(SharedLLMError):
        add(IndexStore.open(url), "b.txt", ids_of(2, 96), profile=PROFILE)
    assert IndexStore.open(url).verify().ok
    check_document(IndexStore.open(url), record, PROFILE)


def test_a_slow_answer_is_asked_for_again(url: str, store: IndexStore, server: S3Server) -> None:
    record = add(store, "a.txt", ids_of(1, 96), profile=PROFILE)
    slow = iter(["slow"] * 2)
    hasty = IndexStore.open(url, storage_options={"config_kwargs": {"read_timeout": 0.2}})
    with server.failing(lambda *_request: next(slow, None)):
        check_document(hasty, record, PROFILE)


def test_a_damaged_generation_only_makes_readers_look(url: str, store: IndexStore) -> None:
    record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)
    files_of(url).write("generation.json", [b"nonsense"])
    assert IndexStore.open(url).documents() == [record]
    other = add(store, "b.txt", ids_of(2, 40), profile=PROFILE)
    assert {one.key for one in IndexStore.open(url).documents()} == {record.key, other.key}


def test_what_stands_in_the_way_is_told_in_one_line(
    server: S3Server, url: str, store: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(place: str = url, **options: object) -> str:
        with pytest.raises(StoreError) as raised:
            IndexStore.open(place, storage_options=options)
        assert type(raised.value) is StoreError, "not taken for a missing index"
        assert "\n" not in str(raised.value)
        return str(raised.value)

    assert "there is no bucket 'nowhere-at-all'" in told("s3://nowhere-at-all/index")
    with pytest.raises(StoreError, match="there is no bucket 'nowhere-at-all'"):
        IndexStore.create("s3://nowhere-at-all/index", fingerprint_of(PROFILE))
    assert "after several attempts" in told(endpoint_url="http://127.0.0.1:1", skip_instance_cache=True)
    with server.failing(lambda *_request: "403"):
        assert "refuses these credentials (AccessDenied). Check the credentials" in told()
    for name in KEYS:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    assert "there are no usable credentials" in told(skip_instance_cache=True)
    assert "AWS_ACCESS_KEY_ID" in told(skip_instance_cache=True)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"endpoint_url": "nonsense"}, "Invalid endpoint: nonsense"),
        ({"endpoint_url": 3}, "cannot be used"),
        ({"frob": 1}, "'frob'"),
        ({"client_kwargs": {"frob": 1}}, "'frob'"),
        ({"config_kwargs": {"frob": 1}}, "'frob'"),
        ({"config_kwargs": {"retries": 3}}, "cannot be used|retries"),
        ({"config_kwargs": 3}, "config_kwargs=3 is not a mapping"),
        (3, "storage_options=3 is not a mapping"),
        ("abc", "storage_options='abc' is not a mapping"),
        (["a"], r"storage_options=\['a'\] is not a mapping"),
    ],
)
def test_settings_that_cannot_be_used_are_told_in_a_line(server: S3Server, options: Any, says: str) -> None:
    given = {"skip_instance_cache": True, **options} if isinstance(options, dict) else options
    for call in (IndexStore.open, lambda url, **kw: IndexStore.create(url, fingerprint_of(PROFILE), **kw)):
        with pytest.raises((StoreError, ConfigError), match=says) as raised:
            call(f"s3://{BUCKET}/index", storage_options=given)
        assert "\n" not in str(raised.value)
        assert len(str(raised.value)) < 500


def test_an_endpoint_of_the_environment_that_is_none_is_told(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "nonsense")
    with pytest.raises(StoreError, match=r"Invalid endpoint: nonsense\. Correct .*AWS_ENDPOINT_URL"):
        IndexStore.open(f"s3://{BUCKET}/index", storage_options={"skip_instance_cache": True})


@pytest.mark.parametrize("url", ["s3://", "s3:///", "s3:///index", "s3a://"])
def test_a_url_without_a_bucket_is_told(url: str) -> None:
    with pytest.raises(StoreError, match=r"names no bucket\. Write it as s3://bucket/index"):
        IndexStore.open(url)


# -- the cache -----------------------------------------------------------------------------------------------------


def test_a_warm_process_asks_for_little(url: str, store: IndexStore, server: S3Server, tmp_path: Path) -> None:
    records = [add(store, f"{n}.txt", ids_of(n, 96), profile=PROFILE) for n in range(3)]
    cache = ByteCache(tmp_path)
    for expected in (None, 2 + 1 + len(records)):
        reader = IndexStore.open(url, cache=cache)
        server.requests.clear()
        found = reader.documents()
        reader.prefetch(found)
        for record in found:
            check_document(reader, record, PROFILE)
        asked = [path for _method, path in server.requests]
        assert expected is None or len(asked) < expected, "generation, listing and manifests"
    cache.close()
