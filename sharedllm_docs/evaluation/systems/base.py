"""The protocol between tasks and systems: questions about documents, and answers with what they cost."""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import NotMeasurableError

if TYPE_CHECKING:
    from sharedllm_docs.model.shared_llm import SharedLLM


@dataclass(frozen=True)
class SystemAnswer:
    """One answer and its cost.

    Attributes:
        text: the answer.
        pages: cited or retrieved pages, best first; empty for systems that cite none.
        nearest_pages: pages named as nearest to the question when the answer is that the document does not say.
        abstained: the system itself declined before its model was asked; the task judges what the text says.
        first_token_seconds: time from the question to the first token of the answer.
        total_seconds: time from the question to the end of the answer.
        bytes_read: bytes read from a store for this question.
        rows: number of rows injected per layer.
        prompt_tokens: number of tokens fed to the model as text.
        context: the text that the model could see, injected or verbatim; "" if it saw none.
        context_pages: the pages of that text.
        prefill_shared: the start of the document had been read for an earlier question; the times include what that
            took.
    """

    text: str
    pages: tuple[int, ...] = ()
    abstained: bool = False
    first_token_seconds: float = 0.0
    total_seconds: float = 0.0
    bytes_read: int = 0
    rows: int = 0
    prompt_tokens: int = 0
    context: str = ""
    context_pages: tuple[int, ...] = ()
    prefill_shared: bool = False
    nearest_pages: tuple[int, ...] = ()


@dataclass(frozen=True)
class Loss:
    """Negative log likelihood of a continuation.

    Attributes:
        nats: sum over its tokens.
        tokens: number of its tokens.
        seconds: time that it took.
        rows: number of rows injected per layer.
        prompt_tokens: number of tokens fed as text before the continuation.
        bytes_read: bytes read from a store.
    """

    nats: float
    tokens: int
    seconds: float = 0.0
    rows: int = 0
    prompt_tokens: int = 0
    bytes_read: int = 0


class System(ABC):
    """Answers questions about documents.

    Attributes:
        name: the specification it was made from; names its results and its line of the table.
        llm: the model that answers.
    """

    name: str
    llm: SharedLLM

    def prepare(self, documents: Sequence[Document]) -> float:
        """Do once what many questions share (encode, embed); returns the seconds it took, about 0 if done before."""
        begun = time.perf_counter()
        self._prepare(documents)
        return time.perf_counter() - begun

    @abstractmethod
    def _prepare(self, documents: Sequence[Document]) -> None:
        """Do what questions about these documents share."""

    @abstractmethod
    def answer(self, question: str, documents: Sequence[Document]) -> SystemAnswer:
        """Answer a question about documents that were prepared.

        Raises:
            NotMeasurableError: the system cannot take these documents.
        """

    def release(self) -> None:  # noqa: B027 - most systems keep nothing large
        """Free what was kept for further questions, so that it does not count as memory of what is measured next."""

    def continuation(self, past: Document, running: str, target: str) -> Loss:
        """Loss of ``target`` after ``past`` and ``running``.

        Args:
            past: the document that comes before.
            running: text between the past and the target, always seen as text.
            target: text to predict.

        Raises:
            NotMeasurableError: the system cannot continue text, or not after this much.
        """
        raise NotMeasurableError(
            f"System {self.name!r} answers questions and continues no text.",
            remedy="Measure perplexity with closed_book, first_8k, full_prefill, prefix or sharedllm.",
        )
