"""Tenants: nothing is shared, listed, answered or done the sooner across them; quotas; deletion that proves itself."""

from __future__ import annotations

import os
import re
import stat
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sharedllm_docs import Index, SharedLLM, delete_tenant, set_quotas, tenant_names
from sharedllm_docs.config import SALT_VARIABLE
from sharedllm_docs.distributed import commit_document, encode_chunks
from sharedllm_docs.errors import (
    ConfigError,
    DiskBudgetError,
    DocumentNotFoundError,
    IndexNotFoundError,
    QuotaError,
    StoreError,
    TenantError,
)
from sharedllm_docs.index.caches import cache_folder
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.catalog import INDEX_FILE
from sharedllm_docs.store.files import LocalFiles
from sharedllm_docs.store.opening import open_files
from sharedllm_docs.store.tenants import Tenant, tenant_url
from tests.s3_server import BUCKET, KEYS, S3Server, need_s3
from tests.store_helpers import fingerprint_of, flip, tiny_profile
from tests.tiny_text import PAGES

ONE, TWO = "the salt of one, 16 bytes", b"the salt of two, \x00 bytes"
TEXT = "\n\n".join(PAGES)
OTHER = "\n\n".join(page.replace("the ", "some ") for page in reversed(PAGES))
QUESTION = "What does the heron wait for?"


