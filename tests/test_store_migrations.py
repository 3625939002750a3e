"""Numbered migrations: in memory for readers, on disk for writers, and never past what this version knows."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs.errors import DamagedIndexError, SchemaError, StoreError
from sharedllm_docs.store import DocumentRecord, Fingerprint, IndexStore
from sharedllm_docs.store import migrations as module
from sharedllm_docs.store.canonical import seal, unseal
from sharedllm_docs.store.files import LocalFiles
from sharedllm_docs.store.migrations import MIGRATIONS, Migrations
from tests.store_helpers import (
    OLD_GOLDENS,
    add,
    check_document,
    fingerprint_of,
    flip,
    ids_of,
    new_url,
    snapshot,
    tiny_profile,
)

PROFILE = tiny_profile(store_dtype="bfloat16")
FILES = 3
"""JSON files of the old index: its head and two manifests."""


def fingerprint() -> Fingerprint:
    return fingerprint_of(PROFILE, front_ids=[1, 2, 3])


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An index of schema 1 with two documents, as an earlier version wrote it."""
    return Path(shutil.copytree(OLD_GOLDENS[1] / "bfloat16", tmp_path / "old"))


def schemas(folder: Path) -> list[int]:
    paths = [folder / "index.json", *sorted(folder.glob("documents/*/manifest.json"))]
    return [json.loads(path.read_bytes())["schema"] for path in paths]


def check_whole(folder: Path, names: tuple[str, ...] = ("first.txt", "second.txt")) -> list[DocumentRecord]:
    """Every document is there with all that belongs to it."""
    store = IndexStore.open(folder, fingerprint())
    records = store.documents()
    assert tuple(record.name for record in records) == names
    for record in records:
        check_document(store, record, PROFILE)
        assert store.get(record.name) == record
    assert store.verify().ok
    return records


def rewrite(path: Path, change: Any) -> None:
    path.write_bytes(seal(change(unseal(path.read_bytes()))))


