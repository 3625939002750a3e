"""Sentences that the grid of leaves cuts: which end matters, which neighbour is taken, what is quoted; repeats."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sharedllm_docs import Index
from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.sentences import Cut, cut_by
from sharedllm_docs.documents.terms import terms
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.index import engine
from sharedllm_docs.retrieval.candidates import LeafIndex, passage
from sharedllm_docs.retrieval.evidence import evidence_text, quoted
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher
from tests.tiny_text import HashEmbedder, tiny_document, tiny_profile, tiny_tokenizer

EMBEDDER, TOKENIZER = HashEmbedder(), tiny_tokenizer()
PROFILE = tiny_profile(chunk_tokens=256).resolve(4)
LEAF = PROFILE.chunk_tokens >> PROFILE.depth
FILLER = "Bread is baked. Tea is hot. Snow is cold. Rain is wet. "


def searcher_of(*texts):
    documents = []
    for number, text in enumerate(texts):
        document = tiny_document(text, name=f"{number}.txt")
        tokens = tokenize(document, TOKENIZER)
        chunks = split_into_chunks(len(tokens), PROFILE.chunk_tokens)
        bare = PreparedDocument(str(number), document, tokens, chunks, PROFILE)
        vectors = {EMBEDDINGS: EMBEDDER.encode(bare.leaf_texts)}
        documents.append(PreparedDocument(str(number), document, tokens, chunks, PROFILE, vectors))
    return Searcher(documents, PROFILE)


def choose(searcher, question, budget):
    return searcher.select(Query(question), EMBEDDER.encode([question])[0], budget)


TEXT = "The old mill is by the river. The key lies under the red stone. Nobody has seen it since."


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Where is the key?", Cut(start=TEXT.index("The key"))),
        ("Who has seen it since?", Cut(end=len(TEXT))),
        ("Is the mill old?", Cut()),  # in neither of the two that are cut
        ("What is it?", Cut()),  # no word that counts
    ],
)
def test_the_cut_sentence_that_holds_more_of_the_question(question, expected):
    span = TEXT.index("lies"), TEXT.index("seen")
    assert cut_by(TEXT, *span, frozenset(terms(question))) == expected


def test_a_span_of_whole_sentences_cuts_none():
    span = TEXT.index("The key"), TEXT.index(" Nobody")
    assert cut_by(TEXT, *span, frozenset(terms("Where is the key nobody has seen?"))) == Cut()


@given(st.text(max_size=300), st.integers(0, 300), st.integers(0, 300), st.sets(st.text(max_size=3), max_size=4))
def test_a_cut_sentence_reaches_beyond_the_span(text, first, second, wanted):
    start, end = sorted((min(first, len(text)), min(second, len(text))))
    cut = cut_by(text, start, end, wanted)
    assert cut.start is None or cut.end is None
    assert cut.start is None or 0 <= cut.start < start
    assert cut.end is None or end < cut.end <= len(text)


def cut_before(words, sentence):
    """A text in which a leaf begins inside ``sentence``, right before ``words`` or a little earlier."""
    for padding in range(200):
        text = f"{FILLER * 3}{'a' * padding}. {sentence} {FILLER * 3}"
        first, last = text.index(sentence), text.index(words)
        starts = [leaf.char_start for leaf in searcher_of(text).documents[0].leaves]
        if any(first + 6 < start < last <= start + 4 for start in starts):
            return text
    raise AssertionError("no padding cuts it there")


def lean(text, question):
    """Whether the leaves before and after the best one are chosen, with room for four."""
    searcher = searcher_of(text)
    selection = choose(searcher, question, 4 * LEAF)
    best = int(np.argmax(searcher.scores(question, EMBEDDER.encode([question])[0]).fused))
    chosen = {node.chunk * (1 << PROFILE.depth) + node.node.index for node in selection.nodes}
    assert best in chosen
    return best - 1 in chosen, best + 1 in chosen


def test_the_leaf_before_the_best_is_taken_where_the_sentence_begins_there():
    assert lean(cut_before("zebra quagga", "It is 70893 for a zebra quagga."), "zebra quagga")[0]


def test_else_the_leaf_after_it():
    text = cut_before("with 70893 hats", "Zebra quagga goes with 70893 hats.")
    assert lean(text, "zebra quagga")[1]


def test_the_quoted_stretch_begins_with_the_sentence():
    text = cut_before("zebra quagga", "It is 70893 for a zebra quagga.")
    selection = choose(searcher_of(text), "zebra quagga", LEAF)
    leaf = selection.documents[0].text(selection.nodes[0].chunk, selection.nodes[0].node)
    assert "zebra" in leaf
    assert "It is" not in leaf
    assert evidence_text(selection, quoted(selection, "zebra quagga", LEAF)).startswith("It is 70893 for")
    assert evidence_text(selection, quoted(selection, "nothing of it", LEAF)) == leaf.strip()


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.sampled_from([*FILLER.split(". "), "Where is it", "red\n\n"]), min_size=1, max_size=60),
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from(["snow", "Is the rain red?", "What is it?"]),
)
def test_what_is_quoted_stays_within_its_tokens_and_repeats_none(words, budget, tokens, question):
    searcher = searcher_of(". ".join(words) + ".")
    found = quoted(choose(searcher, question, budget), question, tokens)
    places = [place for one in found for place in range(one.start, one.end)]
    assert len(places) == len(set(places)) <= tokens
    assert all(0 <= place < len(searcher.documents[0].tokens) for place in places)


def test_a_repeated_leaf_takes_no_room_from_others():
    """Two copies of a text in one index: the budget goes to what the first copy says, once."""
    text = FILLER + "The zebra is striped. " + FILLER + "The quagga is extinct. " + FILLER
    selection = choose(searcher_of(text, text), "zebra quagga", 2 * LEAF)
    said = [selection.documents[n.document].text(n.chunk, n.node) for n in selection.nodes]
    assert len(set(said)) == len(said) == 2


def test_words_stand_out_though_they_are_said_twice():
    texts = ["zebra quagga", "zebra quagga", "tea is hot", "snow is cold"]
    titles = [""] * len(texts)
    vectors = EMBEDDER.encode([passage(text, "") for text in texts])
    vectors[:] = vectors[2]  # the vectors say that something else is near
    scores = LeafIndex(texts, titles, vectors).search("zebra quagga", vectors[2])
    assert scores.named
    assert scores.fused[0] >= np.sort(scores.fused)[-2]
    assert scores.fused[1] == scores.fused.min()


def towns() -> tuple[list[str], Document]:
    """Rows of a table as a PDF's are written, and a document that begins with them."""
    rows = [
        f"Town {name} | Height: {n} m | Founded: {1200 + n}" for n, name in enumerate(("Alba", "Brod", "Calm", "Dorf"))
    ]
    heads = [
        tuple((row.index(head), row.index(head) + len(head)) for head in ("Height: ", "Founded: ")) for row in rows
    ]
    starts = [sum(len(row) + 1 for row in rows[:n]) for n in range(len(rows))]
    repeats = tuple((start + a, start + b) for start, spans in zip(starts, heads, strict=True) for a, b in spans)
    text = "\n".join(rows) + "\n" + FILLER * 6
    return rows, replace(tiny_document(text, name="towns.pdf"), pages=(Page(1, text, repeats=repeats),))


