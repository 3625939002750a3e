"""The pdfqa questions against the PDFs, and the checker against rows that are wrong on purpose."""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections import Counter
from pathlib import Path

import pytest

from sharedllm_docs.errors import DocumentNotFoundError, EvaluationError
from sharedllm_docs.evaluation.metrics import is_abstention
from sharedllm_docs.evaluation.tasks.pdfqa import DOCUMENTS, KINDS, NO_ANSWER, Question, load_questions
from sharedllm_docs.evaluation.tasks.pdfqa import check as checker

EXAMPLES = Path(__file__).parents[1] / "examples"
README = Path(checker.__file__).with_name("README.md")
PDF_DIR_VARIABLE = "SHAREDLLM_DOCS_PDF_DIR"
GOOD = Question(
    id="x-1",
    document="R-intro.pdf",
    question="Which function does it?",
    answer="fix",
    variants=("fix()",),
    pages=(1,),
    page_groups=((1,),),
    kind="span",
    style="direct",
    evidence=("the simplest way is to use fix(xold)",),
    evidence_pages=(1,),
)
ABSENT = dataclasses.replace(
    GOOD,
    id="x-2",
    question="Which one not?",
    answer=NO_ANSWER,
    variants=(),
    pages=(),
    page_groups=(),
    kind="absent",
    evidence=(),
    evidence_pages=(),
    absent_terms=("ggplot",),
)
PAGES = ("Here the simplest way is to use fix(xold) and so on.", "Another page.")


def folder_with(document: str) -> Path:
    """The folder that holds the PDF; skips where only R-intro, which the repository ships, can be had."""
    if (EXAMPLES / document).is_file():
        return EXAMPLES
    folder = os.environ.get(PDF_DIR_VARIABLE)
    if not folder:
        pytest.skip(f"{document} is not in the repository: set {PDF_DIR_VARIABLE} to the folder that holds it")
    if not (Path(folder) / document).is_file():
        pytest.skip(f"{PDF_DIR_VARIABLE}={folder} holds no {document}")
    return Path(folder)


@pytest.fixture(scope="module")
def questions() -> tuple[Question, ...]:
    return load_questions()


# -- the shipped file ---------------------------------------------------------------------------------------------


def test_rows_are_consistent(questions: tuple[Question, ...]) -> None:
    assert checker.row_problems(questions) == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_evidence_stands_on_its_pages(document: str, questions: tuple[Question, ...]) -> None:
    pages = checker.page_texts(folder_with(document) / document)
    mine = [question for question in questions if question.document == document]
    assert len(mine) >= 30
    assert checker.page_problems(mine, pages) == []


def test_r_intro_ships_with_the_repository() -> None:
    assert (EXAMPLES / "R-intro.pdf").is_file()


def test_kinds_styles_and_yes_no_are_balanced(questions: tuple[Question, ...]) -> None:
    kinds = Counter(question.kind for question in questions)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 12
    assert kinds["absent"] >= 18
    styles = Counter(question.style for question in questions)
    assert 0.4 <= styles["paraphrase"] / len(questions) <= 0.6
    verdicts = Counter(question.answer for question in questions if question.kind == "yes-no")
    assert abs(verdicts["yes"] - verdicts["no"]) <= 2


def test_only_the_absent_answer_is_an_abstention(questions: tuple[Question, ...]) -> None:
    assert {q.kind for q in questions if any(is_abstention(answer) for answer in q.answers)} == {"absent"}


def test_questions_are_spread_over_each_document(questions: tuple[Question, ...]) -> None:
    for document in DOCUMENTS:
        pages = sorted({page for q in questions if q.document == document for page in q.pages})
        gaps = [later - earlier for earlier, later in itertools.pairwise(pages)]
        assert max(gaps) <= 6, (document, pages)


def test_the_readme_counts_what_the_file_holds(questions: tuple[Question, ...]) -> None:
    readme = README.read_text(encoding="utf-8")
    for document in DOCUMENTS:
        counts = Counter(question.kind for question in questions if question.document == document)
        cells = [document, *(str(counts[kind]) for kind in KINDS), str(sum(counts.values()))]
        assert f"| {' | '.join(cells)} |" in readme


# -- the checker --------------------------------------------------------------------------------------------------


