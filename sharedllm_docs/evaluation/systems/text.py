"""Baselines that read text with the engine's prompt: closed book, the first tokens, the whole document."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import DocumentTokens, tokenize
from sharedllm_docs.errors import NotMeasurableError
from sharedllm_docs.evaluation.systems.base import Loss, System, SystemAnswer
from sharedllm_docs.evaluation.systems.evidence import EvidenceFinder, Excerpt
from sharedllm_docs.evaluation.systems.plain import plain_loss
from sharedllm_docs.evaluation.systems.prefixes import PrefixReader, timed_answer
from sharedllm_docs.evaluation.systems.recent import Recent, identity
from sharedllm_docs.model.shared_llm import SharedLLM


class TextSystem(System):
    """Puts some of the documents' tokens where the engine injects rows; subclasses say which.

    Args:
        name: name of the system.
        llm: the model.
        generation: settings of the answers.
        evidence_tokens: tokens of text of the nearest leaves put after that, as the engine does; 0 = none.
        share: read the start of a document once for all questions about it, which changes neither answers nor times.
    """

    def __init__(
        self,
        name: str,
        llm: SharedLLM,
        generation: GenerationConfig,
        evidence_tokens: int = 0,
        *,
        share: bool = True,
    ) -> None:
        self.name = name
        self.llm = llm
        self.generation = generation
        self.evidence_tokens = evidence_tokens
        self._finder = EvidenceFinder(llm)
        self._reader = PrefixReader(llm, generation) if share else None
        self._tokens: Recent[tuple[str, str], DocumentTokens] = Recent()

    def read(self, total: int, room: int) -> slice:
        """Which of ``total`` tokens of text are read before a question, if the window has room for ``room`` of them."""
        raise NotImplementedError

    def read_past(self, total: int, room: int) -> slice:
        """Which of ``total`` tokens are read before a continuation; the same unless a system says otherwise."""
        return self.read(total, room)

    def _prepare(self, documents: Sequence[Document]) -> None:
        for document in documents:
            self._tokenized(document)
        if self.evidence_tokens:
            self._finder.prepare(documents)

    def answer(self, question: str, documents: Sequence[Document]) -> SystemAnswer:
        begun = time.perf_counter()
        found = Excerpt("", ())
        if self.evidence_tokens:
            found = self._finder.find(question, documents, self.evidence_tokens)
        asked = self.llm.template.question_ids(self.llm.tokenizer, question, found.text)
        room = self.llm.window_left(len(asked), self.generation.max_new_tokens)
        ids, context, pages = self._text_read(documents, room)
        fed = [*self.llm.start_ids, *ids, *asked]
        before = time.perf_counter() - begun
        if self._reader is None:
            result = timed_answer(self.llm, fed, self.generation)
        else:
            result = self._reader.answer(fed, len(self.llm.start_ids) + len(ids))
        return SystemAnswer(
            text=result.text.strip(),
            pages=found.pages,
            first_token_seconds=before + result.first_token_seconds,
            total_seconds=before + result.total_seconds,
            prompt_tokens=len(fed),
            context="\n\n".join(part for part in (context, found.text) if part),
            context_pages=tuple(dict.fromkeys((*pages, *found.pages))),
            prefill_shared=result.shared,
        )

    def release(self) -> None:
        if self._reader is not None:
            self._reader.forget()

    def continuation(self, past: Document, running: str, target: str) -> Loss:
        if self.evidence_tokens:
            raise NotMeasurableError(
                f"System {self.name!r} takes evidence, which a continuation has none of.",
                remedy="Measure perplexity without evidence.",
            )
        begun = time.perf_counter()
        running_ids, target_ids = (_ids(self.llm, text) for text in (running, target))
        tokens = self._tokenized(past)
        room = self.llm.window_left(len(running_ids), len(target_ids))
        kept = tokens.ids[self.read_past(len(tokens), room)].tolist()
        before = [*self.llm.start_ids, *kept, *running_ids]
        nats = plain_loss(self.llm, before, target_ids)
        return Loss(nats, len(target_ids), time.perf_counter() - begun, prompt_tokens=len(before))

    def _text_read(self, documents: Sequence[Document], room: int) -> tuple[list[int], str, list[int]]:
        """Token ids read, their text and its pages; documents follow one another."""
        tokens = [self._tokenized(document) for document in documents]
        ids = np.concatenate([one.ids for one in tokens])
        chosen = self.read(len(ids), room)
        left = len(ids[chosen])
        texts: list[str] = []
        pages: list[int] = []
        for document, one in zip(documents, tokens, strict=True):
            end = one.char_span(0, min(left, len(one)))[1] if left > 0 else 0
            if end:
                texts.append(document.text[:end])
                pages.extend(range(document.pages[0].number, document.page_at(end - 1).number + 1))
            left -= len(one)
        return ids[chosen].tolist(), "\n\n".join(texts), pages

    def _tokenized(self, document: Document) -> DocumentTokens:
        return self._tokens.get(identity(document), lambda: tokenize(document, self.llm.tokenizer))


class ClosedBook(TextSystem):
    """The question alone: what the model knows by heart."""

    def read(self, total: int, room: int) -> slice:
        return slice(0, 0)


class FirstTokens(TextSystem):
    """The first tokens of the document, as many as fit the window (8K by default) with prompt and answer.

    For a continuation the tokens nearest to it: the sliding window.
    """

    def __init__(
        self,
        name: str,
        llm: SharedLLM,
        generation: GenerationConfig,
        evidence_tokens: int = 0,
        *,
        window: int = 8192,
        share: bool = True,
    ) -> None:
        super().__init__(name, llm, generation, evidence_tokens, share=share)
        self.window = window

    def _room(self, room: int) -> int:
        return max(0, room - max(0, self.llm.upper.window - self.window))

    def read(self, total: int, room: int) -> slice:
        return slice(0, min(total, self._room(room)))

    def read_past(self, total: int, room: int) -> slice:
        return slice(max(0, total - self._room(room)), total)


class FullPrefill(TextSystem):
    """The whole document, where it fits the window."""

    def read(self, total: int, room: int) -> slice:
        if total > room:
            raise NotMeasurableError(
                f"{total} tokens of text exceed the {max(0, room)} that the model's window of "
                f"{self.llm.upper.window} leaves beside prompt, question and answer.",
                remedy="Use shorter documents or a model with a longer window.",
            )
        return slice(0, total)


def _ids(llm: SharedLLM, text: str) -> list[int]:
    ids: list[int] = llm.tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    return ids
