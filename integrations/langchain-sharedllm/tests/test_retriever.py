"""Passages as LangChain's documents: metadata, number, choice of documents, errors."""

from __future__ import annotations

from pathlib import Path

import pytest
from langchain_core.documents import Document
from langchain_sharedllm import SharedLLMRetriever
from langchain_sharedllm.results import citation_dict
from pydantic import ValidationError
from tiny_models import PAGES

from sharedllm_docs import Box, ConfigError, SharedLLMError

QUESTION = "Where does the heron stand?"


def test_a_passage_says_where_it_stands_and_brings_the_caller_s_metadata(index):
    found = SharedLLMRetriever(index=index, k=3).invoke(QUESTION)
    own = index.core.search(QUESTION, k=3)
    assert [d.page_content for d in found] == [passage.text for passage in own]
    best, passage = found[0], own[0]
    start, end = best.metadata["span"]
    assert "\n".join(PAGES)[start:end] == best.page_content
    assert best.metadata["page_number"] == passage.page == 1
    assert best.metadata | {} == {
        "source": "birds.pdf",
        "page": 0,  # the loader's own
        "author": "Ada",
        "year": 1999,
        "document": "birds.pdf",
        "document_key": passage.document_key,
        "page_number": 1,
        "page_label": "",
        "last_page": passage.last_page,
        "span": [passage.char_start, passage.char_end],
        "section": "",
        "score": passage.score,
        "relevance": passage.relevance,
        "boxes": [],  # text has no place on a page
    }
    scores = [d.metadata["score"] for d in found]
    assert scores == sorted(scores, reverse=True)
    assert len({d.id for d in found}) == 3


def test_a_file_s_passages_have_its_name_and_pages_from_1(index, tmp_path):
    path = tmp_path / "notes.md"
    path.write_text("# Birds\n\nThe heron stands in the river.\n", encoding="utf-8")
    index.add_file(path, metadata={"team": "ornithology"})
    best = SharedLLMRetriever(index=index, k=1, documents=["notes.md"]).invoke(QUESTION)[0].metadata
    assert (best["source"], best["page"], best["section"], best["team"]) == ("notes.md", 1, "Birds", "ornithology")


EXAMPLE = Path(__file__).parents[3] / "examples" / "R-intro.pdf"


def test_passages_and_citations_of_a_pdf_have_boxes(index):
    index.add_file(EXAMPLE, pages="1-3")
    best = SharedLLMRetriever(index=index, k=1, documents=["R-intro.pdf"]).invoke(QUESTION)[0]
    boxes = best.metadata["boxes"]
    assert [Box(**box) for box in boxes] == list(index.core.boxes("R-intro.pdf", *best.metadata["span"]))
    assert boxes
    assert "boxes" not in best.page_content
    answer = index.core.ask(QUESTION, documents=["R-intro.pdf"], min_confidence=0, relevance_floor=0, max_new_tokens=4)
    for citation in (*answer.citations, *answer.nearest):
        assert [Box(**box) for box in citation_dict(citation)["boxes"]] == list(citation.boxes) != []


def test_number_and_documents_of_one_call(index):
    index.add_documents([Document(page_content="Tin is soft.", id="tin")])
    retriever = SharedLLMRetriever(index=index, k=1)
    assert len(retriever.invoke(QUESTION, k=4)) == 4
    assert {d.metadata["document"] for d in retriever.invoke(QUESTION, k=2, documents=["tin"])} == {"tin"}
    assert len(retriever.invoke(QUESTION)) == 1


def test_wrong_arguments_are_told(index, tmp_path):
    with pytest.raises(ValidationError, match="k"):
        SharedLLMRetriever(index=index, k=0)
    with pytest.raises(ConfigError, match="k=0"):
        SharedLLMRetriever(index=index).invoke(QUESTION, k=0)
    with pytest.raises(ValidationError, match="top_k"):
        SharedLLMRetriever(index=index, top_k=3)
    with pytest.raises(ConfigError, match="one string"):
        SharedLLMRetriever(index=index).invoke(QUESTION, documents="birds.pdf")
    with pytest.raises(TypeError, match="search_type"):
        SharedLLMRetriever(index=index).invoke(QUESTION, search_type="mmr")
    with pytest.raises(SharedLLMError, match="nothing-here"):
        SharedLLMRetriever(index=tmp_path / "nothing-here")
    with pytest.raises(SharedLLMError, match="empty"):
        SharedLLMRetriever(index=index).invoke(" ")
