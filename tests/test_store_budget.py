"""Sizes known before encoding, the disk budget, and a full disk."""

from __future__ import annotations

import errno
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.chunks import Chunk, split_into_chunks
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import ConfigError, DiskBudgetError, DiskFullError, StoreError
from sharedllm_docs.sizes import size_text
from sharedllm_docs.store import IndexStore, SizeEstimate, VectorSize, chunk_key, estimate_bytes
from sharedllm_docs.store import files as files_module
from tests.store_helpers import (
    CREATED,
    add,
    check_document,
    document_of,
    fingerprint_of,
    ids_of,
    tiny_profile,
    tokens_of,
)

PROFILE = tiny_profile()
Usage = namedtuple("Usage", "total used free")

# -- the estimate -------------------------------------------------------------------------------------------------


def stored_bytes(folder: Path, profile: Profile, num_tokens: int, kv_heads: int, head_dim: int) -> tuple[int, int]:
    """Bytes that a document really takes on disk, and those of its text, with vectors as the product stores them."""
    store = IndexStore.create(folder, fingerprint_of(profile))
    head = store.total_bytes()
    ids = ids_of(3, num_tokens) % 1000  # three to four characters a token and its space, near English
    leaves = nodes = 0
    with store.writer() as writer:
        records = []
        for chunk in split_into_chunks(num_tokens, profile.chunk_tokens):
            tree = ContextTree(profile, len(chunk))
            leaves, nodes = leaves + len(tree.leaves), nodes + len(tree.nodes)
            layout = RowLayout(tree)
            rows = np.ones((layout.num_rows, len(profile.injection_layers), kv_heads, head_dim), dtype=np.float32)
            key = chunk_key(store.fingerprint.digest(), ids[chunk.start : chunk.end])
            records.append(writer.put_chunk(chunk, key, rows, rows, layout.blocks))
        vectors = {"leaf": np.zeros((leaves, 384), np.float32), "node": np.zeros((nodes, 576), np.float16)}
        document = document_of("a", ids)
        writer.commit(document, records, tokens_of(ids), vectors, created=CREATED)
    return store.total_bytes() - head, sum(len(page.text.encode("utf-8", "replace")) for page in document.pages)


VECTORS = {"leaf": VectorSize("leaf", 384), "node": VectorSize("node", 576, "F16")}


@pytest.mark.parametrize(
    ("profile", "num_tokens"),
    [
        (Profile.prefix(layers=(6, 25), store_dtype="int8"), 3000),
        (Profile.prefix(layers=(1, 4), store_dtype="bfloat16", front="none"), 2048),
        (Profile.prefix(layers=(1, 2), store_dtype="float64", grains=(4, 2, 1)), 100),
        (Profile.sharedllm(layers=(1, 15)), 5000),
        (Profile.sharedllm(layers=(1, 4), store_dtype="int8", chunk_tokens=512), 2000),
        (Profile.sharedllm(layers=(1, 4), store_dtype="float16", encoding="per_node", keep="first"), 1100),
    ],
    ids=lambda value: f"{value.name}-{value.store_dtype}" if isinstance(value, Profile) else str(value),
)
def test_the_estimate_is_within_two_percent(profile: Profile, num_tokens: int, tmp_path: Path) -> None:
    real, text = stored_bytes(tmp_path, profile, num_tokens, 3, 64)
    told = estimate_bytes(num_tokens, profile, kv_heads=3, head_dim=64, vectors=VECTORS, text_bytes=text)
    guessed = estimate_bytes(num_tokens, profile, kv_heads=3, head_dim=64, vectors=VECTORS)
    assert abs(told.total / real - 1) < 0.02
    assert abs(guessed.total / real - 1) < 0.02
    assert told.rows + told.heads == sum(told.chunk_bytes)


def test_the_estimate_of_each_part_is_exact_where_it_can_be(tmp_path: Path) -> None:
    profile = tiny_profile(store_dtype="int8")
    store = IndexStore.create(tmp_path, fingerprint_of(profile))
    record = add(store, "a.txt", ids_of(1, 75), profile=profile)
    estimate = estimate_bytes(75, profile, kv_heads=2, head_dim=8)
    assert estimate.chunk_bytes == tuple(chunk.bytes for chunk in record.chunks)
    assert estimate.tokens == record.files["tokens"].bytes
    assert estimate.heads == sum(chunk.head_bytes for chunk in record.chunks)


def test_the_parts_add_up() -> None:
    estimate = estimate_bytes(72_413, Profile.prefix().resolve(30), kv_heads=3, head_dim=64, vectors=VECTORS)
    assert sum(estimate.parts().values()) == estimate.total
    assert next(iter(estimate.parts())) == "rows"
    assert estimate.per_token == estimate.total / 72_413
    assert 11_500 < estimate.per_token < 12_500, "int8 of 30 layers, 3 heads, 64 dimensions"
    assert "chunk_bytes" not in repr(estimate)


def test_an_empty_document_and_an_unresolved_profile() -> None:
    assert isinstance(estimate_bytes(0, PROFILE, kv_heads=2, head_dim=8), SizeEstimate)
    assert estimate_bytes(0, PROFILE, kv_heads=2, head_dim=8).per_token == 0
    with pytest.raises(ConfigError, match="layers are not resolved"):
        estimate_bytes(10, Profile.prefix(), kv_heads=2, head_dim=8)


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1536, "1.5 kB"), (2_500_000, "2.5 MB"), (3 * 10**12, "3.0 TB")],
)
def test_sizes_are_readable(count: int, text: str) -> None:
    assert size_text(count) == text


