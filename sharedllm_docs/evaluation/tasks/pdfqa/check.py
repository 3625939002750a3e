"""A check of ``questions.jsonl`` against the text of the PDFs, which lists what is wrong.

Run as ``python -m sharedllm_docs.evaluation.tasks.pdfqa.check --pdf-dir FOLDER``. Reads the pages with pypdfium2
itself, not through the project's readers, so that a fault of a reader cannot hide a fault of a question.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from sharedllm_docs.errors import DocumentNotFoundError, SharedLLMError
from sharedllm_docs.evaluation.metrics import is_abstention
from sharedllm_docs.evaluation.tasks.pdfqa.questions import (
    DOCUMENTS,
    KINDS,
    NO_ANSWER,
    QUESTIONS_PATH,
    STYLES,
    Question,
    load_questions,
)

MIN_ROWS = 90
MAX_ANSWER_WORDS = 8
# pdfium writes U+0002 (other extractors U+FFFE or a soft hyphen) where a hyphen split a word at the end of a line.
_SPLIT_WORD = re.compile("[\u00ad\u0002\ufffe]\\s*")
_HYPHEN_AT_LINE_END = re.compile(r"(?<=[^\W\d_])-[ \t]*\r?\n\s*(?=[a-z])")


def normalise_page_text(text: str) -> str:
    """Rejoin words split at line ends and turn every run of whitespace into one blank."""
    joined = _HYPHEN_AT_LINE_END.sub("", _SPLIT_WORD.sub("", text))
    return " ".join(joined.split())


def page_texts(path: Path) -> tuple[str, ...]:
    """Normalised text of every page, first page first.

    Raises:
        DocumentNotFoundError: there is no such file.
    """
    import pypdfium2

    if not path.is_file():
        raise DocumentNotFoundError(f"no PDF at {path}.", remedy="Name the folder that holds it with --pdf-dir.")
    with pypdfium2.PdfDocument(path) as pdf:
        return tuple(normalise_page_text(page.get_textpage().get_text_bounded()) for page in pdf)


def row_problems(questions: Sequence[Question]) -> list[str]:
    """Problems of the questions themselves, without looking into a PDF."""
    problems = [f"{len(questions)} rows, fewer than {MIN_ROWS}"] if len(questions) < MIN_ROWS else []
    for what, counts in (
        ("id", Counter(q.id for q in questions)),
        ("question", Counter(q.question for q in questions)),
    ):
        problems += [f"the {what} {value!r} occurs {count} times" for value, count in counts.items() if count > 1]
    for question in questions:
        check = _absent_problems if question.kind == "absent" else _answered_problems
        problems += [f"{question.id}: {problem}" for problem in (*_common_problems(question), *check(question))]
    return problems


def page_problems(questions: Sequence[Question], pages: Sequence[str]) -> list[str]:
    """Problems of the questions about one document: what its normalised pages do not confirm."""
    whole = "\n".join(pages).casefold()
    problems = []
    for question in questions:
        for number, quote in zip(question.evidence_pages, question.evidence, strict=False):
            if not 1 <= number <= len(pages):
                problems.append(f"{question.id}: page {number} is not one of the {len(pages)} pages")
            elif quote not in pages[number - 1]:
                problems.append(f"{question.id}: not on page {number}: {quote!r}")
        present = [term for term in question.absent_terms if term.casefold() in whole]
        problems += [f"{question.id}: the document does contain {term!r}" for term in present]
    return problems


def _common_problems(question: Question) -> list[str]:
    problems = []
    if question.document not in DOCUMENTS:
        problems.append(
            f"document {question.document!r} is none of {DOCUMENTS}; the other manuals are for judging only"
        )
    if question.kind not in KINDS:
        problems.append(f"kind {question.kind!r} is none of {KINDS}")
    if question.style not in STYLES:
        problems.append(f"style {question.style!r} is none of {STYLES}")
    if len(question.evidence) != len(question.evidence_pages):
        problems.append(f"{len(question.evidence)} quotes but {len(question.evidence_pages)} evidence_pages")
    problems += [f"quote not normalised: {q!r}" for q in question.evidence if q != normalise_page_text(q)]
    return problems


def _absent_problems(question: Question) -> list[str]:
    problems = []
    if question.answer != NO_ANSWER:
        problems.append(f"an absent answer must read {NO_ANSWER!r}, not {question.answer!r}")
    if question.pages or question.page_groups or question.evidence or question.variants:
        problems.append("an absent answer has neither pages nor evidence nor variants")
    if not all(term.strip() for term in question.absent_terms) or not question.absent_terms:
        problems.append("absent_terms is empty")
    return problems


def _answered_problems(question: Question) -> list[str]:
    problems = _answer_problems(question)
    in_groups = {page for group in question.page_groups for page in group}
    if not question.page_groups or not all(question.page_groups):
        problems.append("page_groups is empty or has an empty group")
    if question.pages != tuple(sorted(in_groups)):
        problems.append(f"pages {question.pages} are not the sorted pages of page_groups {question.page_groups}")
    if set(question.evidence_pages) != in_groups:
        problems.append(f"evidence stands on {question.evidence_pages}, which are not the pages {question.pages}")
    if len(question.page_groups) != (2 if question.kind == "two-page" else 1):
        problems.append(f"{len(question.page_groups)} page groups do not suit the kind {question.kind}")
    if question.absent_terms:
        problems.append("absent_terms belong to absent answers only")
    return problems


def _answer_problems(question: Question) -> list[str]:
    problems = [f"answer {answer!r} reads like an abstention" for answer in question.answers if is_abstention(answer)]
    if not 1 <= len(question.answer.split()) <= MAX_ANSWER_WORDS:
        problems.append(f"answer {question.answer!r} has not 1 to {MAX_ANSWER_WORDS} words")
    if question.kind == "yes-no" and (question.answer not in ("yes", "no") or question.variants):
        problems.append(f"a yes-no answer is yes or no without variants, not {question.answers}")
    if question.kind in ("span", "number") and not any(_stands_in(a, question.evidence) for a in question.answers):
        problems.append(f"none of {question.answers} stands in the evidence")
    return problems


def _stands_in(answer: str, evidence: Sequence[str]) -> bool:
    pattern = re.compile(rf"(?<!\w){re.escape(answer)}(?!\w)", re.IGNORECASE)
    return any(pattern.search(quote) for quote in evidence)


def find_pdf(document: str, folders: Sequence[Path]) -> Path:
    """The first of ``folders`` that contains ``document``.

    Raises:
        DocumentNotFoundError: none does.
    """
    for folder in folders:
        if (folder / document).is_file():
            return folder / document
    searched = ", ".join(str(folder) for folder in folders) or "any folder, since none was named"
    raise DocumentNotFoundError(
        f"{document} is not in {searched}.",
        remedy="Unpack Debian's r-doc-pdf and name its folder usr/share/R/doc/manual with --pdf-dir.",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Check the file, print the problems, return 0 when there are none, else 1 (or the error's own exit code)."""
    parser = argparse.ArgumentParser(description="Check the pdfqa questions against the text of the PDFs.")
    parser.add_argument("--questions", type=Path, default=QUESTIONS_PATH, help="the questions file")
    parser.add_argument("--pdf-dir", type=Path, action="append", default=[], help="folder of PDFs; may be repeated")
    parser.add_argument("--document", action="append", choices=DOCUMENTS, help="only this PDF; may be repeated")
    options = parser.parse_args(argv)
    try:
        questions = load_questions(options.questions)
        problems = row_problems(questions)
        for document in options.document or DOCUMENTS:
            pages = page_texts(find_pdf(document, options.pdf_dir))
            problems += page_problems([q for q in questions if q.document == document], pages)
    except SharedLLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print("\n".join(problems) if problems else f"{len(questions)} questions, no problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