@pytest.fixture(autouse=True)
def no_salt_around(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own_process: None) -> None:
    monkeypatch.delenv(SALT_VARIABLE, raising=False)
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What tenants share."""
    return tmp_path / "place"


def names_of(folder: Path) -> set[str]:
    """Every name below a folder but those that all indexes have."""
    return {path.name for path in folder.rglob("*") if re.search(r"[0-9a-f]{16}", path.name)}


def source(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


# -- nothing is shared -----------------------------------------------------------------------------------------------


def test_the_same_file_has_no_name_in_common_with_another_tenants(place: Path, tmp_path: Path, llm: SharedLLM) -> None:
    file, plain = source(tmp_path, "a.txt", TEXT), tmp_path / "plain"
    for salt, tenant in ((ONE, "one"), (TWO, "two")):
        added = Index.create(place, llm, tenant=tenant, salt=salt).add(file, keep_source=True)
        assert added.chunks_encoded == added.document.chunks
        assert not added.chunks_reused
    Index.create(plain, llm).add(file, keep_source=True)
    found = [names_of(place / "tenants" / "one"), names_of(place / "tenants" / "two"), names_of(plain)]
    assert all(len(names) > 6 for names in found)  # a document, its shards, three files beside it, its source
    assert not (found[0] & found[1])
    assert not (found[0] & found[2])
    assert not (found[1] & found[2])
    digest = IndexStore.open(plain).documents()[0].source_sha256
    assert digest in found[2]
    assert not any(digest in names for names in found[:2])


def test_names_follow_from_salt_and_tenant_alone(place: Path, tmp_path: Path, llm: SharedLLM) -> None:
    file = source(tmp_path, "a.txt", TEXT)
    for root in (place, tmp_path / "again"):
        Index.create(root, llm, tenant="one", salt=ONE).add(file, keep_source=True)
    assert names_of(place) == names_of(tmp_path / "again")
    assert Tenant.of("one", ONE).digest != Tenant.of("two", ONE).digest != Tenant.of("two", TWO).digest


def test_an_index_without_a_tenant_is_as_it_was(tmp_path: Path) -> None:
    store = IndexStore.create(tmp_path, fingerprint_of(tiny_profile()))
    head = (tmp_path / INDEX_FILE).read_text()
    assert not any(word in head for word in ("salt", "tenant", "max_documents"))
    assert store.fingerprint == fingerprint_of(tiny_profile())
    assert store.tenant is None
    assert store.fingerprint.digest() != store.fingerprint.salted("0" * 64).digest()


def test_a_tenant_lists_finds_and_answers_from_its_own_alone(place: Path, tmp_path: Path, llm: SharedLLM) -> None:
    one, two = (Index.create(place, llm, tenant=name, salt=salt) for name, salt in (("one", ONE), ("two", TWO)))
    key = one.add(source(tmp_path, "a.txt", TEXT)).document.key
    two.add(source(tmp_path, "b.txt", OTHER))
    assert [info.name for info in two.documents()] == ["b.txt"]
    for reference in ("a.txt", key, key[:8]):
        with pytest.raises(DocumentNotFoundError):
            two.document(reference)
    assert {citation.document for citation in two.ask(QUESTION, min_confidence=0).citations} <= {"b.txt"}
    assert two.verify().ok
    assert two.prune() == 0
    assert one.verify().ok
    one.remove("a.txt")
    assert one.prune() > 0
    assert two.verify().ok


def test_all_that_an_index_does_works_with_a_salt(place: Path, tmp_path: Path, llm: SharedLLM) -> None:
    """Reading later, resuming, repairing, sources, workers: each works out names anew."""
    index = Index.create(place, llm, tenant="one", salt=ONE)
    later = index.add(source(tmp_path, "a.txt", TEXT), encode="when-asked", keep_source=True)
    assert later.document.unread_chunks
    assert index.read() == later.document.chunks
    again = index.add(source(tmp_path, "a.txt", TEXT), force=True)
    assert again.chunks_encoded == 0
    assert again.chunks_reused == later.document.chunks
    with index.open_source("a.txt") as file:
        assert file.read().decode() == TEXT
    record = index._store.get("a.txt")
    flip(index._store, record.chunks[0].path)
    assert not index.verify().ok
    assert index.repair() == 1
    assert index.verify().ok
    part = encode_chunks(source(tmp_path, "b.txt", OTHER), index)
    assert commit_document(source(tmp_path, "b.txt", OTHER), index, [part]).document.name == "b.txt"
    index.remove("a.txt")
    index.prune()
    assert [path for path in (place / "tenants" / "one" / "sources").rglob("*") if path.is_file()] == []
    assert index.reopened().ask(QUESTION, min_confidence=0).text


# -- whoever has not the salt -----------------------------------------------------------------------------------------


def test_an_index_opens_with_its_salt_alone(place: Path, llm: SharedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    Index.create(place, llm, tenant="one", salt=ONE)
    assert Index.open(place, llm, tenant="one", salt=ONE.encode()).documents() == []
    assert Index.open(tenant_url(place, "one"), llm, salt=ONE).documents() == []
    for given in list[dict[str, Any]](({"tenant": "one"}, {})):
        url = place if given else tenant_url(place, "one")
        with pytest.raises(TenantError, match="not the one that the index of the tenant 'one' was made with"):
            Index.open(url, llm, salt=TWO, **given)
        with pytest.raises(ConfigError, match=f"needs a salt, and none is given.*{SALT_VARIABLE}"):
            Index.open(url, llm, **given)
    monkeypatch.setenv(SALT_VARIABLE, ONE)
    assert Index.open_or_create(place, llm, tenant="one").documents() == []
    monkeypatch.setenv(SALT_VARIABLE, ONE + "!")
    with pytest.raises(TenantError):
        Index.open(place, llm, tenant="one")


def test_the_salt_of_another_tenant_opens_nothing(place: Path, llm: SharedLLM, tmp_path: Path) -> None:
    """Nor does an index that was copied into another tenant's folder open there."""
    Index.create(place, llm, tenant="one", salt=ONE)
    (place / "tenants" / "one").rename(place / "tenants" / "two")
    with pytest.raises(TenantError):
        Index.open(place, llm, tenant="two", salt=ONE)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"tenant": "one", "salt": "short"}, "The salt has 5 bytes, fewer than 16"),
        ({"tenant": "one", "salt": ""}, "has 0 bytes"),
        ({"tenant": "one", "salt": 7}, "The salt is int, not text or bytes"),
        ({"tenant": "one"}, "needs a salt, and none is given"),
        ({"salt": ONE}, "A salt is given, and no tenant"),
        *(
            ({"tenant": name, "salt": ONE}, "is no name of a tenant")
            for name in ("", "..", "a/b", "A", "-a", "a b", "a" * 64, "\u00e4", 7, "a.b")
        ),
        ({"tenant": "one", "salt": ONE, "max_documents": 0}, "max_documents=0 must be a whole number, 1 or more"),
        ({"tenant": "one", "salt": ONE, "max_documents": 1.5}, "max_documents=1.5 must be"),
        ({"tenant": "one", "salt": ONE, "max_documents": True}, "max_documents=True must be"),
        ({"tenant": "one", "salt": ONE, "max_bytes": 0}, "max_bytes=0 must be at least 1"),
    ],
)
def test_wrong_settings_make_no_index(place: Path, llm: SharedLLM, given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)) as told:
        Index.create(place, llm, **given)
    assert not place.exists()
    assert ONE not in str(told.value)
    assert "short" not in str(told.value)


