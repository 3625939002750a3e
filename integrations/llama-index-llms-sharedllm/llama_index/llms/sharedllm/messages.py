"""LlamaIndex chat messages as turns of sharedllm-docs."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock
from sharedllm_docs import ConfigError, Message

ROLES = {
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.USER: "user",
    MessageRole.ASSISTANT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.CHATBOT: "assistant",
}


def to_turns(messages: Sequence[ChatMessage]) -> list[Message]:
    """Turns of the same roles and texts.

    Raises:
        ConfigError: a role (such as tool) or a block (image, sound, ...) that the model cannot read.
    """
    return [Message(_role(message), _text(message)) for message in messages]


def split_question(turns: Sequence[Message]) -> tuple[str, list[Message]]:
    """The question (the last turn, by the user) and the turns before it.

    Raises:
        ConfigError: no turn, or the last one is not the user's.
    """
    if not turns or turns[-1].role != "user":
        last = f"the last message is from {turns[-1].role!r}" if turns else "there is no message"
        raise ConfigError(f"Nothing is asked: {last}.", remedy="End with a message of role 'user'.")
    return turns[-1].content, list(turns[:-1])


def _role(message: ChatMessage) -> str:
    role = ROLES.get(message.role)
    if role is None:
        raise ConfigError(
            f"A message of role {message.role.value!r} cannot be read (known: {', '.join(r.value for r in ROLES)}).",
            remedy="The model calls no functions: give tool output as a user message, as ReActAgent does.",
        )
    return role


def _text(message: ChatMessage) -> str:
    for block in message.blocks:
        if not isinstance(block, TextBlock):
            raise ConfigError(
                f"A {type(block).__name__} cannot be read: the model reads text only.", remedy="Give text blocks."
            )
    return "\n".join(block.text for block in message.blocks if isinstance(block, TextBlock))
