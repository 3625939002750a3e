"""Generation from a decoder whose next tokens are written down: text, stop strings, sampling, batches."""

from __future__ import annotations

import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from tokenizers.pre_tokenizers import ByteLevel

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.injection.generate import Sampler, end_tokens, generate
from tests.tiny_text import END, tiny_base, tiny_tokenizer

TOKENIZER = tiny_tokenizer()
VOCAB = len(TOKENIZER)


def ids_of(text):
    return TOKENIZER(text, add_special_tokens=False)["input_ids"]


def byte_ids(text):
    """One token a byte, so that characters and stop strings fall between tokens."""
    spelled = ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
    return [TOKENIZER.convert_tokens_to_ids(letter) for word, _span in spelled for letter in word]


class Scripted:
    """Gives each question its written tokens, one after another; remembers what it was fed."""

    def __init__(self, *scripts):
        self.scripts = scripts
        self.step = -1
        self.fed = []

    def feed(self, sequences, *, all_logits=False):
        assert not all_logits
        self.fed.append([list(sequence) for sequence in sequences])
        self.step += 1
        logits = torch.full((len(self.scripts), VOCAB), -10.0)
        for row, script in enumerate(self.scripts):
            logits[row, script[self.step] if self.step < len(script) else END] = 10.0
        return logits


class Chained:
    """Random logits that depend on everything a question was fed, and on nothing else."""

    def __init__(self, batch):
        self.seen = [[] for _ in range(batch)]

    def feed(self, sequences, *, all_logits=False):
        assert not all_logits
        rows = []
        for seen, sequence in zip(self.seen, sequences, strict=True):
            seen.extend(sequence)
            generator = torch.Generator().manual_seed(hash(tuple(seen)) % 2**31)
            rows.append(torch.randn(VOCAB, generator=generator))
        return torch.stack(rows)


def run(decoder, questions=([5],), ends=(END,), **settings):
    pieces = []

    def collected():
        made = generate(decoder, list(questions), TOKENIZER, GenerationConfig(**settings), frozenset(ends))
        while True:
            try:
                pieces.append(next(made))
            except StopIteration as end:
                return end.value

    return collected(), pieces


# -- text ---------------------------------------------------------------------------------------------------------


def test_the_helper_spells_bytes():
    assert len(byte_ids("ä")) == 2
    assert TOKENIZER.decode(byte_ids("the ä")) == "the ä"


def test_an_end_token_ends_the_answer():
    (result,), pieces = run(Scripted([*ids_of("the cat"), END, *ids_of("more")]))
    assert result.text == "the cat"
    assert result.ids == [*ids_of("the cat"), END]
    assert result.finish_reason == "stop"
    assert result.first_token_seconds > 0
    assert "".join(piece.text for piece in pieces) == "the cat"


def test_an_end_token_at_once_is_an_empty_answer():
    (result,), pieces = run(Scripted([END]))
    assert (result.text, result.ids, result.finish_reason, pieces) == ("", [END], "stop", [])


def test_max_new_tokens_ends_it_otherwise():
    decoder = Scripted(ids_of("one and two and three"))
    (result,), _ = run(decoder, max_new_tokens=4)
    assert len(result.ids) == 4
    assert result.finish_reason == "length"
    assert result.text == TOKENIZER.decode(result.ids)
    assert len(decoder.fed) == 4  # the last token is not fed: nothing would be done with its logits


def test_one_token_at_a_time_after_the_question():
    decoder = Scripted(ids_of("the cat"))
    (result,), _ = run(decoder, questions=[[7, 8, 9]])
    assert decoder.fed == [[[7, 8, 9]], *([[token]] for token in result.ids[:-1])]


def test_unfinished_characters_are_held_back():
    """An emoji of four bytes appears when its last one is there, and never as a replacement character."""
    text = "a🍎b"
    _, pieces = run(Scripted([*byte_ids(text), END]))
    assert [piece.text for piece in pieces] == ["a", "🍎", "b"]


