"""Indexes of many documents: a search index that is kept on disk and merged, and answers as those of a small index."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from sharedllm_docs import Answer, Document, Index, Section, SharedLLM
from sharedllm_docs.errors import ConfigError, DocumentNotFoundError
from sharedllm_docs.index import library, segments
from sharedllm_docs.retrieval import segments as arrays
from sharedllm_docs.retrieval.large import LargeSearcher
from sharedllm_docs.store import segment_files
from sharedllm_docs.store.budget import SEARCH
from sharedllm_docs.store.opening import open_files
from tests.tiny_text import PAGES, tiny_document, tiny_llm, tiny_sharedllm_profile

WORDS = " ".join(PAGES).split()
QUESTIONS = ("What does the heron wait for?", "Which metal melts first?", "Who writes into a blue book?", "zebra?")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three documents are many here."""
    monkeypatch.setattr(segments, "MANY_DOCUMENTS", 2)
    monkeypatch.setattr(segments, "KEPT_TOKENS", 1)


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of documents of each segment that was made from documents."""
    found: list[int] = []
    build = arrays.build

    def counted(documents: Any, known: Any = None) -> arrays.Segment:
        found.append(len(documents))
        return build(documents, known)

    monkeypatch.setattr(arrays, "build", counted)
    return found


def text_of(number: int) -> str:
    chance = random.Random(number)
    before, after = chance.choices(WORDS, k=90), chance.choices(WORDS, k=chance.randint(1, 60))
    return " ".join([*before, PAGES[number % len(PAGES)], *after])


def asking(number: int) -> str:
    """A question whose word stands in the title of one document alone."""
    return f"quokka{number}"


def document_of(number: int, year: str = "") -> Document:
    return tiny_document(
        text_of(number),
        name=f"d{number}.txt",
        sections=(Section(asking(number), 1, 1, 0),),
        metadata={"year": year or str(2000 + number % 3)},
    )


def fill(index: Index, numbers: range) -> None:
    for number in numbers:
        index.add(document_of(number))


def segments_of(index: Index) -> list[str]:
    return list(open_files(index.url).sizes(SEARCH))


def told(answer: Answer) -> tuple[Any, ...]:
    """All that an answer says of the search."""
    places = [(one.document, one.char_start, one.char_end, one.score) for one in answer.citations]
    counts = answer.counts
    return (
        answer.text,
        places,
        round(answer.relevance, 5),
        counts.documents,
        counts.nodes,
        counts.rows,
        answer.confidence,
    )


@pytest.fixture(scope="module")
def nine(tmp_path_factory: pytest.TempPathFactory, llm: SharedLLM) -> Path:
    """An index of nine documents, read-only."""
    folder = tmp_path_factory.mktemp("nine") / "index"
    fill(Index.create(folder, llm), range(9))
    return folder


@pytest.fixture
def index(nine: Path, tmp_path: Path, llm: SharedLLM) -> Index:
    return Index.open(shutil.copytree(nine, tmp_path / "index"), llm)


OPTIONS: list[dict[str, Any]] = [
    {},
    {"candidates": 2},
    {"budget": 16},
    {"selector": "hidden-state"},
    {"selector": "right-half"},
    {"where": {"year": ["2000", "2001"]}},
    {"documents": ["d1.txt", "d4.txt", "d7.txt", "d8.txt"]},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_answers_are_those_of_an_index_that_is_searched_whole(
    index: Index, llm: SharedLLM, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    settings = {"budget": 24, "min_confidence": 0, "max_new_tokens": 5, **options}
    whole = [told(index.ask(question, **settings)) for question in QUESTIONS]
    monkeypatch.setattr(segments, "MANY_DOCUMENTS", 2)
    monkeypatch.setattr(segments, "KEPT_TOKENS", 1)
    large = Index.open(index.url, llm)
    assert [told(large.ask(question, **settings)) for question in QUESTIONS] == whole
    assert len(segments_of(index)) == 1


def test_passages_are_those_of_an_index_that_is_searched_whole(index: Index, llm: SharedLLM, many: None) -> None:
    large = Index.open(index.url, llm)
    found = [large.search(question, k=12) for question in QUESTIONS]
    assert isinstance(large._library.searcher(large._store.documents(), llm.profile), LargeSearcher)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "MANY_DOCUMENTS", 10**6)
        whole = [Index.open(index.url, llm).search(question, k=12) for question in QUESTIONS]
    assert [[(p.document, p.char_start, p.score) for p in one] for one in found] == [
        [(p.document, p.char_start, p.score) for p in one] for one in whole
    ]


def test_trees_of_documents_far_from_the_question_have_no_branch_taken(
    index: Index, llm: SharedLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"d{number}.txt" for number in range(9)]

    def states(asked: Index) -> list[list[str]]:
        trees = [asked.tree(name, QUESTIONS[0], documents=names, budget=16) for name in names]
        return [
            [node.state for chunk in tree.chunks for node in chunk.nodes if node.state == "taken"] for tree in trees
        ]

    whole = states(index)
    monkeypatch.setattr(segments, "MANY_DOCUMENTS", 2)
    monkeypatch.setattr(segments, "KEPT_TOKENS", 1)
    large = Index.open(index.url, llm)
    assert states(large) == whole
    assert [] in whole
    with pytest.raises(ConfigError, match="is not among those searched"):
        large.tree("d0.txt", QUESTIONS[0], documents=names[1:])


def test_the_papers_method_and_choice_by_grain(tmp_path: Path, many: None) -> None:
    """What is left of the budget is spread over more chunks, which are those of the best documents."""
    index = Index.create(tmp_path / "index", tiny_llm(profile=tiny_sharedllm_profile(), adapter=True))
    fill(index, range(6))
    for options in ({"budget": 40}, {"budget": 40, "grains": (1, 2, 4)}):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(segments, "MANY_DOCUMENTS", 10**6)
            whole = told(index.ask(QUESTIONS[0], min_confidence=0, **options))
        assert told(index.ask(QUESTIONS[0], min_confidence=0, **options)) == whole


def test_only_what_is_missing_is_made_and_by_one_process(
    index: Index, llm: SharedLLM, many: None, built: list[int]
) -> None:
    index.search(QUESTIONS[0])
    index.search(QUESTIONS[1])
    Index.open(index.url, llm).search(QUESTIONS[0])  # as another process does
    assert built == [9]
    fill(index, range(9, 11))
    assert {one.document for one in index.search(asking(10), k=1)} == {"d10.txt"}
    other = Index.open(index.url, llm)
    assert {one.document for one in other.search(asking(10), k=1)} == {"d10.txt"}
    assert built == [9, 2]
    index.add(document_of(10, "1999"))  # neither text nor vectors change
    assert index.search(asking(10), k=1, where={"year": ["1999", "2000", "2001"]})[0].metadata["year"] == "1999"
    assert built == [9, 2]


def test_a_removed_document_is_found_no_more_and_pruned(
    index: Index, llm: SharedLLM, many: None, built: list[int]
) -> None:
    assert index.search(asking(4), k=1)[0].document == "d4.txt"
    other = Index.open(index.url, llm)
    other.search(QUESTIONS[0])
    index.remove("d4.txt")
    for one in (index, other):
        assert "d4.txt" not in {passage.document for passage in one.search(asking(4), k=50)}
    assert built == [9]
    assert segments_of(index)
    before = index.size()
    assert index.prune() > 0
    assert not segments_of(index)
    assert index.size() < before
    assert "d4.txt" not in {passage.document for passage in index.search(asking(4), k=50)}
    assert Index.open(index.url, llm).search(QUESTIONS[0])
    assert built == [9, 8]
    assert index.prune() == 0
    assert segments_of(index)
    assert index.verify().ok


def test_small_pieces_are_merged_and_answers_stay(index: Index, llm: SharedLLM, many: None, built: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "MOST_SEGMENTS", 3)
        for number in range(9, 20):
            fill(index, range(number, number + 1))
            assert index.search(asking(number), k=1)[0].document == f"d{number}.txt"
            assert len(segments_of(index)) <= 4
    assert (built[0], set(built[1:])) == (10, {1}), "merged without looking at documents again"
    other = Index.open(index.url, llm)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments, "MANY_DOCUMENTS", 10**6)
        whole = [told(Index.open(index.url, llm).ask(q, min_confidence=0, budget=24)) for q in QUESTIONS]
    assert [told(one.ask(q, min_confidence=0, budget=24)) for one in (index, other) for q in QUESTIONS] == whole * 2
    assert sum(built) == 20


def test_merging_with_what_holds_nothing_any_more_takes_nothing_away(
    index: Index, llm: SharedLLM, many: None, built: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = index.search(QUESTIONS[0])
    fill(index, range(9, 10))
    index.search(QUESTIONS[0])
    assert len(segments_of(index)) == 2
    index.remove("d9.txt")
    monkeypatch.setattr(segments, "MOST_SEGMENTS", 1)  # the larger one merged with an empty one has its own name again
    for _ in range(2):
        assert Index.open(index.url, llm).search(QUESTIONS[0]) == found
        assert len(segments_of(index)) == 1
    assert built == [9, 1]


def test_a_process_goes_on_when_another_has_merged_or_pruned_what_it_searches(
    index: Index, llm: SharedLLM, many: None
) -> None:
    other = Index.open(index.url, llm)
    other.search(QUESTIONS[0])
    for path in segments_of(index):
        open_files(index.url).remove(path)
    assert other.search(asking(3), k=1)[0].document == "d3.txt"
    fill(index, range(9, 10))
    assert other.search(asking(9), k=1)[0].document == "d9.txt"


@pytest.mark.parametrize("place", [0, 9, 40, -1])
def test_damaged_segments_are_made_again(
    index: Index, llm: SharedLLM, many: None, built: list[int], place: int
) -> None:
    found = index.search(QUESTIONS[0])
    (path,) = segments_of(index)
    file = Path(index.url) / path
    data = bytearray(file.read_bytes())
    data[place] ^= 0x10
    file.write_bytes(data)
    assert Index.open(index.url, llm).search(QUESTIONS[0]) == found
    file.write_bytes(b"")
    assert Index.open(index.url, llm).search(QUESTIONS[0]) == found
    assert built == [9, 9, 9]
    assert Index.open(index.url, llm).search(QUESTIONS[0]) == found
    assert built == [9, 9, 9], "it was written anew"


def test_segments_of_an_earlier_version_are_made_again(
    index: Index, llm: SharedLLM, many: None, built: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = index.search(QUESTIONS[0])
    monkeypatch.setattr(segment_files, "VERSION", 2)
    for _ in range(2):
        assert Index.open(index.url, llm).search(QUESTIONS[0]) == found
        assert built == [9, 9]
        assert len(segments_of(index)) == 1


@pytest.mark.parametrize("reason", ["rights", "budget"])
def test_what_cannot_be_written_stays_in_memory(
    tmp_path: Path, llm: SharedLLM, many: None, built: list[int], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = Index.create(tmp_path / "index", llm)
    fill(index, range(5))
    if reason == "budget":
        index = Index(type(index._store).open(index.url, max_bytes=index.size() + 10), llm)
    else:
        from sharedllm_docs.errors import StoreError
        from sharedllm_docs.store.files import LocalFiles

        def refuse(_files: LocalFiles, path: str, _buffers: Any) -> None:
            raise StoreError(f"Writing {path} failed: Read-only file system.")

        monkeypatch.setattr(LocalFiles, "write", refuse)
    assert index.search(asking(2), k=1)[0].document == "d2.txt"
    assert index.search(asking(3), k=1)[0].document == "d3.txt"
    assert built == [5]
    assert not segments_of(index)


def test_the_search_index_counts_towards_the_budget(index: Index, many: None) -> None:
    before = index.size()
    index.search(QUESTIONS[0])
    (path,) = segments_of(index)
    assert index.size() == before + (Path(index.url) / path).stat().st_size


def test_few_documents_are_held_in_memory(
    index: Index, llm: SharedLLM, many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library, "READY", 2)
    large = Index.open(index.url, llm)
    for number in range(9):
        large.search(asking(number), k=1)
        assert len(large._library._prepared) <= 2 + segments.MANY_DOCUMENTS + 8


def test_a_small_choice_of_a_large_index_is_searched_by_itself(
    index: Index, llm: SharedLLM, many: None, built: list[int]
) -> None:
    assert index.ask(QUESTIONS[0], documents=["d0.txt", "d1.txt"], min_confidence=0).counts.documents == 2
    assert index.summarise("d0.txt").text
    assert not built


def test_names_are_looked_up_together(index: Index, many: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of hundreds of documents, named one by one, needs no hundred looks at all manifests."""
    scans = []
    scan = type(index._store._catalog).scan
    monkeypatch.setattr(
        type(index._store._catalog), "scan", lambda catalog, **given: scans.append(1) or scan(catalog, **given)
    )
    names = [f"d{number}.txt" for number in range(9)]
    assert [record.name for record in index._library.records([*names, "d3.txt"])] == names
    assert len(scans) <= 1
    key = index.document("d5.txt").key
    assert [record.name for record in index._library.records([key[:12], "d1.txt"])] == ["d5.txt", "d1.txt"]
    with pytest.raises(DocumentNotFoundError, match=r"no document 'd99\.txt'"):
        index._library.records(["d1.txt", "d99.txt"])


