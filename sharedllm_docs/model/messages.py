"""Messages of a conversation, as lines before a question (``transcript``) or as token ids of a whole chat in the
tokenizer's own template (``chat_ids``). Loads no model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sharedllm_docs.checks import check_text
from sharedllm_docs.errors import ConfigError, EmptyQuestionError, UnsupportedModelError

ROLES = ("system", "user", "assistant")
NEXT_TURN = "\nUser:"
"""Ends an answer where there is no chat template: a model may otherwise go on and write the next question."""


@dataclass(frozen=True)
class Message:
    """One message of a conversation.

    Attributes:
        role: ``system``, ``user`` or ``assistant``.
        content: the text.

    Raises:
        ConfigError: the role is another one, or the content is not a string.
    """

    role: str
    content: str

    def __post_init__(self) -> None:
        if self.role not in ROLES:
            raise ConfigError(
                f"The role {self.role!r} is unknown (known: {', '.join(map(repr, ROLES))}).", remedy="Use one of these."
            )
        if not isinstance(self.content, str):
            raise ConfigError(
                f"The content of a message is {type(self.content).__name__}, not text.", remedy="Give a string."
            )


def check_messages(messages: Sequence[Message]) -> None:
    """Raise ConfigError unless these are messages, one after another."""
    if isinstance(messages, (str, bytes)) or not isinstance(messages, Sequence):
        raise ConfigError(f"{messages!r} is not a list of messages.", remedy="Give [Message('user', '...'), ...].")
    for message in messages:
        if not isinstance(message, Message):
            raise ConfigError(f"{message!r} is not a Message.", remedy="Give Message(role, content).")


def transcript(messages: Sequence[Message]) -> str:
    """The messages as lines ``Role: text``, without blank ones; "" if there are none."""
    check_messages(messages)
    for message in messages:
        check_text(message.content, "message")
    said = [message for message in messages if message.content.strip()]
    return "\n".join(f"{message.role.capitalize()}: {message.content.strip()}" for message in said)


def chat_ids(tokenizer: Any, messages: Sequence[Message]) -> tuple[int, ...]:
    """Token ids of a chat, up to where the answer begins.

    A system message that the template refuses or leaves out is put at the head of the next user message. Special
    tokens written in a message are plain text, so a message cannot end its own turn. Without a template the messages
    become lines ``Role: text``.

    Raises:
        EmptyQuestionError: all messages are blank.
        QuestionError: a message is not valid Unicode.
        UnsupportedModelError: the template refuses the messages, or leaves one out.
    """
    spoken = transcript(messages)
    if not spoken:
        raise EmptyQuestionError("The messages contain no text.", remedy="Say something.")
    if not getattr(tokenizer, "chat_template", None):
        ids = _text_ids(tokenizer, f"{spoken}\nAssistant:")
        return ids if tokenizer.bos_token_id is None else (tokenizer.bos_token_id, *ids)
    pieces = _rendered(tokenizer, messages)
    if not any(token in message.content for message in messages for token in tokenizer.all_special_tokens):
        return tuple(tokenizer("".join(pieces), add_special_tokens=False, verbose=False)["input_ids"])
    found: list[int] = []
    for index, piece in enumerate(pieces):  # template and content alternate
        found.extend(_text_ids(tokenizer, piece) if index % 2 else _template_ids(tokenizer, piece))
    return tuple(found)


def _text_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Ids of a text in which special tokens count as plain text."""
    encoded = tokenizer(text, add_special_tokens=False, split_special_tokens=True, verbose=False)
    return tuple(encoded["input_ids"])


def _template_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    return tuple(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"]) if text else ()


def _rendered(tokenizer: Any, messages: Sequence[Message]) -> list[str]:
    """The chat in pieces: template text and contents alternate, template text first and last."""
    try:
        return _render(tokenizer, messages)
    except UnsupportedModelError:
        folded = _without_system(messages)
        if folded == list(messages):
            raise
        return _render(tokenizer, folded)


def _render(tokenizer: Any, messages: Sequence[Message]) -> list[str]:
    from jinja2.exceptions import TemplateError

    marks = [f"\u2402{index}\u2403" for index in range(len(messages))]
    turns = [{"role": message.role, "content": mark} for message, mark in zip(messages, marks, strict=True)]
    try:
        rest = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise _refused(str(error)) from error
    pieces = []
    for mark, message in zip(marks, messages, strict=True):
        before, found, rest = rest.partition(mark)
        if not found:
            raise _refused(f"it leaves out the {message.role} message")
        pieces += [before, message.content.strip()]
    return [*pieces, rest]


def _without_system(messages: Sequence[Message]) -> list[Message]:
    """The messages with each system message moved to the head of the next user message, or to a last one of its own."""
    made: list[Message] = []
    waiting: list[str] = []
    for message in messages:
        if message.role == "system":
            waiting.append(message.content.strip())
        elif message.role == "user" and waiting:
            made.append(replace(message, content="\n\n".join([*waiting, message.content.strip()])))
            waiting = []
        else:
            made.append(message)
    return [*made, Message("user", "\n\n".join(waiting))] if waiting else made


def _refused(reason: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The tokenizer's chat template cannot take these messages: {reason.rstrip('.')}.",
        remedy="Give messages that it takes (most templates want user and assistant to alternate), or another model.",
    )
