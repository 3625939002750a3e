"""Plain generation: the base model on token ids, without any injection.

Comes in: a prompt or messages. Goes out: a ``Completion``, whole or piece by piece. Knows no documents.
"""

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
    """What the model said.

    Attributes:
        text: without stop string and special tokens.
        finish_reason: ``stop`` or ``length``.
        prompt_tokens: fed, the template's own included.
        answer_tokens: generated.
        first_token_seconds: from the call until the first token was known.
        total_seconds: until the last one was.
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
    """The model with transformers' own cache (``Decoder``, one sequence).

    Args:
        llm: the model.
        adapted: with an adapter's change of the upper model, which was learnt for answers out of injected rows; else
            the base model as it is.
    """

    def __init__(self, llm: SharedLLM, *, adapted: bool = False) -> None:
        self._llm = llm
        self._arch = llm.upper if adapted else llm.base
        self._cache = DynamicCache(config=self._arch.config)

    @torch.inference_mode()
    def feed(self, sequences: Sequence[Sequence[int]], *, all_logits: bool = False) -> torch.Tensor:
        """Logits [1, V] of the last token ([1, S, V] with ``all_logits``)."""
        ids = torch.tensor([list(sequences[0])], device=self._llm.device)
        lock: AbstractContextManager[Any] = self._llm.lock
        with lock:
            out = self._arch.model(
                ids, past_key_values=self._cache, use_cache=True, logits_to_keep=0 if all_logits else 1
            )
        logits: torch.Tensor = out.logits if all_logits else out.logits[:, -1]
        return logits


def complete(llm: SharedLLM, prompt: str, generation: GenerationConfig) -> Stream[Completion]:
    """Go on with a prompt as it stands: no template, special tokens that it spells are special.

    Raises:
        EmptyQuestionError: the prompt has no words.
        QuestionError: it holds what is no character.
        QuestionTooLongError: prompt and answer exceed the window.
    """
    if not prompt.strip():
        raise EmptyQuestionError(f"The prompt {prompt!r} is empty.", remedy="Say something.")
    check_text(prompt, "prompt")
    return stream(llm, llm.tokenizer(prompt, verbose=False)["input_ids"], generation)


def chat(llm: SharedLLM, messages: Sequence[Message], generation: GenerationConfig) -> Stream[Completion]:
    """Answer the last of these messages through the chat template; see ``chat_ids``."""
    ids = chat_ids(llm.tokenizer, messages)
    if not getattr(llm.tokenizer, "chat_template", None):
        generation = replace(generation, stop=(*generation.stop, NEXT_TURN))
    return stream(llm, ids, generation)


def stream(llm: SharedLLM, ids: Sequence[int], generation: GenerationConfig) -> Stream[Completion]:
    """Generate after token ids, piece by piece; refused before anything is computed.

    Raises:
        QuestionTooLongError: prompt and answer exceed the window.
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
