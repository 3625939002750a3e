"""The bytes on disk: canonical JSON, seals, safetensors, shards, addresses, and the golden indexes."""

from __future__ import annotations

import hashlib
import itertools
import json
import re
import struct
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load as load_numpy

import sharedllm_docs.store
from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.errors import ConfigError, StoreError
from sharedllm_docs.store import IndexStore, chunk_key, document_key
from sharedllm_docs.store.canonical import canonical_bytes, seal, unseal
from sharedllm_docs.store.formats import FORMATS
from sharedllm_docs.store.keys import front_digest
from sharedllm_docs.store.records import decode_document, encode_text
from sharedllm_docs.store.shard import EncodedShard, check_shard, encode_shard, parse_head
from sharedllm_docs.store.tensorfile import decode_tensors, encode_tensors, header_json
from tests.store_helpers import (
    GOLDEN,
    GOLDEN_DTYPES,
    OLD_GOLDENS,
    check_document,
    fingerprint_of,
    ids_of,
    places_of,
    read_rows,
    snapshot,
    tiny_profile,
    write_golden,
)

EVERY_SCHEMA = pytest.mark.parametrize(
    "folder", [*OLD_GOLDENS.values(), GOLDEN], ids=[f"schema {number}" for number in (*OLD_GOLDENS, "now")]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
BLOCKS = [(0, 4), (4, 8), (8, 11)]


def shard_of(dtype: str, *, seed: int = 0) -> EncodedShard:
    rng = np.random.default_rng(seed)
    keys, values = rng.normal(size=(2, 11, 2, 3, 8))
    return encode_shard("ab" * 32, dtype, keys, values, BLOCKS)


def bytes_of(shard: EncodedShard) -> bytes:
    return b"".join(shard.buffers)


# -- JSON ---------------------------------------------------------------------------------------------------------


@given(JSON)
def test_canonical_json_is_lossless_and_one_to_one(value: Any) -> None:
    data = canonical_bytes(value)
    assert json.loads(data) == value
    assert canonical_bytes(json.loads(data)) == data


def test_canonical_json_sorts_keys_and_keeps_utf8() -> None:
    assert canonical_bytes({"b": 1, "a": [1.5, None, "é\u2028"]}) == '{"a":[1.5,null,"é\u2028"],"b":1}'.encode()


def test_lone_surrogates_survive_and_split_pairs_are_refused() -> None:
    assert canonical_bytes("\ud83dx") == b'"\\ud83dx"'
    assert json.loads(canonical_bytes("\ud83dx")) == "\ud83dx"
    with pytest.raises(ConfigError, match="surrogate pair as two characters"):
        canonical_bytes("\ud83d\ude00")


@pytest.mark.parametrize("value", [{1, 2}, float("nan"), float("inf"), b"bytes"])
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises(ConfigError, match="cannot be stored as JSON"):
        canonical_bytes({"value": value})


@settings(max_examples=50)
@given(
    st.dictionaries(st.text(), JSON, max_size=4).map(lambda d: {k: v for k, v in d.items() if k != "digest"}), st.data()
)
def test_a_seal_finds_every_flipped_byte(payload: dict[str, Any], data: Any) -> None:
    sealed = seal(payload)
    assert unseal(sealed) == payload
    place = data.draw(st.integers(0, len(sealed) - 1))
    flipped = bytearray(sealed)
    flipped[place] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ValueError, match=r"not valid JSON|not a JSON object|does not match its content"):
        unseal(bytes(flipped))


def test_a_seal_is_the_digest_of_the_rest() -> None:
    sealed = json.loads(seal({"a": 1}))
    assert sealed == {"a": 1, "digest": hashlib.sha256(b'{"a":1}').hexdigest()}


# -- addresses ----------------------------------------------------------------------------------------------------


