"""Questions about three R manuals: the examples of ``questions.jsonl``, with the PDFs that they are about."""

from __future__ import annotations

import random
from pathlib import Path

from sharedllm_docs.documents.document import Document
from sharedllm_docs.evaluation.tasks.base import DocumentQuestions, Example, check_limit
from sharedllm_docs.evaluation.tasks.options import TaskOptions
from sharedllm_docs.evaluation.tasks.pdfqa.data import find_pdf
from sharedllm_docs.evaluation.tasks.pdfqa.questions import QUESTIONS_PATH, Question, load_questions


class PdfQa(DocumentQuestions):
    """See the folder's README.

    Args:
        options: folders with the PDFs.
        questions: the questions file.
    """

    name = "pdfqa"
    title = "questions about three R manuals (113, 69 and 41 pages), one manual a question"
    main = "F1"
    max_new_tokens = 32

    def __init__(self, options: TaskOptions, questions: Path = QUESTIONS_PATH) -> None:
        self._options = options
        self._questions = questions
        self._documents: dict[str, Document] = {}

    def examples(self, limit: int | None, seed: int) -> list[Example]:
        check_limit(limit)
        questions = list(load_questions(self._questions))
        random.Random(seed).shuffle(questions)  # the file's order puts absent answers last
        return [self._example(question) for question in questions[:limit]]

    def _example(self, question: Question) -> Example:
        return Example(
            id=question.id,
            documents=(self._document(question.document),),
            question=question.question,
            answers=question.answers,
            kind=question.kind,
            page_groups=question.page_groups,
            evidence=question.evidence,
            answerable=question.kind != "absent",
        )

    def _document(self, name: str) -> Document:
        if name not in self._documents:
            from sharedllm_docs.documents.readers import read_document

            self._documents[name] = read_document(find_pdf(name, self._options.pdf_dirs, self._options.report))
        return self._documents[name]
