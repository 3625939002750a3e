"""Plain generation: the base model on token ids, without any injection.

Comes in: a prompt or messages. Goes out: a :class:`Completion`, whole or piece by piece. Knows no documents.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from transformers import DynamicCache

from sharedllm_docs.config import GenerationSettings
from sharedllm_docs.errors import EmptyQuestionError, QuestionTooLongError
from sharedllm_docs.generate import Generated, generate
from sharedllm_docs.messages import NEXT_TURN, Message, chat_ids, check_text


class Model(Protocol):
    """What plain generation needs of a :class:`~sharedllm_docs.model.SharedLLM`."""

    base: Any
    upper: Any
    tokenizer: Any
    end_ids: frozenset[int]
    lock: Any

    @property
    def device(self) -> torch.device: ...


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


class CompletionStream:
    """Pieces of text as they become certain; :attr:`completion` is there once they are all taken."""

    def __init__(self, pieces: Iterator[str], holder: list[Completion]) -> None:
        self._pieces = pieces
        self._holder = holder

    def __iter__(self) -> Iterator[str]:
        yield from self._pieces

    @property
    def completion(self) -> Completion:
        """The whole of it; takes what is left of the stream first."""
        for _piece in self._pieces:
            pass
        return self._holder[0]


class PlainDecoder:
    """The model with transformers' own cache (:class:`~sharedllm_docs.generate.Decoder`, one sequence).

    Args:
        llm: the model.
        adapted: with an adapter's change of the upper model, which was learnt for answers out of injected rows; else
            the base model as it is.
    """

    def __init__(self, llm: Model, *, adapted: bool = False) -> None:
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


def complete(llm: Model, prompt: str, generation: GenerationSettings) -> CompletionStream:
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


def chat(llm: Model, messages: Sequence[Message], generation: GenerationSettings) -> CompletionStream:
    """Answer the last of these messages through the chat template; see :func:`~sharedllm_docs.messages.chat_ids`."""
    ids = chat_ids(llm.tokenizer, messages)
    if not getattr(llm.tokenizer, "chat_template", None):
        generation = replace(generation, stop=(*generation.stop, NEXT_TURN))
    return stream(llm, ids, generation)


def stream(llm: Model, ids: Sequence[int], generation: GenerationSettings) -> CompletionStream:
    """Generate after token ids, piece by piece; refused before anything is computed.

    Raises:
        QuestionTooLongError: prompt and answer exceed the window.
    """
    check_window(llm, len(ids), generation.max_new_tokens)
    holder: list[Completion] = []

    def pieces() -> Iterator[str]:
        begun = time.perf_counter()
        results: list[Generated] = []
        for piece in generate(PlainDecoder(llm), [ids], llm.tokenizer, generation, llm.end_ids, results):
            yield piece.text
        done = results[0]
        holder.append(
            Completion(
                text=done.text,
                finish_reason=done.finish_reason,
                prompt_tokens=len(ids),
                answer_tokens=len(done.ids),
                first_token_seconds=done.first_token_seconds,
                total_seconds=time.perf_counter() - begun,
            )
        )

    return CompletionStream(pieces(), holder)


def check_window(llm: Model, prompt_tokens: int, answer_tokens: int) -> None:
    """Raise QuestionTooLongError unless prompt and answer fit the model's window."""
    if prompt_tokens + answer_tokens > llm.base.window:
        raise QuestionTooLongError(
            f"The prompt takes {prompt_tokens} tokens and the answer up to {answer_tokens}; together they exceed the "
            f"model's window of {llm.base.window}.",
            remedy="Shorten the prompt or the conversation, or lower max_new_tokens.",
        )
