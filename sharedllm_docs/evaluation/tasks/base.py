"""What a task is: examples with known answers, a way to measure a system on one, and the columns of its table.

Results are plain, JSON-ready dictionaries. Nothing here knows a model or a particular system.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.metrics import (
    Interval,
    abstention_intervals,
    bootstrap_interval,
    contains_answer,
    exact_match,
    is_abstention,
    page_hit,
    token_f1,
    yes_or_no,
)

if TYPE_CHECKING:
    from sharedllm_docs.evaluation.systems.base import System, SystemAnswer

Result = Mapping[str, Any]
_SHINGLE = 4


@dataclass(frozen=True)
class Example:
    """One question to measure.

    Attributes:
        id: unique in its task, and stable.
        documents: the documents asked.
        question: in words.
        answers: accepted answers; in tasks that say so, texts that are all wanted.
        kind: kind of question, for tables by kind.
        page_groups: pages that citations must hit, one of every group; empty where pages do not count.
        evidence: verbatim quotes that prove the answer.
        length: tokens of the documents in tasks of lengths, otherwise None.
        answerable: False where the right answer is that the document does not say.
    """

    id: str
    documents: tuple[Document, ...]
    question: str
    answers: tuple[str, ...]
    kind: str = ""
    page_groups: tuple[tuple[int, ...], ...] = ()
    evidence: tuple[str, ...] = ()
    length: int | None = None
    answerable: bool = True


@dataclass(frozen=True)
class Column:
    """A column of the table.

    Attributes:
        title: head of the column.
        summary: summarises the results of one system; gives None where there is nothing to count.
        digits: number of digits after the point.
        scale: factor applied before printing.
    """

    title: str
    summary: Callable[[Sequence[Result]], Interval | None]
    digits: int = 2
    scale: float = 1.0


class Task(ABC):
    """Examples and their measurement.

    Attributes:
        name: name on the command line.
        title: what it measures, in one line.
        main: title of the column that plots show.
        max_new_tokens: maximum length of an answer.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    main: ClassVar[str]
    max_new_tokens: ClassVar[int] = 48

    @abstractmethod
    def examples(self, limit: int | None, seed: int) -> list[Any]:
        """A sample drawn with the seed; a higher limit gives the same examples and more.

        Args:
            limit: maximum number of examples, for each length (and kind) where the task has several; None: all.
            seed: of the draw.

        Raises:
            EvaluationError: the task's data cannot be read or fetched.
        """

    @abstractmethod
    def measure(self, system: System, example: Any) -> dict[str, Any]:
        """Fields of the result of one example, JSON-ready.

        Raises:
            NotMeasurableError: the system cannot take the example.
        """

    @property
    @abstractmethod
    def columns(self) -> tuple[Column, ...]:
        """Columns of the table, from left to right."""

    def options(self) -> dict[str, Any]:
        """What changes the examples besides limit and seed; results of other options are never mixed."""
        return {}


def check_limit(limit: int | None) -> None:
    """Raise EvaluationError for a limit below 1."""
    if limit is not None and limit < 1:
        raise EvaluationError(f"limit is {limit}, below 1.", remedy="Measure at least one example.")


class QuestionTask(Task):
    """Questions with accepted answers; subclasses bring the examples, and perhaps another score."""

    def score(self, example: Example, text: str) -> dict[str, float]:
        """Scores of an answer to an answerable question, 0 to 1."""
        return {
            "em": exact_match(text, example.answers),
            "f1": token_f1(text, example.answers),
            "contains": contains_answer(text, example.answers),
        }

    def measure(self, system: System, example: Example) -> dict[str, Any]:
        prepared = system.prepare(example.documents)
        answer = system.answer(example.question, example.documents)
        return {
            "question": example.question,
            "text": answer.text,
            "answers": list(example.answers),
            "answerable": example.answerable,
            "abstained": answer.abstained or is_abstention(answer.text),
            "pages": list(answer.pages),
            "nearest_pages": list(answer.nearest_pages),
            "page_groups": [list(group) for group in example.page_groups],
            "scores": self._scores(example, answer),
            "context": context_flags(example, answer),
            "first_token_seconds": answer.first_token_seconds,
            "total_seconds": answer.total_seconds,
            "prepare_seconds": prepared,
            "bytes_read": answer.bytes_read,
            "rows": answer.rows,
            "prompt_tokens": answer.prompt_tokens,
            "prefill_shared": answer.prefill_shared,
        }

    def _scores(self, example: Example, answer: SystemAnswer) -> dict[str, float]:
        scores = self.score(example, answer.text) if example.answerable else {}
        if example.page_groups:
            for k in (1, 5):
                scores[f"page@{k}"] = page_hit(answer.pages, example.page_groups, k)
            scores["shown@5"] = page_hit(answer.pages or answer.nearest_pages, example.page_groups, 5)
        return scores

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*SCORE_COLUMNS, *COST_COLUMNS)


