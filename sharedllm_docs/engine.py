"""Answers questions from stored rows: selection, loading, injection, generation, citations.

Comes in: a model, prepared documents, a way to gather rows. Goes out: :class:`~sharedllm_docs.answer.Answer`. Does
not know where rows lie.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import torch

from sharedllm_docs.answer import NOT_SAID, Answer, Citation, Counts, Timings
from sharedllm_docs.cite import cite
from sharedllm_docs.config import GenerationSettings, QuestionSettings
from sharedllm_docs.errors import ConfigError, EmptyQuestionError, QuestionTooLongError
from sharedllm_docs.evidence import evidence_text, quoted
from sharedllm_docs.generate import Generated, Piece, generate
from sharedllm_docs.inject import InjectedDecoder, Injection, positions_of
from sharedllm_docs.messages import Message, transcript
from sharedllm_docs.model import SharedLLM
from sharedllm_docs.question import Searcher, Selection

MAX_BATCH = 8
NEXT_QUESTION = "\nQuestion:"


class RowSource(Protocol):
    """Gives stored rows of a selection."""

    def rows(self, selection: Selection) -> tuple[torch.Tensor, torch.Tensor, int]:
        """Unrotated keys and values [Ls, KV, R, D] in the selection's order, and the bytes read for them."""
        ...


@dataclass
class _Asked:
    """A question on its way to its answer."""

    question: str
    begun: float
    selection: Selection
    ids: tuple[int, ...] = ()
    injection: Injection | None = None
    bytes_read: int = 0
    select_seconds: float = 0.0
    load_seconds: float = 0.0


class AnswerStream:
    """Pieces of an answer's text as they become certain; :attr:`answer` is there once they are all taken.

    Attributes:
        sources: citations of the nodes that are injected, best first, known before the first piece. They are of the
            same passages as the answer's, but their quotes follow from the question alone, and they stay when the
            model then says that the document does not say.
    """

    def __init__(self, pieces: Iterator[str], holder: list[Answer], sources: tuple[Citation, ...] = ()) -> None:
        self._pieces = pieces
        self._holder = holder
        self.sources = sources

    def __iter__(self) -> Iterator[str]:
        yield from self._pieces

    @property
    def answer(self) -> Answer:
        """The complete answer; takes what is left of the stream first."""
        for _piece in self._pieces:
            pass
        return self._holder[0]


