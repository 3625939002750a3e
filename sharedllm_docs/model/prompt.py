"""The prompt around the injected rows: a start before them, an end with the question after them.

With a chat template the rows are inside the user's message; without one the same words are used as plain text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sharedllm_docs.errors import UnsupportedModelError

INSTRUCTIONS = "Read the text and answer the question with a short phrase from the text."
"""Part of the user's message, after the template's own system prompt; docs/log.md (prompt) has what was measured."""

_DOCUMENT, _QUESTION = "\u2402document\u2403", "\u2402question\u2403"
_USER = f"{INSTRUCTIONS}\n\nText: {_DOCUMENT}\n\nQuestion: {_QUESTION}\nAnswer:"


@dataclass(frozen=True)
class PromptTemplate:
    """Text before and after the injected rows.

    Attributes:
        start: text before the rows; its KV entries are computed once.
        before_question: text between the rows and the question.
        after_question: text after the question; the answer follows.
        add_bos: put the tokenizer's beginning-of-sequence token before ``start``, as no chat template does it.
    """

    start: str
    before_question: str
    after_question: str
    add_bos: bool = False

    @classmethod
    def of(cls, tokenizer: Any) -> PromptTemplate:
        """The prompt template for a tokenizer, by its chat template if it has one.

        Raises:
            UnsupportedModelError: the chat template fails, or leaves out the user's message.
        """
        plain = not getattr(tokenizer, "chat_template", None)
        text = _USER if plain else _in_chat(tokenizer, _USER)
        start, document, rest = text.partition(_DOCUMENT)
        before, question, after = rest.partition(_QUESTION)
        if not (document and question):
            raise _unusable("it leaves out the user's message")
        return cls(start, before, after, add_bos=plain)

    def start_ids(self, tokenizer: Any) -> tuple[int, ...]:
        """Token ids of ``start``."""
        ids = tokenizer(self.start, add_special_tokens=False)["input_ids"]
        bos = tokenizer.bos_token_id if self.add_bos else None
        return (bos, *ids) if bos is not None else tuple(ids)

    def question_ids(
        self, tokenizer: Any, question: str, evidence: str = "", conversation: str = ""
    ) -> tuple[int, ...]:
        """Token ids of the prompt after the rows.

        Args:
            tokenizer: the model's tokenizer.
            question: the user's words.
            evidence: text of the best leaves, quoted verbatim, or "".
            conversation: earlier messages as lines, or "".
        """
        quoted = f"\n\n{evidence.strip()}" if evidence.strip() else ""
        earlier = f"\n\n{conversation.strip()}" if conversation.strip() else ""
        said = quoted + earlier + self.before_question + question.strip()
        if not any(token in said for token in tokenizer.all_special_tokens):
            return tuple(tokenizer(said + self.after_question, add_special_tokens=False)["input_ids"])
        # special tokens written in a document or question are plain text: they cannot end the user's message
        ids = tokenizer(said, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return (*ids, *tokenizer(self.after_question, add_special_tokens=False)["input_ids"])


def _in_chat(tokenizer: Any, user: str) -> str:
    """One user message in the tokenizer's chat template, up to where the answer begins."""
    from jinja2.exceptions import TemplateError

    messages = [{"role": "user", "content": user}]
    try:
        return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except TemplateError as error:
        raise _unusable(str(error)) from error


def _unusable(reason: str) -> UnsupportedModelError:
    return UnsupportedModelError(
        f"The tokenizer's chat template cannot be used: {reason}.", remedy="Use a model with a working chat template."
    )
