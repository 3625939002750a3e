"""Metadata: choosing documents by it, changing it, and doing both without reading any text."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs import Document, Index, ReadOptions, Where
from sharedllm_docs.errors import ConfigError, DiskBudgetError, DocumentNotFoundError, IndexLockedError
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.files import LocalFiles
from tests.tiny_text import tiny_llm

SETTINGS: dict[str, Any] = {"relevance_floor": 0, "budget": 64, "max_new_tokens": 3}
QUESTION = "Where does the heron stand?"
METADATA = {
    "birds": {"year": "2023", "kind": "note"},
    "metals": {"year": "2024", "kind": "note"},
    "poems": {"year": "2024", "kind": "book", "author": "N. N."},
    "plain": {},
}
TEXTS = {
    "birds": "The heron stands in the river and waits for fish.",
    "metals": "Copper melts at a higher temperature than tin does.",
    "poems": "A sonnet has fourteen lines, most often in iambic pentameter.",
    "plain": "The lighthouse keeper writes the weather into a blue book.",
}


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Index:
    made = Index.create(tmp_path_factory.mktemp("where") / "index", tiny_llm())
    for name, text in TEXTS.items():
        made.add(Document.from_text(text, name=name, metadata=METADATA[name]))
    return made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "birds.txt"
    path.write_text(TEXTS["birds"], encoding="utf-8")
    return path


def searched(index: Index, **scope: Any) -> set[str]:
    return {passage.document for passage in index.search(QUESTION, k=1000, **scope)}


FITS: list[tuple[Where, set[str]]] = [
    ({"year": "2024"}, {"metals", "poems"}),
    ({"year": ["2023", "1999"]}, {"birds"}),
    ({"year": {"2023", "2024"}}, {"birds", "metals", "poems"}),
    ({"year": ("2023", "2024"), "kind": "note"}, {"birds", "metals"}),
    ({"author": "N. N."}, {"poems"}),
    ({}, set(TEXTS)),
    (lambda metadata: metadata.get("year", "") > "2023", {"metals", "poems"}),
    (lambda metadata: not metadata, {"plain"}),
]
NONE_FITS: list[Where] = [{"year": "1999"}, {"year": []}, {"publisher": "X"}, {"author": "N. N.", "kind": "note"}]


@pytest.mark.parametrize(("where", "names"), FITS)
def test_where_chooses_documents(index: Index, where: Where, names: set[str]) -> None:
    assert searched(index, where=where) == names


@pytest.mark.parametrize("where", NONE_FITS)
def test_where_that_nothing_fits_names_the_keys_there(index: Index, where: Where) -> None:
    with pytest.raises(DocumentNotFoundError) as caught:
        index.search(QUESTION, where=where)
    assert f"None of the 4 documents fits where={where!r} (metadata keys there: author, kind, year)" in str(
        caught.value
    )
    assert "metadata={...}" in caught.value.remedy


def test_a_function_that_nothing_fits_is_told_as_such(index: Index) -> None:
    with pytest.raises(DocumentNotFoundError, match=r"The document does not fit the given function .*there: none"):
        index.search(QUESTION, documents=["plain"], where=lambda metadata: "year" in metadata)


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"year": 2024}, r"where\['year'\]=2024 is neither a string nor a collection"),
        ({"year": [2024]}, r"where\['year'\]=\[2024\] is neither"),
        ({"year": b"2024"}, r"where\['year'\]=b'2024' is neither"),
        ({"year": None}, r"where\['year'\]=None is neither"),
        ({"nobody has it": 1}, r"where\['nobody has it'\]=1 is neither"),
        ("year=2024", r"where='year=2024' is neither a mapping nor a function"),
        (["year"], r"where=\['year'\] is neither a mapping nor a function"),
    ],
)
def test_where_of_a_wrong_type_is_refused(index: Index, where: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        index.search(QUESTION, where=where)


def test_documents_and_where_must_both_hold(index: Index) -> None:
    assert searched(index, documents=["birds", "metals"], where={"year": "2024"}) == {"metals"}
    assert searched(index, documents=["metals", "poems"], where={"year": "2024"}) == {"metals", "poems"}
    with pytest.raises(DocumentNotFoundError, match=r"The document does not fit .*\(metadata keys there: kind, year\)"):
        index.search(QUESTION, documents=["birds"], where={"year": "2024"})
    with pytest.raises(DocumentNotFoundError, match="no document 'nothing'"):
        index.search(QUESTION, documents=["nothing"], where={"year": "2024"})


def test_a_function_cannot_change_what_is_stored(index: Index) -> None:
    def spoil(metadata: Any) -> bool:
        metadata["year"] = "1900"
        return True

    assert searched(index, where=spoil) == set(TEXTS)
    assert searched(index, where={"year": "2024"}) == {"metals", "poems"}
    info = index.document("metals")
    info.metadata["year"] = "1900"  # type: ignore[index]
    assert index.document("metals").metadata == METADATA["metals"]


async def _collected(stream: Any) -> Any:
    async for _piece in stream:
        pass
    return stream.result


ASKING: dict[str, Callable[..., Any]] = {
    "ask": lambda index, **scope: [index.ask(QUESTION, **scope, **SETTINGS)],
    "ask_many": lambda index, **scope: index.ask_many([QUESTION, "What melts?"], **scope, **SETTINGS),
    "stream": lambda index, **scope: [index.stream(QUESTION, **scope, **SETTINGS).result],
    "aask": lambda index, **scope: [asyncio.run(index.aask(QUESTION, **scope, **SETTINGS))],
    "aask_many": lambda index, **scope: asyncio.run(index.aask_many([QUESTION], **scope, **SETTINGS)),
    "astream": lambda index, **scope: [asyncio.run(_collected(index.astream(QUESTION, **scope, **SETTINGS)))],
}


@pytest.mark.parametrize("method", ASKING)
def test_every_way_to_ask_takes_where(index: Index, method: str) -> None:
    for answer in ASKING[method](index, where={"year": "2024"}):
        assert answer.counts.documents == 2
        assert {citation.document for citation in (*answer.citations, *answer.nearest)} <= {"metals", "poems"}
    for answer in ASKING[method](index, where={"year": "2024"}, documents=["birds", "poems"]):
        assert answer.counts.documents == 1
    with pytest.raises(DocumentNotFoundError, match="None of the 4 documents fits"):
        ASKING[method](index, where={"year": "1999"})


def test_select_and_asearch_take_where(index: Index) -> None:
    selection = index.select(QUESTION, where={"kind": "book"}, budget=64)
    assert [document.document.name for document in selection.documents] == ["poems"]
    found = asyncio.run(index.asearch(QUESTION, k=1000, where={"kind": "book"}))
    assert {passage.document for passage in found} == {"poems"}


def test_filtering_and_listing_open_manifests_alone(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    read, paths = LocalFiles.read, []
    monkeypatch.setattr(LocalFiles, "read", lambda self, path, *most: (paths.append(path), read(self, path, *most))[1])
    for method in ("map", "read_ranges"):
        monkeypatch.setattr(LocalFiles, method, lambda *_: pytest.fail("a shard was opened"))
    fresh = Index(IndexStore.open(index.url), None)
    assert {info.name for info in fresh.documents()} == set(TEXTS)
    assert fresh.document("poems").metadata == METADATA["poems"]
    assert [record.name for record in fresh._library.records(None, {"kind": "book"})] == ["poems"]
    with pytest.raises(DocumentNotFoundError):
        fresh._library.records(None, {"kind": "none"})
    assert {path.rsplit("/", 1)[-1] for path in paths} == {"index.json", "manifest.json"}


# -- metadata of a document that is there -------------------------------------------------------------------------


def no_encoding(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index.llm.encoder, "encode", lambda *_: pytest.fail("encoded again"))
    monkeypatch.setattr(index.llm.embedder, "encode", lambda *_: pytest.fail("embedded again"))


def test_metadata_given_later_replace_those_stored(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    first = index.add(file, metadata={"year": "2023", "kind": "note"})
    assert (first.new, first.metadata_updated) == (True, False)
    with monkeypatch.context() as patch:
        no_encoding(index, patch)
        patch.setattr("sharedllm_docs.index.ingest.read_document", lambda *_a, **_k: pytest.fail("read again"))
        again = index.add(file, metadata={"year": "2024"})
    assert (again.new, again.metadata_updated, again.chunks_encoded) == (False, True, 0)
    assert again.document.metadata == {"year": "2024", "kind": "note"}
    assert (again.document.key, again.document.created) == (first.document.key, first.document.created)
    assert Index.open(index.url).documents() == [again.document]
    assert index.verify().ok
    assert searched(index, where={"year": "2024"}) == {"birds.txt"}
    with pytest.raises(DocumentNotFoundError):
        index.search(QUESTION, where={"year": "2023"})


@pytest.mark.parametrize("metadata", [None, {}, {"year": "2023"}])
def test_metadata_that_are_there_write_nothing(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, metadata: dict[str, str] | None
) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    first = index.add(file, metadata={"year": "2023", "kind": "note"})
    for method in ("write", "lock"):
        monkeypatch.setattr(LocalFiles, method, lambda *_: pytest.fail("something was written"))
    again = index.add(file, metadata=metadata)
    assert (again.new, again.metadata_updated, again.document) == (False, False, first.document)


def test_passages_show_the_new_metadata_in_every_open_index(file: Path, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(file, metadata={"year": "2023"})
    other = Index.open(index.url, index.llm)
    for one in (index, other):
        assert one.search(QUESTION)[0].metadata["year"] == "2023"
    index.add(file, metadata={"year": "2024"})
    for one in (index, other):
        assert one.search(QUESTION)[0].metadata["year"] == "2024"


def test_metadata_of_a_document_in_memory_count_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    index = Index.create(tmp_path / "index", tiny_llm())
    document = Document.from_text(TEXTS["birds"], name="birds", metadata={"year": "2023"})
    index.add(document)
    no_encoding(index, monkeypatch)
    assert not index.add(document).metadata_updated
    again = index.add(replace(document, metadata={"year": "2024"}), metadata={"kind": "note"})
    assert (again.new, again.metadata_updated) == (False, True)
    assert again.document.metadata == {"year": "2024", "kind": "note"}


def test_content_under_another_name_is_found_and_is_given_the_name(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(file)
    no_encoding(index, monkeypatch)
    again = index.add(file.read_bytes(), name="copy.txt", metadata={"year": "2024"})
    assert (again.new, again.metadata_updated, again.document.name) == (False, True, "copy.txt")
    assert [info.metadata["year"] for info in index.documents()] == ["2024"]


def test_force_takes_the_metadata_given(file: Path, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(file, metadata={"year": "2023", "kind": "note"})
    forced = index.add(file, metadata={"year": "2024"}, force=True)
    assert forced.document.metadata == {"year": "2024"}
    assert index.verify().ok


@pytest.mark.parametrize("metadata", [{"year": 2024}, {1: "x"}, {"year": None}, "abc", ["year"]])
def test_metadata_that_are_no_strings_are_refused(file: Path, tmp_path: Path, metadata: Any) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    for _already_there in (False, True):
        with pytest.raises(ConfigError, match=r"keys and values must be strings|not a mapping of strings"):
            index.add(file, metadata=metadata)
        index.add(file)
    assert index.document("birds.txt").metadata == {}


@pytest.mark.parametrize("timeout", [float("nan"), -1, "soon", None])
def test_times_to_wait_that_are_none_are_refused(file: Path, tmp_path: Path, timeout: Any) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    with pytest.raises(ConfigError, match="must be a number of seconds"):
        index.add(file, timeout=timeout)
    assert index.documents() == []


def test_updating_waits_for_the_lock_and_keeps_to_the_budget(file: Path, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(file, metadata={"year": "2023"})
    with IndexStore.open(index.url).writer(), pytest.raises(IndexLockedError):
        index.add(file, metadata={"year": "2024"}, timeout=0)
    with pytest.raises(DiskBudgetError):
        index.add(file, metadata={"year": "2024" * 1000}, max_bytes=index.size() + 100)
    assert index.document("birds.txt").metadata == {"year": "2023"}


def test_a_file_known_only_by_reading_is_updated_too(file: Path, tmp_path: Path) -> None:
    index = Index.create(tmp_path / "index", tiny_llm())
    options = ReadOptions(pages="1-")  # an open range: only reading tells which pages these are
    index.add(file, options=options, metadata={"title": "By the caller"})
    assert not index.add(file, options=options).metadata_updated
    again = index.add(file, options=options, metadata={"title": "Another"})
    assert (again.new, again.metadata_updated, again.document.title) == (False, True, "Another")
