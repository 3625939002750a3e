"""Plain generation: the base model continues a prompt or answers messages, without documents or injection."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import DynamicCache

from sharedllm_docs.checks import check_text
from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.errors import EmptyQuestionError, QuestionTooLongError
from sharedllm_docs.injection.generate import generate, texts
from sharedllm_docs.model.messages import NEXT_TURN, Message, chat_ids
from sharedllm_docs.streams import Stream

if TYPE_CHECKING:
    from sharedllm_docs.model.shared_llm import SharedLLM


@dataclass(frozen=True)
class Completion:
    """A text that the model generated.

    Attributes:
        text: the text, without stop string and special tokens.
        finish_reason: ``stop`` or ``length``.
        prompt_tokens: number of tokens in the prompt, including those of the chat template.
        answer_tokens: number of tokens generated.
        first_token_seconds: seconds until the first token.
        total_seconds: seconds until the last token.
    """

    text: str
    finish_reason: str
    prompt_tokens: int
    answer_tokens: int
    first_token_seconds: float
    total_seconds: float

    def __str__(self) -> str:
        return self.text


class PlainDecoder:
    """A ``Decoder`` of one sequence that uses transformers' own cache.

    Args:
        llm: the model.
        adapted: use the upper model with the adapter's changes, which were trained for answers from injected rows;
            otherwise the base model.
    """

    def __init__(self, llm: SharedLLM, *, adapted: bool = False) -> None:
        self._llm = llm
        self._arch = llm.upper if adapted else llm.base
        self._cache = DynamicCache(config=self._arch.config)

    @torch.inference_mode()
    def feed(self, sequences: Sequence[Sequence[int]], *, all_logits: bool = False) -> torch.Tensor:
        """Feed token ids; logits [1, V] of the last token, or [1, S, V] with ``all_logits``."""
        ids = torch.tensor([list(sequences[0])], device=self._llm.device)
        lock: AbstractContextManager[Any] = self._llm.lock
        with lock:
            out = self._arch.model(
                ids, past_key_values=self._cache, use_cache=True, logits_to_keep=0 if all_logits else 1
            )
        logits: torch.Tensor = out.logits if all_logits else out.logits[:, -1]
        return logits


def complete(llm: SharedLLM, prompt: str, generation: GenerationConfig) -> Stream[Completion]:
    """Continue a prompt as it stands, without a template; special tokens written in it count as special tokens.

    Raises:
        EmptyQuestionError: the prompt has no words.
        QuestionError: the prompt is not valid Unicode.
        QuestionTooLongError: prompt and answer exceed the model's window.
    """
    if not prompt.strip():
        raise EmptyQuestionError(f"The prompt {prompt!r} is empty.", remedy="Say something.")
    check_text(prompt, "prompt")
    return stream(llm, llm.tokenizer(prompt, verbose=False)["input_ids"], generation)


def chat(llm: SharedLLM, messages: Sequence[Message], generation: GenerationConfig) -> Stream[Completion]:
    """Answer the last message through the chat template; see ``chat_ids``."""
    ids = chat_ids(llm.tokenizer, messages)
    if not getattr(llm.tokenizer, "chat_template", None):
        generation = replace(generation, stop=(*generation.stop, NEXT_TURN))
    return stream(llm, ids, generation)


def stream(llm: SharedLLM, ids: Sequence[int], generation: GenerationConfig) -> Stream[Completion]:
    """Generate text after these token ids, streamed. The length is checked before anything is computed.

    Raises:
        QuestionTooLongError: prompt and answer exceed the model's window.
    """
    check_window(llm, len(ids), generation.max_new_tokens)

    def pieces() -> Generator[str, None, Completion]:
        begun = time.perf_counter()
        generated = generate(PlainDecoder(llm), [ids], llm.tokenizer, generation, llm.end_ids)
        done = (yield from texts(generated))[0]
        return Completion(
            text=done.text,
            finish_reason=done.finish_reason,
            prompt_tokens=len(ids),
            answer_tokens=len(done.ids),
            first_token_seconds=done.first_token_seconds,
            total_seconds=time.perf_counter() - begun,
        )

    return Stream(pieces())


def check_window(llm: SharedLLM, prompt_tokens: int, answer_tokens: int) -> None:
    """Raise QuestionTooLongError unless prompt and answer fit the model's window."""
    if prompt_tokens + answer_tokens > llm.base.window:
        raise QuestionTooLongError(
            f"The prompt takes {prompt_tokens} tokens and the answer up to {answer_tokens}; together they exceed the "
            f"model's window of {llm.base.window}.",
            remedy="Shorten the prompt or the conversation, or lower max_new_tokens.",
        )
