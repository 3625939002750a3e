"""The start of a document read once for all questions about it: the same answers in a fraction of the time.

The times of the answers include the reading of the whole prompt, measured once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.evaluation.systems.plain import check_window, plain_answer
from sharedllm_docs.injection.generate import finished, generate
from sharedllm_docs.model.completion import PlainDecoder
from sharedllm_docs.model.shared_llm import SharedLLM

BLOCK = 256
"""Prefixes end at a multiple of this, so that one serves questions that leave the document more or less room."""


class RewindingDecoder(PlainDecoder):
    """A plain decoder that can forget what it was fed last."""

    @property
    def tokens(self) -> int:
        """Number of tokens in the cache."""
        return int(self._cache.get_seq_length())

    @property
    def can_rewind(self) -> bool:
        """Whether tokens can be forgotten; not if some layers keep the latest tokens only."""
        return not any(getattr(layer, "is_sliding", False) for layer in self._cache.layers)

    def rewind(self, tokens: int) -> None:
        """Forget all but the first ``tokens``."""
        if self.tokens > tokens:
            self._cache.crop(tokens - self.tokens)


class _Continued:
    """Takes a whole prompt whose start the decoder has read already."""

    def __init__(self, decoder: RewindingDecoder) -> None:
        self._decoder = decoder
        self._read = decoder.tokens

    def feed(self, sequences: Sequence[Sequence[int]], *, all_logits: bool = False) -> torch.Tensor:
        """See ``PlainDecoder.feed``."""
        rest, self._read = list(sequences[0])[self._read :], 0
        return self._decoder.feed([rest], all_logits=all_logits)


@dataclass(frozen=True)
class _Prefix:
    """The start of a prompt that was read.

    Attributes:
        ids: its tokens.
        decoder: has read it, and perhaps the tokens of the last question after it.
        seconds: time that reading it took.
    """

    ids: tuple[int, ...]
    decoder: RewindingDecoder
    seconds: float

    def serves(self, ids: Sequence[int], shareable: int) -> bool:
        """Whether a prompt whose first ``shareable`` tokens come from the document starts with these tokens."""
        return len(self.ids) <= shareable and tuple(ids[: len(self.ids)]) == self.ids


@dataclass(frozen=True)
class Timed:
    """An answer to a prompt.

    Attributes:
        text: the answer.
        first_token_seconds: time from the prompt to the first token of the answer.
        total_seconds: time from the prompt to the end of the answer.
        shared: the start of the prompt had been read before; both times include what that took then.
    """

    text: str
    first_token_seconds: float
    total_seconds: float
    shared: bool = False


def timed_answer(llm: SharedLLM, ids: Sequence[int], generation: GenerationConfig) -> Timed:
    """Generate after a prompt that is read from its start.

    Raises:
        NotMeasurableError: prompt and answer exceed the window.
    """
    begun = time.perf_counter()
    result = plain_answer(llm, ids, generation)
    return Timed(result.text, result.first_token_seconds, time.perf_counter() - begun)


class PrefixReader:
    """Answers prompts; keeps the start of a prompt that it read last.

    Args:
        llm: the model.
        generation: settings of the answers.
    """

    def __init__(self, llm: SharedLLM, generation: GenerationConfig) -> None:
        self._llm = llm
        self._generation = generation
        self._kept: _Prefix | None = None

    def answer(self, ids: Sequence[int], shareable: int) -> Timed:
        """Generate after a prompt whose first ``shareable`` tokens are the same for other questions about the document.

        Raises:
            NotMeasurableError: prompt and answer exceed the window.
        """
        check_window(self._llm, len(ids) + self._generation.max_new_tokens, "The prompt with its answer")
        kept, shared = self._kept, True
        if kept is None or not kept.serves(ids, shareable):
            self.forget()  # before the next one is read, so that only one is in memory
            kept, shared = self._read(ids[: shareable // BLOCK * BLOCK]), False
        if kept is None:
            return timed_answer(self._llm, ids, self._generation)
        self._kept = kept
        begun = time.perf_counter()
        kept.decoder.rewind(len(kept.ids))
        decoder, tokenizer = _Continued(kept.decoder), self._llm.tokenizer
        done = finished(generate(decoder, [ids], tokenizer, self._generation, self._llm.end_ids))[0]
        total = kept.seconds + time.perf_counter() - begun
        return Timed(done.text, kept.seconds + done.first_token_seconds, total, shared)

    def forget(self) -> None:
        """Free the start that is kept."""
        self._kept = None

    def _read(self, ids: Sequence[int]) -> _Prefix | None:
        """Read the start of a prompt; None if it cannot be shared."""
        decoder = RewindingDecoder(self._llm.upper, self._llm.lock)
        if not ids or not decoder.can_rewind:
            return None
        begun = time.perf_counter()
        float(decoder.feed([ids])[0, 0])  # waits for an accelerator
        return _Prefix(tuple(ids), decoder, time.perf_counter() - begun)