def test_good_rows_have_no_problem() -> None:
    rows = [dataclasses.replace(GOOD, id=f"x-{i}", question=f"Question {i}?") for i in range(checker.MIN_ROWS)]
    assert checker.row_problems([*rows, dataclasses.replace(ABSENT, id="y")]) == []
    assert checker.page_problems([GOOD, ABSENT], PAGES) == []


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (dataclasses.replace(GOOD, document="R-exts.pdf"), "the other manuals are for judging only"),
        (dataclasses.replace(GOOD, kind="essay"), "kind 'essay' is none of"),
        (dataclasses.replace(GOOD, style="poem"), "style 'poem' is none of"),
        (dataclasses.replace(GOOD, answer="edit", variants=()), "stands in the evidence"),
        (dataclasses.replace(GOOD, answer="xol", variants=()), "stands in the evidence"),
        (dataclasses.replace(GOOD, answer="one two three four five six seven eight nine"), "has not 1 to 8 words"),
        (dataclasses.replace(GOOD, variants=("not mentioned in the document",)), "reads like an abstention"),
        (dataclasses.replace(GOOD, pages=(1, 2)), "are not the sorted pages of page_groups"),
        (dataclasses.replace(GOOD, page_groups=((1, 2),), pages=(1, 2)), "evidence stands on (1,)"),
        (dataclasses.replace(GOOD, page_groups=()), "page_groups is empty"),
        (dataclasses.replace(GOOD, kind="two-page"), "1 page groups do not suit the kind two-page"),
        (dataclasses.replace(GOOD, evidence_pages=(1, 1)), "1 quotes but 2 evidence_pages"),
        (dataclasses.replace(GOOD, evidence=("use  fix",)), "quote not normalised"),
        (dataclasses.replace(GOOD, absent_terms=("x",)), "absent_terms belong to absent answers only"),
        (dataclasses.replace(GOOD, kind="yes-no"), "a yes-no answer is yes or no"),
        (dataclasses.replace(ABSENT, answer="none"), "an absent answer must read"),
        (dataclasses.replace(ABSENT, pages=(1,)), "neither pages nor evidence"),
        (dataclasses.replace(ABSENT, absent_terms=()), "absent_terms is empty"),
        (dataclasses.replace(ABSENT, absent_terms=("  ",)), "absent_terms is empty"),
    ],
)
def test_a_wrong_row_is_reported(row: Question, message: str) -> None:
    assert any(problem.startswith(f"{row.id}: ") and message in problem for problem in checker.row_problems([row]))


def test_repetitions_and_too_few_rows_are_reported() -> None:
    problems = checker.row_problems([GOOD, GOOD])
    assert "2 rows, fewer than 90" in problems
    assert "the id 'x-1' occurs 2 times" in problems
    assert "the question 'Which function does it?' occurs 2 times" in problems


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (dataclasses.replace(GOOD, evidence=("use edit(xold)",)), "not on page 1: 'use edit(xold)'"),
        (dataclasses.replace(GOOD, evidence_pages=(2,)), "not on page 2"),
        (dataclasses.replace(GOOD, evidence_pages=(0,)), "page 0 is not one of the 2 pages"),
        (dataclasses.replace(GOOD, evidence_pages=(3,)), "page 3 is not one of the 2 pages"),
        (dataclasses.replace(ABSENT, absent_terms=("ANOTHER page",)), "the document does contain 'ANOTHER page'"),
    ],
)
def test_a_row_that_the_pages_contradict_is_reported(row: Question, message: str) -> None:
    assert [message in problem for problem in checker.page_problems([row], PAGES)] == [True]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("25 pack\u0002\r\nages", "25 packages"),
        ("soft\u00ad hyphen", "softhyphen"),
        ("con-\r\nducted", "conducted"),
        ("S-\nPlus and R-\n2", "S- Plus and R- 2"),
        ("10 - \n x", "10 - x"),
        ("two\n\n  lines\t", "two lines"),
    ],
)
def test_page_text_is_normalised(raw: str, expected: str) -> None:
    assert checker.normalise_page_text(raw) == expected


# -- files and the command ----------------------------------------------------------------------------------------


def row_of(question: Question) -> dict[str, object]:
    row: dict[str, object] = json.loads(json.dumps(dataclasses.asdict(question)))
    return row


def test_rows_survive_the_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("".join(json.dumps(row_of(q)) + "\n" for q in (GOOD, ABSENT)), encoding="utf-8")
    assert load_questions(path) == (GOOD, ABSENT)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1 is not JSON"),
        ("[1]", "line 1 is list, not an object"),
        ('{"id": "x"}', "question 'x': missing fields"),
        (json.dumps({**row_of(GOOD), "colour": "red"}), r"unknown fields \['colour'\]"),
        (json.dumps({**row_of(GOOD), "variants": "fix"}), r"wrong type or empty text in \['variants'\]"),
        (json.dumps({**row_of(GOOD), "page_groups": [1]}), r"wrong type or empty text in \['page_groups'\]"),
        (json.dumps({**row_of(GOOD), "answer": " "}), r"wrong type or empty text in \['answer'\]"),
    ],
)
def test_a_malformed_file_is_refused(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match=message):
        load_questions(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="no questions file at"):
        load_questions(tmp_path / "none.jsonl")


def test_a_missing_pdf_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DocumentNotFoundError, match="no PDF at"):
        checker.page_texts(tmp_path / "R-intro.pdf")
    with pytest.raises(DocumentNotFoundError, match=r"R-lang\.pdf is not in .*r-doc-pdf"):
        checker.find_pdf("R-lang.pdf", [tmp_path])


def test_the_command_passes_on_the_shipped_document(capsys: pytest.CaptureFixture[str]) -> None:
    assert checker.main(["--pdf-dir", str(EXAMPLES), "--document", "R-intro.pdf"]) == 0
    assert "questions, no problems" in capsys.readouterr().out


def test_the_command_prints_problems_and_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(row_of(GOOD)) + "\n", encoding="utf-8")
    code = checker.main(["--questions", str(path), "--pdf-dir", str(EXAMPLES), "--document", "R-intro.pdf"])
    printed = capsys.readouterr().out
    assert code == 1
    assert "1 rows, fewer than 90" in printed
    assert "x-1: not on page 1" in printed


def test_the_command_says_what_to_do_without_pdfs(capsys: pytest.CaptureFixture[str]) -> None:
    assert checker.main(["--document", "R-lang.pdf"]) == DocumentNotFoundError.exit_code
    assert "R-lang.pdf is not in any folder, since none was named" in capsys.readouterr().err