def test_unknown_tenants_are_named(place: Path, llm: SharedLLM) -> None:
    Index.create(place, llm, tenant="one", salt=ONE)
    for call in (
        lambda: Index.open(place, llm, tenant="two", salt=TWO),
        lambda: delete_tenant(place, "two", TWO),
        lambda: set_quotas(place, "two", TWO, max_bytes=None, max_documents=None),
    ):
        with pytest.raises(IndexNotFoundError, match="There is no tenant 'two' at"):
            call()
    assert tenant_names(place) == ["one"]
    assert tenant_names(place.parent) == []
    with pytest.raises(StoreError, match="There is an index at"):
        Index.create(place, llm, tenant="one", salt=ONE)


def test_a_salt_for_an_index_of_no_tenant_is_told(place: Path, llm: SharedLLM) -> None:
    Index.create(place, llm)
    with pytest.raises(ConfigError, match="belongs to no tenant"):
        Index.open(place, llm, salt=ONE)


def test_the_salt_is_shown_nowhere(place: Path, llm: SharedLLM) -> None:
    index = Index.create(place, llm, tenant="one", salt=ONE)
    assert ONE not in repr(Tenant.of("one", ONE))
    assert ONE not in str(index.settings) + str(index.fingerprint)
    assert all(ONE.encode() not in path.read_bytes() for path in place.rglob("*") if path.is_file())


# -- quotas ----------------------------------------------------------------------------------------------------------


def test_no_document_beyond_the_quota_and_nothing_is_encoded_for_it(
    place: Path, tmp_path: Path, llm: SharedLLM
) -> None:
    index = Index.create(place, llm, tenant="one", salt=ONE, max_documents=2)
    first, second = source(tmp_path, "a.txt", TEXT), source(tmp_path, "b.txt", OTHER)
    index.add(first)
    index.add(second)
    before = names_of(place)
    for add in (index.add, lambda file: encode_chunks(file, index)):
        with pytest.raises(QuotaError, match=r"holds 2 documents of at most 2.*Remove documents, or") as told:
            add(source(tmp_path, "c.txt", TEXT + OTHER))
        assert (told.value.value, told.value.bound) == (3, 2)
    assert names_of(place) == before
    assert not index.add(first).new  # what is there is none too many
    assert index.add(source(tmp_path, "b.txt", OTHER + " More.")).replaced  # nor is what takes another's place
    with pytest.raises(QuotaError):
        index.add(source(tmp_path, "b.txt", OTHER + " Yet more."), replace=False)
    index.remove("a.txt")
    assert index.add(source(tmp_path, "c.txt", TEXT + OTHER)).new


def test_no_byte_beyond_the_quota_whatever_a_call_asks_for(place: Path, tmp_path: Path, llm: SharedLLM) -> None:
    index = Index.create(place, llm, tenant="one", salt=ONE, max_bytes=2000)
    for add in (index.add, lambda file, **_options: encode_chunks(file, index)):
        with pytest.raises(DiskBudgetError, match=r"> 2,000 bytes"):
            add(source(tmp_path, "a.txt", TEXT), max_bytes=10**9)
    with pytest.raises(DiskBudgetError):
        Index.open(place, llm, tenant="one", salt=ONE).add(source(tmp_path, "a.txt", TEXT))
    set_quotas(place, "one", ONE, max_bytes=10**9, max_documents=1)
    assert not index.is_current()
    index = index.reopened()
    with pytest.raises(DiskBudgetError):  # a call may ask for less
        index.add(source(tmp_path, "a.txt", TEXT), max_bytes=2000)
    assert index.add(source(tmp_path, "a.txt", TEXT)).new
    with pytest.raises(QuotaError):
        index.add(source(tmp_path, "b.txt", OTHER))
    for most_bytes, most_documents in ((0, None), (None, -1)):
        with pytest.raises(ConfigError):
            set_quotas(place, "one", ONE, max_bytes=most_bytes, max_documents=most_documents)
    with pytest.raises(TenantError):
        set_quotas(place, "one", TWO, max_bytes=None, max_documents=None)