def context_flags(example: Example, answer: SystemAnswer) -> dict[str, float | bool]:
    """How much of the evidence the model could see: its pages, the share of its quotes, the words of the answer."""
    pages = set(answer.context_pages)
    return {
        "page": bool(example.page_groups) and all(pages & set(group) for group in example.page_groups),
        "evidence": evidence_share(example.evidence, answer.context) if example.evidence else 0.0,
        "answer": bool(answer.context and example.answers and contains_answer(answer.context, example.answers)),
    }


def evidence_share(quotes: Sequence[str], context: str) -> float:
    """Share of the runs of four words in the quotes that also occur in the context, 0 to 1; punctuation is ignored."""
    seen = _shingles(context)
    wanted = set().union(*map(_shingles, quotes))
    return len(wanted & seen) / len(wanted) if wanted else 0.0


def _shingles(text: str) -> set[tuple[str, ...]]:
    found = re.findall(r"\w+", text.lower())
    size = min(_SHINGLE, len(found))
    return {tuple(found[start : start + size]) for start in range(len(found) - size + 1)} if found else set()


# -- columns ------------------------------------------------------------------------------------------------------


def score_column(title: str, score: str) -> Column:
    """Mean of a score over the results that have it."""

    def summary(results: Sequence[Result]) -> Interval | None:
        values = [one["scores"][score] for one in results if score in one["scores"]]
        return bootstrap_interval(values) if values else None

    return Column(title, summary)


def abstention_column(title: str, which: int) -> Column:
    """Precision (``which`` 0) or recall (1) of abstaining."""

    def summary(results: Sequence[Result]) -> Interval | None:
        if not results:
            return None
        abstained, absent = [one["abstained"] for one in results], [not one["answerable"] for one in results]
        pair = abstention_intervals(abstained, absent)
        return pair[which]

    return Column(title, summary)


def median_column(title: str, name: str, *, digits: int = 2, scale: float = 1.0) -> Column:
    """Median of a field, with its interval."""

    def summary(results: Sequence[Result]) -> Interval | None:
        values = [one[name] for one in results if one.get(name) is not None]
        return bootstrap_interval(values, statistic=_median) if values else None

    return Column(title, summary, digits, scale)


def peak_column(title: str, name: str) -> Column:
    """Largest value of a field, in MiB, without an interval."""

    def summary(results: Sequence[Result]) -> Interval | None:
        values = [float(one[name]) for one in results if one.get(name) is not None]
        return Interval(max(values), max(values), max(values)) if values else None

    return Column(title, summary, 0, 1 / 2**20)


def _median(values: NDArray[np.float64]) -> float:
    return float(np.median(values))


SCORE_COLUMNS = (
    score_column("exact match", "em"),
    score_column("F1", "f1"),
    score_column("contains", "contains"),
    score_column("page@1", "page@1"),
    score_column("page@5", "page@5"),
    score_column("shown@5", "shown@5"),
)
"""How right answers and pages are."""

COST_COLUMNS = (
    median_column("first token s", "first_token_seconds"),
    median_column("total s", "total_seconds"),
    median_column("rows", "rows", digits=0),
    median_column("prompt tokens", "prompt_tokens", digits=0),
    median_column("MiB read", "bytes_read", scale=1 / 2**20),
    peak_column("peak MiB", "peak_bytes"),
)
"""Time, what was injected and read as text, and memory."""


class DocumentQuestions(QuestionTask):
    """Questions about real documents: kinds as in ``pdfqa``, and questions that have no answer among them."""

    def score(self, example: Example, text: str) -> dict[str, float]:
        if example.kind != "yes-no":
            return super().score(example, text)
        right = float(yes_or_no(text) == yes_or_no(example.answers[0]))
        return {"em": right, "f1": right, "contains": right}

    @property
    def columns(self) -> tuple[Column, ...]:
        abstention = (abstention_column("abst. P", 0), abstention_column("abst. R", 1))
        return (*SCORE_COLUMNS, *abstention, *COST_COLUMNS)
