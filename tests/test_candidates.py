"""Candidates: words, lexical and dense scores, and their fusion."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.terms import Vocabulary, terms
from sharedllm_docs.retrieval.candidates import (
    DENSE_WEIGHT,
    NAMED_RELEVANCE,
    STANDS_OUT,
    LeafIndex,
    LeafScores,
    passage,
)
from tests.tiny_text import HashEmbedder

TEXTS = [
    "The function rev reverses the order of the elements of a vector.",
    "Data frames are read from a file with read.table.",
    "Matrices are arrays with two subscripts.",
    "",
    "*** --- ***",
]
TITLES = ["Vectors", "Reading data", "Arrays", "", "Vectors"]


def index_of(texts, titles=None):
    titles = titles or [""] * len(texts)
    vectors = HashEmbedder().encode([passage(text, title) for text, title in zip(texts, titles, strict=True)])
    return LeafIndex(texts, titles, vectors)


def search(index, question):
    return index.search(question, HashEmbedder().encode([question])[0])


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("Vectors and matrices", ["vector", "matrice"]),
        ("Use read.table(FILE) now", ["use", "read.table", "read", "table", "file", "now"]),
        ("the of and what is", []),
        ("class is has bus gas", ["class", "bus", "gas"]),
        ("x_1 + y2", ["x_1", "x", "1", "y2"]),
        ("naïve Ångström", ["naïve", "ångström"]),
        ("", []),
    ],
)
def test_terms(text, wanted):
    assert terms(text) == wanted


@given(st.text())
def test_terms_do_not_depend_on_case(text):
    assert terms(text.lower()) == terms(text)


@given(st.lists(st.text(), max_size=4))
def test_numbers_of_a_vocabulary_are_the_terms(texts):
    vocabulary = Vocabulary()
    numbers = [vocabulary.numbers(text) for text in texts]
    names = {number: term for term, number in vocabulary.items()}
    assert [[names[number] for number in found] for found in numbers] == [terms(text) for text in texts]
    assert sorted(names) == list(range(len(vocabulary)))


def test_plural_and_singular_meet():
    assert terms("vectors") == terms("vector")
    assert set(terms("table")) <= set(terms("read.tables"))


def test_a_passage_stands_under_its_title():
    assert passage("text", "Title") == "Title\ntext"
    assert passage("text", "") == "text"


def test_a_shared_word_wins():
    index = index_of(TEXTS)
    for question, best in (
        ("How do I reverse a vector's elements?", 0),
        ("What does read.table read?", 1),
        ("subscripts of arrays", 2),
    ):
        scores = search(index, question)
        assert int(scores.fused.argmax()) == int(scores.lexical.argmax()) == int(scores.dense.argmax()) == best


def test_titles_count_for_leaves_that_do_not_repeat_them():
    texts = ["It is unlike matrices.", "It has two subscripts.", "It is read from a file."]
    without = search(index_of(texts), "matrices").lexical
    titled = search(index_of(texts, ["Sets", "Matrices", "Frames"]), "matrices").lexical
    assert (without > 0).tolist() == [True, False, False]
    assert titled[1] > titled[0] > titled[2] == 0


@given(st.lists(st.text(max_size=30), min_size=1, max_size=6), st.text(min_size=1, max_size=30))
def test_any_text_gets_a_finite_score_a_leaf(texts, question):
    scores = search(index_of(texts), question)
    for name in ("fused", "dense", "lexical"):
        values = getattr(scores, name)
        assert values.shape == (len(texts),)
        assert values.dtype == np.float32
        assert np.isfinite(values).all()
    assert scores.fused.min() >= 0
    assert scores.fused.max() <= 1 + 1e-6
    assert scores.lexical.min() >= 0
    assert 0 <= scores.relevance <= 1


def test_the_fused_score_is_the_weighted_sum_of_both():
    scores = search(index_of(TEXTS, TITLES), "reading data frames from a file")
    dense = scores.dense / scores.dense.max()
    lexical = scores.lexical / scores.lexical.max()
    np.testing.assert_allclose(scores.fused, DENSE_WEIGHT * dense + (1 - DENSE_WEIGHT) * lexical, rtol=1e-5)


@pytest.mark.parametrize("question", ["the of and", "zyzzyva", "???"])
def test_without_a_known_word_only_the_dense_score_speaks(question):
    scores = search(index_of(TEXTS), question)
    assert not scores.lexical.any()
    assert scores.fused.argmax() == scores.dense.argmax()


def test_relevance_is_the_nearest_leaf():
    index = index_of(TEXTS)
    assert search(index, TEXTS[2]).relevance == pytest.approx(1)
    assert search(index, "zyzzyva").relevance == 0
    negative = np.full(3, -0.5, dtype=np.float32)
    assert LeafScores(negative, negative, negative).relevance == 0


def outstanding(another, question="What is the pass key?", nearest=1.0):
    """Leaf 2 is far from the question by its vector; the fused ranking without its words would have it last."""
    texts = [another, "alpha beta", "the pass key is 22140", "gamma", "delta"]
    vectors = np.array([[0.8, 0.6], [1.0, 0.0], [0.0, 1.0], [0.9, 0.43589], [0.6, 0.8]], dtype=np.float32)
    index = LeafIndex(texts, [""] * 5, vectors)
    return index.search(question, np.array([nearest, 0.0], dtype=np.float32))


def test_a_leaf_whose_words_stand_out_ranks_second():
    scores = outstanding("mark")
    assert scores.fused.argmax() == 1
    assert scores.fused[2] == np.sort(scores.fused)[-2]
    assert (scores.fused > scores.fused[2]).sum() == 1


def test_words_that_others_have_too_do_not_stand_out():
    scores = outstanding("pass a key around")
    lexical = np.sort(scores.lexical)
    assert 0 < lexical[-1] <= STANDS_OUT * lexical[-2]
    assert (scores.fused > scores.fused[2]).sum() > 1


def test_a_leaf_that_stands_out_with_all_words_of_the_question_is_relevant_whatever_its_vector():
    far = outstanding("mark", nearest=0.1)
    assert far.named
    assert (float(far.dense.max()), far.relevance) == (pytest.approx(0.1), NAMED_RELEVANCE)
    assert outstanding("mark").relevance == 1, "the nearer of the two"
    missing = outstanding("mark", "What is the pass key of the zoo?", nearest=0.1)
    assert not missing.named
    assert missing.relevance == pytest.approx(0.1)
    shared = outstanding("pass a key around", nearest=0.1)
    assert not shared.named
    assert shared.relevance == pytest.approx(0.1)
    assert not outstanding("mark", "Who are they?", nearest=0.1).named, "no word is no name"


def test_one_leaf_alone():
    assert search(index_of(["a vector"]), "vector").fused.tolist() == [1.0]


def test_searching_twice_gives_the_same():
    index = index_of(TEXTS, TITLES)
    first, second = search(index, "data"), search(index, "data")
    assert np.array_equal(first.fused, second.fused)
    assert np.array_equal(first.fused, search(index_of(TEXTS, TITLES), "data").fused)


def test_scores_leave_blas_and_its_spinning_threads_alone():
    class NoProducts(np.ndarray):
        def __matmul__(self, other):
            pytest.fail("a product by BLAS")

        dot = __matmul__

    vectors = np.eye(3, 8, dtype=np.float32)
    index = LeafIndex(["one", "two", "three"], [""] * 3, vectors.view(NoProducts))
    assert index.search("two", vectors[1]).dense.tolist() == [0.0, 1.0, 0.0]
