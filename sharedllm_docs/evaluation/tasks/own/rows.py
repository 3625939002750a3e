"""Questions files: JSON lines or CSV, row by row, as checked questions. Every bad row is reported with its line."""

from __future__ import annotations

import csv
import difflib
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.checks import is_int, json_of, shown
from sharedllm_docs.errors import EvaluationError

FIELDS = ("id", "file", "question", "answers", "pages", "kind")
ALIASES = {"answer": "answers", "page": "pages", "document": "file"}
"""Other names of fields: what people write who have one answer and one page a question."""
SUFFIXES = (".jsonl", ".ndjson", ".csv")
ABSENT, YES_NO = "absent", "yes-no"
SHOWN = 10
"""Maximum number of bad rows in one error."""
EITHER, BOTH = "|", "&"
"""In a cell of a CSV file: between answers or pages of which any will do; between pages that are all needed."""
_LONGEST_PAGE = 9
"""Maximum number of digits of a page's number."""
_SEPARATORS = re.compile(r"[|,;\s]+")


@dataclass(frozen=True)
class OwnQuestion:
    """One row.

    Attributes:
        line: the line of the file on which the row begins, from 1.
        id: unique in the file; ``line-N`` where the row has none.
        file: file name or path of the document asked, or "" to ask all files.
        question: in words.
        answers: accepted answers; empty where the documents have none.
        page_groups: what a citation must hit: one page of every group. Empty where pages do not count.
        kind: the user's own word; ``yes-no`` is scored by the first word of the answer.
    """

    line: int
    id: str
    file: str
    question: str
    answers: tuple[str, ...]
    page_groups: tuple[tuple[int, ...], ...]
    kind: str


class BadRowError(ValueError):
    """What is wrong with a row, and what to do about it, in one text."""


def is_questions_file(name: str) -> bool:
    """Whether a name is that of a questions file, by its suffix."""
    return Path(name).suffix.lower() in SUFFIXES


def load_own_questions(path: Path) -> tuple[OwnQuestion, ...]:
    """Read a questions file, in the file's order.

    Raises:
        EvaluationError: no such file, no questions in it, it is not UTF-8, or bad rows; each is named by its line, with
            what to do.
    """
    rows = list(_csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path))
    if not rows:
        raise EvaluationError(f"{path} contains no questions.", remedy="Write one question a line.")
    questions, problems = [], []
    first: dict[str, int] = {}
    for line, row in rows:
        try:
            question = _question(line, row() if callable(row) else row)
            if question.id in first:
                raise BadRowError(
                    f"id {shown(question.id)} is also that of line {first[question.id]}. Give each its own."
                )
            first[question.id] = line
            questions.append(question)
        except BadRowError as error:
            problems.append((line, str(error)))
    raise_for(path, problems)
    return tuple(questions)


def raise_for(path: Path, problems: Sequence[tuple[int, str]]) -> None:
    """Raise one EvaluationError that lists the bad rows (line, what is wrong and what to do), if there are any."""
    if not problems:
        return
    told = " ".join(f"Line {line}: {text}" for line, text in problems[:SHOWN])
    more = f" ... and {len(problems) - SHOWN} more." if len(problems) > SHOWN else ""
    count = "1 bad row" if len(problems) == 1 else f"{len(problems)} bad rows"
    raise EvaluationError(f"{path} has {count}. {told}{more}", remedy="Correct the file; nothing was measured.")


# -- files to rows ------------------------------------------------------------------------------------------------

_Row = Mapping[str, Any]
_Found = tuple[int, "_Row | Callable[[], _Row]"]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvaluationError(
            f"{path} is not UTF-8: byte {error.object[error.start]:#04x} at {error.start}.",
            remedy="Save it as UTF-8 (in a spreadsheet: CSV UTF-8).",
        ) from error
    except OSError as error:
        raise EvaluationError(
            f"the questions file {path} cannot be read: {error.strerror}.",
            remedy="Give the path of a JSONL or CSV file.",
        ) from error


def _json_rows(path: Path) -> Iterator[_Found]:
    for number, line in enumerate(_text(path).split("\n"), start=1):
        if line.strip():
            yield number, lambda line=line: _json_row(line)  # type: ignore[misc]


def _json_row(line: str) -> _Row:
    try:
        row = json_of(line)
    except json.JSONDecodeError as error:
        raise BadRowError(f"not JSON ({error.msg} at column {error.colno}). Write one JSON object a line.") from error
    except ValueError as error:
        raise BadRowError(f"not a question: {error}. Write one JSON object with the fields of a question.") from error
    if not isinstance(row, dict):
        raise BadRowError(f"{line.strip()[:40]!r} is not a JSON object. Write {{...}} with the fields of a question.")
    return row


def _csv_rows(path: Path) -> Iterator[_Found]:
    text = _text(path)
    heading = text.partition("\n")[0]
    delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    names: list[str] | None = None
    begun = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if names is None:
                    names = [_field(cell) for cell in cells]
                    _check_heading(path, names)
                else:
                    yield begun, lambda cells=cells, names=names: _csv_row(names, cells)  # type: ignore[misc]
            begun = reader.line_num + 1
    except csv.Error as error:
        # usually a quotation mark that is not closed, so that the rest of the file is one value
        if "field larger" in str(error):
            raise EvaluationError(
                f"{path} line {begun} has a cell of more than {csv.field_size_limit():,} characters.",
                remedy="Close the quotes of its cells, or write less into one.",
            ) from error
        raise EvaluationError(
            f"{path} line {begun} is not CSV: {error}.", remedy="Put quotes around cells with commas or quotes in them."
        ) from error