# -- elsewhere --------------------------------------------------------------------------------------------------------


def test_a_remote_index_is_searched_from_a_copy_on_this_machine(
    llm: SharedLLM, many: None, built: list[int], tmp_path: Path
) -> None:
    url = f"memory://{uuid4().hex}/index"
    index = Index.create(url, llm)
    fill(index, range(5))
    found = index.search(QUESTIONS[0])
    assert len(list((tmp_path / "cache" / "search").rglob("*.segment"))) == 1
    assert Index.open(url, llm).search(QUESTIONS[0]) == found
    (copy,) = (tmp_path / "cache" / "search").rglob("*.segment")
    copy.write_bytes(copy.read_bytes()[:-4] + b"none")
    assert Index.open(url, llm).search(QUESTIONS[0]) == found
    assert len(built) <= 2


@pytest.fixture
def large_tenant(tmp_path: Path, llm: SharedLLM, many: None) -> Index:
    index = Index.create(tmp_path / "place", llm, tenant="one", salt="sixteen bytes, or more")
    fill(index, range(5))
    index.search(QUESTIONS[0])
    return index


def test_a_tenants_search_index_shares_no_name_and_goes_with_the_tenant(
    large_tenant: Index, tmp_path: Path, llm: SharedLLM
) -> None:
    from sharedllm_docs import delete_tenant

    other = Index.create(tmp_path / "place", llm, tenant="two", salt="sixteen bytes, or less")
    fill(other, range(5))
    other.search(QUESTIONS[0])
    names = [{Path(path).name for path in segments_of(one)} for one in (large_tenant, other)]
    assert all(names)
    assert not names[0] & names[1]
    delete_tenant(tmp_path / "place", "one", "sixteen bytes, or more")
    assert not Path(large_tenant.url).exists()
    assert segments_of(other)
