"""Plain generation: the same tokens as transformers' own, counted; stop, window, streams and async forms."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
import torch

from sharedllm_docs import Completion, GenerationConfig, Message, Profile
from sharedllm_docs.errors import ConfigError, EmptyQuestionError, QuestionError, QuestionTooLongError
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.model.completion import PlainDecoder
from sharedllm_docs.model.messages import chat_ids
from tests.tiny_text import tiny_llm
from tests.waiting import loop_watch

SHORT = GenerationConfig(max_new_tokens=8)
PROMPT = "The heron stands in the river and"
TURNS = (Message("system", "Be brief."), Message("user", "What melts?"))


def reference(llm, ids, count=8):
    """Greedy continuation by transformers."""
    made = llm.upper.model.generate(torch.tensor([list(ids)]), max_new_tokens=count, do_sample=False, pad_token_id=0)
    return made[0, len(ids) :].tolist()


def test_complete_is_the_models_own_continuation(llm):
    done = llm.complete(PROMPT, generation=SHORT)
    ids = llm.tokenizer(PROMPT)["input_ids"]
    expected = reference(llm, ids)
    assert done.text == llm.tokenizer.decode(expected, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert (done.prompt_tokens, done.answer_tokens) == (len(ids), len(expected))
    assert (done.finish_reason, str(done)) == ("length", done.text)
    assert 0 < done.first_token_seconds <= done.total_seconds


def test_chat_is_the_models_own_answer_to_the_template(llm):
    done = llm.chat(TURNS, generation=SHORT)
    ids = chat_ids(llm.tokenizer, TURNS)
    expected = llm.tokenizer.decode(reference(llm, ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
    assert (done.text, done.prompt_tokens) == (expected, len(ids))


def test_an_adapter_is_for_documents_and_leaves_plain_generation_alone(llm):
    """Its change of the upper model was learnt on injected rows; without documents the base model speaks."""
    name = "model.layers.0.mlp.down_proj.weight"
    rows, columns = llm.base.model.state_dict()[name].shape
    change = {f"upper.lora.{name}.A": torch.randn(2, columns), f"upper.lora.{name}.B": 10 * torch.randn(rows, 2)}
    profile = Profile.sharedllm(fusion="joint", front="prompt", positions="token", grains=(0, 0, 1), layers=(1, 2))
    tuned = tiny_llm(adapter=Adapter(profile, change), profile=profile)
    assert tuned.upper is not tuned.base
    assert tuned.complete(PROMPT, generation=SHORT).text == llm.complete(PROMPT, generation=SHORT).text
    assert tuned.chat(TURNS, generation=SHORT).text == llm.chat(TURNS, generation=SHORT).text
    ids = tuned.tokenizer(PROMPT)["input_ids"]
    plain, adapted = (PlainDecoder(tuned, adapted=adapted).feed([ids]) for adapted in (False, True))
    assert not torch.allclose(plain, adapted)


def test_stream_gives_the_same_in_pieces(llm):
    stream = llm.stream_complete(PROMPT, generation=SHORT)
    pieces = list(stream)
    assert len(pieces) > 1
    assert "".join(pieces) == stream.result.text == llm.complete(PROMPT, generation=SHORT).text
    assert llm.stream_chat(TURNS, generation=SHORT).result.text == llm.chat(TURNS, generation=SHORT).text


def test_generation_settings_are_honoured(llm):
    whole = llm.complete(PROMPT, generation=SHORT).text
    stop = whole[3:5]
    cut = llm.complete(PROMPT, generation=GenerationConfig(max_new_tokens=8, stop=(stop,)))
    assert (cut.text, cut.finish_reason) == (whole[: whole.index(stop)], "stop")
    warm = [
        llm.complete(PROMPT, generation=GenerationConfig(max_new_tokens=8, temperature=5.0, seed=seed)).text
        for seed in (1, 1, 2)
    ]
    assert warm[0] == warm[1] != warm[2]


def test_without_a_template_an_answer_ends_before_the_users_next_line(monkeypatch):
    from sharedllm_docs.model import completion as plain

    seen = []
    real = plain.generate
    monkeypatch.setattr(plain, "generate", lambda *a: seen.append(a[3].stop) or real(*a))
    for template in (None, "{% for m in messages %}{{ m['content'] }}{% endfor %}"):
        tiny_llm(chat_template=template).chat(TURNS, generation=SHORT)
    assert seen == [("\nUser:",), ()]


def test_window_and_counts(llm):
    assert llm.window == 4096
    assert llm.count_tokens(PROMPT) == len(llm.tokenizer(PROMPT)["input_ids"])
    assert llm.count_tokens("") == 0


def test_async_forms_do_not_block_the_loop(llm):
    async def run():
        rounds, texts = [0], []
        with loop_watch(llm) as watch, watch.watching():
            done = [await llm.acomplete(PROMPT, generation=SHORT)]
            rounds.append(watch.rounds)
            done.append(await llm.achat(TURNS, generation=SHORT))
            rounds.append(watch.rounds)
            for stream in (llm.astream_complete(PROMPT, generation=SHORT), llm.astream_chat(TURNS, generation=SHORT)):
                with pytest.raises(RuntimeError, match="result is not complete"):
                    _ = stream.result
                texts.append("".join([piece async for piece in stream]))
                rounds.append(watch.rounds)
                assert stream.result.text == texts[-1]
        return done, texts, rounds

    done, texts, rounds = asyncio.run(run())
    assert [one.text for one in done] == texts
    assert all(isinstance(one, Completion) for one in done)
    steps = [after - before for before, after in pairwise(rounds)]
    assert min(steps) >= max(one.answer_tokens for one in done)  # a round at every step


def test_bad_prompts_are_refused_before_anything_is_computed(llm):
    with pytest.raises(EmptyQuestionError, match="The prompt ' ' is empty"):
        llm.complete(" ")
    with pytest.raises(QuestionError, match="not a character"):
        llm.complete("\udce9")
    with pytest.raises(QuestionTooLongError, match=r"takes \d+ tokens and the answer up to 8; .*window of 4096"):
        llm.stream_complete("why " * 5000, generation=SHORT)
    with pytest.raises(QuestionTooLongError, match=r"answer up to 4096"):
        llm.chat(TURNS, generation=GenerationConfig(max_new_tokens=4096))
    with pytest.raises(EmptyQuestionError):
        llm.chat([])
    with pytest.raises(ConfigError, match="unknown"):
        llm.chat([Message("function", "x")])
