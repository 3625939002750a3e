"""The rows of training data: a document of long text, or a question over a context; one JSON line each."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sharedllm_docs.checks import json_of

TRAIN, VALID, TEST, HELDOUT = "train", "valid", "test", "heldout-template"
SPLITS = (TRAIN, VALID, TEST, HELDOUT)


@dataclass(frozen=True)
class TextRow:
    """A document of long text.

    Attributes:
        id: ``source:path``, unique.
        source: the name in the source table.
        group: name shared by documents that follow one another in reading order and share a split.
        title: the heading, or the file's name.
        text: paragraphs separated by empty lines.
        split: ``train``, ``valid`` or ``test``.
        commercial: whether its licence allows commercial use; None in rows of older builds, which do not say.
    """

    id: str
    source: str
    group: str
    title: str
    text: str
    split: str
    commercial: bool | None = None

    @property
    def characters(self) -> int:
        """Number of characters that a model would read."""
        return len(self.text)


@dataclass(frozen=True)
class QuestionRow:
    """A question with its context.

    Attributes:
        id: ``kind-`` and a hash of context and question, unique.
        kind: the kind of question; one file per kind.
        source: where the context comes from (``made`` if a generator wrote it).
        doc: id of the document that the context comes from, empty if there is none.
        context: the text that answers the question (or, for ``absent``, does not).
        question: one question.
        answer: the answer to train on.
        answers: every accepted answer; the first is ``answer``.
        template: id of the template that worded the question, ``""`` if a person did.
        split: as for text; ``heldout-template`` if the template is kept out of training.
        commercial: whether its licence allows commercial use; None in rows of older builds, which do not say.
    """

    id: str
    kind: str
    source: str
    doc: str
    context: str
    question: str
    answer: str
    answers: tuple[str, ...]
    template: str
    split: str
    commercial: bool | None = None

    @property
    def characters(self) -> int:
        """Number of characters that a model would read."""
        return len(self.context) + len(self.question) + len(self.answer)


def digest(*parts: str, length: int = 16) -> str:
    """Hexadecimal SHA-256 over ``parts``, cut to ``length`` characters."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:length]


def split_of(key: str, *, valid: int = 5, test: int = 5) -> str:
    """The split of everything that shares ``key``; ``valid`` and ``test`` are percentages."""
    bucket = int.from_bytes(hashlib.sha256(f"split:{key}".encode()).digest()[:8], "big") % 100
    if bucket < test:
        return TEST
    return VALID if bucket < test + valid else TRAIN


def write_rows(path: Path, rows: Iterable[TextRow | QuestionRow]) -> int:
    """Write gzipped JSON lines, the same bytes for the same rows; returns their number.

    The file appears under its name only when it is complete.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    count = 0
    # An mtime and a name inside the gzip header would make two equal builds differ.
    with partial.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=5, fileobj=raw, mtime=0) as out:
        for row in rows:
            out.write(json.dumps(asdict(row), ensure_ascii=False).encode() + b"\n")
            count += 1
    partial.replace(path)
    return count


def read_text_rows(path: Path) -> Iterator[TextRow]:
    """Read the documents of a file that ``write_rows`` wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield TextRow(**json_of(line))


def read_question_rows(path: Path) -> Iterator[QuestionRow]:
    """Read the questions of a file that ``write_rows`` wrote."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            fields = json_of(line)
            yield QuestionRow(**{**fields, "answers": tuple(fields["answers"])})
