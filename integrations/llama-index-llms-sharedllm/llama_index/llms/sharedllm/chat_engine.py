"""A chat engine over an index: it remembers the conversation, and every answer has its source nodes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import sharedllm_docs as core
from llama_index.core.base.llms.generic_utils import messages_to_history_str
from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.base.response.schema import AsyncStreamingResponse, Response, StreamingResponse
from llama_index.core.callbacks import CallbackManager, trace_method
from llama_index.core.chat_engine.condense_question import DEFAULT_PROMPT
from llama_index.core.chat_engine.types import AgentChatResponse, BaseChatEngine, ChatMode, StreamingAgentChatResponse
from llama_index.core.chat_engine.utils import aresponse_gen_from_query_engine, response_gen_from_query_engine
from llama_index.core.llms.llm import LLM
from llama_index.core.memory import BaseMemory, Memory
from llama_index.core.prompts.base import BasePromptTemplate
from llama_index.core.tools import ToolOutput
from llama_index.core.types import Thread

from llama_index.llms.sharedllm.base import SharedLLM
from llama_index.llms.sharedllm.query_engine import SharedLLMQueryEngine

HISTORY_RESERVE = 1024
"""Tokens of the window that chat history leaves free for injected rows, the question and the prompt."""
CONDENSING = (ChatMode.CONDENSE_QUESTION,)
DIRECT = (ChatMode.BEST, ChatMode.CONTEXT)


class SharedLLMChatEngine(BaseChatEngine):
    """A conversation over documents.

    Without ``condenser`` the earlier turns precede the question as text, and the question alone selects passages. A
    condenser first rewrites the question so that it can be understood alone, and only the new question is asked.

    Args:
        query_engine: answers the questions.
        memory: keeps the turns.
        prefix_messages: messages that precede every conversation (instructions).
        condenser: model that rewrites questions, or None.
        condense_prompt: the condenser's prompt, with ``{chat_history}`` and ``{question}``.
        callback_manager: receives an event for every turn.
    """

    def __init__(
        self,
        query_engine: SharedLLMQueryEngine,
        memory: BaseMemory,
        *,
        prefix_messages: Sequence[ChatMessage] = (),
        condenser: LLM | None = None,
        condense_prompt: BasePromptTemplate = DEFAULT_PROMPT,
        callback_manager: CallbackManager | None = None,
    ) -> None:
        self._engine = query_engine
        self._memory = memory
        self._prefix = list(prefix_messages)
        self._condenser = condenser
        self._condense_prompt = condense_prompt
        self.callback_manager = callback_manager or query_engine.callback_manager

    @trace_method("chat")
    def chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """Answer the next message; ``chat_history`` replaces the memory."""
        if chat_history is not None:
            self._memory.set(chat_history)
        history = self._memory.get(input=message)
        question = message
        if self._condenser is not None and history:
            question = self._condenser.predict(self._condense_prompt, **_asked(message, history))
        response = self._engine.answer(question, self._earlier(history))
        self._memory.put(_user(message))
        self._memory.put(ChatMessage(role=MessageRole.ASSISTANT, content=str(response)))
        return AgentChatResponse(
            str(response), sources=[_tool_output(question, response)], source_nodes=response.source_nodes
        )

    @trace_method("chat")
    def stream_chat(self, message: str, chat_history: list[ChatMessage] | None = None) -> StreamingAgentChatResponse:
        """``chat`` piece by piece; the answer is remembered once it is complete."""
        if chat_history is not None:
            self._memory.set(chat_history)
        history = self._memory.get(input=message)
        question = message
        if self._condenser is not None and history:
            question = self._condenser.predict(self._condense_prompt, **_asked(message, history))
        response = self._engine.stream(question, self._earlier(history))
        self._memory.put(_user(message))
        made = StreamingAgentChatResponse(
            chat_stream=response_gen_from_query_engine(response.response_gen),
            sources=[_tool_output(question, response)],
            source_nodes=response.source_nodes,
        )
        made.write_response_to_history_thread = Thread(target=made.write_response_to_history, args=(self._memory,))
        made.write_response_to_history_thread.start()
        return made

    @trace_method("chat")
    async def achat(self, message: str, chat_history: list[ChatMessage] | None = None) -> AgentChatResponse:
        """``chat`` without blocking the event loop."""
        if chat_history is not None:
            await self._memory.aset(chat_history)
        history = await self._memory.aget(input=message)
        question = message
        if self._condenser is not None and history:
            question = await self._condenser.apredict(self._condense_prompt, **_asked(message, history))
        response = await self._engine.aanswer(question, self._earlier(history))
        await self._memory.aput(_user(message))
        await self._memory.aput(ChatMessage(role=MessageRole.ASSISTANT, content=str(response)))
        return AgentChatResponse(
            str(response), sources=[_tool_output(question, response)], source_nodes=response.source_nodes
        )

    @trace_method("chat")
    async def astream_chat(
        self, message: str, chat_history: list[ChatMessage] | None = None
    ) -> StreamingAgentChatResponse:
        """``stream_chat`` without blocking the event loop."""
        if chat_history is not None:
            await self._memory.aset(chat_history)
        history = await self._memory.aget(input=message)
        question = message
        if self._condenser is not None and history:
            question = await self._condenser.apredict(self._condense_prompt, **_asked(message, history))
        response = await self._engine.astream(question, self._earlier(history))
        await self._memory.aput(_user(message))
        made = StreamingAgentChatResponse(
            achat_stream=aresponse_gen_from_query_engine(response.async_response_gen()),
            sources=[_tool_output(question, response)],
            source_nodes=response.source_nodes,
        )
        made.awrite_response_to_history_task = asyncio.create_task(made.awrite_response_to_history(self._memory))
        return made

    def reset(self) -> None:
        """Forget the conversation."""
        self._memory.reset()

    @property
    def chat_history(self) -> list[ChatMessage]:
        """The remembered turns, without the instructions."""
        return self._memory.get_all()

    def _earlier(self, history: Sequence[ChatMessage]) -> list[ChatMessage]:
        return [*self._prefix, *(history if self._condenser is None else ())]


def _asked(message: str, history: Sequence[ChatMessage]) -> dict[str, Any]:
    return {"question": message, "chat_history": messages_to_history_str(history)}


def _user(message: str) -> ChatMessage:
    return ChatMessage(role=MessageRole.USER, content=message)


def _tool_output(question: str, response: Response | StreamingResponse | AsyncStreamingResponse) -> ToolOutput:
    content = str(response) if isinstance(response, Response) else ""
    return ToolOutput(content=content, tool_name="query_engine", raw_input={"query": question}, raw_output=response)


def window_memory(llm: SharedLLM, history: list[ChatMessage]) -> BaseMemory:
    """A memory of as many turns as fit the model's window.

    Raises:
        ConfigError: the window has no room for any.
    """
    metadata, tokenizer = llm.metadata, llm.core_llm.tokenizer
    limit = metadata.context_window - metadata.num_output - HISTORY_RESERVE
    if limit < 1:
        raise core.ConfigError(
            f"A window of {metadata.context_window} tokens leaves no room for a conversation beside an answer of "
            f"{metadata.num_output} and {HISTORY_RESERVE} for passages and question.",
            remedy="Lower max_tokens, or give a memory of your own.",
        )
    return Memory.from_defaults(
        chat_history=history,
        token_limit=limit,
        tokenizer_fn=lambda text: tokenizer(text, add_special_tokens=False)["input_ids"],
    )


def condenses(mode: ChatMode | str) -> bool:
    """Whether a chat mode rewrites questions so that they can be understood alone.

    Raises:
        ConfigError: an unknown mode.
    """
    known = [each.value for each in (*DIRECT, *CONDENSING)]
    value = mode.value if isinstance(mode, ChatMode) else mode
    if value not in known:
        raise core.ConfigError(
            f"Unknown chat_mode {value!r} (known: {', '.join(known)}).",
            remedy="For a chat without documents use SimpleChatEngine with SharedLLM().",
        )
    return value in [each.value for each in CONDENSING]
