"""Query and chat engines: source nodes, streaming, history; in LlamaIndex's own evaluation and agents."""

from __future__ import annotations

import asyncio

import pytest
import sharedllm_docs as core
from conftest import EASY, PAGES
from llama_index.core.agent.workflow import FunctionAgent, ReActAgent
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager, CBEventType, LlamaDebugHandler
from llama_index.core.chat_engine import SimpleChatEngine
from llama_index.core.chat_engine.types import ChatMode
from llama_index.core.evaluation import FaithfulnessEvaluator, RelevancyEvaluator
from llama_index.core.llms import CompletionResponse, CustomLLM, LLMMetadata
from llama_index.core.llms.mock import MockFunctionCallingLLM
from llama_index.core.tools import QueryEngineTool
from pydantic import Field

from llama_index.llms.sharedllm import SharedLLM, SharedLLMQueryEngine

QUESTION = "Where does the heron stand?"
NOT_FOUND = {"max_tokens": 8, "relevance_floor": 0.99}


class Scripted(CustomLLM):
    """Says its lines one after another and keeps what it was asked."""

    lines: list[str]
    asked: list[str] = Field(default_factory=list)

    @property
    def metadata(self):
        return LLMMetadata(context_window=8192, num_output=256, model_name="scripted")

    def complete(self, prompt, formatted=False, **kwargs):
        self.asked.append(prompt)
        return CompletionResponse(text=self.lines.pop(0))

    def stream_complete(self, prompt, formatted=False, **kwargs):
        text = self.complete(prompt).text
        yield CompletionResponse(text=text, delta=text)


# -- queries ------------------------------------------------------------------------------------------------------


def test_a_response_has_the_injected_passages_as_source_nodes(index):
    response = index.as_query_engine(similarity_top_k=2, **EASY).query(QUESTION)
    expected = index.core.ask(QUESTION, budget=64, relevance_floor=0, max_citations=2, max_new_tokens=8)
    assert isinstance(response, Response)
    assert str(response) == expected.text
    best = response.source_nodes[0]
    assert (best.node.ref_doc_id, best.node.metadata["page"]) == ("birds-1", 1)
    assert best.score == pytest.approx(expected.citations[0].score)
    assert best.node.metadata["quote"] == expected.citations[0].quote
    assert PAGES[0][best.node.start_char_idx : best.node.end_char_idx] == best.node.text
    assert len(response.source_nodes) == len({n.node_id for n in response.source_nodes}) <= 2
    assert response.metadata["sharedllm"]["counts"]["rows"] == expected.counts.rows
    assert "Source" in response.get_formatted_sources()


def test_what_the_documents_do_not_say(index):
    response = index.as_query_engine(**NOT_FOUND).query("zebra quagga")
    assert str(response) == "The document does not say."
    assert response.source_nodes == []
    assert response.metadata["sharedllm"]["found"] is False
    assert response.metadata["sharedllm"]["draft"] == ""
    declined = index.as_query_engine(min_confidence=1.0, relevance_floor=0.0, max_tokens=6).query(QUESTION)
    assert str(declined) == "The document does not say."
    assert declined.metadata["sharedllm"]["draft"]
    assert 0 < declined.metadata["sharedllm"]["confidence"] < 1
    streamed = index.as_query_engine(streaming=True, **NOT_FOUND).query("zebra quagga")
    assert str(streamed) == "The document does not say."
    assert streamed.source_nodes == []


def test_streaming_responses(index):
    whole = index.as_query_engine(**EASY).query(QUESTION)
    engine = index.as_query_engine(streaming=True, **EASY)
    response = engine.query(QUESTION)
    assert isinstance(response, StreamingResponse)
    assert [n.node_id for n in response.source_nodes] == [n.node_id for n in whole.source_nodes]
    pieces = list(response.response_gen)
    assert len(pieces) > 2
    assert "".join(pieces).strip() == str(whole)
    assert response.metadata["sharedllm"]["found"]

    async def run():
        answered = await engine.aquery(QUESTION)
        assert isinstance(answered, AsyncStreamingResponse)
        assert answered.source_nodes
        return "".join([piece async for piece in answered.async_response_gen()]), answered.metadata

    text, metadata = asyncio.run(run())
    assert text.strip() == str(whole)
    assert metadata["sharedllm"]["found"]


