"""Signs of whether the documents answer, their likelihoods, and the decision on a tiny model."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch

from sharedllm_docs import GenerationConfig, Index, RetrievalConfig, SharedLLM
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.index.weighing import declining, not_said_ids, without_rows
from sharedllm_docs.injection.decoder import InjectedDecoder
from sharedllm_docs.injection.generate import finished, generate
from sharedllm_docs.model.completion import PlainDecoder
from sharedllm_docs.model.zoo import EMBEDDED
from sharedllm_docs.retrieval.answer import NOT_SAID
from sharedllm_docs.retrieval.confidence import FOLDER, Confidence, Logistic, Probe, confidence_of
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.signs import (
    AFTER,
    BEFORE,
    GAIN,
    MATCH,
    NOT_SAID_SIGN,
    PROBE,
    Likelihoods,
    best_texts,
    can_come_from,
    injected_texts,
    late_match,
    names_of,
    signs_after,
    signs_before,
)
from tests.tiny_text import tiny_document, tiny_llm, tiny_sharedllm_profile

SHORT = GenerationConfig(max_new_tokens=6)
ALWAYS = RetrievalConfig(relevance_floor=0, budget=64)
HERON, ABSENT = "Where does the heron stand?", "Which ggplot2 function draws a boxplot?"
PAGES = (
    "The heron stands in the river and waits for fish.",
    "Copper melts at a higher temperature than tin does.",
    "A sonnet has fourteen lines, most often in iambic pentameter.",
    "The lighthouse keeper writes the weather into a blue book every evening at nine.",
)


def judge(*, sure: float = 0.5, early: float = 0.0, threshold: float = 0.0, signs: tuple[str, ...] = ()) -> Confidence:
    """A decision whose confidence is always ``sure``; it uses ``signs`` without heeding them."""
    odds = float(np.log(sure / (1 - sure)))
    constant = Logistic(odds, dict.fromkeys(signs, (0.0, 1.0, 0.0)))
    return Confidence(constant, constant, early, threshold)


def made(tmp_path, decision, **changes):
    llm = tiny_llm(**changes)
    llm._confidence = decision
    index = Index.create(tmp_path / "index", llm)
    index.add(tiny_document(*PAGES, name="birds.txt"))
    return index


def selected(index, question):
    return index.engine(Query(question, ALWAYS)).select(Query(question, ALWAYS))


# -- signs --------------------------------------------------------------------------------------------------------


def test_signs_tell_a_question_of_the_document_from_another(tmp_path):
    index = made(tmp_path, judge())
    chosen = [(question, selected(index, question)) for question in (HERON, ABSENT)]
    found, strange = (signs_before(question, one, injected_texts(one)) for question, one in chosen)
    assert set(found) == set(BEFORE)
    assert found["cover"] > strange["cover"]
    assert found["best_leaf"] > strange["best_leaf"] == 0.0
    assert (found["strange"], strange["strange"]) == (0.0, 1.0)
    assert 0 <= strange["nearest"] < found["nearest"] <= 1
    assert found["ahead"] > strange["ahead"] == 0.0


SHOP = """The rent of the shop is 1,212.50 marks a month. It has three rooms, a yard and twenty-four of the chairs.
The contract ends on 31 May 2027; the keys are given back to Ms Krug at 9:30. Sales were $4.2m in 2026."""


@pytest.mark.parametrize(
    ("question", "answer", "stands"),
    [
        ("What is the rent?", "1212.50 marks", True),
        ("What is the rent?", "1,312 marks", False),
        ("How many rooms has it?", "3", True),
        ("How many rooms has it?", "4", True),  # it may have been counted
        ("How many chairs are there?", "24", True),
        ("How many chairs are there?", "27", False),
        ("How many rooms has it?", "three", True),
        ("What were the sales?", "$4.2m", True),
        ("What were the sales in 2019?", "$4.2m", False),
        ("What were the sales in 2026?", "$4.2m", True),
        ("Is 7 the number of rooms?", "No, not 7", True),
        ("Does it have a yard?", "yes", True),
        ("Who owns the shop?", "Papierhaus Berlin", False),
        ("Who gets the keys?", "Ms Krug", True),
        ("Who gets the keys?", "the keyholder", True),  # of the question's own words
        ("Which operator?", "%>%", True),
    ],
)
def test_an_answer_of_what_stands_nowhere_is_none(tmp_path, question, answer, stands):
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(tiny_document(SHOP, name="shop.txt"))
    chosen = selected(index, question)
    assert can_come_from(question, answer, chosen) is stands


QUARTERS = """Figures