def _check_heading(path: Path, names: Sequence[str]) -> None:
    """The first line names the columns."""
    unknown = [name for name in names if name not in FIELDS]
    if unknown or "question" not in names or len(set(names)) < len(names):
        raise EvaluationError(
            f"{path} line 1 names the columns {', '.join(map(shown, names))}"
            f"{'; unknown: ' + ', '.join(map(shown, unknown)) if unknown else ''}.",
            remedy=f"Name columns in the first line, each once, out of {', '.join(FIELDS)}; question is needed.",
        )


def _csv_row(names: Sequence[str], cells: Sequence[str]) -> _Row:
    if len(cells) > len(names) and any(cell.strip() for cell in cells[len(names) :]):
        raise BadRowError(f"{len(cells)} cells for {len(names)} columns. Put quotes around cells with commas in them.")
    row: dict[str, Any] = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if cell.strip()}
    if "answers" in row:
        row["answers"] = [text.strip() for text in row["answers"].split(EITHER) if text.strip()]
    if "pages" in row:
        row["pages"] = [_numbers(group) for group in row["pages"].split(BOTH)]
    return row


def _numbers(cell: str) -> list[int]:
    parts = [part for part in _SEPARATORS.split(cell) if part]
    wrong = [part for part in parts if not (part.isascii() and part.isdigit()) or len(part) > _LONGEST_PAGE]
    if wrong or not parts:
        raise BadRowError(
            f"pages {shown(cell.strip())} are not page numbers. Write 7, or 7|8 where either will do, or 7&8 for both."
        )
    return [int(part) for part in parts]


# -- rows to questions --------------------------------------------------------------------------------------------


def _field(name: str) -> str:
    """The field that is meant by a name: capitals do not matter, and the singular will do."""
    plain = name.strip().lower()
    return ALIASES.get(plain, plain)


def _question(line: int, given: _Row) -> OwnQuestion:
    row = {_field(name): value for name, value in given.items()}
    if len(row) < len(given):
        raise BadRowError(f"one field twice among {', '.join(map(shown, given))}. Name each once.")
    for name in row:
        if name not in FIELDS:
            near = difflib.get_close_matches(name, FIELDS, 1, 0.6)
            meant = f"Is {near[0]!r} meant?" if near else f"Known are {', '.join(FIELDS)}."
            raise BadRowError(f"unknown field {shown(name)}. {meant}")
    answers = _answers(row.get("answers"))
    groups = _page_groups(row.get("pages"))
    kind = _string(row, "kind")
    if groups and not answers:
        raise BadRowError("pages, but no answers. Leave out pages where the documents have no answer, or add answers.")
    if kind == ABSENT and answers:
        raise BadRowError(f"kind {ABSENT!r}, but answers {shown(list(answers))}. Leave out the answers, or the kind.")
    if kind == YES_NO and answers and answers[0].strip().lower().rstrip(".") not in ("yes", "no"):
        raise BadRowError(f"kind {YES_NO!r}, but the first answer is {shown(answers[0])}. Write yes or no first.")
    question = _string(row, "question")
    if not question:
        raise BadRowError("no question. Add the field question.")
    return OwnQuestion(
        line, _id(row, line), _string(row, "file"), question, answers, groups, kind or ("" if answers else ABSENT)
    )


def _id(row: _Row, line: int) -> str:
    name = row.get("id")
    if name is None:
        return f"line-{line}"
    if is_int(name):
        return str(name)
    if not (isinstance(name, str) and name.strip()):
        raise BadRowError(f"id {shown(name)} is not text. Write a short name, or leave it out.")
    return name.strip()


def _string(row: _Row, name: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise BadRowError(f"{name} {shown(value)} is not text. Put it in quotes.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise BadRowError(f"{name} {shown(value)} contains half a character. Write it as UTF-8.") from error
    return value.strip()


def _answers(value: Any) -> tuple[str, ...]:
    listed = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(listed, list) or not all(isinstance(one, str) and one.strip() for one in listed):
        raise BadRowError(
            f"answers {shown(value)} are not a list of texts. Write the accepted answers as a list, and [] where there "
            "is none."
        )
    return tuple(one.strip() for one in listed)


def _page_groups(value: Any) -> tuple[tuple[int, ...], ...]:
    """Groups of pages; one flat list is one group."""
    listed = [] if value is None else [value] if is_int(value) else value
    groups = [listed] if isinstance(listed, list) and listed and all(map(is_int, listed)) else listed
    if not isinstance(groups, list) or not all(isinstance(group, list) and group for group in groups):
        raise BadRowError(
            f"pages {shown(value)} are not page numbers. Write [7], or [7, 8] where either will do, or [[7], [8]] for "
            "both."
        )
    wrong = [page for group in groups for page in group if not is_int(page) or page < 1]
    if wrong:
        raise BadRowError(f"page {shown(wrong[0])} is not a page number. Count pages from 1, as the PDF does.")
    return tuple(tuple(group) for group in groups)
