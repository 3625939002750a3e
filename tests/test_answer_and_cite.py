"""Answers as data, quotes out of a text, and citations out of the very nodes that were injected."""

from __future__ import annotations

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.config import RetrievalConfig
from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.documents.document import Page, Section
from sharedllm_docs.documents.sentences import sentence_spans
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.retrieval.answer import Answer, Citation, best_quote, fold, words
from sharedllm_docs.retrieval.cite import cite
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher
from tests.tiny_text import HashEmbedder, tiny_document, tiny_profile, tiny_sharedllm_profile, tiny_tokenizer

prose = st.text(alphabet=st.sampled_from("aAbBzZ .,!?\n\t-é5"), max_size=400)


def citation(**changes):
    values = {
        "document": "a.pdf",
        "document_key": "k",
        "page": 3,
        "page_label": "iii",
        "char_start": 10,
        "char_end": 20,
    }
    values |= {"quote": "some words", "section": "S", "score": 0.5, "chunk": 0, "level": 3, "node": 1}
    return Citation(**(values | changes))


# -- the answer ---------------------------------------------------------------------------------------------------


def test_an_answer_reads_as_its_text():
    answer = Answer("Q?", "Because.", (citation(page=3), citation(page=1), citation(page=3)))
    assert str(answer) == "Because."
    assert answer.pages == (3, 1)
    assert str(answer.citations[0]) == 'a.pdf, page 3: "some words"'


def test_an_answer_survives_json():
    answer = Answer("Q?", "Because.", (citation(),), relevance=0.25)
    values = json.loads(json.dumps(answer.to_dict()))
    assert values["citations"][0]["page"] == 3
    assert values["counts"]["rows"] == 0
    assert set(values) == {
        *("question", "text", "citations", "nearest", "found"),
        "relevance",
        "finish_reason",
        "timings",
        "counts",
    }


# -- sentences and quotes -----------------------------------------------------------------------------------------