def test_addresses_are_the_documented_digests() -> None:
    text = b"sharedllm-docs/chunk/1\n" + b"f" * 64 + b"\n" + struct.pack("<3i", 5, 6, 7)
    assert chunk_key("f" * 64, [5, 6, 7]) == hashlib.sha256(text).hexdigest()
    assert front_digest([1]) == hashlib.sha256(b"\x01\0\0\0").hexdigest()
    key = document_key("f", source_sha256="s", reader="r", reader_version="1", reader_options={"pages": "1-2"})
    described = (
        '{"fingerprint":"f","kind":"sharedllm-docs/document/1","reader":"r","reader_options":{"pages":"1-2"},'
        '"reader_version":"1","source_sha256":"s"}'
    )
    assert key == hashlib.sha256(described.encode()).hexdigest()


@pytest.mark.parametrize("field", ["source_sha256", "reader", "reader_version", "reader_options"])
def test_a_document_key_depends_on_every_input(field: str) -> None:
    inputs: dict[str, Any] = {"source_sha256": "s", "reader": "r", "reader_version": "1", "reader_options": {}}
    changed = {**inputs, field: {"pages": "1"} if field == "reader_options" else "other"}
    assert document_key("f", **inputs) != document_key("f", **changed)
    assert document_key("f", **inputs) != document_key("g", **inputs)


def test_a_chunk_key_depends_on_tokens_and_fingerprint_alone() -> None:
    assert chunk_key("f", [1, 2]) == chunk_key("f", np.array([1, 2], dtype=np.int64))
    assert len({chunk_key("f", [1, 2]), chunk_key("g", [1, 2]), chunk_key("f", [2, 1]), chunk_key("f", [1, 2, 0])}) == 4


# -- safetensors --------------------------------------------------------------------------------------------------


def test_small_files_open_with_the_library_and_come_back() -> None:
    arrays = {
        "ids": np.arange(5, dtype=np.int32),
        "wide": np.arange(6, dtype=np.float64).reshape(2, 3),
        "half": np.arange(4, dtype=np.float16).reshape(4, 1),
        "empty": np.zeros((0, 3), dtype=np.float32),
    }
    data = encode_tensors(arrays)
    for loaded in (load_numpy(data), decode_tensors(data)):
        assert set(loaded) == set(arrays)
        for name, array in arrays.items():
            np.testing.assert_array_equal(loaded[name], array)
            assert loaded[name].dtype == array.dtype
    assert encode_tensors(dict(reversed(arrays.items()))) == data


def test_an_array_of_a_dtype_without_a_name_is_refused() -> None:
    with pytest.raises(ValueError, match="'x' is complex128"):
        encode_tensors({"x": np.zeros(2, dtype=np.complex128)})


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_shard_opens_with_the_safetensors_library(dtype: str, tmp_path: Path) -> None:
    shard = shard_of(dtype)
    path = tmp_path / "shard.safetensors"
    path.write_bytes(bytes_of(shard))
    with safe_open(path, framework="pt") as opened:
        assert set(opened.keys()) == {spec.name for spec in shard.head.specs}
        assert list(opened.metadata()) == ["sharedllm-docs"]
        for spec in shard.head.specs:
            assert tuple(opened.get_tensor(spec.name).shape) == spec.shape
        if not dtype.startswith("int"):
            assert opened.get_tensor("keys").dtype == getattr(torch, dtype)


@pytest.mark.parametrize("dtype", FORMATS)
def test_a_shard_describes_its_own_bytes(dtype: str) -> None:
    shard = shard_of(dtype)
    data = bytes_of(shard)
    head = check_shard(data)
    assert head == shard.head
    assert head.file_bytes == len(data)
    assert hashlib.sha256(data).hexdigest() == shard.sha256
    assert hashlib.sha256(data[: head.head_bytes]).hexdigest() == shard.head_sha256
    assert len(head.header) % 8 == 0
    assert bytes_of(shard_of(dtype)) == data, "the same rows must give the same bytes"


@pytest.mark.parametrize("dtype", FORMATS)
def test_blocks_are_byte_ranges_of_whole_rows(dtype: str) -> None:
    shard = shard_of(dtype)
    data, loaded = bytes_of(shard), header_json(bytes_of(shard))
    for block, spec in itertools.product(shard.head.blocks, shard.head.blocked_specs):
        start, end = shard.head.byte_range(spec, block.start, block.end)
        first, last = loaded[spec.name]["data_offsets"]
        base = len(shard.head.header)
        assert base + first <= start < end <= base + last
        assert hashlib.sha256(data[start:end]).hexdigest() == block.sha256[spec.name]
    assert shard.head.head_bytes == min(shard.head.starts[spec.name] for spec in shard.head.blocked_specs)