Quarter | Revenue (million EUR) | Units sold
2023 Q1 | Revenue (million EUR): 12.4 | Units sold: 310
2023 Q2 | Revenue (million EUR): 13.1 | Units sold: 335
2023/24 | Revenue (million EUR): 52.8 | Units sold: 1338
Founded | Year: 1987 | Seats: 90

In the year before, 2022, the Ford Transit was bought for 41 thousand. It now has 88,210 km.
Of 2021 and 2024 more is said elsewhere."""


@pytest.mark.parametrize(
    ("question", "answer", "stands"),
    [
        ("What was the revenue in 2022 Q2?", "13.1 million EUR", False),
        ("What was the revenue in 2023 Q2?", "13.1 million EUR", True),
        ("What was the revenue in 2024?", "52.8", True),
        ("What was the revenue in 2022?", "52.8", False),
        ("How many units were sold in 2022?", "335", False),
        ("How did revenue grow from 2022 to 2023?", "13.1", True),  # two years: no row need name both
        ("What did the Ford Transit cost in 2022?", "41 thousand", True),
        ("What did the Ford Transit cost in 2021?", "41 thousand", True),  # a sentence, which may tell of several years
        ("In which year was it bought?", "88,210", False),
        ("In what year was it bought?", "in 2022", True),
        ("Which year was it founded?", "the 1980s", True),
        ("In which year was the Transit bought?", "the year before", True),
    ],
)
def test_a_cell_of_another_year_and_a_number_for_a_year_are_no_answers(tmp_path, question, answer, stands):
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(tiny_document(QUARTERS, name="figures.txt"))
    chosen = index.select(question, budget=2000)
    assert can_come_from(question, answer, chosen) is stands


@pytest.mark.parametrize("shift", [0xFF10 - 0x30, 0x1D7CE - 0x30], ids=["full width", "bold"])
def test_letters_and_digits_of_another_form_stand_for_the_plain_ones_that_the_model_reads(tmp_path, shift):
    index = Index.create(tmp_path / "index", tiny_llm())
    digits = {ord(digit): chr(ord(digit) + shift) for digit in "0123456789"}
    text = SHOP.translate({**digits, ord("K"): "\uff2b", ord("r"): "\U0001d42b"})
    index.add(tiny_document(text, name="shop.txt"))
    question = "What is the rent of Ms Krug's shop?"
    chosen = selected(index, question)
    answers = ("1,212.50 marks", "1,213.50 marks", "Ms Krug", "Papierhaus Berlin")
    assert [can_come_from(question, said, chosen) for said in answers] == [True, False, True, False]
    found = signs_after(question, "1,212.50 marks", False, {}, [text], Likelihoods())
    assert (found["in_text"], found["verbatim"]) == (1.0, 1.0)
    assert can_come_from("What was it in 2026?".translate(digits), "$4.2m".translate(digits), chosen)


def test_small_numbers_of_other_languages_may_be_words(tmp_path):
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(tiny_document("Der Laden hat f\u00fcnfzehn Zimmer und kostet 1.250 Mark.", name="laden.txt"))
    chosen = selected(index, "Wie viele Zimmer hat er?")
    assert [can_come_from("Wie viele?", said, chosen) for said in ("15", "1250 Mark", "1350 Mark")] == [
        True,
        True,
        False,
    ]


def test_numbers_on_the_border_of_a_leaf_are_whole(tmp_path):
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(tiny_document(" ".join(f"word {n * 7919 % 90000 + 10000}" for n in range(60)), name="numbers.txt"))
    chosen = selected(index, "word")
    document = chosen.documents[0]
    leaves = [
        document.leaves[document.first_leaf[node.chunk] + number]
        for node in chosen.nodes
        for number in document.trees[node.chunk].tree.leaves_of(node.node)
    ]
    found = re.finditer(r"\d+", document.document.text)
    held = [
        one.group()
        for one in found
        if any(leaf.char_start < one.end() and one.start() < leaf.char_end for leaf in leaves)
    ]
    assert len(held) > 5
    assert all(can_come_from("word?", number, chosen) for number in held)


@pytest.mark.parametrize(
    ("name", "text", "strange"),
    [
        ("CEO", "The Chief Executive Officer signs.", 0.0),
        ("CFO", "the chief financial\nofficer", 0.0),
        ("USA", "United States of America", 0.0),
        ("CEO", "The chief of staff, executive and officer.", 1.0),
        ("CEO", "The head of the company signs.", 1.0),
        ("Zurich", "Zebras use red ink, cheap and heavy.", 1.0),
    ],
)
def test_a_name_of_initials_is_known_where_it_is_spelled_out(tmp_path, name, text, strange):
    index = made(tmp_path, judge())
    question = f"What does the heron say to {name}?"
    assert signs_before(question, selected(index, question), [text])["strange"] == strange


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("Which ggplot2 function draws a boxplot?", ["ggplot2"]),
        ("Where is it? In Paris, near NATO or the iPhone (read.table).", ["Paris", "NATO", "iPhone", "read.table"]),
        ("What does R do? Is it fast?", []),
        ("Does the Kruskal-Wallis test run in 2019?", ["Kruskal-Wallis", "2019"]),
        ("", []),
    ],
)
def test_names_in_a_question(question, names):
    assert names_of(question) == names


def test_a_summary_searches_for_nothing_and_has_no_signs(tmp_path):
    index = made(tmp_path, judge(sure=0.01, threshold=0.9, early=0.5))
    answer = index.summarise("birds.txt", generation=SHORT, style="short")
    assert answer.found
    assert answer.draft == ""


@pytest.mark.parametrize(
    ("early", "asked", "floor", "is_asked"),
    [
        (0.1, None, None, True),  # a fitted decision has weighed the relevance
        (0.0, None, None, False),  # the generic one leaves it to the floor
        (0.1, None, 0.99, False),  # a floor that was asked for holds
        (0.0, None, 0.0, True),
        (0.1, 0.0, None, False),  # no decision, so the floor
    ],
)
def test_the_relevance_floor_holds_where_no_fitted_decision_weighs_the_relevance(
    early, asked, floor, is_asked, tmp_path, monkeypatch
):
    index = made(tmp_path, judge(sure=0.9, early=early))
    monkeypatch.setattr("sharedllm_docs.index.engine.RELEVANCE_FLOOR", 0.99)
    answer = index.ask(ABSENT, min_confidence=asked, relevance_floor=floor, budget=64, max_new_tokens=2)
    assert (answer.counts.rows > 0) == is_asked


WEIGHTS = {"heron": 2.0, "stand": 1.0}
TEXTS = ["Birds\nThe heron stands in the shallow River.", "Copper melts."]


@pytest.mark.parametrize(
    ("answer", "in_text", "verbatim", "beside"),
    [
        ("in the shallow river", 1.0, 1.0, 1.0),
        ("the river, shallow", 1.0, 0.0, 1.0),
        ("a green mountain", 0.0, 0.0, 0.0),
        ("shallow mountain", 0.5, 0.0, 0.0),
        ("copper", 1.0, 1.0, 0.0),  # it stands in the text, but not beside the question's words
        ("the heron", 0.0, 1.0, 1.0),  # only the question's words
    ],
)
def test_signs_of_an_answers_words(answer, in_text, verbatim, beside):
    found = signs_after("Where does the heron stand?", answer, False, WEIGHTS, TEXTS, Likelihoods((-0.5, -1.5)))
    assert (found["in_text"], found["verbatim"], found["beside"]) == (in_text, verbatim, beside)
    assert (found["likely"], found["least"]) == (-1.0, -1.5)
    assert set(found) == set(AFTER)


@pytest.mark.parametrize(
    ("question", "answer", "kind"),
    [
        ("How many fish does it eat?", "12 a day", 1.0),
        ("How many fish does it eat?", "Twelve", 1.0),
        ("How many fish does it eat?", "the river", 0.0),
        ("When does it fly?", "in 1998", 1.0),
        ("When does it fly?", "the heron", 0.0),
        ("Is it grey?", "Yes, it is", 1.0),
        ("Is it grey?", "the heron", 0.0),
        ("Which bird is it?", "a heron", 0.5),
        ("Wie viele Fische frisst er?", "den Fluss", 0.5),
    ],
)
def test_an_answer_of_the_kind_that_was_asked_for(question, answer, kind):
    assert signs_after(question, answer, False, WEIGHTS, TEXTS, Likelihoods())["kind"] == kind


def test_costly_likelihoods_are_signs_where_they_are_there():
    found = signs_after("Q?", "river", False, WEIGHTS, TEXTS, Likelihoods((-1.0,), -3.0, -5.0))
    assert (found[NOT_SAID_SIGN], found[GAIN]) == (-2.0, 4.0)
    endless = signs_after("Q?", "river", False, WEIGHTS, TEXTS, Likelihoods((-1.0,), float("-inf"), float("-inf")))
    assert all(np.isfinite(value) for value in endless.values())


def test_an_answer_that_declines_has_no_words_to_weigh():
    found = signs_after("Q?", NOT_SAID, True, WEIGHTS, TEXTS, Likelihoods((-0.1,), -0.1, -0.1))
    assert found.pop("declined") == 1.0
    assert set(found) >= set(AFTER) - {"declined"}
    assert set(found.values()) == {0.0}


def test_late_match_is_the_best_passages_mean_of_best_tokens():
    rng = np.random.default_rng(0)

    def unit(rows):
        made = rng.standard_normal((rows, 6)).astype(np.float32)
        return made / np.linalg.norm(made, axis=1, keepdims=True)

    question, passages = unit(3), [unit(5), unit(2)]
    expected = max(np.mean([max(float(q @ t) for t in one) for q in question]) for one in passages)
    assert late_match(question, passages) == pytest.approx(expected, abs=1e-6)
    assert late_match(question, []) == late_match(question[:0], passages) == 0.0
    assert late_match(question, [question]) == pytest.approx(1.0)


def test_best_texts_are_those_the_search_found_best(tmp_path):
    selection = selected(made(tmp_path, judge()), HERON)
    texts = best_texts(selection, 2)
    assert len(texts) == 2
    assert "heron" in texts[0]
    assert set(texts) <= set(injected_texts(selection))


# -- likelihoods --------------------------------------------------------------------------------------------------


def written(index, *questions):
    """Asked, decoder and results of answers, the decoder still open."""
    engine = index.engine(Query(questions[0], ALWAYS))
    asked = [engine.prepare(Query(question, ALWAYS, SHORT)) for question in questions]
    llm = index.llm
    joint = llm.profile.fusion == "joint"
    fed = [one.ids if joint else (*llm.start_ids, *one.ids) for one in asked]
    decoder = InjectedDecoder(
        llm.upper, llm.profile, [one.injection for one in asked], front=llm.front, blocks=llm.blocks, capacity=200
    )
    decoder.__enter__()
    results = finished(generate(decoder, fed, llm.tokenizer, SHORT, llm.end_ids))
    return asked, fed, decoder, results


def forced(index, one, fed, ids):
    """Mean log-likelihood of ids after a question with its rows, in one pass of a decoder of its own."""
    llm = index.llm
    with InjectedDecoder(
        llm.upper, llm.profile, [one.injection], front=llm.front, blocks=llm.blocks, capacity=300
    ) as decoder:
        logits = decoder.feed([[*fed, *ids[:-1]]], all_logits=True)[0, len(fed) - 1 :]
    return float(torch.log_softmax(logits.float(), -1)[range(len(ids)), list(ids)].mean())


@pytest.mark.parametrize("kind", ["prefix", "sharedllm"])
def test_the_likelihood_of_declining_is_that_of_a_pass_of_its_own(tmp_path, kind):
    options = {} if kind == "prefix" else {"adapter": True, "profile": tiny_sharedllm_profile()}
    index = made(tmp_path, judge(), **options)
    asked, fed, decoder, results = written(index, HERON, "Does copper melt at a higher temperature than tin?")
    ids = not_said_ids(index.llm)
    got = declining(index.llm, decoder, fed)
    assert got == pytest.approx([forced(index, one, own, ids) for one, own in zip(asked, fed, strict=True)], abs=1e-4)
    for one, own, result in zip(asked, fed, results, strict=True):
        # and what generation noted of the answer is what one pass gives
        assert np.mean(result.logprobs) == pytest.approx(forced(index, one, own, result.ids), abs=1e-4)


def test_the_likelihood_without_rows_is_the_plain_models(tmp_path):
    index = made(tmp_path, judge())
    asked, fed, _decoder, results = written(index, HERON, ABSENT)
    llm = index.llm
    got = without_rows(llm, [one.injection for one in asked], fed, results)
    for value, own, result in zip(got, fed, results, strict=True):
        sequence = [*llm.start_ids, *own, *result.ids]
        logits = PlainDecoder(llm.upper, llm.lock).feed([sequence[:-1]], all_logits=True)[0, -len(result.ids) :]
        expected = torch.log_softmax(logits.float(), -1)[range(len(result.ids)), result.ids].mean()
        assert value == pytest.approx(float(expected), abs=1e-4)


# -- the decision -------------------------------------------------------------------------------------------------


def test_an_answer_below_the_threshold_is_declined_and_its_draft_kept(tmp_path):
    index = made(tmp_path, judge(sure=0.4, threshold=0.5, signs=(NOT_SAID_SIGN, GAIN, MATCH)))
    answer = index.ask(HERON, retrieval=ALWAYS, generation=SHORT)
    free = index.ask(HERON, retrieval=ALWAYS, generation=SHORT, min_confidence=0)
    assert (answer.found, answer.text, answer.citations, answer.confidence) == (False, NOT_SAID, (), 0.4)
    assert answer.draft == free.text != ""
    assert answer.nearest
    assert (free.found, free.draft, free.confidence) == (True, "", 0.4)
    assert free.citations
    assert answer.counts.answer_tokens == free.counts.answer_tokens > 0
    assert json.loads(json.dumps(answer.to_dict()))["draft"] == free.text


@pytest.mark.parametrize(("least", "found"), [(None, True), (0.39, True), (0.41, False), (1.0, False), (0.0, True)])
def test_the_questions_own_threshold_wins(tmp_path, least, found):
    index = made(tmp_path, judge(sure=0.4, threshold=0.3))
    assert index.ask(HERON, retrieval=ALWAYS, generation=SHORT, min_confidence=least).found is found


def test_a_hopeless_question_is_declined_without_asking_the_model(tmp_path, monkeypatch):
    index = made(tmp_path, judge(sure=0.2, early=0.3))
    monkeypatch.setattr(InjectedDecoder, "feed", lambda *_a, **_k: pytest.fail("the model was asked"))
    answer = index.ask(HERON, retrieval=ALWAYS, generation=SHORT)
    assert (answer.found, answer.text, answer.finish_reason, answer.draft) == (False, NOT_SAID, "not-found", "")
    assert (answer.confidence, answer.counts.answer_tokens) == (0.2, 0)
    stream = index.stream(HERON, retrieval=ALWAYS, generation=SHORT)
    assert list(stream) == [NOT_SAID]
    assert stream.sources == ()


def test_min_confidence_0_asks_the_model_whatever_the_signs(tmp_path):
    index = made(tmp_path, judge(sure=0.2, early=0.3, threshold=0.9))
    assert index.ask(HERON, retrieval=ALWAYS, generation=SHORT, min_confidence=0).found


def test_a_stream_prints_and_its_result_tells_otherwise(tmp_path):
    index = made(tmp_path, judge(sure=0.4, threshold=0.5))
    stream = index.stream(HERON, retrieval=ALWAYS, generation=SHORT)
    printed = "".join(stream)
    assert stream.result.draft == printed.strip()
    assert (stream.result.found, stream.result.text) == (False, NOT_SAID)
    assert stream.sources

    async def read():
        later = index.astream(HERON, retrieval=ALWAYS, generation=SHORT)
        return "".join([piece async for piece in later]), later.result

    text, result = asyncio.run(read())
    assert (text, result.found) == (printed, False)


def test_single_and_batched_questions_are_decided_alike(tmp_path):
    signs = (*BEFORE, *AFTER, NOT_SAID_SIGN, GAIN)
    weighed = Logistic(0.3, dict.fromkeys(signs, (0.1, 2.0, 0.5)))
    index = made(tmp_path, Confidence(weighed, weighed, 0.0, 0.55))
    questions = [HERON, "Does copper melt?", ABSENT, "Who writes the weather into a blue book?"]
    together = index.ask_many(questions, retrieval=ALWAYS, generation=SHORT)
    alone = [index.ask(question, retrieval=ALWAYS, generation=SHORT) for question in questions]
    assert [one.found for one in together] == [one.found for one in alone]
    assert [one.confidence for one in together] == pytest.approx([one.confidence for one in alone], abs=1e-3)
    assert len({one.confidence for one in alone}) > 1


def test_signs_that_do_not_count_are_not_computed(tmp_path, monkeypatch):
    index = made(tmp_path, judge(threshold=0.9))
    fed: list[int] = []
    feed = InjectedDecoder.feed

    def counted(self, sequences, **options):
        fed.append(len(sequences[0]))
        return feed(self, sequences, **options)

    monkeypatch.setattr(InjectedDecoder, "feed", counted)
    answer = index.ask(HERON, retrieval=ALWAYS, generation=SHORT)
    assert len(fed) == answer.counts.answer_tokens
    index.llm._confidence = judge(threshold=0.9, signs=(NOT_SAID_SIGN, GAIN))
    del index.llm.__dict__["confidence"]
    fed.clear()
    index.ask(HERON, retrieval=ALWAYS, generation=SHORT)
    assert len(fed) == answer.counts.answer_tokens + 2


@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "0.5", True])
def test_min_confidence_is_checked(value):
    with pytest.raises(ConfigError, match="min_confidence"):
        RetrievalConfig(min_confidence=value)


# -- hidden states -----------------------------------------------------------------------------------------------


def probed(llm, *, threshold: float = 0.0) -> Confidence:
    """A decision by a probe of two layers alone."""
    width = llm.upper.hidden_size
    weights = np.random.default_rng(3).standard_normal((2, width)) / width
    probe = Probe((0, llm.upper.num_layers - 1), tuple(map(tuple, weights.tolist())), 0.1)
    after = Logistic(0.2, {PROBE: (0.0, 1.0, 1.0)})
    return Confidence(Logistic(0.0, {}), after, 0.0, threshold, probe=probe)


@pytest.mark.parametrize("kind", ["prefix", "sharedllm"])
def test_watched_states_are_those_of_the_questions_last_token(tmp_path, kind):
    options = {} if kind == "prefix" else {"adapter": True, "profile": tiny_sharedllm_profile()}
    index = made(tmp_path, judge(), **options)
    llm = index.llm
    engine = index.engine(Query(HERON, ALWAYS))
    asked = [engine.prepare(Query(question, ALWAYS, SHORT)) for question in (HERON, "Does copper melt at all?")]
    layers = tuple(range(llm.upper.num_layers))
    together = _watched(llm, asked, engine, layers)
    for number, one in enumerate(asked):
        np.testing.assert_allclose(_watched(llm, [one], engine, layers)[0], together[number], atol=1e-4)
        # the last of them, normed and through the head, gives the logits of the first token
        with InjectedDecoder(
            llm.upper, llm.profile, [one.injection], front=llm.front, blocks=llm.blocks, capacity=200
        ) as decoder:
            logits = decoder.feed([engine.fed(one)])[0]
        again = llm.upper.logits(torch.tensor(together[number, -1]))
        np.testing.assert_allclose(again.detach().numpy(), logits.numpy(), atol=1e-3)


def _watched(llm, asked, engine, layers):
    """[B, W, E] states, which later steps leave as they are."""
    with InjectedDecoder(
        llm.upper,
        llm.profile,
        [one.injection for one in asked],
        front=llm.front,
        blocks=llm.blocks,
        capacity=200,
        watch=layers,
    ) as decoder:
        assert decoder.states is None
        decoder.feed([engine.fed(one) for one in asked])
        found = decoder.states.clone()
        decoder.feed([[1]] * len(asked))
        assert torch.equal(decoder.states, found)
    return found.numpy()


def test_a_probe_decides_alike_alone_and_in_a_batch(tmp_path):
    index = made(tmp_path, judge())
    index.llm._confidence = probed(index.llm)
    questions = [HERON, "Does copper melt?", ABSENT, "Who writes the weather into a blue book?"]
    together = index.ask_many(questions, retrieval=ALWAYS, generation=SHORT)
    alone = [index.ask(question, retrieval=ALWAYS, generation=SHORT) for question in questions]
    assert [one.confidence for one in together] == pytest.approx([one.confidence for one in alone], abs=1e-3)
    assert len({one.confidence for one in alone}) > 1
    # it costs no pass of the model, so that it counts where nothing is declined, too
    free = index.ask(HERON, retrieval=ALWAYS, generation=SHORT, min_confidence=0)
    assert free.confidence == alone[0].confidence


# -- weights ------------------------------------------------------------------------------------------------------


def test_a_missing_sign_counts_as_usual():
    one = Logistic(0.5, {"a": (2.0, 4.0, 1.0), "b": (1.0, 1.0, -2.0)})
    assert one({}) == one({"a": 2.0, "b": 1.0}) == pytest.approx(1 / (1 + np.exp(-0.5)))
    assert one({"a": 6.0}) == pytest.approx(1 / (1 + np.exp(-1.5)))
    assert one({"a": 1e9}) == pytest.approx(1.0)


def test_a_file_gives_back_what_was_saved(tmp_path):
    saved = Confidence(Logistic(0.5, {"cover": (2.0, 4.0, 1.0)}), Logistic(-1.0, {}), 0.1, 0.4, {"model": "tiny"})
    saved.save(tmp_path / "deep" / "one.json")
    loaded = Confidence.load(tmp_path / "deep" / "one.json")
    assert loaded == saved
    assert loaded.notes == {"model": "tiny"}
    probed = replace(saved, probe=Probe((1, 3), ((0.5, -2.0), (1.0, 0.25)), -0.5))
    probed.save(tmp_path / "probed.json")
    assert Confidence.load(tmp_path / "probed.json") == probed != saved


def test_a_file_of_the_first_schema_goes_on_loading(tmp_path):
    values = judge(sure=0.4, threshold=0.3).to_dict()
    (tmp_path / "old.json").write_text(json.dumps({**values, "schema": 1}))
    old = Confidence.load(tmp_path / "old.json")
    assert old == judge(sure=0.4, threshold=0.3)
    assert old.probe is None


def test_a_probe_reads_states_of_its_own_model_only():
    probe = Probe((1, 3), ((0.5, -2.0), (1.0, 0.25)), -0.5)
    states = np.array([[2.0, 1.0], [3.0, 4.0]], dtype=np.float32)
    assert probe(states) == pytest.approx(0.5 * 2 - 2 * 1 + 1 * 3 + 0.25 * 4 - 0.5)


def test_a_confidence_file_of_another_model_is_told_when_the_model_is_made():
    llm = tiny_llm()
    width = llm.upper.hidden_size
    for probe in (Probe((0,), ((1.0,),), 0.0), Probe((99,), ((0.0,) * width,), 0.0)):
        with pytest.raises(ConfigError, match="fitted to another model") as caught:
            SharedLLM.from_model(llm.base.model, llm.tokenizer, confidence=replace(judge(), probe=probe))
        assert "fit-confidence" in caught.value.remedy
    fitting = replace(judge(), probe=Probe((0,), ((0.0,) * width,), 0.0))
    assert SharedLLM.from_model(llm.base.model, llm.tokenizer, confidence=fitting).confidence == fitting


HUGE = 10**400
WRONG_NUMBERS = (None, True, "1", [1], {}, float("nan"), float("inf"), -float("inf"), HUGE, -HUGE, 1e39)
SIGN = {"intercept": 0, "signs": {"cover": [0, 1, 1]}}
READS = {"layers": [1], "weights": [[1.0]], "bias": 0}


def with_probe(**changes):
    return {"probe": {**READS, **changes}}


def weighing(name):
    """A part of a file that weighs one sign."""
    return {"intercept": 0, "signs": {name: [0, 1, 1]}}


def with_sign(*numbers):
    return {"before": {"intercept": 0, "signs": {"cover": list(numbers)}}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"schema": 3}, "its schema is 3, this version reads up to 2"),
        *(({"schema": wrong}, "its schema is") for wrong in (True, None, [2], 2.0, "2", {}, HUGE)),
        *(({name: wrong}, f"{name!r} is") for name in ("early", "threshold") for wrong in (*WRONG_NUMBERS, 1.5, -0.1)),
        *(
            ({name: wrong}, f"{name} is")
            for name in ("before", "after", "probe")
            for wrong in (None, True, 3, "abc", [], [1])
        ),
        *(({"notes": wrong}, "'notes' is") for wrong in (None, 3, "x", [], [1], [["a", 1]])),
        *(({"after": {**SIGN, "intercept": wrong}}, "the intercept of 'after' is") for wrong in WRONG_NUMBERS),
        *(({"after": {**SIGN, "signs": wrong}}, "the signs of 'after' is") for wrong in (None, [], [1], "a", 3)),
        *(
            ({"after": {"intercept": 0, "signs": {"cover": wrong}}}, "the sign 'cover' is")
            for wrong in (None, 3, "abc", {}, [])
        ),
        (with_sign(0, 1), "not three numbers"),
        *((with_sign(wrong, 1, 1), "the mean of the sign 'cover' is") for wrong in WRONG_NUMBERS),
        *((with_sign(0, wrong, 1), "the spread of the sign 'cover' is") for wrong in (*WRONG_NUMBERS, 0, -1, 1e-320)),
        *((with_sign(0, 1, wrong), "the weight of the sign 'cover' is") for wrong in WRONG_NUMBERS),
        *((with_probe(bias=wrong), "the probe's bias is") for wrong in WRONG_NUMBERS),
        *((with_probe(weights=[[wrong]]), "a weight of the probe is") for wrong in WRONG_NUMBERS),
        *((with_probe(weights=wrong), "the probe's weights is") for wrong in (None, 3, "abc", {})),
        *((with_probe(weights=[wrong]), "a row of the probe's weights is") for wrong in (None, 3, "abc", {})),
        *((with_probe(layers=wrong), "the probe's layers is") for wrong in (None, 3, "1", {})),
        *((with_probe(layers=[wrong]), "the probe's layers are") for wrong in (*WRONG_NUMBERS[:-3], -1, 1.5, 1.0)),
        *((with_probe(layers=wrong), "in rising order") for wrong in ([], [1, 1], [2, 1])),
        (with_probe(weights=[[1.0], [2.0]]), "2 rows of [1] weights for 1 layers"),
        (with_probe(layers=[1, 2], weights=[[1.0], [2.0, 3.0]]), "2 rows of [1, 2] weights for 2 layers"),
        (with_probe(weights=[[]]), "1 rows of [0] weights"),
        ({"after": weighing(PROBE)}, "has no probe that gives it"),
        *(
            ({part: weighing(name)}, f"{part!r} weighs {name!r}, which is not one of its signs (cover, best_leaf, ")
            for part in ("before", "after")
            for name in ("", "Cover", "covers", "cover ", "lexical", "7")
        ),
        *(
            ({"before": weighing(name)}, f"weighs {name!r}, which is not")
            for name in ("likely", "match", "gain", PROBE)
        ),
        ({"after": weighing("x" * 10_000)}, "which is not one of its signs"),
    ],
)
def test_damaged_files(tmp_path, change, told):
    path = tmp_path / "one.json"
    path.write_text(json.dumps({**judge().to_dict(), **change}))
    with pytest.raises(ConfigError, match="confidence file") as caught:
        Confidence.load(path)
    assert told in str(caught.value)
    assert len(str(caught.value)) < 400
    assert "fit-confidence" in caught.value.remedy


@pytest.mark.parametrize(
    ("place", "name"),
    [((), name) for name in ("schema", "before", "after", "early", "threshold", "notes")]
    + [(("after",), "signs"), (("after",), "intercept")]
    + [(("probe",), name) for name in READS],
)
def test_files_that_lack_a_field(tmp_path, place, name):
    values = {**judge().to_dict(), **with_probe()}
    part = values
    for step in place:
        part = part[step]
    del part[name]
    (tmp_path / "one.json").write_text(json.dumps(values))
    with pytest.raises(ConfigError, match=f"has no '{name}'"):
        Confidence.load(tmp_path / "one.json")


@pytest.mark.parametrize(
    "data",
    [b"", b"{", b"null", b"3", b'"x"', b"[1]", b"\xff\xfe\x00", b"[" * 200_000, b'{"a":' * 200_000, b"9" * 10_000],
    ids=range(10),
)
def test_files_that_are_no_such_json(tmp_path, data):
    (tmp_path / "one.json").write_bytes(data)
    with pytest.raises(ConfigError, match="fit-confidence"):
        Confidence.load(tmp_path / "one.json")


@pytest.mark.parametrize("path", ["gone.json", ".", "a\0b"])
def test_paths_of_no_file(tmp_path, path):
    with pytest.raises(ConfigError, match="cannot be used"):
        Confidence.load(f"{tmp_path}/{path}")


def test_every_file_of_the_package_can_be_used_and_says_what_it_was_fitted_on():
    files = sorted(FOLDER.glob("*.json"))
    assert "generic" in {file.stem for file in files}
    for file in files:
        one = Confidence.load(file)
        assert {*one.before.signs} <= set(BEFORE)
        assert {*one.after.signs} <= {*BEFORE, *AFTER, NOT_SAID_SIGN, GAIN, MATCH, PROBE}
        assert one.notes["rows"]["answerable"] >= 20


def test_another_model_or_adapter_has_the_generic_one():
    generic = Confidence.load(FOLDER / "generic.json")
    assert confidence_of("tiny-llama", None) == generic
    assert confidence_of("../generic", None) == generic
    for name in EMBEDDED:
        assert confidence_of(name, "another adapter") == generic


def test_a_file_of_ones_own_is_used_and_remembered_by_the_index(saved, tmp_path):
    path = tmp_path / "own.json"
    judge(sure=0.4, threshold=0.5).save(path)
    options = {"embedder": str(saved / "embedder"), "device": "cpu", "dtype": "float32"}
    llm = SharedLLM.from_pretrained(saved / "model", confidence=path, **options)
    index = Index.create(tmp_path / "index", llm)
    index.add(tiny_document(*PAGES, name="birds.txt"))
    assert Index.open(tmp_path / "index").ask(HERON, retrieval=ALWAYS, generation=SHORT).confidence == 0.4
    judge(sure=0.7).save(tmp_path / "other.json")
    other = Index.open(tmp_path / "index", confidence=tmp_path / "other.json")
    assert other.ask(HERON, retrieval=ALWAYS, generation=SHORT).confidence == 0.7
    with pytest.raises(ConfigError, match="cannot be used"):
        SharedLLM.from_pretrained(saved / "model", confidence=tmp_path / "gone.json", **options)
