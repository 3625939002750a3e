"""Gathering rows: equal to a naive reading through the safetensors library, for all dtypes, layouts and selections."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from safetensors.torch import load_file

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.documents.tree import ContextTree, RowLayout
from sharedllm_docs.errors import ConfigError, StoreError
from sharedllm_docs.store import ChunkRecord, DocumentRecord, IndexStore, chunk_key
from tests.store_helpers import CREATED, add, document_of, fingerprint_of, ids_of, tiny_profile, tokens_of
from tests.waiting import counting_calls

DTYPES = ("float64", "float32", "float16", "bfloat16", "int8", "int4")
Parts = list[tuple[ChunkRecord, list[int]]]


def naive(folder: Path, parts: Parts) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values [R, Ls, KV, D] in float64, row by row, by the formulas of docs/format.md."""
    keys, values = [], []
    for record, rows in parts:
        stored = {name: tensor.double() for name, tensor in load_file(folder / record.path).items()}
        for row in rows:
            key, value = stored["keys"][row], stored["values"][row]
            if "key_spread" in stored:
                key = from_nibbles(key) * stored["key_scale"][row][..., None]
                key = key * stored["key_spread"] + stored["key_offset"]
                value = from_nibbles(value) * stored["value_scale"][row][..., None]
            elif "key_scale" in stored:
                key = key * stored["key_scale"] + stored["key_offset"]
                value = value * stored["value_scale"][row][..., None]
            keys.append(key)
            values.append(value)
    return torch.stack(keys), torch.stack(values)


