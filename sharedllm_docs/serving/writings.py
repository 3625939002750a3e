"""Answers generated step by step, so that several can share the model's steps (``batches``).

``Engine.stream``, ``SharedLLM.stream_chat`` and ``stream_complete`` do the same for a single question; tests compare
them.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import torch

from sharedllm_docs.config import GenerationConfig, generation_of
from sharedllm_docs.index.engine import Engine
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection
from sharedllm_docs.injection.generate import Generated, Writer
from sharedllm_docs.injection.running import RunningBatch
from sharedllm_docs.model.completion import Completion, check_window, prompt_ids
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.answer import NOT_SAID, Answer, Citation
from sharedllm_docs.retrieval.query import Query

T = TypeVar("T")


class Writing(ABC, Generic[T]):
    """A text in progress: it is begun, continued step by step and ended.

    Attributes:
        llm: the model that generates it.
        sources: citations of the injected rows.
        decoder: contains the question and its rows; None before it is begun.
    """

    sources: tuple[Citation, ...] = ()

    def __init__(self, llm: SharedLLM) -> None:
        self.llm = llm
        self.decoder: InjectedDecoder | None = None
        self._writer: Writer | None = None

    @property
    def done(self) -> bool:
        """Whether the last token has been generated."""
        return self._writer is None or self._writer.done

    @property
    def last_token(self) -> int:
        """The latest token."""
        return self._written.ids[-1]

    @property
    def _written(self) -> Generated:
        assert self._writer is not None, "not begun"
        return self._writer.result

    @property
    @abstractmethod
    def batch_key(self) -> tuple[object, ...]:
        """Equal for writings that can be decoded together."""

    @abstractmethod
    def new_batch(self) -> RunningBatch:
        """A batch that it can join."""

    @abstractmethod
    def begin(self) -> str:
        """Process the prompt and generate the first token; returns the text that is final."""

    @abstractmethod
    def end(self) -> tuple[str, T]:
        """The rest of the text, and the whole result."""

    def take(self, logits: torch.Tensor) -> str:
        """Sample the next token from logits [1, V]; returns the text that is final."""
        assert self._writer is not None, "not begun"
        return self._writer.take(logits)

    def close(self) -> None:
        """Free the memory of its rows."""
        if self.decoder is not None:
            self.decoder.__exit__(None, None, None)

    def _alone(self) -> tuple[object, ...]:
        """Part of the batch's key: flash attention supports no masks, so with it every text has a batch of its own."""
        return (id(self),) if self.llm.upper.config._attn_implementation.startswith("flash") else ()

    def _start(self, fed: Sequence[int], generation: GenerationConfig, begun: float, decoder: InjectedDecoder) -> str:
        self._writer = Writer(fed, self.llm.tokenizer, generation, self.llm.end_ids, begun)
        self.decoder = decoder
        decoder.__enter__()
        return self.take(decoder.feed([fed]))


class AnswerWriting(Writing[Answer]):
    """A question over documents. Making it selects nodes and loads their rows.

    Args:
        engine: of the documents that are asked.
        query: the question.
    """

    def __init__(self, engine: Engine, query: Query) -> None:
        super().__init__(engine.reader(query))
        self._engine = engine
        self._one = engine.prepare(query)
        self._editor = engine.editor(self._one)
        self.sources = engine.sources(self._one)

    @property
    def batch_key(self) -> tuple[object, ...]:
        """The same model, adapter and profile."""
        return id(self.llm.steps), self.llm.profile, id(self.llm.blocks), *self._alone()

    def new_batch(self) -> RunningBatch:
        """A batch of this model."""
        return RunningBatch(self.llm.steps, self.llm.profile, blocks=self.llm.blocks, lock=self.llm.lock)

    def begin(self) -> str:
        """Feed the question, unless nothing is relevant enough to ask the model."""
        one, engine = self._one, self._engine
        if one.injection is None:
            return NOT_SAID
        begun = one.begun + one.select_seconds + one.encode_seconds + one.load_seconds
        return self._start(engine.fed(one), engine.generation(one), begun, engine.decoder([one], writes=False))

    def take(self, logits: torch.Tensor) -> str:
        """Draw the next token; of an answer with marks, whole sentences are returned."""
        return self._editor.add(super().take(logits))

    def end(self) -> tuple[str, Answer]:
        """The rest of the text, and the answer: with its confidence, and with citations or declined."""
        if self._writer is None or self.decoder is None:
            return "", self._engine.answer(self._one, None)
        rest = self._editor.add(self._writer.finish()) + self._editor.finish()
        self._engine.weigh([self._one], [self._written], self.decoder)
        return rest, self._engine.answer(self._one, self._written, self._editor)


class PlainWriting(Writing[Completion]):
    """A prompt that the base model continues, without documents.

    Args:
        llm: the model.
        ids: token ids of the prompt.
        generation: how tokens are drawn.

    Raises:
        QuestionTooLongError: prompt and answer exceed the model's window.
    """

    def __init__(self, llm: SharedLLM, ids: Sequence[int], generation: GenerationConfig) -> None:
        super().__init__(llm)
        check_window(llm.base, len(ids), generation.max_new_tokens)
        self._ids, self._generation, self._begun = ids, generation, time.perf_counter()

    @property
    def batch_key(self) -> tuple[object, ...]:
        """The same base model."""
        return id(self.llm.base), "plain", *self._alone()

    def new_batch(self) -> RunningBatch:
        """A batch of the base model."""
        return RunningBatch(self.llm.base, self.llm.profile, lock=self.llm.lock)

    def begin(self) -> str:
        """Feed the prompt."""
        llm, arch = self.llm, self.llm.base
        shape = (len(llm.profile.injection_layers), arch.kv_heads, 0, arch.head_dim)
        nothing = torch.zeros(shape, dtype=arch.dtype, device=arch.device)
        none = Injection(nothing, nothing, torch.zeros(0, dtype=torch.long), 0)
        decoder = InjectedDecoder(arch, llm.profile, [none], capacity=len(self._ids), lock=llm.lock)
        return self._start(self._ids, self._generation, self._begun, decoder)

    def end(self) -> tuple[str, Completion]:
        """The rest of the text, and the completion."""
        assert self._writer is not None, "not begun"
        rest = self._writer.finish()
        return rest, Completion(
            text=self._written.text,
            finish_reason=self._written.finish_reason,
            prompt_tokens=len(self._ids),
            answer_tokens=len(self._written.ids),
            first_token_seconds=self._written.first_token_seconds,
            total_seconds=time.perf_counter() - self._begun,
        )


def chat_writing(llm: SharedLLM, messages: Sequence[Any], options: Mapping[str, Any]) -> PlainWriting:
    """The answer to a chat's last message, without documents; errors as for ``SharedLLM.chat``."""
    return PlainWriting(llm, *llm.chat_prompt(messages, options))


def completion_writing(llm: SharedLLM, prompt: str, options: Mapping[str, Any]) -> PlainWriting:
    """The continuation of a prompt, without documents; errors as for ``SharedLLM.complete``."""
    return PlainWriting(llm, prompt_ids(llm.tokenizer, prompt), generation_of(options))