def test_async_queries_do_not_block_the_event_loop(index, going_on):
    engine = index.as_query_engine(**EASY)
    response, rounds = going_on(engine.aquery(QUESTION))
    assert str(response) == str(engine.query(QUESTION))
    assert rounds >= EASY["max_tokens"]


def test_callbacks_hear_of_query_and_call(index, tiny):
    debug = LlamaDebugHandler(print_trace_on_end=False)
    engine = index.as_query_engine(callback_manager=CallbackManager([debug]), **EASY)
    engine.query(QUESTION)
    assert len(debug.get_event_pairs(CBEventType.QUERY)) == 1
    assert len(debug.get_event_pairs(CBEventType.LLM)) == 1


def test_an_engine_wants_a_model_with_an_index(tiny):
    with pytest.raises(core.ConfigError, match="no index to answer from"):
        SharedLLMQueryEngine(SharedLLM(llm=tiny))


# -- chat ---------------------------------------------------------------------------------------------------------


def conversation(index, calls, monkeypatch):
    """The arguments that the core's index is asked with, in ``calls``."""
    for name in ("ask", "stream"):
        real = getattr(index.core, name)

        def spy(question, *, real=real, **options):
            calls.append((question, [(turn.role, turn.content) for turn in options["conversation"]]))
            return real(question, **options)

        monkeypatch.setattr(index.core, name, spy)


@pytest.mark.parametrize("mode", ["context", ChatMode.BEST])
def test_chat_remembers_what_was_said(index, mode, monkeypatch):
    calls = []
    conversation(index, calls, monkeypatch)
    chat = index.as_chat_engine(mode, system_prompt="Be brief.", **EASY)
    first = chat.chat("Who waits for fish?")
    assert first.source_nodes[0].node.ref_doc_id == "birds-1"
    second = chat.stream_chat("And what melts?")
    text = "".join(second.response_gen)
    assert second.source_nodes
    third = asyncio.run(chat.achat("How many lines?"))
    said = [("system", "Be brief."), ("user", "Who waits for fish?"), ("assistant", str(first))]
    later = [*said, ("user", "And what melts?"), ("assistant", text.strip())]
    assert calls == [("Who waits for fish?", said[:1]), ("And what melts?", said), ("How many lines?", later)]
    assert [m.content for m in chat.chat_history][-2:] == ["How many lines?", str(third)]
    chat.reset()
    assert chat.chat_history == []


def test_async_streaming_chat(index):
    chat = index.as_chat_engine(**EASY)

    async def run():
        response = await chat.astream_chat("Who waits for fish?")
        pieces = [piece async for piece in response.async_response_gen()]
        return pieces, response.source_nodes

    pieces, nodes = asyncio.run(run())
    assert len(pieces) > 1
    assert nodes
    assert chat.chat_history[-1].content == "".join(pieces).strip()


def test_condensed_questions_stand_alone(index, monkeypatch):
    calls = []
    conversation(index, calls, monkeypatch)
    chat = index.as_chat_engine("condense_question", **EASY)
    chat._condenser = Scripted(lines=["Where does the heron stand?", "What does copper do?"])
    chat.chat("Who waits for fish?")
    chat.chat("And where does it stand?")
    asyncio.run(chat.achat("And copper?"))
    assert calls == [("Who waits for fish?", []), ("Where does the heron stand?", []), ("What does copper do?", [])]
    assert "Who waits for fish?" in chat._condenser.asked[0]
    assert [m.content for m in chat.chat_history if m.role == "user"][1] == "And where does it stand?"


