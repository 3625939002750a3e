"""LangChain's messages as turns of a conversation. Text only: anything else is refused by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage

from langchain_sharedllm.errors import UnsupportedMessageError
from sharedllm_docs import Message

_ROLES: tuple[tuple[type[BaseMessage], str], ...] = (
    (SystemMessage, "system"),
    (HumanMessage, "user"),
    (AIMessage, "assistant"),
)
_SPOKEN = tuple(role for _kind, role in _ROLES)


def turns(messages: Sequence[BaseMessage]) -> list[Message]:
    """The messages as turns; a message's ``name`` and ``id`` are not shown to the model.

    Raises:
        UnsupportedMessageError: tool messages and calls, other roles, contents that are not text.
    """
    return [Message(_role(message), _text(message)) for message in messages]


def split_question(said: Sequence[Message]) -> tuple[str, tuple[Message, ...]]:
    """The question (the last turn) and the turns before it.

    Raises:
        UnsupportedMessageError: the last turn is not the user's.
    """
    if not said or said[-1].role != "user":
        last = f"a {said[-1].role} message" if said else "nothing"
        raise UnsupportedMessageError(
            f"The conversation ends with {last}; a model with documents answers a question.",
            remedy="Put the question last, as a HumanMessage.",
        )
    return said[-1].content, tuple(said[:-1])


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage) and message.role in _SPOKEN:
        return message.role
    if getattr(message, "tool_calls", None):
        raise UnsupportedMessageError(
            f"The message calls the tool {message.tool_calls[0]['name']!r}; this model knows no tools.",  # type: ignore[attr-defined]
            remedy="Leave tool calls out of the history.",
        )
    for kind, role in _ROLES:
        if isinstance(message, kind):
            return role
    role = getattr(message, "role", message.type)
    raise UnsupportedMessageError(
        f"A message of role {role!r} cannot be read (known: {', '.join(map(repr, _SPOKEN))}).",
        remedy="Give system, human and AI messages only.",
    )


def _text(message: BaseMessage) -> str:
    content: Any = message.content
    return content if isinstance(content, str) else "".join(_block_text(block) for block in content)


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    kind = block.get("type")
    if kind == "text" and isinstance(block.get("text"), str):
        return str(block["text"])
    raise UnsupportedMessageError(
        f"A content block of type {kind!r} cannot be read; this model reads text.",
        remedy="Give text, or add the file to the index.",
    )
