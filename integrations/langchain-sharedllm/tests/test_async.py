"""Async forms for real: the event loop ticks on while the model computes, and cancelling stops it."""

from __future__ import annotations

import asyncio
import time
from contextlib import aclosing

import pytest
from langchain_sharedllm import ChatSharedLLM, SharedLLMIndex, SharedLLMRetriever, UnsupportedArgumentError
from tiny_models import ALWAYS

QUESTION = "Where does the heron stand?"


class Ticker:
    """Counts how often the event loop comes round while something runs."""

    async def __aenter__(self):
        self.times = [time.perf_counter()]
        self._task = asyncio.create_task(self._tick())
        return self

    async def _tick(self):
        while True:
            await asyncio.sleep(0.002)
            self.times.append(time.perf_counter())

    async def __aexit__(self, *_error):
        self._task.cancel()
        self.times.append(time.perf_counter())

    @property
    def total(self):
        return self.times[-1] - self.times[0]

    @property
    def longest_gap(self):
        return max(b - a for a, b in zip(self.times, self.times[1:], strict=False))


@pytest.fixture
def steps(llm):
    """One entry a step of the model, each of which takes 20 ms more, without the interpreter's lock."""
    taken = []

    def wait(_module, _arguments):
        taken.append(time.perf_counter())
        time.sleep(0.02)

    decoders = {id(arch): arch.model for arch in (llm.upper, llm.steps)}  # questions go by one, steps by the other
    hooks = [model.get_input_embeddings().register_forward_pre_hook(wait) for model in decoders.values()]
    yield taken
    for hook in hooks:
        hook.remove()


def check(ticker, least_seconds):
    assert ticker.total >= least_seconds, "the model was not slow: this test would show nothing"
    assert ticker.longest_gap < ticker.total / 2
    assert len(ticker.times) > 10


@pytest.mark.parametrize("kind", ["chat", "plain"])
async def test_the_event_loop_ticks_on_while_an_answer_is_computed(kind, request, steps):
    model = request.getfixturevalue(kind)
    async with Ticker() as ticker:
        said = await model.ainvoke(QUESTION)
    check(ticker, 0.2)
    assert said.content == model.invoke(QUESTION).content


@pytest.mark.parametrize("kind", ["chat", "plain"])
async def test_the_event_loop_ticks_on_between_streamed_pieces(kind, request, steps):
    model = request.getfixturevalue(kind)
    async with Ticker() as ticker:
        pieces = [piece async for piece in model.astream(QUESTION)]
    check(ticker, 0.2)
    assert "".join(piece.content for piece in pieces) == model.invoke(QUESTION).content
    assert pieces[-1].usage_metadata["output_tokens"] > 0 or pieces[-2].usage_metadata["output_tokens"] > 0


async def test_the_event_loop_ticks_on_while_passages_are_searched(index, llm, monkeypatch):
    encode = llm.embedder.encode

    def waiting(texts):
        time.sleep(0.2)
        return encode(texts)

    monkeypatch.setattr(llm.embedder, "encode", waiting)
    retriever = SharedLLMRetriever(index=index, k=2)
    async with Ticker() as ticker:
        found = await retriever.ainvoke(QUESTION)
    check(ticker, 0.2)
    assert found == retriever.invoke(QUESTION)


async def test_the_event_loop_ticks_on_while_documents_are_read(tmp_path, llm, loaded_pages):
    index = SharedLLMIndex(tmp_path / "index", llm=llm)
    many = [page.model_copy(update={"page_content": page.page_content * 8}) for page in loaded_pages]
    async with Ticker() as ticker:
        assert await index.aadd_documents(many) == ["birds.pdf"] * 4
    check(ticker, 0.05)
    assert await index.adelete(["birds.pdf"])


async def test_several_questions_at_once(chat):
    questions = [QUESTION, "What melts?", "How many lines?"]
    together = await asyncio.gather(*(chat.ainvoke(question) for question in questions))
    assert [m.content for m in together] == [chat.invoke(question).content for question in questions]


async def test_leaving_a_stream_early_stops_the_model(llm, steps):
    chat = ChatSharedLLM(llm=llm, max_tokens=200)
    async with aclosing(chat.astream(QUESTION)) as pieces:
        await anext(pieces)
    await still(steps, fewer_than=100)


async def test_a_cancelled_answer_stops_the_model(llm, steps):
    chat = ChatSharedLLM(llm=llm, max_tokens=500)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(chat.ainvoke(QUESTION), 0.2)
    await still(steps, fewer_than=250)


async def still(steps, *, fewer_than):
    """The model ran, and takes no step more."""
    await asyncio.sleep(0.3)
    seen = len(steps)
    assert 0 < seen < fewer_than
    await asyncio.sleep(0.2)
    assert len(steps) == seen


async def test_errors_come_through(chat):
    with pytest.raises(UnsupportedArgumentError, match="tools"):
        await chat.ainvoke(QUESTION, tools=[])
    with pytest.raises(UnsupportedArgumentError, match="tools"):
        [piece async for piece in chat.astream(QUESTION, tools=[])]


async def test_abatch_answers_each(index):
    chat = ChatSharedLLM(index=index, settings=ALWAYS, max_tokens=3)
    questions = [QUESTION, "What melts?"]
    assert [m.content for m in await chat.abatch(questions)] == [chat.invoke(q).content for q in questions]
