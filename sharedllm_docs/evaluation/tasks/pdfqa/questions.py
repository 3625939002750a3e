"""The questions of ``questions.jsonl`` as frozen objects; ``check.py`` compares them with the PDFs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sharedllm_docs.checks import json_of
from sharedllm_docs.errors import EvaluationError

QUESTIONS_PATH = Path(__file__).with_name("questions.jsonl")
DOCUMENTS = ("R-intro.pdf", "R-lang.pdf", "R-data.pdf")
KINDS = ("span", "number", "two-page", "yes-no", "absent")
STYLES = ("direct", "paraphrase")
NO_ANSWER = "The document does not say."


@dataclass(frozen=True)
class Question:
    """One question about one document.

    Attributes:
        id: unique and stable, e.g. ``r-intro-007``.
        document: file name of the PDF that the question is about.
        question: as a user would type it.
        answer: the shortest full answer; ``NO_ANSWER`` where ``kind`` is ``absent``.
        variants: other answers that count as right.
        pages: every page (1-based, as the PDF counts) on which the evidence stands.
        page_groups: what a citation must hit: one page of every group. Empty where ``kind`` is ``absent``.
        kind: one of ``KINDS``.
        style: ``direct`` (in the document's words) or ``paraphrase`` (in the user's own).
        evidence: verbatim quotes from the pages, whitespace normalised.
        evidence_pages: the page of each quote.
        absent_terms: only for ``absent``: words any answer would need and that the document does not contain.
    """

    id: str
    document: str
    question: str
    answer: str
    variants: tuple[str, ...]
    pages: tuple[int, ...]
    page_groups: tuple[tuple[int, ...], ...]
    kind: str
    style: str
    evidence: tuple[str, ...]
    evidence_pages: tuple[int, ...]
    absent_terms: tuple[str, ...] = ()

    @property
    def answers(self) -> tuple[str, ...]:
        """All accepted answers, the answer itself first."""
        return (self.answer, *self.variants)

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Question:
        """Build from a JSON object.

        Raises:
            EvaluationError: a field is missing, unknown or of the wrong type.
        """
        known = {field.name for field in fields(cls)}
        missing = sorted(known - row.keys() - {"absent_terms"})
        unknown = sorted(row.keys() - known)
        if missing or unknown:
            raise EvaluationError(
                f"question {row.get('id', '(no id)')!r}: missing fields {missing}, unknown fields {unknown}.",
                remedy=f"Give every row exactly {', '.join(sorted(known))} (absent_terms only where needed).",
            )
        wrong = sorted(name for name, value in row.items() if not _well_typed(name, value))
        if wrong:
            raise EvaluationError(
                f"question {row['id']!r}: wrong type or empty text in {wrong}.",
                remedy="Texts are strings, pages are integers, and everything in the plural is a list.",
            )
        return cls(**{name: _frozen(value) for name, value in row.items()})


def load_questions(path: Path = QUESTIONS_PATH) -> tuple[Question, ...]:
    """Read a questions file with one JSON object per line, in the file's order.

    Raises:
        EvaluationError: no such file, a line that is not a JSON object (named by its number), or wrong fields.
    """
    if not path.is_file():
        raise EvaluationError(f"no questions file at {path}.", remedy="Give the path of a JSON-lines file.")
    questions = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json_of(line)
        except ValueError as error:
            raise EvaluationError(
                f"{path.name} line {number} is not JSON: {error}.", remedy="Write one JSON object a line."
            ) from error
        if not isinstance(row, dict):
            raise EvaluationError(
                f"{path.name} line {number} is {type(row).__name__}, not an object.",
                remedy="Write one JSON object a line.",
            )
        questions.append(Question.from_row(row))
    return tuple(questions)


def _well_typed(name: str, value: Any) -> bool:
    if name in ("id", "document", "question", "answer", "kind", "style"):
        return isinstance(value, str) and bool(value.strip())
    if name == "page_groups":
        return isinstance(value, list) and all(_is_list_of(int, group) for group in value)
    return _is_list_of(int if name in ("pages", "evidence_pages") else str, value)


def _is_list_of(kind: type, value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def _frozen(value: Any) -> Any:
    return tuple(_frozen(item) for item in value) if isinstance(value, list) else value
