"""The writer: commits, the lock, the thread in the background. Local folder and memory:// alike."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharedllm_docs.documents.chunks import Chunk, split_into_chunks
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.errors import (
    ConfigError,
    IndexLockedError,
    SharedLLMError,
    StoreError,
)
from sharedllm_docs.store import IndexStore, chunk_key
from sharedllm_docs.store.background import QUEUE_LENGTH, BackgroundWriter
from sharedllm_docs.store.files import LocalFiles
from sharedllm_docs.store.locks import LocalLock, RemoteLock
from sharedllm_docs.store.records import ChunkRecord
from tests.store_helpers import (
    CREATED,
    add,
    document_of,
    fingerprint_of,
    ids_of,
    put,
    tiny_profile,
    tokens_of,
    vectors_of,
)
from tests.waiting import PATIENCE

PROFILE = tiny_profile()


# -- the writer ---------------------------------------------------------------------------------------------------


def test_nothing_is_there_before_the_commit(store: IndexStore) -> None:
    ids = ids_of(1, 64)
    with store.writer() as writer:
        for chunk in split_into_chunks(64, 32):
            put(writer, store, PROFILE, chunk, ids)
            key = chunk_key(store.fingerprint.digest(), ids[chunk.start : chunk.end])
            assert writer.find_chunk(chunk, key) is not None
        assert writer.find_chunk(chunk, "0" * 64) is None
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
        for action in (store.writer(timeout=0.3).__enter__, lambda: store.prune(timeout=0.3)):
            with pytest.raises(IndexLockedError, match=r"waited 0\.3 s"):
                action()
    with store.writer(timeout=0.3):
        pass


def test_a_waiting_writer_gets_its_turn(store: IndexStore, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    waits = threading.Event()
    for kind in (LocalLock, RemoteLock):

        def noted(self: Any, timeout: float, acquire: Any = kind.acquire) -> None:
            if threading.current_thread() is not threading.main_thread():
                waits.set()
            acquire(self, timeout)

        monkeypatch.setattr(kind, "acquire", noted)

    def later() -> None:
        add(store, "second.txt", ids_of(2, 32), profile=PROFILE)
        done.append("second")

    with store.writer() as writer:
        thread = threading.Thread(target=later)
        thread.start()
        assert waits.wait(PATIENCE)
        add(store, "first.txt", ids_of(1, 32), profile=PROFILE, writer=writer)
        done.append("first")
    thread.join(timeout=PATIENCE)
    assert done == ["first", "second"]
    assert len(store.documents()) == 2


def test_writing_goes_on_in_the_background(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk stands still until the queue is full: what is handed over before that does not wait for it."""
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    write, may_write = LocalFiles.write, threading.Semaphore(0)
    submit, full = BackgroundWriter.submit, []

    def slow(self: LocalFiles, path: str, buffers: Any) -> None:
        assert may_write.acquire(timeout=PATIENCE), "handing over waits for the disk"
        write(self, path, buffers)

    def noted(self: BackgroundWriter, job: Any) -> None:
        full.append(self._jobs.full())
        if full[-1]:
            may_write.release()  # one file only: this job would wait for ever otherwise
        submit(self, job)

    monkeypatch.setattr(LocalFiles, "write", slow)
    monkeypatch.setattr(BackgroundWriter, "submit", noted)
    with store.writer() as writer:
        for chunk in split_into_chunks(64, 32):
            put(writer, store, PROFILE, chunk, ids_of(1, 64))
        assert full == [False, False], "two wait in the queue while nothing is written"
        for chunk in split_into_chunks(160, 32):
            put(writer, store, PROFILE, chunk, ids_of(2, 160))
        # one may be in work and QUEUE_LENGTH wait, so of seven at least the last few found the queue full
        assert sum(full) >= len(full) - QUEUE_LENGTH - 1, "but the queue is bounded"
        for _left in full:
            may_write.release()
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
