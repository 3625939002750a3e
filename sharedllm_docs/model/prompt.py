"""The prompt around the injected rows: a start before them; evidence, earlier turns, instructions and question after.

With a chat template the rows are inside the user's message; without one the same words are used as plain text.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sharedllm_docs.config import AnswerStyle, PromptStart
from sharedllm_docs.errors import UnsupportedModelError

STYLES: dict[AnswerStyle, str] = {
    "short": "Read the text and answer the question with a short phrase from the text.",
    "sentence": "Read the text and answer the question in one complete sentence.",
    "full": (
        "Read the text and answer the question in several complete sentences, with all that the text says about it. "
        "Say nothing that is not in the text."
    ),
}
"""What each style asks for; docs/log.md (prompt) has what was measured."""
OWN_STYLE = "Read the text and answer the question."
"""Stands before instructions of the user's own, where no style was chosen: they say how to answer."""

_DOCUMENT, _ASKED = "\u2402document\u2403", "\u2402asked\u2403"
_QUESTION = "Question: "


@dataclass(frozen=True)
class PromptTemplate:
    """Text before and after the injected rows.

    Attributes:
        start: text before the rows; its KV entries are computed once and stored rows depend on it, so it says
            nothing of how to answer, unless the wording is ``instructed``.
        after_question: text after the question; the answer follows.
        add_bos: put the tokenizer's beginning-of-sequence token before ``start``, as no chat template does it.
        wording: ``neutral``, or ``instructed`` where the start contains the instructions of the style ``short``, as it
            was in earlier versions: adapters and indexes that were made with it go on using it. Instructions then
            stand after the rows only for another style.
    """

    start: str
    after_question: str
    add_bos: bool = False
    wording: PromptStart = "neutral"

    @classmethod
    def of(cls, tokenizer: Any, wording: PromptStart = "neutral") -> PromptTemplate:
        """The prompt template for a tokenizer, by its chat template if it has one.

        Raises:
            UnsupportedModelError: the chat template fails, or leaves out the user's message.
        """
        plain = not getattr(tokenizer, "chat_template", None)
        user = f"Text: {_DOCUMENT}{_ASKED}\nAnswer:"
        if wording == "instructed":
            user = f"{STYLES['short']}\n\n{user}"
        text = user if plain else _in_chat(tokenizer, user)
        start, document, rest = text.partition(_DOCUMENT)
        between, asked, after = rest.partition(_ASKED)
        if not (document and asked) or between:
            raise _unusable("it leaves out the user's message")
        return cls(start, after, add_bos=plain, wording=wording)

    @property
    def before_question(self) -> str:
        """Text between the rows and the question of the style ``short``, without evidence or earlier turns."""
        return self._said("", "", self._instructions(None, ""), "")

    def start_ids(self, tokenizer: Any) -> tuple[int, ...]:
        """Token ids of ``start``."""
        ids = tokenizer(self.start, add_special_tokens=False)["input_ids"]
        bos = tokenizer.bos_token_id if self.add_bos else None
        return (bos, *ids) if bos is not None else tuple(ids)

    def question_ids(
        self,
        tokenizer: Any,
        question: str,
        evidence: str = "",
        conversation: str = "",
        *,
        style: AnswerStyle | None = None,
        instructions: str = "",
    ) -> tuple[int, ...]:
        """Token ids of the prompt after the rows.

        Args:
            tokenizer: the model's tokenizer.
            question: the user's words.
            evidence: text of the best leaves, quoted verbatim, or "".
            conversation: earlier messages as lines, or "".
            style: what the answer should be like; None for ``short``, unless there are instructions.
            instructions: the user's own, after those of the style, or "".
        """
        said = self._said(evidence, conversation, self._instructions(style, instructions), question)
        if not any(token in said for token in tokenizer.all_special_tokens):
            return tuple(tokenizer(said + self.after_question, add_special_tokens=False)["input_ids"])
        # special tokens written in a document or question are plain text: they cannot end the user's message
        ids = tokenizer(said, add_special_tokens=False, split_special_tokens=True)["input_ids"]
        return (*ids, *tokenizer(self.after_question, add_special_tokens=False)["input_ids"])

    def _said(self, evidence: str, conversation: str, instructions: str, question: str) -> str:
        before = "".join(f"\n\n{part.strip()}" for part in (evidence, conversation, instructions) if part.strip())
        return f"{before}\n\n{_QUESTION}{question.strip()}"

    def _instructions(self, style: AnswerStyle | None, own: str) -> str:
        if style is None and own.strip():
            wanted = OWN_STYLE
        elif self.wording == "instructed" and style in (None, "short"):
            wanted = ""
        else:
            wanted = STYLES[style or "short"]
        return f"{wanted} {own.strip()}".strip()


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
