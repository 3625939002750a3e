"""A task from a questions file and the files that it asks about."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from sharedllm_docs.checks import shown
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.collect import collect
from sharedllm_docs.documents.readers.collected import Found, Skipped
from sharedllm_docs.errors import EmptyDocumentError, EvaluationError, UnknownFormatError
from sharedllm_docs.evaluation.tasks.base import DocumentQuestions, Example, check_limit
from sharedllm_docs.evaluation.tasks.own.rows import BadRowError, OwnQuestion, load_own_questions, raise_for


class OwnQuestions(DocumentQuestions):
    """See the folder's README. Questions and files are read and checked at once, before anything slow.

    Args:
        questions: JSONL or CSV.
        files: documents that the questions are about, or folders of them; files that rows name and that are not among
            these are looked for beside the questions file.
        report: called with a sentence for a file that no question asks about.

    Raises:
        EvaluationError: bad rows, told by line; no files; or two files of one name.
        DocumentError: a file cannot be read.
    """

    main = "F1"

    def __init__(
        self, questions: Path, files: Sequence[Path], report: Callable[[str], None] = lambda _text: None
    ) -> None:
        self.name = f"{questions.stem}-results"  # type: ignore[misc]  # never the name of the questions file
        self.title = f"the questions of {questions.name}"  # type: ignore[misc]
        self._path = questions
        self._questions = load_own_questions(questions)
        self._report = report
        self._files = dict.fromkeys(_in_folders(map(Path, files), questions, report))
        self._named = frozenset(map(Path, files))
        self._read: dict[Path, Document] = {}
        self._documents_or_not: dict[Path, bool] = {}
        self._asked = self._resolved()
        for file in self._files:
            if file in self._named and not any(file in paths for paths in self._asked.values()):
                report(f"{file} is asked by no question.")

    def options(self) -> dict[str, Any]:
        return {"questions": self._path.name}

    def examples(self, limit: int | None, seed: int) -> list[Example]:
        check_limit(limit)
        questions = list(self._questions)
        random.Random(seed).shuffle(questions)
        return [self._example(question) for question in questions[:limit]]

    # -- inner ----------------------------------------------------------------------------------------------------

    def _example(self, question: OwnQuestion) -> Example:
        documents = tuple(self._document(path) for path in self._asked[question.id])
        return Example(
            id=f"{question.id}-{_digest(question, documents)}",
            documents=documents,
            question=question.question,
            answers=question.answers,
            kind=question.kind,
            page_groups=question.page_groups,
            answerable=bool(question.answers),
        )

    def _resolved(self) -> dict[str, tuple[Path, ...]]:
        """The files of each question, read; by the question's id."""
        found: dict[str, tuple[Path, ...]] = {}
        problems = []
        for question in self._questions:
            try:
                found[question.id] = self._paths(question)
                self._check_pages(question, found[question.id])
            except BadRowError as error:
                problems.append((question.line, str(error)))
        raise_for(self._path, problems)
        return found

    def _paths(self, question: OwnQuestion) -> tuple[Path, ...]:
        if not question.file:
            found = tuple(path for path in self._files if self._is_document(path))
            if not found:
                raise BadRowError("no file, and --files gives no documents. Add the field file, or --files.")
            return found
        wanted = Path(question.file)
        fitting = [path for path in self._files if path.parts[-len(wanted.parts) :] == wanted.parts]
        if len(fitting) > 1:
            raise BadRowError(
                f"file {shown(question.file)} may be {' or '.join(map(str, fitting))}. Write more of its path."
            )
        beside = self._path.parent / wanted
        if not fitting and _is_file(beside):
            fitting = [beside]
        if not fitting:
            known = ", ".join(path.name for path in self._files) or "none"
            raise BadRowError(f"there is no file {shown(question.file)} (--files: {known}). Name it with --files.")
        return (fitting[0],)

    def _check_pages(self, question: OwnQuestion, paths: Sequence[Path]) -> None:
        documents = [self._document(path) for path in paths]
        if question.page_groups and len(documents) > 1:
            raise BadRowError("pages, but no file that they are pages of. Add the field file.")
        numbers = {page.number for document in documents for page in document.pages}
        wrong = [page for group in question.page_groups for page in group if page not in numbers]
        if wrong:
            raise BadRowError(f"{paths[0].name} has no page {wrong[0]}: pages are {min(numbers)} to {max(numbers)}.")

    def _is_document(self, path: Path) -> bool:
        """Whether a file can be asked: one out of a folder may be no document, one that was named must be."""
        if path not in self._documents_or_not:
            try:
                self._document(path)
                self._documents_or_not[path] = True
            except (UnknownFormatError, EmptyDocumentError) as error:
                if path in self._named:
                    raise
                self._report(f"{path} is left out: {error.message}")
                self._documents_or_not[path] = False
        return self._documents_or_not[path]

    def _document(self, path: Path) -> Document:
        if path not in self._read:
            from sharedllm_docs.documents.readers import read_document

            document = read_document(path)
            same = Counter(one.name for one in self._read.values())
            if same[document.name]:
                raise EvaluationError(
                    f"two of the files are called {document.name!r}.", remedy="Rename one, or measure them apart."
                )
            self._read[path] = document
        return self._read[path]


def _is_file(path: Path) -> bool:
    """Whether there is such a file; no name is too long to be asked for."""
    try:
        return path.is_file()
    except OSError:
        return False


def _in_folders(files: Iterable[Path], questions: Path, report: Callable[[str], None]) -> Iterator[Path]:
    """The files, and in place of each folder those in it and below it, but for the questions themselves."""
    for file in files:
        if not file.is_dir():
            yield file
            continue
        for found in collect([file], recursive=True):
            if isinstance(found, Skipped):
                report(f"{found.name} is left out: {found.reason}")
            elif isinstance(found, Found) and not isinstance(found.source, bytes):
                path = Path(found.source)
                if path.resolve() != questions.resolve():
                    yield path


def _digest(question: OwnQuestion, documents: Sequence[Document]) -> str:
    """Short digest of what is asked and wanted: an edited row or file is measured again, and the others are not."""
    wanted = [question.question, question.answers, question.page_groups, question.kind]
    whole = json.dumps([wanted, [document.source_sha256 for document in documents]])
    return hashlib.sha256(whole.encode()).hexdigest()[:8]