@given(prose)
def test_sentences_hold_every_word_once_and_in_order(text):
    spans = sentence_spans(text)
    assert "".join(fold(text[a:b]) for a, b in spans).replace(" ", "") == "".join(text.split())
    assert all(text[a:b] == text[a:b].strip() != "" for a, b in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def test_sentence_ends():
    text = "One. Two! Three?\n\nFour e.g. this: Five\n continues. "
    assert [text[a:b] for a, b in sentence_spans(text)] == [
        "One.",
        "Two!",
        "Three?",
        "Four e.g. this:",
        "Five\n continues.",
    ]


@given(prose, prose, prose, st.integers(1, 100))
def test_a_quote_lies_in_its_text(text, question, answer, limit):
    start, end, score = best_quote(text, question, answer, limit=limit)
    assert 0 <= start <= end <= len(text)
    assert 0 <= score <= 1 + 1e-9
    if text.strip():
        assert 0 < end - start <= max(limit, 1)
        assert text[start:end].strip()


def test_the_sentence_that_shares_most_is_quoted():
    text = "Rome is old. The capital of France is Paris. Berlin is big."
    start, end, score = best_quote(text, "What is the capital of France?", "Paris", limit=40)
    assert text[start:end] == "The capital of France is Paris."
    # of "what the capital france" (1 each) and "paris" (2), only "what" is not shared
    assert score == pytest.approx(5 / 6)


def test_the_answer_weighs_twice():
    text = "Tools cut wood. Saws do."
    assert best_quote(text, "wood", "saws", limit=15)[:2] == (16, 24)
    assert best_quote(text, "wood", "", limit=15)[:2] == (0, 15)


def test_a_single_digit_of_the_answer_counts():
    text = "It has many. It has 7. It has few."
    start, end, _ = best_quote(text, "How many?", "7", limit=9)
    assert text[start:end] == "It has 7."


def test_a_short_sentence_is_extended_by_those_that_follow():
    text = "Start here. It is short. So is this. " + "X" * 50
    start, end, _ = best_quote(text, "short", "", limit=30)
    assert text[start:end] == "It is short. So is this."


def test_a_long_sentence_is_cut_at_words_around_what_is_shared():
    text = "word " * 100 + "needle " + "word " * 100
    start, end, _ = best_quote(text, "where is the needle", "", limit=60)
    quote = text[start:end]
    assert "needle" in quote
    assert len(quote) <= 60
    assert set(quote.split()) == {"word", "needle"}
    assert text[start - 1] == text[end] == " "


@given(prose)
def test_without_anything_shared_the_first_sentence_is_quoted(text):
    spans = sentence_spans(text)
    if spans:
        assert best_quote(text, "", "")[0] == spans[0][0]
        assert best_quote(text, "", "")[2] == 0


def test_words_and_folding():
    assert words("The the THE-end, 5") == {"the", "end", "5"}
    assert fold("  a\n\tb  c ") == "a b c"


# -- citations ----------------------------------------------------------------------------------------------------

PAGES = (
    "Contents. Page one speaks of apples. Apples are red or green. ",
    "Page two speaks of pears. A pear weighs 178 grams. Pears are sweet. ",
    "Page three speaks of plums. The plum is blue. Plums have a stone. ",
)


def selection_for(question, profile, budget, *, pages=PAGES, **changes):
    document = tiny_document(*pages, name="fruit.pdf", sections=(Section("Pears", 1, 2, len(pages[0]) + 1),))
    tokens = tokenize(document, tiny_tokenizer())
    chunks = split_into_chunks(len(tokens), profile.chunk_tokens)
    prepared = PreparedDocument("key", document, tokens, chunks, profile)
    prepared.vectors = {EMBEDDINGS: HashEmbedder().encode(prepared.leaf_texts)}
    vector = HashEmbedder().encode([question])[0]
    return Searcher([prepared], profile).select(Query(question, RetrievalConfig(**changes)), vector, budget)


PROFILES = [tiny_profile(chunk_tokens=128).resolve(4), tiny_sharedllm_profile(chunk_tokens=128).resolve(4)]


@pytest.mark.parametrize("profile", PROFILES, ids=["prefix", "sharedllm"])
@pytest.mark.parametrize("budget", [32, 48, 10_000])
def test_citations_come_out_of_injected_nodes(profile, budget):
    question = "How many grams does a pear weigh?"
    selection = selection_for(question, profile, budget, candidates=1)
    injected = {(n.chunk, n.node.level, n.node.index): n for n in selection.nodes}
    document = selection.documents[0]
    citations = cite(selection, question, "178 grams", 10)
    assert citations
    for c in citations:
        node = injected[c.chunk, c.level, c.node]
        start, end = document.chars(node.chunk, node.node)
        assert start <= c.char_start < c.char_end <= end
        assert c.quote == fold(document.document.text[c.char_start : c.char_end]) != ""
        assert c.page == document.document.page_at(c.char_start).number
        assert (c.document, c.document_key) == ("fruit.pdf", "key")
    assert [c.score for c in citations] == sorted((c.score for c in citations), reverse=True)


def test_the_page_that_says_it_comes_first():
    question = "What does a pear weigh?"
    best = cite(selection_for(question, PROFILES[0], 10_000), question, "178 grams", 3)[0]
    assert best.page == 2
    assert "pear weighs" in best.quote
    assert best.section == "Pears"


def test_at_most_as_many_as_asked():
    selection = selection_for("pears", PROFILES[0], 10_000)
    assert len(cite(selection, "pears", "sweet", 2)) == 2
    assert len(cite(selection, "pears", "sweet", 100)) == len(selection.documents[0].leaves)


def test_equal_scores_in_the_order_of_the_text():
    selection = selection_for("pears", PROFILES[0], 10_000, selector="right-half", pages=("same words here. " * 40,))
    citations = cite(selection, "zebra", "", 100)
    ties = [(a.char_start, b.char_start) for a, b in pairwise(citations) if a.score == b.score]
    assert ties
    assert all(before < behind for before, behind in ties)


@pytest.mark.parametrize("most", [1, 3])
def test_quotes_are_looked_for_in_the_best_leaves_alone(monkeypatch, most):
    selection = selection_for("pears", PROFILES[0], 10_000)
    whole = cite(selection, "pears", "sweet", 100)
    looked = []

    def counted(*given_):
        looked.append(given_)
        return best_quote(*given_)

    monkeypatch.setattr("sharedllm_docs.retrieval.cite.best_quote", counted)
    assert cite(selection, "pears", "sweet", most) == whole[:most]
    assert len(looked) == most < len(whole)


def test_the_score_is_the_relevance_that_selection_saw():
    selection = selection_for("pear", PROFILES[0], 10_000)
    citations = cite(selection, "pear", "sweet", 100)
    assert len(citations) > 5
    for c in citations:
        assert c.score == pytest.approx(selection.candidates[c.chunk].leaf_scores[c.node], abs=1e-6)


def test_the_answer_chooses_the_sentence_and_not_the_leaf():
    """Two sentences of one leaf: which is quoted follows from the answer, the order of leaves does not."""
    profile = tiny_profile(chunk_tokens=512).resolve(4)
    text = ("It is red " + "and " * 40 + "so on. It is blue " + "and " * 40 + "so on. ",)
    selection = selection_for("colour", profile, 10_000, pages=text)
    red, blue = (cite(selection, "colour", answer, 100) for answer in ("red", "blue"))
    assert {c.node for c in red} == {c.node for c in blue}
    assert [c.score for c in red] == [c.score for c in blue]
    assert any("It is red" in c.quote for c in red)
    assert any("It is blue" in c.quote for c in blue)


def test_a_leaf_of_white_space_is_not_cited():
    blank = ("\n \n" * 120, *PAGES)
    selection = selection_for("pears", PROFILES[0], 10_000, pages=blank)
    citations = cite(selection, "pears", "sweet", 1000)
    assert all(c.quote for c in citations)
    assert len(citations) < len(selection.documents[0].leaves)


def test_page_labels_are_carried():
    profile = PROFILES[0]
    document = tiny_document("ignored")
    document = type(document)("f", "0" * 64, "pdf", "1", (Page(1, "Front matter. ", "iv"), Page(2, "Apples. ", "1")))
    tokens = tokenize(document, tiny_tokenizer())
    prepared = PreparedDocument("key", document, tokens, split_into_chunks(len(tokens), 128), profile)
    prepared.vectors = {EMBEDDINGS: HashEmbedder().encode(prepared.leaf_texts)}
    selection = Searcher([prepared], profile).select(Query("x"), np.ones(256, np.float32), 1000)
    assert [c.page_label for c in cite(selection, "front matter", "", 9) if c.page == 1] == ["iv"]