def test_the_row_of_a_table_that_answers_the_question_is_quoted_first() -> None:
    rows, document = towns()
    tokens = tokenize(document, TOKENIZER)
    chunks = split_into_chunks(len(tokens), PROFILE.chunk_tokens)
    bare = PreparedDocument("0", document, tokens, chunks, PROFILE)
    prepared = PreparedDocument("0", document, tokens, chunks, PROFILE, {EMBEDDINGS: EMBEDDER.encode(bare.leaf_texts)})
    selection = choose(Searcher([prepared], PROFILE), "When was Calm founded?", 256)
    quotes = quoted(selection, "When was Calm founded?", 40)
    assert evidence_text(selection, quotes[:1]) == rows[2]
    assert not any(a.start < b.end and b.start < a.end for i, a in enumerate(quotes) for b in quotes[i + 1 :])
    # a question about something else is answered by leaves as before
    other = quoted(selection, "Is bread baked with hot tea?", 40)
    assert not evidence_text(selection, other[:1]).startswith("Town")
    # no more tokens than there is room for, and none where no evidence is wanted (the default of most models)
    for room in range(60):
        taken = quoted(selection, "When was Calm founded?", room)
        assert sum(one.end - one.start for one in taken) <= room
        assert bool(taken) == bool(room)


def test_a_row_is_quoted_even_where_no_evidence_is_unless_none_was_asked_for(tmp_path, llm, monkeypatch) -> None:
    rows, document = towns()
    index = Index.create(tmp_path, llm)
    index.add(document)
    assert llm.question_default("evidence_tokens") == 0
    asked: list[str] = []
    real = engine.generate

    def record(decoder, fed, tokenizer, *rest):
        asked.extend(map(tokenizer.decode, fed))
        return real(decoder, fed, tokenizer, *rest)

    monkeypatch.setattr(engine, "generate", record)
    options = {"relevance_floor": 0, "min_confidence": 0, "max_new_tokens": 2, "budget": 64}
    for question, evidence in (("When was Calm founded?", None), ("When was Calm founded?", 0), ("Is tea hot?", None)):
        index.ask(question, evidence_tokens=evidence, **options)
    assert asked[0].startswith(f"\n\n{rows[2]}\n\n")
    assert [rows[2] in one for one in asked] == [True, False, False]
    assert not any(row in asked[2] for row in rows)