@pytest.mark.parametrize("dtype", ["int8", "bfloat16"])
def test_every_flipped_byte_of_a_shard_is_found_without_a_manifest(dtype: str) -> None:
    data = bytes_of(shard_of(dtype))
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        with pytest.raises(ValueError, match=r"^it |^its |^rows "):
            check_shard(bytes(flipped))


@pytest.mark.parametrize("length", [0, 7, 8, 100, -1])
def test_a_truncated_shard_is_found(length: int) -> None:
    with pytest.raises(ValueError, match=r"shorter|cut off|instead of"):
        check_shard(bytes_of(shard_of("float32"))[:length])


def test_a_shard_of_a_newer_schema_is_refused() -> None:
    header = header_json(bytes_of(shard_of("float32")))
    description = unseal(header["__metadata__"]["sharedllm-docs"].encode())
    header["__metadata__"]["sharedllm-docs"] = seal({**description, "schema": 3}).decode()
    text = canonical_bytes(header)
    with pytest.raises(StoreError, match="schema 3, this version reads up to 2"):
        parse_head(struct.pack("<Q", len(text)) + text)


@pytest.mark.parametrize(
    ("keys", "values", "blocks", "message"),
    [
        ((4, 2, 2, 8), (4, 2, 2, 4), [(0, 4)], r"keys \[4, 2, 2, 8\] and values \[4, 2, 2, 4\]"),
        ((4, 2, 8), (4, 2, 8), [(0, 4)], r"must both be \[G, Ls, KV, D\]"),
        ((0, 2, 2, 8), (0, 2, 2, 8), [], "none of them 0"),
        ((4, 2, 2, 8), (4, 2, 2, 8), [(0, 2), (3, 4)], "without gap or overlap"),
        ((4, 2, 2, 8), (4, 2, 2, 8), [(0, 3)], "do not divide the rows 0..4"),
        ((4, 2, 2, 8), (4, 2, 2, 8), [], "do not divide the rows 0..4"),
        ((4, 2, 2, 8), (4, 2, 2, 8), [(0, 0), (0, 4)], "without gap or overlap"),
    ],
)
def test_rows_and_blocks_that_do_not_fit_are_refused(
    keys: tuple[int, ...], values: tuple[int, ...], blocks: list[tuple[int, int]], message: str
) -> None:
    with pytest.raises(StoreError, match=message):
        encode_shard("k", "float32", np.ones(keys), np.ones(values), blocks)


# -- golden indexes -----------------------------------------------------------------------------------------------


def test_today_s_bytes_are_the_golden_bytes(tmp_path: Path) -> None:
    write_golden(tmp_path)
    made, golden = snapshot(tmp_path), snapshot(GOLDEN)
    assert len(golden) >= 2 * (1 + 2 * 4 + 3), "the golden folder is incomplete"
    assert sorted(made) == sorted(golden)
    assert [path for path in golden if made[path] != golden[path]] == []


@pytest.mark.parametrize("folder", OLD_GOLDENS.values(), ids=[f"schema {number}" for number in OLD_GOLDENS])
def test_schemas_share_keys_shards_and_files_of_arrays(folder: Path) -> None:
    """Raising the schema changed JSON files alone: no key, no fingerprint, no row."""
    old, new = snapshot(folder), snapshot(GOLDEN)
    assert {p: d for p, d in old.items() if "/shards/" in p} == {p: d for p, d in new.items() if "/shards/" in p}
    for dtype in GOLDEN_DTYPES:
        before, now = IndexStore.open(folder / dtype), IndexStore.open(GOLDEN / dtype)
        assert before.fingerprint == now.fingerprint
        older = [record for record in before.documents() if record.name != "third.txt"]
        assert all(record.unread == () for record in older), "older documents are wholly read"
        assert all("boxes" not in record.files and not record.source_bytes for record in before.documents())
        same = [record for record in now.documents() if record.name in ("first.txt", "second.txt")]
        for one, other in zip(older, same, strict=True):
            assert replace(one, files=other.files) == other
            for role in ("tokens", "vectors"):
                assert one.files[role].sha256 == other.files[role].sha256


