"""Opening an index, documents in and listed, and what verify says. Local folder and memory:// alike."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.errors import (
    ConfigError,
    DamagedIndexError,
    DocumentNotFoundError,
    IndexNotFoundError,
    StoreError,
)
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.records import DocumentRecord
from tests.store_helpers import (
    CREATED,
    add,
    check_document,
    fingerprint_of,
    flip,
    ids_of,
    read_rows,
    snapshot,
    tiny_profile,
)

PROFILE = tiny_profile()


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
    for call in (IndexStore.open, lambda path: IndexStore.create(path, fingerprint_of(PROFILE))):
        with pytest.raises(StoreError, match=r"file is a file, not a folder\. Name a folder"):
            call(tmp_path / "file")


def test_an_unknown_protocol_is_a_typed_error() -> None:
    with pytest.raises(StoreError, match="nosuch://x/y cannot be opened"):
        IndexStore.open("nosuch://x/y")
    with pytest.raises(StoreError, match="storage_options have no effect on the local path"):
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
    assert store.total_bytes() == sum(sizes.values()) + len(files.read("index.json"))
    assert (record.tokens, record.pages, len(record.chunks)) == (100, 2, 4)


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
    with pytest.raises(StoreError, match=r"'b' matches 2 documents: b \(.{12}\), b \(.{12}\)\. Give more digits"):
        store.get("b")
    with pytest.raises(DocumentNotFoundError, match=r"The index contains no document 'c'\. List the documents"):
        store.get("c")
    with pytest.raises(DocumentNotFoundError):
        store.get(records[0].key[:3])


def test_an_unchanged_manifest_is_read_again_and_not_parsed_again(
    store: IndexStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [add(store, name, ids_of(seed, 40), profile=PROFILE).key for seed, name in enumerate("ab")]
    before = store.documents()
    monkeypatch.setattr(DocumentRecord, "from_dict", lambda _payload: pytest.fail("parsed again"))
    assert store.documents() == before
    assert store.get(keys[0]) in before


def test_what_happens_to_a_manifest_after_it_was_read_is_seen(url: str, store: IndexStore) -> None:
    kept, lost = (add(store, name, ids_of(seed, 40), profile=PROFILE) for seed, name in enumerate(["one", "two"]))
    assert len(store.documents()) == 2
    other = IndexStore.open(url)
    other.remove(lost.key)
    assert [record.key for record in store.documents()] == [kept.key]
    with pytest.raises(DocumentNotFoundError):
        store.get(lost.key)
    again = add(other, "two", ids_of(1, 40), profile=PROFILE)
    assert {record.key for record in store.documents()} == {kept.key, again.key}
    files = open_files(url)
    intact = files.read(kept.path)
    files.write(kept.path, [intact.replace(b'"one"', b'"eno"')])
    with pytest.raises(DamagedIndexError, match=re.escape(kept.path)):
        store.documents()
    files.write(kept.path, [intact])
    assert store.get(kept.key).name == "one"


@pytest.mark.parametrize("reference", ["", ".", "..", "../index", "a/b", "*"])
def test_odd_references_find_nothing(store: IndexStore, reference: str) -> None:
    add(store, "a.txt", ids_of(1, 20), profile=PROFILE)
    with pytest.raises(DocumentNotFoundError):
        store.get(reference)
    with pytest.raises(DocumentNotFoundError):
        store.remove(reference)


# -- verify -------------------------------------------------------------------------------------------------------


def test_verify_reports_progress_and_can_take_one_document(store: IndexStore) -> None:
    one = add(store, "one.txt", ids_of(1, 64), profile=PROFILE)
    two = add(store, "two.txt", ids_of(2, 64), profile=PROFILE)
    seen: list[tuple[int, int, str]] = []
    report = store.verify(progress=lambda *step: seen.append(step))
    assert (report.ok, report.files, report.bytes) == (True, 3 + 2 * 5, one.bytes + two.bytes)
    assert seen[-1][:2] == (report.bytes, report.bytes)
    assert [done for done, _total, _path in seen] == sorted(done for done, _total, _path in seen)
    flip(store, two.chunks[0].path)
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
    files.remove(record.file_path("tokens"))
    files.remove("index.json")
    size = record.chunks[1].bytes
    assert {d.path: d.reason for d in store.verify().damaged} == {
        "index.json": "it is missing",
        record.file_path("tokens"): "it is missing",
        record.chunks[0].path: "it is missing",
        record.chunks[1].path: f"it has {size - 3} bytes instead of {size}",
        record.chunks[2].path: f"it has 0 bytes instead of {size}",
    }
    for number in range(3):
        with pytest.raises(DamagedIndexError, match="is damaged"):
            read_rows(store, record, number, range(32), torch.float32)


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
            f"{folder}/manifest.json",
            f"{folder}/text-{record.files['text'].sha256[:16]}.json",
            f"{folder}/tokens-{record.files['tokens'].sha256[:16]}.safetensors",
            f"{folder}/vectors-{record.files['vectors'].sha256[:16]}.safetensors",
            f"shards/{record.chunks[0].key[:2]}/{record.chunks[0].key}.safetensors",
        ]
    )


def test_listing_reads_each_manifest_once_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten thousand documents of which there is nothing but the manifest: no text, no tokens, no vectors, no shard."""
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.store.catalog import Catalog
    from sharedllm_docs.store.files import LocalFiles

    count = 10_000
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE), {"profile": PROFILE.to_dict()})
    record = add(store, "0.txt", ids_of(1, 32), profile=PROFILE)
    store.remove(record.key)
    store.prune()
    catalog = Catalog(LocalFiles(tmp_path))
    for number in range(count):
        other = replace(record, name=f"{number}.txt", source_sha256=f"{number:064x}", metadata={"title": str(number)})
        other = replace(other, key=other.expected_key())
        path = tmp_path / other.path
        path.parent.mkdir(parents=True)
        path.write_bytes(catalog.sealed(other.to_dict()))
        os.utime(path, (10**9, 10**9))  # not just now: what may change within a tick of the clock is read each time
    index = Index.open(tmp_path)
    read, paths = LocalFiles.read, []
    monkeypatch.setattr(
        LocalFiles, "read", lambda self, path, *limit: (paths.append(path), read(self, path, *limit))[1]
    )
    for method in ("map", "read_ranges"):
        monkeypatch.setattr(LocalFiles, method, lambda *_: pytest.fail("a shard was opened"))
    listed = index.documents()
    assert len(paths) == len(set(paths)) == len(listed) == count
    assert all(path.endswith("/manifest.json") for path in paths)
    assert {info.title for info in listed} == {str(number) for number in range(count)}
    paths.clear()
    assert index.document(listed[7].key) == listed[7]
    assert len(paths) == 1
    paths.clear()
    assert index.document(listed[7].name) == listed[7]
    assert paths == [], "nothing has changed"
    changed = replace(other, name="changed.txt")
    path = tmp_path / changed.path
    path.write_bytes(catalog.sealed(changed.to_dict()))
    assert index.document("changed.txt").key == changed.key
    assert set(paths) == {changed.path}
    paths.clear()
    path.unlink()
    assert len(index.documents()) == count - 1
    assert paths == []
