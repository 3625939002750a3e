"""Questions about three R manuals, each with its answer and the pages that prove it. See README.md beside this file."""

from sharedllm_docs.evaluation.tasks.pdfqa.questions import DOCUMENTS, KINDS, NO_ANSWER, Question, load_questions

__all__ = ["DOCUMENTS", "KINDS", "NO_ANSWER", "Question", "load_questions"]
