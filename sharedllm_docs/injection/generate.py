"""Generation of answers, token by token, as pieces of text that will not change any more.

Works with any decoder that is fed tokens and returns logits. Sampling uses transformers' own logits processors.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from sharedllm_docs.config import GenerationConfig


class Decoder(Protocol):
    """A model that is fed tokens and returns the logits [B, V] of each sequence's last token."""

    def feed(self, sequences: Sequence[Sequence[int]], *, all_logits: bool = False) -> torch.Tensor: ...


@dataclass
class Generated:
    """One generated answer.

    Attributes:
        text: the answer, without stop string and special tokens.
        ids: generated token ids, the end token included.
        finish_reason: ``stop`` (end token or stop string) or ``length``.
        first_token_seconds: from the call until the first token was known.
        logprobs: log-likelihood of each generated token, as the model gave it (before temperature and penalties).
    """

    text: str = ""
    ids: list[int] = field(default_factory=list)
    finish_reason: str = "length"
    first_token_seconds: float = 0.0
    logprobs: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Piece:
    """A piece of the answer to question ``index`` that will not change any more."""

    index: int
    text: str


class _TextAssembler:
    """Text from token ids, piece by piece; holds back what may still change or begin a stop string."""

    def __init__(self, tokenizer: Any, stop: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.stop = stop
        self.ids: list[int] = []
        self.released = ""
        self.stopped = False

    def add(self, token: int) -> str:
        self.ids.append(token)
        return self._release(final=False)

    def finish(self) -> str:
        return "" if self.stopped else self._release(final=True)

    def _release(self, *, final: bool) -> str:
        text: str = self.tokenizer.decode(self.ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        cuts = [text.find(stop) for stop in self.stop if stop in text]
        if cuts:
            self.stopped = True
            text = text[: min(cuts)]
        elif not final:
            # an unfinished character decodes to U+FFFD, an unfinished stop string may still be completed
            text = text.rstrip("\ufffd")
            held = max((_overlap(text, stop) for stop in self.stop), default=0)
            text = text[: len(text) - held]
        if len(text) <= len(self.released):
            return ""
        piece, self.released = text[len(self.released) :], text
        return piece


def _overlap(text: str, stop: str) -> int:
    """Length of the longest end of ``text`` that begins ``stop``."""
    return next((n for n in range(min(len(stop), len(text)), 0, -1) if text.endswith(stop[:n])), 0)


def _processors(settings: GenerationConfig) -> Any:
    from transformers import LogitsProcessorList
    from transformers.generation.logits_process import (
        RepetitionPenaltyLogitsProcessor,
        TemperatureLogitsWarper,
        TopKLogitsWarper,
        TopPLogitsWarper,
    )

    chain = LogitsProcessorList()
    if settings.repetition_penalty != 1:
        chain.append(RepetitionPenaltyLogitsProcessor(float(settings.repetition_penalty)))
    if settings.temperature > 0:
        chain.append(TemperatureLogitsWarper(float(settings.temperature)))
        if settings.top_k:
            chain.append(TopKLogitsWarper(settings.top_k))
        if settings.top_p < 1:
            chain.append(TopPLogitsWarper(settings.top_p))
    return chain


class Sampler:
    """Chooses the next token of each question.

    Every question has its own random generator, so that an answer depends on its seed and not on its batch.
    """

    def __init__(self, settings: GenerationConfig, batch: int) -> None:
        self.greedy = settings.temperature == 0
        self.processors = _processors(settings)
        self.generators = [torch.Generator() for _ in range(batch)]
        for generator in self.generators:
            if settings.seed is None:
                generator.seed()
            else:
                generator.manual_seed(settings.seed)

    def next(self, contexts: Sequence[Sequence[int]], logits: torch.Tensor) -> list[int]:
        """The next id per question, from logits [B, V] and, for the repetition penalty, the tokens so far."""
        chosen = []
        for row, context in enumerate(contexts):
            seen = torch.tensor([list(context)], dtype=torch.long)
            scores = self.processors(seen, logits[row : row + 1].float().cpu())[0]
            if self.greedy:
                chosen.append(int(scores.argmax()))
            else:
                probabilities = torch.softmax(scores, dim=-1)
                chosen.append(int(torch.multinomial(probabilities, 1, generator=self.generators[row])))
        return chosen


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """Token ids that end an answer, from the generation config and the tokenizer."""
    configured = getattr(getattr(model, "generation_config", None), "eos_token_id", None)
    ids = configured if isinstance(configured, (list, tuple)) else [configured]
    return frozenset(i for i in (*ids, tokenizer.eos_token_id) if i is not None)


def logprobs_of(logits: torch.Tensor, tokens: Sequence[int]) -> list[float]:
    """Log-likelihood of one token per row of logits [B, V]."""
    scores = logits.float()
    chosen = scores.gather(1, torch.tensor(tokens, device=scores.device)[:, None])[:, 0]
    return [float(x) for x in (chosen - scores.logsumexp(dim=1)).cpu()]


class Writer:
    """Writes one answer: draws its tokens from logits and gives out the text that will not change any more.

    Args:
        question: token ids of the question, which the repetition penalty counts.
        tokenizer: for the text.
        settings: sampling, stop strings and length.
        ends: token ids that end an answer.
        begun: time of the performance counter at the start.

    Attributes:
        result: the answer so far.
        done: whether it is complete.
    """

    def __init__(
        self, question: Sequence[int], tokenizer: Any, settings: GenerationConfig, ends: frozenset[int], begun: float
    ) -> None:
        self.result = Generated()
        self.done = False
        self._question = question
        self._settings = settings
        self._ends = ends
        self._begun = begun
        self._assembler = _TextAssembler(tokenizer, settings.stop)
        self._sampler = Sampler(settings, 1)

    def take(self, logits: torch.Tensor) -> str:
        """Draw the next token from logits [1, V]; returns the text that is certain now."""
        result = self.result
        token = self._sampler.next([[*self._question, *result.ids]], logits)[0]
        if not result.ids:
            result.first_token_seconds = time.perf_counter() - self._begun
        result.ids.append(token)
        result.logprobs += logprobs_of(logits, [token])
        ended = token in self._ends
        piece = "" if ended else self._assembler.add(token)
        if ended or self._assembler.stopped:
            result.finish_reason = "stop"
        self.done = result.finish_reason == "stop" or len(result.ids) == self._settings.max_new_tokens
        return piece

    def finish(self) -> str:
        """Complete the result; returns the rest of its text."""
        piece = self._assembler.finish()
        self.result.text = self._assembler.released
        return piece


def generate(
    decoder: Decoder,
    questions: Sequence[Sequence[int]],
    tokenizer: Any,
    settings: GenerationConfig,
    ends: frozenset[int],
) -> Generator[Piece, None, list[Generated]]:
    """Generate answers to a batch of questions, yielding text as it becomes certain.

    Args:
        decoder: with the rows injected.
        questions: token ids of each question.
        tokenizer: for the text.
        settings: sampling, stop strings and length.
        ends: token ids that end an answer.

    Returns:
        one ``Generated`` per question, as the generator's return value.
    """
    begun = time.perf_counter()
    writers = [Writer(ids, tokenizer, settings, ends, begun) for ids in questions]
    logits = decoder.feed(questions)
    while True:
        for index, writer in enumerate(writers):
            if not writer.done and (piece := writer.take(logits[index : index + 1])):
                yield Piece(index, piece)
        if all(writer.done for writer in writers):
            break
        logits = decoder.feed([[writer.result.ids[-1]] for writer in writers])
    for index, writer in enumerate(writers):
        if piece := writer.finish():
            yield Piece(index, piece)
    return [writer.result for writer in writers]


def finished(pieces: Generator[Piece, None, list[Generated]]) -> list[Generated]:
    """The results of ``generate`` without its pieces."""
    stream = texts(pieces)
    while True:
        try:
            next(stream)
        except StopIteration as end:
            results: list[Generated] = end.value
            return results


def texts(pieces: Generator[Piece, None, list[Generated]]) -> Generator[str, None, list[Generated]]:
    """The text of each piece, returning the results of ``generate``."""
    while True:
        try:
            piece = next(pieces)
        except StopIteration as end:
            results: list[Generated] = end.value
            return results
        yield piece.text
