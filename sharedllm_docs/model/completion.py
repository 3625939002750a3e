"""Plain generation: the base model continues a prompt or answers messages, without documents or injection."""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.checks import check_text
from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.errors import EmptyQuestionError, QuestionTooLongError
from sharedllm_docs.injection.generate import generate, texts
from sharedllm_docs.streams import Stream


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
        arch: the model that decodes.
        lock: held while the model computes.
    """

    def __init__(self, arch: Architecture, lock: AbstractContextManager[Any]) -> None:
        self._arch = arch
        self._lock = lock
        self._cache = DynamicCache(config=self._arch.config)

    @torch.inference_mode()
    def feed(self, sequences: Sequence[Sequence[int]], *, all_logits: bool = False) -> torch.Tensor:
        """Feed token ids; logits [1, V] of the last token, or [1, S, V] with ``all_logits``."""
        ids = torch.tensor([list(sequences[0])], device=self._arch.device)
        with self._lock:
            out = self._arch.model(
                ids, past_key_values=self._cache, use_cache=True, logits_to_keep=0 if all_logits else 1
            )
        logits: torch.Tensor = out.logits if all_logits else out.logits[:, -1]
        return logits


def prompt_ids(tokenizer: Any, prompt: str) -> Sequence[int]:
    """Token ids of a prompt as it stands, without a template; special tokens written in it count as special tokens.

    Raises:
        EmptyQuestionError: the prompt has no words.
        QuestionError: the prompt is not valid Unicode.
    """
    if not prompt.strip():
        raise EmptyQuestionError(f"The prompt {prompt!r} is empty.", remedy="Say something.")
    check_text(prompt, "prompt")
    ids: Sequence[int] = tokenizer(prompt, verbose=False)["input_ids"]
    return ids


def stream(
    arch: Architecture,
    lock: AbstractContextManager[Any],
    tokenizer: Any,
    ids: Sequence[int],
    generation: GenerationConfig,
    ends: frozenset[int],
) -> Stream[Completion]:
    """Generate text after token ids, streamed. The length is checked before anything is computed.

    Args:
        arch: the model.
        lock: held while the model computes.
        tokenizer: of the model.
        ids: the prompt.
        generation: length, sampling, stop strings, seed.
        ends: token ids that end the text.

    Raises:
        QuestionTooLongError: prompt and answer exceed the model's window.
    """
    check_window(arch, len(ids), generation.max_new_tokens)

    def pieces() -> Generator[str, None, Completion]:
        begun = time.perf_counter()
        generated = generate(PlainDecoder(arch, lock), [ids], tokenizer, generation, ends)
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


def check_window(arch: Architecture, prompt_tokens: int, answer_tokens: int) -> None:
    """Raise QuestionTooLongError unless prompt and answer fit the model's window."""
    if prompt_tokens + answer_tokens > arch.window:
        raise QuestionTooLongError(
            f"The prompt takes {prompt_tokens} tokens and the answer up to {answer_tokens}; together they exceed the "
            f"model's window of {arch.window}.",
            remedy="Shorten the prompt or the conversation, or lower max_new_tokens.",
        )