def test_the_model_condenses_with_the_same_weights(index):
    chat = index.as_chat_engine("condense_question", **EASY)
    assert chat._condenser.core_llm is index.core.llm
    assert chat._condenser.core_index is None
    chat.chat("Who waits for fish?")
    assert chat.chat("And where?").response


def test_chat_history_given_and_modes_refused(index):
    history = [ChatMessage(role="user", content="Hello"), ChatMessage(role="assistant", content="Hi.")]
    chat = index.as_chat_engine(chat_history=history, **EASY)
    assert [m.content for m in chat.chat_history] == ["Hello", "Hi."]
    chat.chat("Who waits?", chat_history=history[:1])
    assert [m.content for m in chat.chat_history][:2] == ["Hello", "Who waits?"]
    with pytest.raises(core.ConfigError, match="Unknown chat_mode 'react'"):
        index.as_chat_engine(ChatMode.REACT)
    with pytest.raises(core.ConfigError, match="leaves no room for a conversation"):
        index.as_chat_engine(max_tokens=4000)


def test_llama_indexs_simple_chat_engine_over_the_bound_model(index):
    chat = SimpleChatEngine.from_defaults(llm=index.as_llm(**EASY))
    assert chat.chat("Who waits for fish?").response
    assert chat.chat("And where?").response


# -- evaluation and agents ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("evaluator", [FaithfulnessEvaluator, RelevancyEvaluator])
@pytest.mark.parametrize("verdict", ["YES", "NO"])
def test_llama_indexs_evaluators_read_the_responses(index, evaluator, verdict):
    response = index.as_query_engine(**EASY).query(QUESTION)
    judge = Scripted(lines=[verdict] * 5)
    result = evaluator(llm=judge).evaluate_response(query=QUESTION, response=response)
    assert result.passing is (verdict == "YES")
    assert response.source_nodes[0].node.text in judge.asked[0]


def test_the_model_itself_can_judge(index):
    response = index.as_query_engine(**EASY).query(QUESTION)
    result = FaithfulnessEvaluator(llm=index.as_llm().plain(max_tokens=8)).evaluate_response(response=response)
    assert result.passing in (True, False)


def tool(index):
    return QueryEngineTool.from_defaults(
        index.as_query_engine(**EASY), name="birds", description="Answers questions about birds."
    )


def test_a_react_agent_uses_the_query_engine_as_its_tool(index):
    expected = str(index.as_query_engine(**EASY).query(QUESTION))
    call = f'Thought: I look it up.\nAction: birds\nAction Input: {{"input": "{QUESTION}"}}'
    brain = Scripted(lines=[call, "Thought: I can answer without using any more tools.\nAnswer: In the river."])

    async def run():
        return await ReActAgent(tools=[tool(index)], llm=brain, streaming=False).run(QUESTION)

    result = asyncio.run(run())
    assert str(result) == "In the river."
    assert result.tool_calls[0].tool_output.content == expected
    assert result.tool_calls[0].tool_output.raw_output.source_nodes[0].node.ref_doc_id == "birds-1"
    assert expected in brain.asked[1]


def test_a_function_agent_uses_the_query_engine_as_its_tool(index):
    from llama_index.core.base.llms.types import MessageRole, TextBlock, ToolCallBlock

    def brain(messages, **_tools):
        if messages[-1].role == MessageRole.TOOL:
            return ChatMessage(role="assistant", blocks=[TextBlock(text=f"It says: {messages[-1].content}")])
        block = ToolCallBlock(tool_call_id="1", tool_name="birds", tool_kwargs={"input": QUESTION})
        return ChatMessage(role="assistant", blocks=[block])

    llm = MockFunctionCallingLLM(response_generator=brain)

    async def run():
        return await FunctionAgent(tools=[tool(index)], llm=llm, streaming=False).run(QUESTION)

    expected = str(index.as_query_engine(**EASY).query(QUESTION))
    assert str(asyncio.run(run())) == f"It says: {expected}"