class Engine:
    """Answers questions over one index.

    Args:
        llm: the model that the index was made with.
        source: gives stored rows.
    """

    def __init__(self, llm: SharedLLM, source: RowSource) -> None:
        self.llm = llm
        self.source = source

    def ask_many(
        self,
        questions: Sequence[str],
        searcher: Searcher,
        settings: QuestionSettings,
        generation: GenerationSettings,
        conversation: Sequence[Message] = (),
    ) -> list[Answer]:
        """Answer questions, decoded together in batches; each has its own selection, all the same earlier turns."""
        asked = [self._prepare(question, searcher, settings, generation, conversation) for question in questions]
        found = [one for one in asked if one.injection is not None]
        done: dict[int, Generated] = {}
        size = 1 if self.llm.upper.config._attn_implementation.startswith("flash") else MAX_BATCH
        for start in range(0, len(found), size):
            batch = found[start : start + size]
            results: list[Generated] = []
            for _piece in self._generate(batch, generation, results):
                pass
            done |= {id(one): result for one, result in zip(batch, results, strict=True)}
        return [self._answer(one, done.get(id(one)), settings) for one in asked]

    def stream(
        self,
        question: str,
        searcher: Searcher,
        settings: QuestionSettings,
        generation: GenerationSettings,
        conversation: Sequence[Message] = (),
    ) -> AnswerStream:
        """Answer one question piece by piece."""
        one = self._prepare(question, searcher, settings, generation, conversation)
        holder: list[Answer] = []

        def pieces() -> Iterator[str]:
            results: list[Generated] = []
            if one.injection is None:
                yield NOT_SAID
            else:
                for piece in self._generate([one], generation, results):
                    yield piece.text
            holder.append(self._answer(one, results[0] if results else None, settings))

        sources = cite(one.selection, question, "", settings.max_citations) if one.injection is not None else ()
        return AnswerStream(pieces(), holder, sources)

    def select(
        self,
        question: str,
        searcher: Searcher,
        settings: QuestionSettings,
        generation: GenerationSettings,
        conversation: Sequence[Message] = (),
    ) -> Selection:
        """The nodes that would be injected for a question; earlier turns only take their room."""
        ids = self.llm.template.question_ids(self.llm.tokenizer, question, conversation=transcript(conversation))
        budget = self._budget(settings, len(ids) + self._evidence_tokens(settings), generation.max_new_tokens)
        vector = self.llm.embedder.encode([question])[0]
        hidden = None
        if settings.selector == "hidden-state":
            with self.llm.lock:
                words = self.llm.tokenizer(question, add_special_tokens=False)["input_ids"]
                hidden = self.llm.encoder.question_vector(words).float().cpu().numpy().astype(np.float32)
        return searcher.select(question, vector, settings, budget, hidden)

    # -- steps ------------------------------------------------------------------------------------------------------

    def _prepare(
        self,
        question: str,
        searcher: Searcher,
        settings: QuestionSettings,
        generation: GenerationSettings,
        conversation: Sequence[Message] = (),
    ) -> _Asked:
        if not question.strip():
            raise EmptyQuestionError(f"The question {question!r} is empty.", remedy="Ask something.")
        begun = time.perf_counter()
        one = _Asked(question, begun, self.select(question, searcher, settings, generation, conversation))
        evidence = evidence_text(one.selection, quoted(one.selection, question, self._evidence_tokens(settings)))
        one.ids = self.llm.template.question_ids(self.llm.tokenizer, question, evidence, transcript(conversation))
        one.select_seconds = time.perf_counter() - one.begun
        if one.selection.relevance >= settings.relevance_floor:
            one.injection, one.bytes_read = self._load(one.selection)
            one.load_seconds = time.perf_counter() - one.begun - one.select_seconds
        return one

    def _evidence_tokens(self, settings: QuestionSettings) -> int:
        own = settings.evidence_tokens
        return self.llm.question_default("evidence_tokens") if own is None else own

    def _budget(self, settings: QuestionSettings, question_tokens: int, answer_tokens: int) -> int:
        """Rows that may be injected: as asked, within the window where rows take consecutive positions."""
        profile = self.llm.profile
        wanted = settings.budget or self.llm.question_default("budget")
        left = self.llm.window_left(question_tokens, answer_tokens)
        if left < 1:
            raise QuestionTooLongError(
                f"The question, with earlier turns and evidence, takes {question_tokens} tokens and the answer up to "
                f"{answer_tokens}; with the prompt's {len(self.llm.start_ids)} that exceeds the model's window of "
                f"{self.llm.upper.window}.",
                remedy="Shorten the question or the conversation, or lower max_new_tokens or evidence_tokens.",
            )
        if profile.positions != "token":
            return wanted
        if settings.budget is not None and settings.budget > left:
            raise ConfigError(
                f"budget={settings.budget} rows exceed the {left} that the model's window of {self.llm.upper.window} "
                "leaves beside prompt, question and answer.",
                remedy=f"Use a budget of at most {left}.",
            )
        return min(wanted, left)

    def _load(self, selection: Selection) -> tuple[Injection, int]:
        keys, values, read = self.source.rows(selection)
        front_tokens = len(self.llm.start_ids) if self.llm.profile.fusion == "joint" else 0
        positions, query_position = positions_of(self.llm.profile, selection.places(), front_tokens)
        return Injection(keys, values, torch.tensor(positions, dtype=torch.long), query_position), read

    def _generate(
        self, batch: Sequence[_Asked], generation: GenerationSettings, results: list[Generated]
    ) -> Iterator[Piece]:
        llm = self.llm
        joint = llm.profile.fusion == "joint"
        # where nothing stands in a cache in front, the prompt's start is fed with the question
        fed = [one.ids if joint else (*llm.start_ids, *one.ids) for one in batch]
        injections = [one.injection for one in batch if one.injection is not None]
        with InjectedDecoder(
            llm.upper,
            llm.profile,
            injections,
            front=llm.front,
            blocks=llm.blocks,
            capacity=max(map(len, fed)) + generation.max_new_tokens,
            lock=llm.lock,
            steps=lambda: llm.steps,
        ) as decoder:
            # a small model may go on with a question of its own, as the prompt has it
            ends = replace(generation, stop=(*generation.stop, NEXT_QUESTION))
            yield from generate(decoder, fed, llm.tokenizer, ends, llm.end_ids, results)

    def _answer(self, one: _Asked, result: Generated | None, settings: QuestionSettings) -> Answer:
        selection = one.selection
        said = result is not None and not result.text.strip().lower().startswith(NOT_SAID.lower().rstrip("."))
        text = result.text.strip() if result else NOT_SAID
        passages = cite(selection, one.question, text if said else "", settings.max_citations)
        before = one.select_seconds + one.load_seconds
        return Answer(
            question=one.question,
            text=text,
            citations=passages if said else (),
            nearest=() if said else passages,
            found=said,
            relevance=selection.relevance,
            finish_reason=result.finish_reason if result else "not-found",
            timings=Timings(
                one.select_seconds,
                one.load_seconds,
                before + result.first_token_seconds if result else before,
                time.perf_counter() - one.begun,
            ),
            counts=Counts(
                documents=len(selection.documents),
                chunks=len(selection.candidates),
                nodes=len(selection.nodes) if result else 0,
                rows=one.injection.num_rows if one.injection else 0,
                bytes_read=one.bytes_read,
                question_tokens=len(one.ids) if result else 0,
                answer_tokens=len(result.ids) if result else 0,
            ),
        )