# -- deletion ---------------------------------------------------------------------------------------------------------


def test_deletion_takes_all_of_one_tenant_and_nothing_of_another(place: Path, tmp_path: Path, llm: SharedLLM) -> None:
    for tenant, salt in (("one", ONE), ("two", TWO)):
        Index.create(place, llm, tenant=tenant, salt=salt).add(source(tmp_path, "a.txt", TEXT), keep_source=True)
    folder = place / "tenants" / "one"
    (folder / "shards" / ".tmp-left").write_bytes(b"x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "kept").write_bytes(b"x")
    (folder / "link").symlink_to(tmp_path / "outside")
    kept, there = names_of(place / "tenants" / "two"), [p for p in folder.rglob("*") if p.is_file() or p.is_symlink()]
    cache_folder(Tenant.of("one", ONE).digest).mkdir(parents=True)
    with pytest.raises(TenantError):
        delete_tenant(place, "one", TWO)
    index = Index.open(place, llm, tenant="one", salt=ONE)
    done = delete_tenant(place, "one", ONE)
    assert (done.tenant, done.files) == ("one", len(there))
    assert done.bytes > 1000
    assert not folder.exists()
    assert (tmp_path / "outside" / "kept").exists()
    assert tenant_names(place) == ["two"]
    assert not cache_folder(Tenant.of("one", ONE).digest).exists()
    assert names_of(place / "tenants" / "two") == kept
    assert Index.open(place, llm, tenant="two", salt=TWO).verify().ok
    assert not index.is_current()
    with pytest.raises((DocumentNotFoundError, StoreError)):
        index.ask(QUESTION)
    with pytest.raises(IndexNotFoundError, match="no tenant 'one'"):
        delete_tenant(place, "one", ONE)


def test_a_deletion_that_was_cut_short_goes_on(place: Path, tmp_path: Path, llm: SharedLLM) -> None:
    Index.create(place, llm, tenant="one", salt=ONE).add(source(tmp_path, "a.txt", TEXT))
    (place / "tenants" / "one" / INDEX_FILE).unlink()
    assert delete_tenant(place, "one", ONE).files > 3
    assert not (place / "tenants" / "one").exists()


def test_what_cannot_be_deleted_is_told(place: Path, llm: SharedLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    Index.create(place, llm, tenant="one", salt=ONE)
    monkeypatch.setattr(LocalFiles, "erase", lambda _files, _keep: None)
    with pytest.raises(StoreError, match=r"files of the tenant 'one' are still there, the first is index\.json"):
        delete_tenant(place, "one", ONE)


# -- rights of folders ------------------------------------------------------------------------------------------------


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
@pytest.mark.parametrize("tenant", [None, "one"])
def test_folders_are_for_their_owner_alone(
    place: Path, tmp_path: Path, llm: SharedLLM, tenant: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        index = Index.create(place, llm, tenant=tenant, salt=ONE if tenant else None)
        index.add(source(tmp_path, "a.txt", TEXT), keep_source=True)
    finally:
        os.umask(before)
    folders = [place, *(path for path in place.rglob("*") if path.is_dir())]
    assert len(folders) > 5
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


# -- the work that is done says nothing of other tenants ---------------------------------------------------------------

_EVENTS = {
    "open",
    "os.listdir",
    "os.scandir",
    "os.rename",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.link",
    "os.truncate",
}
_seen: list[tuple[str, str]] | None = None


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if _seen is not None and event in _EVENTS and arguments and isinstance(arguments[0], (str, Path)):
        _seen.append((event, str(arguments[0])))


@pytest.fixture(scope="module")
def audited() -> None:
    """The interpreter tells of every file that is opened, whoever opens it; a hook stays for good, and then is idle."""
    sys.addaudithook(_note)


@contextmanager
def touched(root: Path, llm: SharedLLM) -> Iterator[Counter[tuple[str, str]]]:
    """What is done below a folder, whatever the names, with the bytes read and the chunks encoded."""
    global _seen
    found: Counter[tuple[str, str]] = Counter()
    read, encode = LocalFiles.read, llm.encoder.encode

    def counted_read(files: LocalFiles, path: str, limit: int | None = None) -> bytes:
        data = read(files, path, limit)
        found["bytes read", ""] += len(data)
        return data

    def counted_encode(batch: Any) -> Any:
        found["chunks encoded", ""] += len(batch)
        return encode(batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(LocalFiles, "read", counted_read)
        patch.setattr(llm.encoder, "encode", counted_encode)
        _seen = []
        try:
            yield found
        finally:
            seen, _seen = _seen, None
    inside = (_seen_path(event, path, root) for event, path in seen)
    found.update(one for one in inside if one is not None)


def _seen_path(event: str, path: str, root: Path) -> tuple[str, str] | None:
    if not os.path.abspath(path).startswith(f"{root}{os.sep}"):
        return None
    return event, re.sub(r"[0-9a-f]{2,}(?=[/.]|$)|(?<=\.tmp-)[0-9a-f]+", "*", os.path.relpath(path, root))


def work_of_two(
    place: Path, tmp_path: Path, llm: SharedLLM, held: str, tenants: bool
) -> list[Counter[tuple[str, str]]]:
    """What it takes to add a text, add it again, and ask, where somebody else holds the text ``held`` already."""
    options: Callable[[str, Any], dict[str, Any]] = lambda name, salt: (  # noqa: E731
        {"tenant": name, "salt": salt} if tenants else {}
    )
    Index.open_or_create(place, llm, **options("two", TWO)).add(source(tmp_path, "held.txt", held), keep_source=True)
    index = Index.open_or_create(place, llm, **options("one", ONE))
    found = []
    for step in (
        lambda: index.add(source(tmp_path, "mine.txt", TEXT), keep_source=True),
        lambda: index.add(source(tmp_path, "mine.txt", TEXT), force=True),
        lambda: Index.open(place, llm, **options("one", ONE)).ask(QUESTION, min_confidence=0),
        lambda: index.ask("Which metal melts first?", min_confidence=0),
    ):
        with touched(place, llm) as counted:
            step()
        found.append(counted)
    return found


def test_a_tenants_work_is_the_same_whether_or_not_another_holds_the_text(
    place: Path, tmp_path: Path, llm: SharedLLM, audited: None
) -> None:
    """Counted, not timed: files opened and written, folders listed, bytes read, chunks encoded."""
    held = work_of_two(place / "held", tmp_path, llm, TEXT, True)
    not_held = work_of_two(place / "other", tmp_path, llm, OTHER, True)
    assert held == not_held
    assert held[0]["chunks encoded", ""] > 0
    assert all(counted["bytes read", ""] > 0 for counted in held)
    assert any(event == "open" and "shards" in path for event, path in held[0])


def test_without_tenants_the_work_does_tell(place: Path, tmp_path: Path, llm: SharedLLM, audited: None) -> None:
    """What the test above must be able to see: in an index that is shared, a text that is there is not encoded."""
    held = work_of_two(place / "held", tmp_path, llm, TEXT, False)
    not_held = work_of_two(place / "other", tmp_path, llm, OTHER, False)
    assert held[0]["chunks encoded", ""] == 0 < not_held[0]["chunks encoded", ""]
    assert held[0] != not_held[0]


# -- in a bucket ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def running() -> Iterator[S3Server]:
    need_s3()
    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def bucket(running: S3Server, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {**KEYS, "AWS_ENDPOINT_URL": running.url, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("sharedllm_docs.store.s3_requests.LONGEST_PAUSE", 0.01)
    running.requests.clear()
    return f"s3://{BUCKET}/{uuid4().hex}"


def first_answer(server: S3Server, url: str, llm: SharedLLM, **options: Any) -> Counter[str]:
    """Requests of the first question of a process."""
    index = Index.open(url, llm, **options)
    server.requests.clear()
    index.ask(QUESTION, min_confidence=0)
    index.close()
    return server.counts()


@pytest.mark.parametrize("tenants", [True, False])
def test_the_cache_of_a_machine_does_not_tell_what_another_tenant_has_read(
    running: S3Server, bucket: str, tmp_path: Path, llm: SharedLLM, tenants: bool
) -> None:
    """The other tenant has asked before, from the same machine: with a common cache its blocks would be there."""
    file, counts = source(tmp_path, "a.txt", TEXT), []
    for number in range(2):
        options: list[dict[str, Any]] = [
            {"tenant": f"t{number}{i}", "salt": f"{number} and {i} sixteen bytes"} for i in range(2)
        ]
        urls = [bucket if tenants else f"{bucket}/{number}{i}" for i in range(2)]
        for url, given in zip(urls, options, strict=True):
            Index.create(url, llm, **(given if tenants else {})).add(file)
        if number:
            first_answer(running, urls[0], llm, **(options[0] if tenants else {}))
        counts.append(first_answer(running, urls[1], llm, **(options[1] if tenants else {})))
    assert (counts[0] == counts[1]) == tenants, counts


@pytest.mark.parametrize("versions", [False, True])
def test_deletion_in_a_bucket_takes_older_versions_and_unfinished_uploads(
    running: S3Server, bucket: str, tmp_path: Path, llm: SharedLLM, versions: bool
) -> None:
    name = f"bucket-{uuid4().hex}"
    running.client.create_bucket(Bucket=name)
    if versions:
        running.client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    place = f"s3://{name}/shared"
    for tenant, salt in (("one", ONE), ("two", TWO)):
        index = Index.create(place, llm, tenant=tenant, salt=salt)
        index.add(source(tmp_path, "a.txt", TEXT))
        index.add(source(tmp_path, "b.txt", OTHER))
        index.remove("b.txt")
        index.close()
    prefix = "shared/tenants/one/"
    running.client.create_multipart_upload(Bucket=name, Key=f"{prefix}shards/aa/large")
    assert tenant_names(place) == ["one", "two"]
    done = delete_tenant(place, "one", ONE)
    assert done.files > 5
    for call in (running.client.list_objects_v2, running.client.list_object_versions):
        told = call(Bucket=name, Prefix=prefix)
        assert not any(told.get(kind) for kind in ("Contents", "Versions", "DeleteMarkers"))
    assert not running.client.list_multipart_uploads(Bucket=name, Prefix=prefix).get("Uploads")
    assert tenant_names(place) == ["two"]
    assert Index.open(place, llm, tenant="two", salt=TWO).verify().ok


def test_a_server_that_knows_no_versions_is_asked_for_objects(
    running: S3Server, bucket: str, llm: SharedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sharedllm_docs.store.s3_requests import Bucket

    call = Bucket._call

    async def some(self: Bucket, method: str, **options: Any) -> Any:
        if method in ("list_object_versions", "list_multipart_uploads"):
            error = OSError("not there")
            error.response = {"Error": {"Code": "NotImplemented"}}  # type: ignore[attr-defined]
            raise error
        return await call(self, method, **options)

    Index.create(bucket, llm, tenant="one", salt=ONE)
    monkeypatch.setattr(Bucket, "_call", some)
    assert delete_tenant(bucket, "one", ONE).files >= 1
    assert open_files(f"{bucket}/tenants/one").everything() == {}


def test_encryption_is_asked_of_the_store_for_every_object(
    running: S3Server, bucket: str, tmp_path: Path, llm: SharedLLM
) -> None:
    key = "arn:aws:kms:us-east-1:123456789012:key/0"
    asked = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    options = {"s3_additional_kwargs": asked}
    index = Index.create(bucket, llm, tenant="one", salt=ONE, storage_options=options)
    index.add(source(tmp_path, "a.txt", TEXT), keep_source=True)
    assert index.reopened().add(source(tmp_path, "b.txt", OTHER)).new  # options stay with the index
    found = running.client.list_objects_v2(Bucket=BUCKET, Prefix=bucket.partition("//")[2].partition("/")[2])[
        "Contents"
    ]
    assert len(found) > 8
    for one in found:
        head = running.client.head_object(Bucket=BUCKET, Key=one["Key"])
        assert {name: head.get(name) for name in asked} == asked, one["Key"]
    assert Index.open(bucket, llm, tenant="one", salt=ONE, storage_options=options).verify().ok


def test_tenants_in_any_store_of_fsspec(llm: SharedLLM, tmp_path: Path) -> None:
    place = f"memory://{uuid4().hex}"
    Index.create(place, llm, tenant="one", salt=ONE).add(source(tmp_path, "a.txt", TEXT))
    assert tenant_names(place) == ["one"]
    assert delete_tenant(place, "one", ONE).files > 3
    assert tenant_names(place) == []
    assert open_files(place).everything() == {}
