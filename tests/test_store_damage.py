"""One flipped byte, in any file, is found and named; nothing is ever answered from it."""

from __future__ import annotations

import json
import random
import shutil
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch

from sharedllm_docs.errors import DamagedIndexError, SharedLLMError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.canonical import seal
from tests.store_helpers import add, fingerprint_of, ids_of, read_rows, snapshot, tiny_profile

POSITIONS = 12


def read_everything(folder: Path) -> list[object]:
    """All that the store can give of an index."""
    store = IndexStore.open(folder)
    everything: list[object] = [store.settings, store.fingerprint]
    for record in store.documents():
        everything += [record, store.document(record), *vars(store.tokens(record)).values()]
        everything += [value for _name, value in sorted(store.vectors(record).items())]
        parts = [(chunk, range(chunk.rows)) for chunk in record.chunks]
        rows = store.gather(parts, torch.float32)
        everything += [rows.keys.numpy(), rows.values.numpy()]
    return everything


def same(left: object, right: object) -> bool:
    return bool(np.array_equal(left, right)) if isinstance(left, np.ndarray) else left == right


@pytest.fixture(scope="module", params=["int8", "int4", "bfloat16"])
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole") / "index"
    profile = tiny_profile(store_dtype=request.param)
    store = IndexStore.create(folder, fingerprint_of(profile), {"model": "tiny"})
    add(store, "first.txt", ids_of(1, 75), profile=profile)
    add(store, "second.txt", ids_of(1, 40), profile=profile)
    return folder


def test_a_flipped_byte_is_found_and_named_in_every_file(whole: Path, tmp_path: Path) -> None:
    chance = random.Random(0)
    files = snapshot(whole)
    assert len(files) == 1 + 2 * 4 + 4
    assert (whole / "writer.lock").stat().st_size == 0, "the lock file has no byte to flip"
    folder = tmp_path / "index"
    for path, data in files.items():
        places = {0, len(data) - 1, *(chance.randrange(len(data)) for _ in range(POSITIONS))}
        for place in places:
            shutil.copytree(whole, folder)
            flipped = bytearray(data)
            flipped[place] ^= 1 << chance.randrange(8)
            (folder / path).write_bytes(flipped)
            assert named_by_verify(folder) == (path,), f"byte {place} of {path}"
            with pytest.raises(DamagedIndexError) as caught:
                read_everything(folder)
            assert caught.value.paths == (path,)
            assert path in caught.value.message
            shutil.rmtree(folder)


def named_by_verify(folder: Path) -> tuple[str, ...]:
    """Paths named by opening and verifying, as the command line does."""
    try:
        return tuple(damage.path for damage in IndexStore.open(folder).verify().damaged)
    except DamagedIndexError as error:
        return error.paths


def test_every_file_is_needed(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    before = read_everything(whole)
    for path in snapshot(whole):
        if path.endswith(("index.json", "manifest.json")):
            continue  # without these there is no index, or no document, to speak of
        shutil.copytree(whole, folder)
        (folder / path).unlink()
        assert named_by_verify(folder) == (path,)
        with pytest.raises(DamagedIndexError):
            read_everything(folder)
        shutil.rmtree(folder)
    assert all(map(same, read_everything(whole), before))


def test_damage_in_one_block_leaves_the_others_readable(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "index"
    shutil.copytree(whole, folder)
    record = IndexStore.open(folder).get("first.txt")
    path = folder / record.chunks[0].path
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # the last block's values
    path.write_bytes(data)
    store = IndexStore.open(folder)
    read_rows(store, record, 0, range(24), torch.float32)
    with pytest.raises(DamagedIndexError, match=r"rows 24\.\.31 of 'values' do not match their checksum"):
        read_rows(store, record, 0, [3, 24], torch.float32)
    with pytest.raises(DamagedIndexError):
        read_rows(store, record, 0, [31], torch.float32)


def linked(folder: Path, outside: Path, name: str) -> Path:
    """The index with one of its folders replaced by a link to a foreign one, which holds a file of its own."""
    foreign = outside / "sub"
    foreign.mkdir(parents=True)
    (foreign / "keep.txt").write_text("not the index's")
    (outside / "manifest.json").write_text("{}")
    place = folder / name
    if place.exists():
        shutil.rmtree(place)
    place.symlink_to(outside, target_is_directory=True)
    return foreign / "keep.txt"


@pytest.mark.parametrize("name", ["shards", "documents", f"documents/{'ab' * 32}"])
def test_nothing_behind_a_link_is_deleted(whole: Path, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "index"
    shutil.copytree(whole, folder)
    kept = linked(folder, tmp_path / "outside", name)
    store = IndexStore.open(folder)
    for attempt in (store.prune, lambda: store.remove("ab" * 32)):
        with suppress(SharedLLMError):
            attempt()
    assert kept.read_text() == "not the index's"
    assert (tmp_path / "outside" / "manifest.json").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"created": 5},
        {"metadata": None},
        {"metadata": {"year": 2024}},
        {"chunks.0.key": "../evil"},
        {"chunks.0.start": 10**9},
        {"chunks.0.bytes": "x"},
        {"files.text.bytes": -1},
        {"counts.pages": "two"},
    ],
    ids=str,
)
def test_a_forged_manifest_is_named_damage(whole: Path, tmp_path: Path, change: dict[str, object]) -> None:
    """Its seal is right, so only its fields can tell; other documents are still found."""
    folder = tmp_path / "index"
    shutil.copytree(whole, folder)
    manifest = next(folder.glob("documents/*/manifest.json"))
    values = json.loads(manifest.read_bytes())
    del values["digest"]
    for place, value in change.items():
        *parents, last = place.split(".")
        inner = values
        for parent in parents:
            inner = inner[int(parent) if parent.isdigit() else parent]
        inner[last] = value
    manifest.write_bytes(seal(values))
    report = IndexStore.open(folder).verify()
    assert [damage.path for damage in report.damaged] == [manifest.relative_to(folder).as_posix()]