def from_nibbles(codes: torch.Tensor) -> torch.Tensor:
    """Two codes a byte, the first half of the dimensions in the low four bits, in two's complement."""
    unsigned = codes.long() % 256
    both = torch.cat((unsigned % 16, unsigned // 16), dim=-1)
    return torch.where(both > 7, both - 16, both).double()


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[IndexStore, Path, list[ChunkRecord]]]:
    made = {}
    for dtype in DTYPES:
        folder = tmp_path_factory.mktemp(dtype)
        profile = tiny_profile(store_dtype=dtype)
        store = IndexStore.create(folder, fingerprint_of(profile))
        records = [add(store, f"{seed}.txt", ids_of(seed, 75), profile=profile) for seed in (1, 2)]
        made[dtype] = (store, folder, [chunk for record in records for chunk in record.chunks])
    return made


SELECTIONS = {
    "one leaf of each": [(n, [*range(8, 11)]) for n in range(6)],
    "a coarse node": [(0, [1, 3, 5, 7]), (3, [3, 7, 11, 15])],
    "leaves apart": [(1, [*range(8), *range(16, 24)])],
    "any order, repeats": [(2, [10, 0, 3, 3]), (0, [31]), (2, [5])],
    "backwards": [(0, [9, 8, 7])],
    "nothing of one": [(0, []), (1, [4])],
    "everything": [(0, [*range(32)]), (2, [*range(11)])],
}


@pytest.mark.parametrize("selection", SELECTIONS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_gathered_rows_equal_a_naive_reading(dtype: str, selection: str, stores: dict) -> None:  # type: ignore[type-arg]
    store, folder, chunks = stores[dtype]
    parts = [(chunks[number], rows) for number, rows in SELECTIONS[selection]]
    keys, values = naive(folder, parts)
    gathered = store.gather(parts, torch.float64)
    assert torch.equal(gathered.keys, keys.permute(1, 2, 0, 3))
    assert torch.equal(gathered.values, values.permute(1, 2, 0, 3))
    assert gathered.keys.is_contiguous()
    rows_first = store.gather(parts, torch.float64, layout="rows_first")
    assert torch.equal(rows_first.keys, keys)
    assert torch.equal(rows_first.values, values)


@pytest.mark.parametrize("out", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("dtype", DTYPES)
def test_rows_are_converted_once_from_what_is_stored(dtype: str, out: torch.dtype, stores: dict) -> None:  # type: ignore[type-arg]
    store, folder, chunks = stores[dtype]
    parts = [(chunks[0], list(range(32))), (chunks[4], [1, 9])]
    wanted = naive(folder, parts)
    gathered = store.gather(parts, out, layout="rows_first")
    for made, exact in zip((gathered.keys, gathered.values), wanted, strict=True):
        assert made.dtype == out
        # int8 is computed in float32: two roundings, then the one to the wanted dtype
        tolerance = torch.finfo(out).eps + 4 * torch.finfo(torch.float32).eps
        assert ((made.double() - exact).abs() <= exact.abs() * tolerance + 1e-5).all()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.sampled_from(("int8", "int4")),
    st.lists(st.tuples(st.integers(0, 5), st.lists(st.integers(0, 10), max_size=12)), min_size=1, max_size=4),
)
def test_a_row_does_not_depend_on_its_neighbours(
    stores: dict,  # type: ignore[type-arg]
    dtype: str,
    choice: list[tuple[int, list[int]]],
) -> None:
    store, _folder, chunks = stores[dtype]
    together = store.gather([(chunks[n], rows) for n, rows in choice], torch.float32, layout="rows_first")
    alone = [
        store.gather([(chunks[n], [row])], torch.float32, layout="rows_first") for n, rows in choice for row in rows
    ]
    for number, single in enumerate(alone):
        assert torch.equal(together.keys[number], single.keys[0])
        assert torch.equal(together.values[number], single.values[0])


def test_bytes_read_are_those_of_the_rows(stores: dict) -> None:  # type: ignore[type-arg]
    _store, folder, chunks = stores["int8"]
    store = IndexStore.open(folder)
    per_row = (
        2 * 2 * 8 * 2 + 2 * 2 * 2
    )  # keys and values of 2 layers, 2 heads, 8 dims; a float16 scale a token and head
    before = replace(store.stats)
    first = store.gather([(chunks[0], [0, 9]), (chunks[3], [31])], torch.float32)
    assert first.bytes_read == 3 * per_row
    assert store.stats.row_bytes - before.row_bytes == 3 * per_row
    assert store.stats.checked_bytes == 3 * 8 * per_row, "a block of 8 rows is checked whole"
    store.gather([(chunks[0], [1, 8])], torch.float32)
    assert store.stats.checked_bytes == 3 * 8 * per_row, "and once"
    assert store.stats.rows == 5
    assert store.stats.fetched_bytes == store.stats.cached_bytes == 0


@pytest.mark.parametrize("rows", [[-1], [32], [0, 99]])
def test_rows_beyond_the_chunk_are_refused(rows: list[int], stores: dict) -> None:  # type: ignore[type-arg]
    store, _folder, chunks = stores["float32"]
    with pytest.raises(StoreError, match=r"reach beyond the chunk's 32 rows\. Ask for rows 0\.\.31"):
        store.gather([(chunks[0], rows)], torch.float32)


def test_senseless_requests_are_refused(stores: dict) -> None:  # type: ignore[type-arg]
    store, _folder, chunks = stores["float32"]
    with pytest.raises(StoreError, match="No chunk was asked for"):
        store.gather([], torch.float32)
    with pytest.raises(ConfigError, match="layout='sideways' is not one of heads_first, rows_first"):
        store.gather([(chunks[0], [0])], torch.float32, layout="sideways")


def test_the_stored_file_is_never_written_to(stores: dict) -> None:  # type: ignore[type-arg]
    store, folder, chunks = stores["float32"]
    before = (folder / chunks[0].path).read_bytes()
    gathered = store.gather([(chunks[0], range(32))], torch.float32, layout="rows_first")
    gathered.keys.zero_()
    again = store.gather([(chunks[0], range(32))], torch.float32, layout="rows_first")
    assert again.keys.abs().sum() > 0
    assert (folder / chunks[0].path).read_bytes() == before


def test_several_threads_read_at_once(stores: dict) -> None:  # type: ignore[type-arg]
    _store, folder, chunks = stores["bfloat16"]
    store = IndexStore.open(folder)
    wanted = naive(folder, [(chunk, list(range(chunk.rows))) for chunk in chunks])[0]
    results: list[bool] = []

    def read() -> None:
        for _ in range(5):
            made = store.gather([(c, range(c.rows)) for c in chunks], torch.float64, layout="rows_first").keys
            results.append(torch.equal(made, wanted))

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [True] * 20


def test_open_shards_are_bounded(stores: dict, monkeypatch: pytest.MonkeyPatch) -> None:  # type: ignore[type-arg]
    _store, folder, chunks = stores["int8"]
    monkeypatch.setattr("sharedllm_docs.store.reader.MAX_OPEN_SHARDS", 2)
    store = IndexStore.open(folder)
    parts = [(chunk, [0, 5]) for chunk in chunks]
    wanted = naive(folder, parts)[0]
    for _ in range(2):
        assert torch.equal(store.gather(parts, torch.float64, layout="rows_first").keys, wanted)
        assert len(store._reader._open) == 2
    store.close()
    assert len(store._reader._open) == 0


def large(folder: Path, dtype: str) -> tuple[IndexStore, DocumentRecord]:
    """Eight chunks of the shipped model's size."""
    profile = Profile.prefix(store_dtype=dtype).resolve(30)
    store = IndexStore.create(folder, fingerprint_of(profile))
    generator = torch.Generator().manual_seed(0)
    ids = ids_of(1, 8 * 1024)
    keys, values = torch.randn(2, 1024, 30, 3, 64, generator=generator)
    blocks = RowLayout(ContextTree(profile, 1024)).blocks
    with store.writer() as writer:
        records = []
        for number in range(8):
            chunk = Chunk(number, number * 1024, (number + 1) * 1024)
            key = chunk_key(store.fingerprint.digest(), ids[chunk.start : chunk.end])
            records.append(writer.put_chunk(chunk, key, keys, values, blocks))
        return store, writer.commit(document_of("large", ids), records, tokens_of(ids), {}, created=CREATED)


@pytest.mark.parametrize("dtype", ["int8", "int4", "bfloat16"])
def test_the_work_of_a_question_s_rows_is_that_of_its_blocks(dtype: str, tmp_path: Path) -> None:
    """Sixteen blocks give one row each, or all of their 128, by about as many calls: no row is gone to alone."""
    store, record = large(tmp_path, dtype)

    def calls(every: int) -> int:
        parts = [(chunk, [*range(0, 128, every), *range(512, 640, every)]) for chunk in record.chunks]
        store.gather(parts, torch.float32)  # files are opened and checked at the first
        with counting_calls() as counted:
            rows = store.gather(parts, torch.float32)
        assert rows.keys.shape == (30, 3, 16 * 128 // every, 64)
        return counted()

    few, many = calls(128), calls(1)
    assert few > 100
    assert many < 1.5 * few


@pytest.mark.parametrize(("dtype", "least", "most"), [("int8", 0.0, 0.01), ("int4", 0.05, 0.12)])
def test_errors_of_gaussian_rows_are_those_of_so_many_bits(
    dtype: str, least: float, most: float, tmp_path: Path
) -> None:
    store, record = large(tmp_path, dtype)
    generator = torch.Generator().manual_seed(0)
    keys, values = torch.randn(2, 1024, 30, 3, 64, generator=generator)
    rows = store.gather([(record.chunks[0], range(1024))], torch.float32, layout="rows_first")
    assert least < relative_error(rows.keys, keys) < most
    assert least < relative_error(rows.values, values) < most


def relative_error(made: torch.Tensor, exact: torch.Tensor) -> float:
    return float((made - exact).norm() / exact.norm())


def test_node_rows_are_strided_views_of_the_leaves(stores: dict) -> None:  # type: ignore[type-arg]
    store, folder, chunks = stores["float32"]
    layout = RowLayout(ContextTree(tiny_profile(), 32))
    rows: NDArray[np.int64] = np.array(layout.rows_of(layout.tree.nodes[0], 4))
    assert rows.tolist() == [3, 7, 11, 15]
    made = store.gather([(chunks[0], rows)], torch.float64, layout="rows_first")
    assert torch.equal(made.keys, naive(folder, [(chunks[0], rows.tolist())])[0])
