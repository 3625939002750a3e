"""Passages: what a search returns, and the nodes that an answer's citations come from."""

from __future__ import annotations

import asyncio

import pytest

from sharedllm_docs import Document, GenerationConfig, Index, Passage, RetrievalConfig
from sharedllm_docs.errors import ConfigError, DocumentNotFoundError, EmptyQuestionError
from sharedllm_docs.store import IndexStore
from tests.tiny_text import tiny_llm, tiny_sharedllm_profile

PAGES = (
    "The heron stands in the river and waits for fish.",
    "Copper melts at a higher temperature than tin does.",
    "A sonnet has fourteen lines, most often in iambic pentameter.",
)
ALWAYS = RetrievalConfig(relevance_floor=0, budget=64)
SHORT = GenerationConfig(max_new_tokens=4)


@pytest.fixture(scope="module")
def index(tmp_path_factory, llm):
    made = Index.create(tmp_path_factory.mktemp("passages") / "index", llm)
    made.add(Document.from_text(pages=PAGES, name="three", metadata={"author": "Nobody", "title": "Three"}))
    made.add(Document.from_text("Tin comes from the mines of Cornwall.", name="tin"))
    return made


def text_of(index, passage):
    store = IndexStore.open(index.url)
    return store.document(store.get(passage.document_key)).text


def test_search_returns_the_nearest_leaves_best_first(index):
    found = index.search("Where does the heron stand?", k=3)
    assert len(found) == 3
    best = found[0]
    assert (best.document, best.page, best.last_page, best.metadata["author"]) == ("three", 1, 1, "Nobody")
    assert "heron" in best.text
    assert [p.score for p in found] == sorted((p.score for p in found), reverse=True)
    assert all(0 <= p.score <= 1 and 0 <= p.relevance <= 1 for p in found)
    for passage in found:
        assert passage.text == text_of(index, passage)[passage.char_start : passage.char_end] == passage.text.strip()
    assert str(best).startswith("three, page 1: ")


def test_search_within_documents_and_beyond_what_is_there(index):
    only = index.search("heron", documents=["tin"], k=100)
    assert {p.document for p in only} == {"tin"}
    assert " ".join(p.text for p in sorted(only, key=lambda p: p.char_start)).startswith("Tin comes")
    everything = index.search("heron", k=10_000)
    assert 1 < len(everything) < 10_000
    assert asyncio.run(index.asearch("heron", k=2)) == everything[:2]


def test_search_generates_nothing(index, monkeypatch):
    monkeypatch.setattr(index.llm.upper.model, "forward", lambda *a, **k: pytest.fail("the model was asked"))
    assert index.search("heron")


@pytest.mark.parametrize("kind", ["prefix", "sharedllm"])
def test_passages_of_an_answer_are_its_injected_nodes(kind, index, tmp_path):
    if kind == "sharedllm":
        index = Index.create(tmp_path, tiny_llm(profile=tiny_sharedllm_profile(), adapter=True))
        index.add(Document.from_text(pages=PAGES, name="three"))
    answer = index.ask("Where does the heron stand?", retrieval=ALWAYS, generation=SHORT)
    passages = index.passages(answer.citations)
    assert passages
    assert all(isinstance(p, Passage) for p in passages)
    by_place = {(p.document_key, p.chunk, p.level, p.node): p for p in passages}
    for citation in answer.citations:
        passage = by_place[citation.document_key, citation.chunk, citation.level, citation.node]
        assert passage.char_start < citation.char_end  # a quote is a whole sentence, the node may cut it
        assert citation.char_start < passage.char_end
        assert passage.relevance is None
    scores = [p.score for p in passages][1:]  # the first may stand there because it holds the answer
    assert scores == sorted(scores, reverse=True)
    assert len(set(passages)) == len(passages)


def test_a_stream_names_its_passages_before_the_first_piece(index, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(index.llm.upper.model, "forward", lambda *a, **k: pytest.fail("the model was asked"))
        stream = index.stream("Where does the heron stand?", retrieval=ALWAYS, generation=SHORT)
        early = index.passages(stream.sources)
    assert early
    assert {p.node for p in early} == {p.node for p in index.passages(stream.result.citations)}
    assert index.stream("zebra quagga", retrieval=RetrievalConfig(relevance_floor=0.9)).sources == ()


def test_passages_of_a_removed_document(index, tmp_path):
    own = Index.create(tmp_path, index.llm)
    own.add(Document.from_text("The heron stands in the river.", name="gone"))
    answer = own.ask("heron", retrieval=ALWAYS, generation=SHORT)
    own.remove("gone")
    with pytest.raises(DocumentNotFoundError):
        own.passages(answer.citations)


def test_bad_searches(index, tmp_path):
    for k in (0, -1, 1.5, True):
        with pytest.raises(ConfigError, match="k="):
            index.search("heron", k=k)
    with pytest.raises(EmptyQuestionError):
        index.search(" ")
    with pytest.raises(DocumentNotFoundError, match="nothing"):
        index.search("heron", documents=["nothing"])
    with pytest.raises(DocumentNotFoundError, match="contains no document"):
        Index.create(tmp_path, index.llm).search("heron")
