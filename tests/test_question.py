"""From a question to the rows to inject: searcher and prepared documents, on a tiny tokenizer and hashed words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_docs.config import RetrievalConfig
from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.documents.document import Section
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.injection.decoder import positions_of
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, NODE_VECTORS, PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher
from tests.tiny_text import HashEmbedder, tiny_document, tiny_profile, tiny_sharedllm_profile, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
EMBEDDER = HashEmbedder()
FRUIT = "The apple is red. The pear is green. The plum is blue. The quince is yellow and the cherry is dark. "
TOOLS = "A hammer drives nails. A saw cuts wood. A plane makes the wood smooth. A file makes metal smooth. "
PROFILES = {
    "prefix": tiny_profile().resolve(4),
    "sharedllm": tiny_sharedllm_profile().resolve(4),
    "per_node": tiny_sharedllm_profile(encoding="per_node", positions="chunk+token", query_offset=1).resolve(4),
}


def prepare(document, profile, key="k"):
    tokens = tokenize(document, TOKENIZER)
    chunks = split_into_chunks(len(tokens), profile.chunk_tokens)
    prepared = PreparedDocument(key, document, tokens, chunks, profile)
    nodes = sum(len(tree.tree.nodes) for tree in prepared.trees)
    prepared.vectors = {
        EMBEDDINGS: EMBEDDER.encode(prepared.leaf_texts),
        NODE_VECTORS: np.random.default_rng(0).standard_normal((nodes, 6)).astype(np.float32),
    }
    return prepared


def searcher_of(profile):
    sections = (Section("Colours", 1, 1, 0), Section("Tools", 1, 2, 60))
    fruit = tiny_document(FRUIT * 2, FRUIT, name="fruit.txt", sections=sections)
    return Searcher(
        [prepare(fruit, profile, "f"), prepare(tiny_document(TOOLS * 2, name="tools.txt"), profile)], profile
    )


@pytest.fixture(params=PROFILES)
def searcher(request):
    return searcher_of(PROFILES[request.param])


def choose(searcher, question, budget=64, hidden=None, **changes):
    return searcher.select(Query(question, RetrievalConfig(**changes)), EMBEDDER.encode([question])[0], budget, hidden)


def leaf_words(selection):
    nodes = [n for n in selection.nodes if n.node.level == selection.documents[0].profile.depth]
    return " ".join(selection.documents[n.document].text(n.chunk, n.node) for n in nodes)


# -- prepared documents -------------------------------------------------------------------------------------------


def test_leaves_cover_the_text_in_order():
    document = tiny_document("Äpfel 🍎 and\tpears. " * 8, "second page " * 9)
    prepared = prepare(document, PROFILES["prefix"])
    end = 0
    for leaf in prepared.leaves:
        assert leaf.char_start <= end <= leaf.char_end  # a character of several tokens may belong to two leaves
        end = leaf.char_end
    assert end == len(document.text)
    assert prepared.first_leaf[-1] == len(prepared.leaves) == len(prepared.leaf_texts)
    for chunk, tree in enumerate(prepared.trees):
        first = prepared.first_leaf[chunk]
        assert [leaf.index for leaf in prepared.leaves[first : first + len(tree.tree.leaves)]] == list(
            range(len(tree.tree.leaves))
        )


def test_pages_and_titles_of_nodes():
    searcher = searcher_of(PROFILES["prefix"])
    fruit = searcher.documents[0]
    assert fruit.pages(0)[0] == 1
    last = len(fruit.trees) - 1
    assert fruit.pages(last) == (2, 2)
    assert fruit.pages(last, fruit.trees[last].tree.leaves[-1]) == (2, 2)
    crossing = [fruit.pages(chunk) for chunk in range(len(fruit.trees))]
    assert (1, 2) in crossing
    assert fruit.leaves[0].title == "Colours"
    assert fruit.leaves[-1].title == "Tools"
    assert searcher.documents[1].leaves[0].title == ""


def test_node_vectors_are_counted_over_chunks():
    fruit = searcher_of(PROFILES["prefix"]).documents[0]
    flat = [(chunk, node) for chunk, tree in enumerate(fruit.trees) for node in tree.tree.nodes]
    for place, (chunk, node) in enumerate(flat):
        assert np.array_equal(fruit.node_vector(chunk, node), fruit.vectors[NODE_VECTORS][place])


# -- selections ---------------------------------------------------------------------------------------------------


@given(
    st.sampled_from(list(PROFILES)), st.integers(1, 300), st.integers(1, 6), st.sampled_from(["plum", "saw", "is a"])
)
@settings(max_examples=40)
def test_rows_and_places_go_together(name, budget, candidates, question):
    profile = PROFILES[name]
    selection = choose(searcher_of(profile), question, budget, candidates=candidates)
    numbers, places = selection.row_numbers(), selection.places()
    assert selection.num_rows == sum(len(rows) for _d, _c, rows in numbers) == len(places) <= budget
    assert [part[:2] for part in numbers] == sorted({(n.document, n.chunk) for n in selection.nodes})
    for order, (document, chunk, rows) in enumerate(numbers):
        layout = selection.documents[document].trees[chunk].layout
        assert len(set(rows)) == len(rows)
        assert all(0 <= row < layout.num_rows for row in rows)
        mine = [place.offset for place in places if place.chunk == order]
        nodes = [n.node for n in selection.nodes if (n.document, n.chunk) == (document, chunk)]
        starts = [node.start for node in nodes for _row in layout.tree.kept(node)]
        assert [start + offset for start, offset in zip(starts, mine, strict=True)] == [layout.offsets[r] for r in rows]
    positions, question_position = positions_of(profile, places, 5)
    assert len(positions) == len(places)
    if profile.positions != "chunk+token":
        assert question_position >= max(positions, default=0)


def test_scores_of_a_chunk_are_its_own(searcher):
    selection = choose(searcher, "Which fruit is blue?")
    scores = searcher.scores("Which fruit is blue?", EMBEDDER.encode(["Which fruit is blue?"])[0])
    flat = [score for candidate in selection.candidates for score in candidate.leaf_scores]
    assert flat == scores.fused.tolist()
    assert [(c.document, c.chunk) for c in selection.candidates] == [
        (d, c) for d, document in enumerate(searcher.documents) for c in range(len(document.trees))
    ]
    assert selection.relevance == scores.relevance


@pytest.mark.parametrize(("question", "word", "document"), [("the plum is", "plum", 0), ("what cuts wood", "wood", 1)])
def test_the_leaf_that_says_it_is_taken(searcher, question, word, document):
    selection = choose(searcher, question, budget=32, candidates=2)
    assert word in leaf_words(selection)
    assert document in {node.document for node in selection.nodes}


def test_prefix_injects_leaves_only_and_the_whole_where_it_fits():
    searcher = searcher_of(PROFILES["prefix"])
    everything = choose(searcher, "plum", budget=100_000)
    assert everything.num_rows == sum(len(document.tokens) for document in searcher.documents)
    assert {node.node.level for node in everything.nodes} == {3}
    assert choose(searcher, "plum", budget=16, candidates=1).num_rows == 16


def test_sharedllm_keeps_the_rest_coarse():
    selection = choose(searcher_of(PROFILES["sharedllm"]), "plum", budget=100_000)
    assert {node.grain for node in selection.nodes} == {4, 2, 1}
    covered = sum(len(node.node) for node in selection.nodes)
    assert covered == sum(len(document.tokens) for document in selection.documents)


# -- selectors ----------------------------------------------------------------------------------------------------


def test_hidden_state_selector_follows_the_cosine(searcher):
    """Node vectors that point at the third quarter of chunk 0: its leaves are taken, whatever the words say."""
    document = searcher.documents[0]
    nodes = document.trees[0].tree.nodes
    vectors = document.vectors[NODE_VECTORS]
    vectors[: len(nodes)] = [-1, 0, 0, 0, 0, 0]
    for place, node in enumerate(nodes):
        if (node.level, node.index) in {(1, 1), (2, 2)}:
            vectors[place] = [3, 0.1, 0, 0, 0, 0]
    hidden = np.array([1, 0, 0, 0, 0, 0], dtype=np.float32)
    selection = choose(searcher, "the apple", budget=100, hidden=hidden, candidates=1, selector="hidden-state")
    candidate = next(c for c in selection.candidates if (c.document, c.chunk) == (0, 0))
    assert candidate.node_score(nodes[1]) == pytest.approx(3 / np.hypot(3, 0.1))
    assert candidate.node_score(nodes[0]) == -1
    first = [node for node in selection.nodes if (node.document, node.chunk) == (0, 0) and node.node.level == 3]
    assert {4, 5} <= {node.node.index for node in first}


def test_hidden_state_of_a_zero_vector_is_no_nearness(searcher):
    for document in searcher.documents:
        document.vectors[NODE_VECTORS][:] = 0
    selection = choose(searcher, "plum", hidden=np.ones(6, dtype=np.float32), selector="hidden-state")
    candidate = selection.candidates[0]
    assert {candidate.node_score(node) for node in candidate.tree.nodes} == {0.0}


def test_hidden_state_selector_wants_the_questions_vector(searcher):
    with pytest.raises(ValueError, match="selector='hidden-state' compares with the question's hidden-state vector"):
        choose(searcher, "plum", selector="hidden-state")


def test_right_half_selector_ignores_the_question():
    searcher = searcher_of(PROFILES["sharedllm"])
    selection = choose(searcher, "the apple is red", budget=100_000, selector="right-half")
    first = [n.node.index for n in selection.nodes if (n.document, n.chunk) == (0, 0) and n.node.level == 3]
    assert first == [6, 7]


def test_selecting_twice_gives_the_same(searcher):
    for selector in ("embedding", "right-half", "hidden-state"):
        hidden = np.ones(6, dtype=np.float32)
        first = choose(searcher, "smooth wood", hidden=hidden, selector=selector)
        assert first.nodes == choose(searcher, "smooth wood", hidden=hidden, selector=selector).nodes