@EVERY_SCHEMA
@pytest.mark.parametrize("dtype", GOLDEN_DTYPES)
def test_a_golden_index_opens_and_reads(dtype: str, folder: Path) -> None:
    profile = tiny_profile(store_dtype=dtype)
    store = IndexStore.open(folder / dtype, fingerprint_of(profile, front_ids=[1, 2, 3]))
    assert store.settings == {"model": "tiny", "numbers": [1, 2.5]}
    assert store.max_bytes == 10**9
    records = store.documents()
    half_read = [("third.txt", 72, 72, 3, (1, 2))] if folder in (GOLDEN, OLD_GOLDENS[3]) else []
    placed = [("fourth.txt", 64, 64, 2, ())] if folder == GOLDEN else []
    placed_records = [record for record in records if "boxes" in record.files]
    counts = {r.name: (r.name, r.tokens, r.rows, len(r.chunks), r.unread) for r in records}
    assert [counts[r.name] for r in placed_records] == placed
    records = [record for record in records if record not in placed_records]
    assert [counts[r.name] for r in records] == [
        ("first.txt", 75, 75, 3, ()),
        ("second.txt", 32, 32, 1, ()),
        *half_read,
    ]
    for record in placed_records:
        ids = ids_of(1, 75)[:64]
        places, expected = store.places(record), places_of(ids)
        assert places is not None
        for name, column in expected.to_arrays().items():
            np.testing.assert_array_equal(places.to_arrays()[name], column)
        with store.source(record) as file:
            assert file.read() == ids.tobytes()
    assert records[0].chunks[0] == records[1].chunks[0]
    np.testing.assert_array_equal(store.tokens(records[0]).ids, ids_of(1, 75))
    assert store.verify().ok
    if dtype == "bfloat16":
        for record in records:
            check_document(store, record, profile)


@EVERY_SCHEMA
def test_golden_int8_rows_have_the_values_written_down(folder: Path) -> None:
    store = IndexStore.open(folder / "int8")
    keys, values = read_rows(store, store.get("first.txt"), 2, [0, 10], torch.float64)
    assert keys.shape == (2, 2, 2, 8)
    np.testing.assert_allclose(keys[1, 1, 0, :3].numpy(), GOLDEN_KEYS, rtol=0, atol=1e-6)
    np.testing.assert_allclose(values[1, 1, 0, :3].numpy(), GOLDEN_VALUES, rtol=0, atol=1e-6)


GOLDEN_KEYS = [-10.659313708543777, -8.522058725357056, -6.397058725357056]
GOLDEN_VALUES = [-11.3203125, -15.626953125, 12.05859375]


# -- rules of the package -----------------------------------------------------------------------------------------


def test_nothing_in_the_store_can_unpickle() -> None:
    sources = sorted(Path(sharedllm_docs.store.__file__).parent.glob("*.py"))
    assert len(sources) > 15
    loads = re.compile(
        r"import pickle|from pickle|pickle\.|torch\.load|torch\.save|allow_pickle|import (shelve|marshal|dill)"
    )
    assert [path.name for path in sources if loads.search(path.read_text())] == []


def test_places_of_repeated_text_are_kept_and_cost_nothing_where_there_are_none() -> None:
    pages = (Page(1, "Kayak | 2024: 640", repeats=((8, 14),)), Page(2, "No table."))
    document = Document("a.pdf", "0" * 64, "pdf", "1", pages)
    data = encode_text(document)
    assert [sorted(page) for page in json.loads(data)["pages"]] == [
        ["label", "number", "repeats", "text"],
        ["label", "number", "text"],
    ]
    record = SimpleNamespace(
        name="a.pdf",
        source_sha256="0" * 64,
        reader="pdf",
        reader_version="1",
        issues=(),
        metadata={},
        reader_options={},
        pages=2,
    )
    assert decode_document(cast(Any, record), data) == document
