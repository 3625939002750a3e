"""The protocol between tasks and systems. In: questions and documents. Out: answers with what they cost."""

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
        nearest_pages: named as nearest to the question beside an answer that the document does not say.
        abstained: the system itself declined before its model was asked; what the text says is judged by the task.
        first_token_seconds: from the question until the first token of the answer was known.
        total_seconds: until the answer was complete.
        bytes_read: from a store, for this question.
        rows: keys/values injected a layer.
        prompt_tokens: fed to the model as text.
        context: the text that the model could see, injected or verbatim; "" where it saw none.
        context_pages: the pages of that text.
        prefill_shared: the document's beginning had been read for an earlier question; the times hold what that took.
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
        nats: summed over its tokens.
        tokens: how many.
        seconds: that it took.
        rows: keys/values injected a layer.
        prompt_tokens: fed as text before the continuation.
        bytes_read: from a store.
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
        name: the specification it was made from; names its rows and its line of the table.
        llm: the model that answers.
    """

    name: str
    llm: SharedLLM

    def prepare(self, documents: Sequence[Document]) -> float:
        """Do once what many questions share (encode, embed); returns the seconds it took, about 0 when done before."""
        begun = time.perf_counter()
        self._prepare(documents)
        return time.perf_counter() - begun

    @abstractmethod
    def _prepare(self, documents: Sequence[Document]) -> None:
        """Make what questions about these documents share."""

    @abstractmethod
    def answer(self, question: str, documents: Sequence[Document]) -> SystemAnswer:
        """Answer a question about documents that were prepared.

        Raises:
            NotMeasurableError: the system cannot take these documents.
        """

    def release(self) -> None:  # noqa: B027 - most systems keep nothing large
        """Free what was kept for more questions: what is measured next should not carry its memory."""

    def continuation(self, past: Document, running: str, target: str) -> Loss:
        """Loss of ``target`` after ``past`` and ``running``.

        Args:
            past: what came before.
            running: text between the past and the target, always seen as text.
            target: what is to be predicted.

        Raises:
            NotMeasurableError: the system cannot continue text, or not after this much.
        """
        raise NotMeasurableError(
            f"System {self.name!r} answers questions and continues no text.",
            remedy="Measure perplexity with closed_book, first_8k, full_prefill, prefix or sharedllm.",
        )