def fail_write(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Let the power go out at the write of that number, before the file is in place."""
    write, calls = LocalFiles.write, []

    def failing(self: LocalFiles, path: str, buffers: Any) -> None:
        calls.append(path)
        if len(calls) == number:
            raise StoreError("the power went out")
        write(self, path, buffers)

    monkeypatch.setattr(LocalFiles, "write", failing)


# -- readers ------------------------------------------------------------------------------------------------------


def test_readers_migrate_in_memory(old: Path) -> None:
    before = snapshot(old)
    first = check_whole(old)[0]
    assert dict(first.metadata) == {"title": "Numbers"}
    assert [issue.code for issue in first.issues] == ["page-failed", "encoding-guessed"]
    assert snapshot(old) == before


def test_readers_of_an_old_index_write_nothing(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As for an index on a read-only disk, where even the attempt fails."""
    for method in ("write", "remove", "lock"):
        monkeypatch.setattr(LocalFiles, method, lambda *_: pytest.fail("a reader wrote"))
    check_whole(old)


def test_the_text_of_an_old_index_is_read_once(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read, paths = LocalFiles.read, []
    monkeypatch.setattr(
        LocalFiles, "read", lambda self, path, *limit: (paths.append(path), read(self, path, *limit))[1]
    )
    store = IndexStore.open(old)
    for _ in range(3):
        store.documents()
    assert sum(path.endswith("content.json") for path in paths) == 2


@pytest.mark.parametrize("damage", ["flipped", "missing"])
def test_damaged_text_of_an_old_index_is_named(old: Path, damage: str) -> None:
    """The metadata are in it, so the document cannot be listed; nothing is made up in their place."""
    store = IndexStore.open(old)
    first = store.get("first.txt")
    path = f"documents/{first.key}/content.json"
    if damage == "flipped":
        flip(store, path, 60)
    else:
        (old / path).unlink()
    for folder_is_current in (False, True):
        store = IndexStore.open(old)
        with pytest.raises(DamagedIndexError, match=r"content\.json: .*add it again"):
            store.documents()
        assert [found.path for found in store.verify().damaged] == [path]
        assert store.get("second.txt").name == "second.txt"
        if not folder_is_current:
            assert all(first.key not in written for written in store.migrate()), "left for the user to decide"
    with store.writer() as writer:
        add(store, "first.txt", ids_of(1, 75), profile=PROFILE, writer=writer)
    check_whole(old)


def test_an_old_index_at_a_url_is_read(old: Path, tmp_path: Path) -> None:
    import fsspec

    for url in new_url("memory", tmp_path):
        fsspec.filesystem("memory").put(str(old), url, recursive=True)
        store = IndexStore.open(url, fingerprint())
        for record in store.documents():
            check_document(store, record, PROFILE)
        assert len(store.migrate()) == FILES
        assert store.verify().ok


@pytest.mark.parametrize("schema", OLD_GOLDENS)
def test_documents_of_older_schemas_are_carried_over(schema: int, tmp_path: Path) -> None:
    """Before and after a writer has done so: wholly read but for one of schema 3, without boxes and sources."""
    folder = Path(shutil.copytree(OLD_GOLDENS[schema] / "bfloat16", tmp_path / "old"))
    names = ("first.txt", "second.txt", *(("third.txt",) if schema == 3 else ()))
    before = check_whole(folder, names)
    assert [record.name for record in before if record.unread] == [name for name in names if name == "third.txt"]
    assert all((record.files.get("boxes"), record.source_bytes) == (None, 0) for record in before)
    assert len(IndexStore.open(folder).migrate()) == FILES + (schema == 3)
    assert check_whole(folder, names) == before
    assert set(schemas(folder)) == {module.SCHEMA}


# -- writers ------------------------------------------------------------------------------------------------------


def test_writers_migrate_the_files(old: Path) -> None:
    records = check_whole(old)
    before = snapshot(old)
    store = IndexStore.open(old)
    add(store, "third.txt", ids_of(3, 40), profile=PROFILE)
    assert schemas(old) == [module.SCHEMA] * 4
    assert check_whole(old, ("first.txt", "second.txt", "third.txt"))[:2] == records
    assert store.migrate() == []
    kept = {path: data for path, data in before.items() if not path.endswith(("index.json", "manifest.json"))}
    after = snapshot(old)
    assert {path: after[path] for path in kept} == kept, "text, arrays and rows stay as they were"


def test_the_same_file_is_found_in_an_old_index(old: Path) -> None:
    records = check_whole(old)
    encoded: list[int] = []
    again = add(IndexStore.open(old), "first.txt", ids_of(1, 75), profile=PROFILE, encoded=encoded)
    assert again == records[0]
    assert encoded == []


def test_prune_keeps_the_files_of_an_old_index(old: Path) -> None:
    assert IndexStore.open(old).prune().files == 0
    IndexStore.open(old).migrate()
    assert IndexStore.open(old).prune().files == 0
    check_whole(old)


@pytest.mark.parametrize("number", range(1, FILES + 1))
def test_an_interrupted_migration_goes_on(old: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    records = check_whole(old)
    with monkeypatch.context() as patch:
        fail_write(patch, number)
        with pytest.raises(StoreError, match="power"):
            IndexStore.open(old).migrate()
    assert sorted(schemas(old)) == [1] * (FILES - number + 1) + [module.SCHEMA] * (number - 1)
    assert check_whole(old) == records, "half migrated, all there"
    written = IndexStore.open(old).migrate()
    assert len(written) == FILES - number + 1
    assert written[-1] == "index.json", "the head goes last, so that an interrupted migration is noticed"
    assert check_whole(old) == records


# -- bounds -------------------------------------------------------------------------------------------------------


def test_no_way_to_the_current_schema_is_named(old: Path) -> None:
    rewrite(old / "index.json", lambda payload: {**payload, "schema": 0})
    with pytest.raises(SchemaError, match=r"index\.json has schema 0 and no migration leads from it to 4.*new folder"):
        IndexStore.open(old)


@pytest.mark.parametrize("schema", [5, 99, "one", None])
def test_a_newer_schema_is_refused(schema: object, tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)
    rewrite(tmp_path / record.path, lambda payload: {**payload, "schema": schema})
    with pytest.raises(SchemaError, match=rf"manifest\.json has schema {schema!r}, this version reads up to 4.*Update"):
        store.documents()
    rewrite(tmp_path / "index.json", lambda payload: {**payload, "schema": schema})
    with pytest.raises(SchemaError, match=r"index\.json has schema"):
        IndexStore.open(tmp_path)


@pytest.mark.parametrize("field", ["files", "key"])
def test_an_old_manifest_with_odd_fields_is_damaged(old: Path, field: str) -> None:
    path = next(old.glob("documents/*/manifest.json"))
    rewrite(path, lambda payload: {name: value for name, value in payload.items() if name != field})
    with pytest.raises(DamagedIndexError, match=rf"a field is missing, unknown or wrong \('{field}'\)"):
        IndexStore.open(old).documents()


@pytest.mark.parametrize("name", ["../../index.json", "..", "", "a/b", "a\\b"])
def test_a_manifest_names_files_of_its_own_folder_alone(name: str, tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)

    def elsewhere(payload: dict[str, Any]) -> dict[str, Any]:
        return {**payload, "files": {**payload["files"], "text": {**payload["files"]["text"], "name": name}}}

    rewrite(tmp_path / record.path, elsewhere)
    with pytest.raises(DamagedIndexError, match="names no file of the document's folder"):
        store.get(record.key)


def test_steps_follow_one_another() -> None:
    migrations = Migrations(current=3)
    for start in (1, 2):
        migrations.step("index", start)(
            lambda payload, beside: {**payload, "seen": [*payload["seen"], payload["schema"], beside("x")]}
        )
    original = {"schema": 1, "seen": []}
    upgraded = migrations.upgrade("index", original, "index.json", str.encode)
    assert upgraded == {"schema": 3, "seen": [1, b"x", 2, b"x"]}
    assert original == {"schema": 1, "seen": []}
    current = {"schema": 3}
    assert migrations.upgrade("index", current, "index.json", str.encode) is current


def test_every_earlier_schema_leads_to_the_current_one() -> None:
    assert MIGRATIONS.current == module.SCHEMA
    assert set(MIGRATIONS.steps) == {
        (kind, start) for kind in ("index", "document") for start in range(1, module.SCHEMA)
    }
