"""Answers as data, quotes out of a text, and citations out of the very nodes that were injected."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.config import RetrievalConfig
from sharedllm_docs.documents.chunks import split_into_chunks
from sharedllm_docs.documents.document import Page, Section
from sharedllm_docs.documents.sentences import goes_on, quotable_spans, sentence_spans
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
        "last_page": changes.get("page", 3),
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
    over = Answer("Q?", "Because.", (citation(page=3, last_page=4), citation(page=4)))
    assert over.pages == (3, 4)
    assert str(over.citations[0]) == 'a.pdf, pages 3-4: "some words"'


def test_an_answer_survives_json():
    answer = Answer("Q?", "Because.", (citation(),), relevance=0.25)
    values = json.loads(json.dumps(answer.to_dict()))
    assert values["citations"][0]["page"] == 3
    assert values["counts"]["rows"] == 0
    assert set(values) == {
        *("question", "text", "citations", "nearest", "found", "confidence", "draft", "marks"),
        *("documents", "alike"),
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
    text = "One. Two! Three?\n\nFour e.g. this: Five\n continues. These are:\nSix. "
    assert [text[a:b] for a, b in sentence_spans(text)] == [
        "One.",
        "Two!",
        "Three?",
        "Four e.g. this: Five\n continues.",
        "These are:",
        "Six.",
    ]


@pytest.mark.parametrize(
    "sentence",
    [
        "Total cost: $1,234.56",
        "Dr. Smith met Mr. Jones at 5 p.m. on Monday.",
        "The treaty was signed by J. R. R. Tolkien in May.",
        "The U.S. Army lost 300 men.",
        "See Fig. 3 for the yield of 40 percent.",
    ],
)
def test_abbreviations_initials_and_colons_end_no_sentence(sentence):
    text = f"Before it. {sentence}\n\nAfter it."
    assert [text[a:b] for a, b in sentence_spans(text)] == ["Before it.", sentence, "After it."]


def test_sentences_without_spaces_between_them():
    first, second = "\u5929\u6c14\u3002", "\u4e0b\u96e8\uff01"
    assert sentence_spans(first + second) == [(0, 3), (3, 6)]


@given(prose)
def test_quotable_spans_hold_every_word_once_and_in_order(text):
    spans = quotable_spans(text)
    assert "".join(fold(text[a:b]) for a, b in spans).replace(" ", "") == "".join(text.split())
    assert all(text[a:b] == text[a:b].strip() != "" for a, b in spans)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))


def quotable(text):
    return [text[a:b] for a, b in quotable_spans(text)]


def test_lines_of_slides_and_forms_are_quoted_alone():
    text = "Growth of the company\n- Founded in 2009\n- Staff today 46\nBranch offices\nin Oban\n2. Second"
    assert quotable(text) == [
        *("Growth of the company", "- Founded in 2009", "- Staff today 46"),
        *("Branch offices\nin Oban", "2. Second"),
    ]


def test_lines_of_running_text_are_no_quotes():
    text = (
        "The licence of the tidal plant is granted by the board of the town of\n"
        "Brel and costs, after the third year, as much as the board says it does\n"
        "250 euros a year. It ends in May.\n"
        "Fees\n"
        "The fee is due in June."
    )
    first, *others = quotable(text)
    assert first.startswith("The licence")
    assert first.endswith("250 euros a year.")
    assert others == ["It ends in May.", "Fees", "The fee is due in June."]


@pytest.mark.parametrize(
    ("before", "after", "runs_on"),
    [
        ("the fee of the", "third year is due", True),
        ("a word bro-", "Ken in two", True),
        ("it costs 12,", "500 euros", True),
        ("- Staff today 46", "Nursery phase", False),
        ("It is over.", "and yet it goes", False),
        ("as follows:", "eggs", False),
        ("Price list", "80 euros", False),
        ("", "and", False),
    ],
)
def test_sentences_over_a_page_break(before, after, runs_on):
    assert goes_on(before, after) is runs_on


@given(prose, prose, prose, st.integers(1, 100))
def test_a_quote_lies_in_its_text(text, question, answer, limit):
    quote = best_quote(text, question, answer, limit=limit)
    assert 0 <= quote.start <= quote.end <= len(text)
    assert 0 <= quote.overlap <= 1 + 1e-9
    if text.strip():
        assert 0 < quote.end - quote.start <= max(limit, 1)
        assert text[quote.start : quote.end].strip()


@given(prose, prose, prose)
def test_a_quote_is_cut_at_words(text, question, answer):
    quote = best_quote(text, question, answer, limit=240)
    if text.strip():
        assert quote.start == 0 or text[quote.start - 1].isspace() or len(max(text.split(), key=len)) > 60
        assert quote.end == len(text) or text[quote.end].isspace() or len(max(text.split(), key=len)) > 60


def quoted(text, question, answer, limit=240):
    quote = best_quote(text, question, answer, limit=limit)
    return text[quote.start : quote.end]


def test_the_sentence_that_shares_most_is_quoted():
    text = "Rome is old. The capital of France is Paris. Berlin is big."
    quote = best_quote(text, "What is the capital of France?", "Paris", limit=40)
    assert text[quote.start : quote.end] == "The capital of France is Paris."
    # of "what the capital france" (1 each) and "paris" (2), only "what" is not shared
    assert quote.overlap == pytest.approx(5 / 6)
    assert quote.answers


def test_the_answer_weighs_twice():
    text = "Tools cut wood. Saws do."
    assert quoted(text, "wood", "saws") == "Saws do."
    assert quoted(text, "wood", "") == "Tools cut wood."


def test_a_single_digit_of_the_answer_counts():
    assert quoted("It has many. It has 7. It has few.", "How many?", "7") == "It has 7."


def test_the_shortest_part_that_holds_the_answer_is_quoted():
    text = "The boat, red and old, is the Solan and it sails. The boat is the Solan. Boats sail."
    assert quoted(text, "Which boat?", "Solan") == "The boat is the Solan."


def test_the_answer_goes_before_the_words_of_the_question():
    text = "What is the price of a kilogram of kelp: it is high.\n\nIt costs 2.60 euros."
    assert quoted(text, "What is the price of a kilogram of kelp?", "2.60 euros") == "It costs 2.60 euros."


def test_an_answer_of_two_lines_is_quoted_whole():
    text = "Partners\n- Oban\n- Lerwick\n- Stornoway"
    assert quoted(text, "Which two partners?", "Lerwick, Stornoway") == "- Lerwick\n- Stornoway"
    assert quoted(text, "Which two partners?", "Lerwick, Stornoway", limit=12) == "- Lerwick"


def test_a_long_sentence_is_cut_at_words_around_what_is_shared():
    text = "word " * 100 + "needle " + "word " * 100
    quote = quoted(text, "where is the needle", "", limit=60)
    assert "needle" in quote
    assert len(quote) <= 60
    assert set(quote.split()) == {"word", "needle"}


@given(prose)
def test_without_anything_shared_the_first_sentence_is_quoted(text):
    spans = quotable_spans(text)
    if spans:
        quote = best_quote(text, "", "")
        assert (quote.start, quote.overlap, quote.answers) == (spans[0][0], 0, False)


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
        assert max(start, c.char_start) < min(end, c.char_end)  # a sentence may begin before its node
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
    assert len(cite(selection, "pears", "", 2)) == 2
    every = cite(selection, "pears", "", 100)
    assert 2 < len(every) <= len(selection.documents[0].leaves)
    assert len({(c.char_start, c.char_end) for c in every}) == len(every)


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

    def counted(*given_, **keywords):
        looked.append(given_)
        return best_quote(*given_, **keywords)

    monkeypatch.setattr("sharedllm_docs.retrieval.cite.best_quote", counted)
    assert whole[0].quote == "Pears are sweet."  # it holds the answer, so no other leaf is asked for it
    assert cite(selection, "pears", "sweet", most) == whole[:most]
    assert most <= len(looked) < len(selection.documents[0].leaves)


def test_the_score_is_the_relevance_that_selection_saw():
    selection = selection_for("pear", PROFILES[0], 10_000)
    citations = cite(selection, "words of all these apples, pears and plums are sweet, red, blue or green", "", 100)
    assert len(citations) > 3
    for c in citations:
        assert c.score == pytest.approx(selection.candidates[c.chunk].leaf_scores[c.node], abs=1e-6)


def test_what_has_nothing_to_do_with_question_or_answer_is_not_cited():
    """The first stays; of the others those that share no content word and are of low relevance are left out."""
    pages = ("Pears are sweet. " * 30, "The table is made of wood and of iron. " * 30, "Sweet cherries. " * 30)
    selection = selection_for("pears", PROFILES[0], 10_000, pages=pages)
    all_scores = {(c.page, c.score) for c in cite(selection, "pears wood iron cherries sweet", "", 100)}
    best = max(score for _page, score in all_scores)
    kept = cite(selection, "Are the pears sweet?", "", 100)
    assert {c.page for c in kept} >= {1, 3}
    assert all(c.page != 2 or c.score >= 0.5 * best for c in kept)
    assert any(page == 2 and score < 0.5 * best for page, score in all_scores), "the test has such a passage"
    assert cite(selection, "zebra", "", 100), "the first stays, whatever is asked"


def test_the_answer_chooses_the_sentence_and_not_the_leaf():
    """Two sentences of one leaf: which is quoted follows from the answer."""
    profile = tiny_profile(chunk_tokens=512).resolve(4)
    text = ("It is red " + "and " * 40 + "so on. It is blue " + "and " * 40 + "so on. ",)
    selection = selection_for("colour", profile, 10_000, pages=text)
    red, blue = (cite(selection, "colour", answer, 100) for answer in ("red", "blue"))
    assert "It is red" in red[0].quote
    assert "It is blue" in blue[0].quote


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


# -- whole sentences on their own pages


def cited(pages, question, answer, *, chunk_tokens=64, limit=100):
    profile = tiny_profile(chunk_tokens=chunk_tokens).resolve(4)
    return cite(selection_for(question, profile, 10_000, pages=pages), question, answer, limit)


SLIDES = (
    "Kelp farming in cold bays\n- Overview of the project",
    "Growth of the company\n- Founded in 2009\n- Staff today 46",
    "Sea phase\n- Longlines at 3 metres\n- Anchors of 400 kilograms",
    "Sales\n- Price of a kilogram 2.60 euros\n- Loan of 310000 euros",
)


@pytest.mark.parametrize(
    ("question", "answer", "page", "quote"),
    [
        ("When was the company founded?", "2009", 2, "- Founded in 2009"),
        ("What is the price of a kilogram?", "2.60 euros", 4, "- Price of a kilogram 2.60 euros"),
        ("How large is the loan?", "310000 euros", 4, "- Loan of 310000 euros"),
        ("How heavy are the anchors?", "400 kilograms", 3, "- Anchors of 400 kilograms"),
    ],
)
@pytest.mark.parametrize("chunk_tokens", [32, 64, 256])
def test_the_first_citation_is_the_line_that_holds_the_answer(question, answer, page, quote, chunk_tokens):
    first = cited(SLIDES, question, answer, chunk_tokens=chunk_tokens)[0]
    assert (first.page, first.last_page, first.quote) == (page, page, quote)


@pytest.mark.parametrize("chunk_tokens", [32, 64, 128, 256])
def test_no_quote_begins_or_ends_inside_a_word(chunk_tokens):
    pages = (
        "The deposit for the hut is 4850 crowns, paid on arrival at Brattkollen. The towels lie in the chest. " * 4,
    )
    for citation_ in cited(pages, "What is the deposit?", "4850 crowns", chunk_tokens=chunk_tokens):
        assert citation_.quote in (
            "The deposit for the hut is 4850 crowns, paid on arrival at Brattkollen.",
            "The towels lie in the chest.",
        )


def test_a_sentence_that_runs_over_a_page_break_is_quoted_whole_with_both_pages():
    pages = ("The board met. The yearly fee of the third", "tenant is 980 crowns. It is due in May.")
    first = cited(pages, "What is the fee of the third tenant?", "980 crowns")[0]
    assert first.quote == "The yearly fee of the third tenant is 980 crowns."
    assert (first.page, first.last_page) == (1, 2)


def test_a_page_break_ends_what_does_not_run_on():
    pages = ("Fee of the third", "Tenant list\n- 980 crowns")
    for citation_ in cited(pages, "What is the fee?", "980 crowns"):
        assert citation_.page == citation_.last_page


@pytest.mark.parametrize(("answer", "quote"), [("", "They weigh 178 grams."), ("Pears", "Pears")])
def test_a_title_alone_is_quoted_only_where_it_is_the_answer(answer, quote):
    pages = ("Apples are red. ", "Pears\nThey weigh 178 grams.")
    found = cited(pages, "What do they say of pears?", answer)
    assert quote in [one.quote for one in found if one.page == 2]
    assert ("Pears" in [one.quote for one in found]) == (answer == "Pears")


# -- which passages behind the first are cited


def cited_of_scores(monkeypatch, pages, question, answer, limit=10):
    """The pages cited, where each page is one passage with its score: ``pages`` are (score, text)."""
    texts = tuple(f"{text}\n" for _score, text in pages)
    selection = selection_for(question, tiny_profile(chunk_tokens=64).resolve(4), 10_000, pages=texts)
    leaves = {}
    for one in selection.leaves():
        page = one.document.document.page_at(one.leaf.char_start).number
        leaves.setdefault(page, replace(one, score=pages[page - 1][0]))
    offered = sorted(leaves.values(), key=lambda one: -one.score)
    monkeypatch.setattr("sharedllm_docs.retrieval.cite._offered", lambda _selection: offered)
    return [c.page for c in cite(selection, question, answer, limit)]


LEASE = "When does the lease contract end?"
END = "The lease contract ends on 31 December 2028, at noon, and the keys are handed over on that day."
CRANE = "The meeting heard that the crane will be repaired before the next contract for the harbour is let."
MANUAL = "Permission is granted to copy and distribute this manual under the conditions for verbatim copying."
AGAIN = "The tenant moves out when the contract of lease is over, that is on 31 December 2028 at the latest."
RENT = "The rent of the lease is 1,150 a month and is due on the third working day of every single month."


@pytest.mark.parametrize(
    ("pages", "answer", "kept"),
    [
        ([(0.9, END), (0.6, CRANE), (0.5, MANUAL)], "31 December 2028", [1]),
        ([(0.9, END), (0.6, CRANE), (0.6, AGAIN)], "31 December 2028", [1, 3]),  # it holds the answer, too
        ([(0.9, END), (0.4, AGAIN)], "31 December 2028", [1]),  # and is of another thing
        ([(0.9, END), (0.85, RENT), (0.85, MANUAL)], "31 December 2028", [1, 2]),  # as near, and of the matter
        ([(0.9, END), (0.75, RENT)], "31 December 2028", [1]),
        ([(0.9, END), (0.75, RENT), (0.6, CRANE)], "Yes", [1, 2]),  # no sentence holds that
        ([(0.9, END), (0.85, MANUAL), (0.5, CRANE)], "nobody knows", [1]),
        ([(0.9, MANUAL), (0.8, AGAIN)], "31 December 2028", [2]),  # the one that holds it goes first
        ([(0.0, CRANE), (0.0, MANUAL)], "nobody", [1]),
    ],
)
def test_only_what_bears_the_answer_is_cited_behind_the_first(monkeypatch, pages, answer, kept):
    assert cited_of_scores(monkeypatch, pages, LEASE, answer) == kept
    assert cited_of_scores(monkeypatch, pages, LEASE, answer, limit=1) == kept[:1]


def test_rows_that_do_not_hold_the_answer_are_not_cited_behind_the_one_that_does(monkeypatch):
    rows = [(0.8, "2024 Q4 | Sold units: 438 | Energy: 1588"), (0.9, "2024 Q1 | Sold units: 341 | Energy: 1467")]
    question = "How many units were sold in 2024 Q4?"
    assert cited_of_scores(monkeypatch, rows, question, "438") == [1]
    assert cited_of_scores(monkeypatch, [*rows, (0.7, "438 units were sold in Q4.")], question, "438") == [1, 3]


def test_all_that_is_near_is_offered_before_there_is_an_answer(monkeypatch):
    assert cited_of_scores(monkeypatch, [(0.9, END), (0.6, CRANE), (0.5, MANUAL)], LEASE, "") == [1, 2, 3]


# -- quotes of rows show their heads

TABLE = (
    "Boat fares | 2023 (EUR): 12 | 2024 (EUR): 14\n",
    "Prices in 2024\nBoat hire | 2023 (EUR): 31 | 2024 (EUR): 35\n",
)
HEADS = (((13, 25), (30, 42)), ((0, 14), (27, 39), (44, 56)))


def table_document():
    pages = [Page(n, text, repeats=at) for n, (text, at) in enumerate(zip(TABLE, HEADS, strict=True), start=1)]
    return replace(tiny_document(*TABLE, name="fares.csv"), pages=tuple(pages))


def test_the_quote_of_a_row_shows_the_heads_and_leaves_spans_alone():
    profile, document = tiny_profile(chunk_tokens=256).resolve(4), table_document()
    tokens = tokenize(document, tiny_tokenizer())
    prepared = PreparedDocument("key", document, tokens, split_into_chunks(len(tokens), 256), profile)
    prepared.vectors = {EMBEDDINGS: HashEmbedder().encode(prepared.leaf_texts)}
    vector = HashEmbedder().encode(["What is the hire of a boat?"])[0]
    selection = Searcher([prepared], profile).select(Query("What is the hire of a boat?"), vector, 10_000)
    (first, *_others) = cite(selection, "What is the hire of a boat?", "35", 5)
    assert first.quote == "Boat hire | 2023 (EUR): 31 | 2024 (EUR): 35"
    assert document.text[first.char_start : first.char_end].strip() == first.quote
    assert document.printed(first.char_start, first.char_end).strip() == "Boat hire | 31 | 35"


@pytest.mark.parametrize("start", range(0, 45, 4))
def test_heads_that_a_span_cuts_and_titles_said_again_are_not_shown(start):
    document = table_document()
    for end in range(start, len(document.text) + 1):
        shown = document.headed(start, end)
        assert "Prices" not in shown
        for head in ("(EUR)", "2023", "2024"):  # no piece of a head without the rest, or without its value
            assert shown.count(head) <= len(re.findall(r"202[34] \(EUR\): \d", shown))
    assert document.headed(0, len(TABLE[0]) - 1) == TABLE[0].strip()
    assert document.headed(0, 40) == "Boat fares | 2023 (EUR): 12"


def test_text_without_tables_is_shown_as_it_is():
    document = tiny_document(*PAGES)
    assert document.headed(5, 90) == document.text[5:90]
    assert document.headed(5, 5) == ""