def test_a_character_that_is_never_finished_is_given_at_the_end():
    (result,), pieces = run(Scripted(byte_ids("a🍎")[:3]), max_new_tokens=3)
    assert result.text == "a\ufffd"
    assert [piece.text for piece in pieces] == ["a", "\ufffd"]


def test_special_tokens_do_not_show():
    (result,), _ = run(Scripted([*ids_of("a"), 1, *ids_of("b"), END]))
    assert result.text == "ab"


# -- stop strings -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("spell", [ids_of, byte_ids])
def test_a_stop_string_split_over_tokens_never_shows(spell):
    (result,), pieces = run(Scripted([*spell("one and\n\nQuestion: two"), END]), stop=("\n\nQuestion:",))
    assert result.text == "one and"
    assert result.finish_reason == "stop"
    shown = list(itertools.accumulate(piece.text for piece in pieces))
    assert all("one and".startswith(text) for text in shown)


def test_what_only_began_like_a_stop_string_is_given_after_all():
    (result,), pieces = run(Scripted([*byte_ids("a STOX b ST"), END]), stop=("STOP",))
    assert result.text == "a STOX b ST"
    assert "STOX" in [piece.text for piece in pieces]
    assert pieces[-1].text == "ST"


def test_a_stop_string_that_repeats_itself():
    """aab in aaab: the first a turns out not to belong to it."""
    (result,), _ = run(Scripted([*byte_ids("xaaab"), END]), stop=("aab",))
    assert result.text == "xa"


def test_the_earliest_of_several_stop_strings_counts():
    (result,), _ = run(Scripted([*ids_of("one. Two! three"), END]), stop=("!", "."))
    assert result.text == "one"
    (result,), _ = run(Scripted([*ids_of("a"), *ids_of("he"), END]), stop=("e", "h"))  # both end within one token
    assert result.text == "a"


alphabet = st.text(alphabet="ab ä🍎.", max_size=30)


@given(
    alphabet, st.lists(st.text(alphabet="ab ä.", min_size=1, max_size=4), max_size=3), st.booleans(), st.integers(1, 40)
)
def test_pieces_put_together_are_the_text(text, stop, bytewise, length):
    script = (byte_ids if bytewise else ids_of)(text)
    (result,), pieces = run(Scripted([*script, END]), stop=tuple(stop), max_new_tokens=length)
    assert "".join(piece.text for piece in pieces) == result.text
    assert all(piece.text and piece.index == 0 for piece in pieces)
    assert not any(string in result.text for string in stop)
    said = TOKENIZER.decode([token for token in result.ids if token != END])
    assert said.startswith(result.text)
    if not stop and END in result.ids:
        assert result.text == text


@given(alphabet, st.text(alphabet="ab ä.", min_size=1, max_size=4))
def test_one_stop_string_cuts_where_it_first_stands(text, stop):
    (result,), _ = run(Scripted([*byte_ids(text), END]), stop=(stop,))
    assert result.text == text.partition(stop)[0]
    assert result.finish_reason == "stop"


# -- batches ------------------------------------------------------------------------------------------------------


def test_a_batch_ends_one_by_one():
    short, long = ids_of("yes"), ids_of("no and no and no")
    decoder = Scripted([*short, END], [*long, END])
    results, pieces = run(decoder, questions=[[5], [6, 7]])
    assert [result.text for result in results] == ["yes", "no and no and no"]
    assert results[0].ids == [*short, END]
    for index, result in enumerate(results):
        assert "".join(piece.text for piece in pieces if piece.index == index) == result.text
    assert {len(sequences) for sequences in decoder.fed} == {2}


def test_no_questions_no_answers():
    class Nothing:
        def feed(self, sequences, *, all_logits=False):
            return torch.zeros(len(sequences), VOCAB)

    assert run(Nothing(), questions=[]) == ([], [])


QUESTIONS = [[5, 6, 7], [8, 9], [10]]
SAMPLING = {"temperature": 0.8, "top_p": 0.9, "top_k": 40, "repetition_penalty": 1.1, "max_new_tokens": 12}


