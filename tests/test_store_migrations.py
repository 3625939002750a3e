"""Numbered migrations: in memory for readers, on disk for writers, and never past what this version knows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs.errors import SchemaError, StoreError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store import migrations as module
from sharedllm_docs.store.canonical import seal, unseal
from sharedllm_docs.store.files import LocalFiles
from sharedllm_docs.store.migrations import MIGRATIONS, Migrations
from tests.store_helpers import add, check_document, fingerprint_of, ids_of, snapshot, tiny_profile

PROFILE = tiny_profile()


def rewrite(path: Path, change: Any) -> None:
    path.write_bytes(seal(change(unseal(path.read_bytes()))))


def to_schema_0(payload: dict[str, Any]) -> dict[str, Any]:
    """A made-up older schema, in which ``format`` was called ``kind``."""
    older = {**payload, "kind": payload["format"], "schema": 0}
    del older["format"]
    return older


def from_schema_0(payload: dict[str, Any]) -> dict[str, Any]:
    newer = {**payload, "format": payload["kind"]}
    del newer["kind"]
    return newer


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """An index of the made-up schema 0 with two documents."""
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE), {"model": "tiny"})
    for seed in (1, 2):
        add(store, f"{seed}.txt", ids_of(seed, 70), profile=PROFILE)
    for path in [tmp_path / "index.json", *tmp_path.glob("documents/*/manifest.json")]:
        rewrite(path, to_schema_0)
    return tmp_path


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MIGRATIONS, "steps", {("index", 0): from_schema_0, ("document", 0): from_schema_0})


@pytest.mark.usefixtures("steps")
def test_readers_migrate_in_memory(old: Path) -> None:
    before = snapshot(old)
    store = IndexStore.open(old, fingerprint_of(PROFILE))
    assert store.settings == {"model": "tiny"}
    for record in store.documents():
        check_document(store, record, PROFILE)
    assert store.verify().ok
    assert snapshot(old) == before


@pytest.mark.usefixtures("steps")
def test_writers_migrate_the_files(old: Path) -> None:
    store = IndexStore.open(old)
    records = store.documents()
    add(store, "3.txt", ids_of(3, 40), profile=PROFILE)
    for path in [old / "index.json", *old.glob("documents/*/manifest.json")]:
        content = json.loads(path.read_bytes())
        assert content["schema"] == 1
        assert "kind" not in content
    assert store.documents()[:2] == records
    assert store.migrate() == []
    assert store.verify().ok


@pytest.mark.usefixtures("steps")
def test_an_interrupted_migration_goes_on(old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = IndexStore.open(old)
    write, calls = LocalFiles.write, []

    def fail_second(self: LocalFiles, path: str, buffers: Any) -> None:
        calls.append(path)
        if len(calls) == 2:
            raise StoreError("the power went out")
        write(self, path, buffers)

    with monkeypatch.context() as patch:
        patch.setattr(LocalFiles, "write", fail_second)
        with pytest.raises(StoreError, match="power"):
            store.migrate()
    assert len(IndexStore.open(old).documents()) == 2, "half migrated, all there"
    written = store.migrate()
    assert calls[0] not in written
    assert written[-1] == "index.json", "the head goes last, so that an interrupted migration is noticed"
    assert len(written) == 2
    assert store.verify().ok


def test_no_way_to_the_current_schema_is_named(old: Path) -> None:
    with pytest.raises(SchemaError, match=r"index\.json has schema 0 and no migration leads from it to 1.*new folder"):
        IndexStore.open(old)


@pytest.mark.parametrize("schema", [2, 99, "one", None])
def test_a_newer_schema_is_refused(schema: object, tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(PROFILE))
    record = add(store, "a.txt", ids_of(1, 40), profile=PROFILE)
    rewrite(tmp_path / record.path, lambda payload: {**payload, "schema": schema})
    with pytest.raises(SchemaError, match=rf"manifest\.json has schema {schema!r}, this version reads up to 1.*Update"):
        store.documents()
    rewrite(tmp_path / "index.json", lambda payload: {**payload, "schema": schema})
    with pytest.raises(SchemaError, match=r"index\.json has schema"):
        IndexStore.open(tmp_path)


def test_steps_follow_one_another() -> None:
    migrations = Migrations(current=3)
    for start in (1, 2):
        migrations.step("index", start)(lambda payload: {**payload, "seen": [*payload["seen"], payload["schema"]]})
    original = {"schema": 1, "seen": []}
    assert migrations.upgrade("index", original, "index.json") == {"schema": 3, "seen": [1, 2]}
    assert original == {"schema": 1, "seen": []}
    current = {"schema": 3}
    assert migrations.upgrade("index", current, "index.json") is current


def test_the_first_schema_needs_no_migration() -> None:
    assert module.SCHEMA == MIGRATIONS.current == 1
    assert MIGRATIONS.steps == {}