# -- the budget ---------------------------------------------------------------------------------------------------


def test_the_budget_is_checked_before_encoding(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE), max_bytes=50_000)
    add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    present = store.total_bytes()
    store.check_room(50_000 - present)
    with pytest.raises(DiskBudgetError) as caught:
        store.check_room(50_001 - present)
    assert f"({present:,} + {50_001 - present:,} > 50,000 bytes)" in caught.value.message
    assert "Raise max_bytes" in caught.value.remedy
    store.check_room(50_001 - present, max_bytes=60_000)
    with pytest.raises(DiskBudgetError):
        IndexStore.open(tmp_path, max_bytes=present).check_room(1)


def test_the_budget_is_kept_while_writing(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE), max_bytes=60_000)
    kept = add(store, "kept.txt", ids_of(1, 64), profile=PROFILE)
    with pytest.raises(DiskBudgetError, match=r"would exceed the disk budget: the index has .* of at most 60\.0 kB"):
        add(store, "large.txt", ids_of(2, 3000), profile=PROFILE)
    assert store.total_bytes() <= 60_000
    assert store.documents() == [kept]
    assert store.verify().ok
    check_document(store, kept, PROFILE)
    assert store.verify().unreferenced > 0
    encoded: list[int] = []
    with store.writer(max_bytes=10**7) as writer:
        add(store, "large.txt", ids_of(2, 3000), profile=PROFILE, encoded=encoded, writer=writer)
    assert encoded[0] > 0, "what fitted is used again"


def test_the_budget_covers_the_files_beside_the_rows(tmp_path: Path) -> None:
    probe = IndexStore.create(tmp_path / "probe", fingerprint_of(PROFILE))
    add(probe, "a.txt", ids_of(1, 64), profile=PROFILE)
    exact = probe.total_bytes()
    IndexStore.create(tmp_path / "tight", fingerprint_of(PROFILE))
    tight = IndexStore.open(tmp_path / "tight", max_bytes=exact - 1)
    with pytest.raises(DiskBudgetError):
        add(tight, "a.txt", ids_of(1, 64), profile=PROFILE)
    assert tight.documents() == []
    add(IndexStore.open(tmp_path / "tight", max_bytes=exact), "a.txt", ids_of(1, 64), profile=PROFILE)


# -- the full disk ------------------------------------------------------------------------------------------------


class FullDisk:
    """Writes ``room`` files, then half of the next one, then fails as a full disk does."""

    def __init__(self, room: int, code: int = errno.ENOSPC) -> None:
        self.room, self.code = room, code

    def __call__(self, file: Any, buffers: Any) -> None:
        self.room -= 1
        data = b"".join(buffers)
        if self.room < 0:
            file.write(data[: len(data) // 2])
            raise OSError(self.code, "No space left on device")
        file.write(data)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("room", range(7))
def test_a_full_disk_loses_nothing_that_is_stored(
    room: int, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    kept = add(store, "kept.txt", ids_of(1, 64), profile=PROFILE)
    with monkeypatch.context() as patch:
        patch.setattr(files_module, "_write_all", FullDisk(room, code))
        with pytest.raises(
            DiskFullError, match=r"No space left: Writing (shards|documents)/.* failed.*Free some space"
        ):
            add(store, "new.txt", ids_of(2, 90), profile=PROFILE)
    assert list(tmp_path.rglob(".tmp-*")) == []
    assert store.documents() == [kept]
    assert store.verify().ok
    check_document(store, kept, PROFILE)
    encoded: list[int] = []
    record = add(store, "new.txt", ids_of(2, 90), profile=PROFILE, encoded=encoded)
    assert encoded == list(range(min(room, 3), 3)), "it goes on with the first chunk that is missing"
    check_document(store, record, PROFILE)


def test_other_write_errors_are_typed_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    monkeypatch.setattr(files_module, "_write_all", FullDisk(0, errno.EIO))
    with pytest.raises(StoreError, match=r"Writing shards/.* failed: .* Check that the folder") as caught:
        add(store, "a.txt", ids_of(1, 64), profile=PROFILE)
    assert not isinstance(caught.value, DiskFullError)


def test_too_little_room_is_noticed_before_encoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: Usage(100, 90, 10))
    store.check_room(10)
    with pytest.raises(DiskFullError, match=r"11 bytes are needed, but only 10 bytes are left on .* Free some space"):
        store.check_room(11)


def test_a_chunk_that_cannot_be_packed_stops_nothing_else(tmp_path: Path) -> None:
    profile = tiny_profile(store_dtype="float16")
    store = IndexStore.create(tmp_path, fingerprint_of(profile))
    rows = np.full((32, 2, 2, 8), 1e6, dtype=np.float32)
    with store.writer() as writer:
        with pytest.raises(StoreError, match="more than float16 can hold"):
            writer.put_chunk(Chunk(0, 0, 32), "k" * 64, rows, rows, RowLayout(ContextTree(profile, 32)).blocks)
        record = add(store, "a.txt", ids_of(1, 64), profile=profile, writer=writer)
    check_document(store, record, profile)