@pytest.mark.parametrize("settings", [SAMPLING, {"max_new_tokens": 12}], ids=["sampling", "greedy"])
def test_an_answer_does_not_depend_on_its_batch(settings):
    together, _ = run(Chained(3), questions=QUESTIONS, ends=(), **settings)
    for question, result in zip(QUESTIONS, together, strict=True):
        (alone,), _ = run(Chained(1), questions=[question], ends=(), **settings)
        assert alone.ids == result.ids
        assert alone.text == result.text


# -- sampling -----------------------------------------------------------------------------------------------------


def sampled(seed, **changes):
    (result,), _ = run(Chained(1), questions=[[5]], ends=(), **(SAMPLING | {"seed": seed} | changes))
    return result.ids


def test_seeds_reproduce_and_differ():
    assert sampled(3) == sampled(3)
    assert len({tuple(sampled(seed)) for seed in range(5)}) == 5
    assert sampled(None) != sampled(None)


def test_sampling_leaves_the_global_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    sampled(3)
    sampled(None)
    assert torch.equal(torch.get_rng_state(), before)


def test_greedy_takes_the_highest_and_no_seed_matters():
    logits = torch.randn(2, VOCAB, generator=torch.Generator().manual_seed(0))
    for seed in (0, 1, None):
        chosen = Sampler(GenerationConfig(seed=seed), 2).next([[1], [2]], logits)
        assert chosen == logits.argmax(-1).tolist()


def draws(logits, context=(), **settings):
    sampler = Sampler(GenerationConfig(**settings), 1)
    return {sampler.next([list(context)], logits)[0] for _ in range(200)}


def test_top_k_and_top_p_bound_what_is_drawn():
    logits = torch.log(torch.tensor([[0.4, 0.3, 0.2, 0.06, 0.04]]))
    assert draws(logits, temperature=1.0) == {0, 1, 2, 3, 4}
    assert draws(logits, temperature=1.0, top_k=2) == {0, 1}
    assert draws(logits, temperature=1.0, top_k=50) == {0, 1, 2, 3, 4}
    assert draws(logits, temperature=1.0, top_p=0.75) == {0, 1, 2}
    assert draws(logits, temperature=0.01) == {0}


def test_whole_numbers_are_taken_for_fractions():
    logits = torch.log(torch.tensor([[0.6, 0.4]]))
    assert draws(logits, temperature=1, top_p=1, repetition_penalty=2, context=[0]) == {0, 1}


def test_repetition_penalty_counts_question_and_answer():
    logits = torch.tensor([[2.0, 1.9, 1.0]])
    assert Sampler(GenerationConfig(), 1).next([[0]], logits) == [0]
    penalised = Sampler(GenerationConfig(repetition_penalty=1.2), 1)
    assert penalised.next([[2]], logits) == [0]
    assert penalised.next([[0]], logits) == [1]
    assert penalised.next([[0, 1]], logits) == [0]
    assert torch.equal(logits, torch.tensor([[2.0, 1.9, 1.0]]))


def test_repetition_penalty_reaches_the_answers_own_tokens():
    class Favours:
        def feed(self, sequences, *, all_logits=False):
            logits = torch.zeros(len(sequences), VOCAB)
            logits[:, 50:54] = torch.tensor([4.0, 3.0, 2.5, 2.2])
            return logits

    (plain,), _ = run(Favours(), ends=(), max_new_tokens=4)
    (penalised,), _ = run(Favours(), ends=(), max_new_tokens=4, repetition_penalty=4.0)
    assert plain.ids == [50] * 4
    assert penalised.ids == [50, 51, 52, 53]


# -- which tokens end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("configured", "wanted"), [(None, {END}), (7, {7, END}), ([7, 8], {7, 8, END}), ((END,), {END})]
)
def test_end_tokens_are_the_models_and_the_tokenizers(configured, wanted):
    model = tiny_base()
    model.generation_config.eos_token_id = configured
    assert end_tokens(model, TOKENIZER) == wanted


def test_a_model_without_any_end_token():
    tokenizer = tiny_tokenizer()
    tokenizer.eos_token = None
    assert end_tokens(object(), tokenizer) == frozenset()
