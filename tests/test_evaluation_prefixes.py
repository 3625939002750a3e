"""A document's beginning read once for many questions: the same answers, honest times, and no memory left behind."""

from __future__ import annotations

from itertools import pairwise

import pytest

from sharedllm_docs.errors import EvaluationError, NotMeasurableError
from sharedllm_docs.evaluation.run import Settings, _by_document, evaluate
from sharedllm_docs.evaluation.run_file import read_lines
from sharedllm_docs.evaluation.systems import prefixes
from sharedllm_docs.evaluation.systems.prefixes import PrefixReader, RewindingDecoder
from sharedllm_docs.evaluation.systems.spec import parse_systems
from sharedllm_docs.evaluation.tasks.squad_haystack.task import SquadHaystack
from tests.evaluation_helpers import hay, llm, options, prose, squad, system
from tests.tiny_text import tiny_document, tiny_llm

BLOCK = 16
DOCUMENTS = [tiny_document(prose(9, seed), prose(9, seed + 50), name=f"{seed}.txt") for seed in range(2)]
QUESTIONS = ("Where do sheep rest?", "What is sold in market towns every autumn morning?", "Why?", "Where is it?")


@pytest.fixture(autouse=True)
def _small_blocks(monkeypatch):
    monkeypatch.setattr(prefixes, "BLOCK", BLOCK)


@pytest.fixture
def fed(monkeypatch):
    """How many tokens each call of the model takes."""
    counts: list[int] = []
    original = prefixes.PlainDecoder.feed

    def feed(self, sequences, *, all_logits=False):
        counts.append(len(sequences[0]))
        return original(self, sequences, all_logits=all_logits)

    monkeypatch.setattr(prefixes.PlainDecoder, "feed", feed)
    return counts


@pytest.mark.parametrize("name", ["first_8k", "first_8k+evidence=16", "full_prefill", "full_prefill+evidence=16"])
@pytest.mark.parametrize("family", ["llama", "qwen3"])
def test_answers_are_those_without_sharing(tmp_path, name, family):
    """Questions of different lengths over a window that they fill, over two documents in turn."""
    window = {"max_position_embeddings": 320} if name.startswith("first") else {}
    small = tiny_llm(family, **window)
    shared, alone = system(name, tmp_path, llm=small), system(f"{name}:share=no", tmp_path, llm=small)
    marks = []
    for document in (*DOCUMENTS, DOCUMENTS[0]):
        for question in QUESTIONS:
            got, wanted = (made.answer(question, [document]) for made in (shared, alone))
            assert got.text
            assert (got.text, got.context, got.pages, got.prompt_tokens) == (
                wanted.text,
                wanted.context,
                wanted.pages,
                wanted.prompt_tokens,
            )
            assert not wanted.prefill_shared
            assert 0 < got.first_token_seconds <= got.total_seconds
            marks.append(got.prefill_shared)
    assert [marks[start] for start in (0, 4, 8)] == [False] * 3
    assert sum(marks) >= 6


def test_logits_agree_with_those_of_one_reading():
    ids = llm().tokenizer(DOCUMENTS[0].text)["input_ids"][:200]
    whole = RewindingDecoder(llm().upper, llm().lock).feed([ids])
    parts = RewindingDecoder(llm().upper, llm().lock)
    parts.feed([ids[:150]])
    parts.feed([[1, 2, 3, 4]])
    parts.rewind(150)
    assert parts.tokens == 150
    assert (parts.feed([ids[150:]]) - whole).abs().max() < 1e-5


def test_a_later_question_feeds_its_own_tokens_alone_and_carries_the_reading(tmp_path, fed):
    made = system("full_prefill", tmp_path)
    first = made.answer(QUESTIONS[0], DOCUMENTS[:1])
    assert max(fed) == fed[0] == (first.prompt_tokens - len(_asked(QUESTIONS[0]))) // BLOCK * BLOCK
    fed.clear()
    later = made.answer(QUESTIONS[0], DOCUMENTS[:1])
    assert max(fed) < BLOCK + len(_asked(QUESTIONS[0]))
    assert (later.text, later.prefill_shared) == (first.text, True)
    reading = made._reader._kept.seconds
    assert reading < min(later.first_token_seconds, first.first_token_seconds)


def _asked(question):
    return llm().template.question_ids(llm().tokenizer, question, "")


def test_one_document_is_kept_until_the_system_is_released(tmp_path):
    made = system("first_8k", tmp_path)
    for document in DOCUMENTS:
        made.answer(QUESTIONS[0], [document])
    text = llm().tokenizer.decode(made._reader._kept.ids)
    assert DOCUMENTS[1].text[:40] in text
    assert DOCUMENTS[0].text[:40] not in text
    made.release()
    assert made._reader._kept is None
    assert not made.answer(QUESTIONS[0], [DOCUMENTS[1]]).prefill_shared
    system("first_8k:share=no", tmp_path).release()


def test_layers_that_forget_are_not_shared(tmp_path, monkeypatch, fed):
    monkeypatch.setattr(RewindingDecoder, "can_rewind", False)
    made = system("full_prefill", tmp_path)
    answers = [made.answer(QUESTIONS[0], DOCUMENTS[:1]) for _time in range(2)]
    assert [answer.prefill_shared for answer in answers] == [False, False]
    assert fed.count(answers[0].prompt_tokens) == 2


def test_the_window_is_kept(tmp_path):
    small = tiny_llm(max_position_embeddings=256)
    reader = PrefixReader(small, system("first_8k", tmp_path, llm=small).generation)
    with pytest.raises(NotMeasurableError, match="more than the model's window of 256"):
        reader.answer([1] * 256, 200)


def test_rows_say_what_was_shared_and_the_order_of_measuring_leaves_no_trace(tmp_path):
    task = SquadHaystack(options(tmp_path, 256), squad(8), hay(40))
    settings = Settings(tmp_path / "out", 8, plots=False)
    outcome = evaluate(task, parse_systems("full_prefill,closed_book"), llm(), settings)
    rows = [row for row in read_lines(outcome.file)[1:] if "skipped" not in row]
    full = [row["prefill_shared"] for row in rows if row["system"] == "full_prefill"]
    assert full.count(False) == 2  # two haystacks, four questions each
    assert full.count(True) == 6
    assert not any(row["prefill_shared"] for row in rows if row["system"] == "closed_book")


def test_questions_of_a_document_stand_together(tmp_path):
    examples = SquadHaystack(options(tmp_path, 256), squad(12), hay(40)).examples(12, 0)
    mixed = examples[::2] + examples[1::2]
    names = [example.documents[0].name for example in _by_document(mixed)]
    assert sorted(example.id for example in _by_document(mixed)) == sorted(example.id for example in examples)
    assert sum(a != b for a, b in pairwise(names)) == len(set(names)) - 1


def test_a_switch_that_is_neither_is_refused(tmp_path):
    with pytest.raises(EvaluationError, match="share='maybe' cannot be read"):
        system("first_8k:share=maybe", tmp_path)
