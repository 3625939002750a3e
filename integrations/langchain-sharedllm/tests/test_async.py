"""Async forms for real: the event loop goes on while the model computes, and cancelling stops it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from langchain_sharedllm import ChatSharedLLM, SharedLLMIndex, SharedLLMRetriever
from tiny_models import ALWAYS

from sharedllm_docs import ConfigError
from tests.waiting import PATIENCE, LoopWatch, loop_watch

QUESTION = "Where does the heron stand?"


@pytest.fixture
def watch(llm):
    """Every question read and every step of the model waits for the event loop, while it is watched."""
    with loop_watch(llm) as watch:
        yield watch


@pytest.mark.parametrize("kind", ["chat", "plain"])
async def test_the_event_loop_goes_on_while_an_answer_is_computed(kind, request, watch):
    model = request.getfixturevalue(kind)
    with watch.watching():
        said = await model.ainvoke(QUESTION)
    assert watch.rounds >= said.usage_metadata["output_tokens"] > 0
    assert said.content == model.invoke(QUESTION).content


@pytest.mark.parametrize("kind", ["chat", "plain"])
async def test_the_event_loop_goes_on_between_streamed_pieces(kind, request, watch):
    model = request.getfixturevalue(kind)
    with watch.watching():
        pieces = [piece async for piece in model.astream(QUESTION)]
    assert watch.rounds >= 10
    assert "".join(piece.content for piece in pieces) == model.invoke(QUESTION).content
    assert pieces[-1].usage_metadata["output_tokens"] > 0 or pieces[-2].usage_metadata["output_tokens"] > 0


def watched(monkeypatch, target, name, watch):
    """The method, which waits for the event loop first."""
    own = getattr(target, name)
    monkeypatch.setattr(target, name, lambda *a, **k: watch() or own(*a, **k))


async def test_the_event_loop_goes_on_while_passages_are_searched(index, llm, monkeypatch):
    watch = LoopWatch()
    watched(monkeypatch, llm.embedder, "encode", watch)
    retriever = SharedLLMRetriever(index=index, k=2)
    with watch.watching():
        found = await retriever.ainvoke(QUESTION)
    assert watch.rounds == 1
    assert found == retriever.invoke(QUESTION)


async def test_the_event_loop_goes_on_while_documents_are_read(tmp_path, llm, loaded_pages, monkeypatch):
    watch = LoopWatch()
    watched(monkeypatch, llm.encoder, "encode", watch)
    index = SharedLLMIndex(tmp_path / "index", llm=llm)
    many = [page.model_copy(update={"page_content": page.page_content * 8}) for page in loaded_pages]
    with watch.watching():
        assert await index.aadd_documents(many) == ["birds.pdf"] * 4
        assert watch.rounds > 0
        assert await index.adelete(["birds.pdf"])


async def test_several_questions_at_once(chat):
    questions = [QUESTION, "What melts?", "How many lines?"]
    together = await asyncio.gather(*(chat.ainvoke(question) for question in questions))
    assert [m.content for m in together] == [chat.invoke(question).content for question in questions]


async def test_leaving_a_stream_early_stops_the_model(llm, watch):
    chat = ChatSharedLLM(llm=llm, max_tokens=200)
    with watch.watching():
        async with aclosing(chat.astream(QUESTION)) as pieces:
            await anext(pieces)
        await still(watch, fewer_than=100)


async def test_a_cancelled_answer_stops_the_model(llm, watch):
    chat = ChatSharedLLM(llm=llm, max_tokens=500)
    with watch.watching():
        answer = asyncio.create_task(chat.ainvoke(QUESTION))
        await asyncio.wait_for(begun(watch), PATIENCE)
        answer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await answer
        await still(watch, fewer_than=250)


async def begun(watch):
    """Return once the model computes."""
    while not watch.rounds:
        await asyncio.sleep(0)


async def still(watch, *, fewer_than):
    """The model ran, and its thread ends long before the answer would have."""
    await asyncio.get_running_loop().shutdown_default_executor()
    assert 0 < watch.rounds < fewer_than


async def test_errors_come_through(chat):
    with pytest.raises(ConfigError, match="'tools'"):
        await chat.ainvoke(QUESTION, tools=[])
    with pytest.raises(ConfigError, match="'tools'"):
        [piece async for piece in chat.astream(QUESTION, tools=[])]


async def test_abatch_answers_each(index):
    chat = ChatSharedLLM(index=index, retrieval=ALWAYS, max_tokens=3)
    questions = [QUESTION, "What melts?"]
    assert [m.content for m in await chat.abatch(questions)] == [chat.invoke(q).content for q in questions]
