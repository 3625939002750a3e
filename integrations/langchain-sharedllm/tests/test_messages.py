"""System messages and earlier turns; what the model cannot read is refused by name."""

from __future__ import annotations

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_sharedllm import (
    UnsupportedMessageError,
)
from tiny_models import ALWAYS

from sharedllm_docs import Message, SharedLLMError

QUESTION = "Where does the heron stand?"


def test_system_and_earlier_turns_reach_the_core_as_conversation(chat, index):
    history = [SystemMessage("Speak of birds."), HumanMessage("Hello"), AIMessage("Hello yourself")]
    said = chat.invoke([*history, HumanMessage(QUESTION)])
    answer = index.core.ask(
        QUESTION,
        retrieval=ALWAYS,
        max_new_tokens=12,
        conversation=[
            Message("system", "Speak of birds."),
            Message("user", "Hello"),
            Message("assistant", "Hello yourself"),
        ],
    )
    assert said.content == answer.text
    assert said.usage_metadata["input_tokens"] > chat.invoke(QUESTION).usage_metadata["input_tokens"]


def test_a_history_beyond_the_window_is_refused_by_the_core(chat):
    with pytest.raises(SharedLLMError, match="window"):
        chat.invoke([HumanMessage("word " * 3000), AIMessage("yes"), HumanMessage(QUESTION)])


def test_text_blocks_and_roles_are_read(plain):
    blocks = HumanMessage([{"type": "text", "text": "Hel"}, "lo"])
    assert plain.invoke([blocks]).content == plain.invoke("Hello").content
    assert plain.invoke([ChatMessage(role="user", content="Hello")]).content == plain.invoke("Hello").content


@pytest.mark.parametrize(
    ("message", "named"),
    [
        (HumanMessage([{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}]), "image"),
        (ToolMessage("3", tool_call_id="1"), "tool"),
        (ChatMessage(role="critic", content="Hm"), "critic"),
        (AIMessage("", tool_calls=[{"name": "add", "args": {}, "id": "1"}]), "add"),
    ],
)
def test_what_the_model_cannot_read_is_refused_by_name(plain, message, named):
    with pytest.raises(UnsupportedMessageError, match=named):
        plain.invoke([message, HumanMessage("Hello")])


def test_a_conversation_without_a_question_at_its_end_is_refused(chat):
    with pytest.raises(UnsupportedMessageError, match="assistant"):
        chat.invoke([HumanMessage(QUESTION), AIMessage("In the river.")])
    with pytest.raises(UnsupportedMessageError, match="nothing"):
        chat.invoke([])
