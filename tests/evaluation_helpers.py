"""Small tasks, texts and systems for the evaluation's tests: everything offline, on the tiny model."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.documents.document import Document
from sharedllm_docs.evaluation.systems.base import Loss, System, SystemAnswer
from sharedllm_docs.evaluation.systems.spec import SystemFactory, SystemSpec
from sharedllm_docs.evaluation.tasks.options import TaskOptions
from sharedllm_docs.evaluation.tasks.pdfqa.task import PdfQa
from sharedllm_docs.evaluation.tasks.squad_haystack.data import Paragraph, Squad
from sharedllm_docs.model.shared_llm import SharedLLM
from tests.tiny_text import tiny_document, tiny_llm, tiny_tokenizer

_WORDS = """
the river runs past old stone walls and quiet fields where sheep rest under tall trees while people walk along narrow
paths to market towns with bread cheese wool for sale every autumn morning before rain comes again
"""
WORDS = tuple(_WORDS.split())


@cache
def llm() -> SharedLLM:
    """The tiny model, shared: nothing changes it."""
    return tiny_llm()


def prose(sentences: int, seed: int = 0) -> str:
    """Sentences of common words."""
    rng = random.Random(seed)
    made = (" ".join(rng.choices(WORDS, k=rng.randint(5, 12))) for _sentence in range(sentences))
    return " ".join(f"{words[0].upper()}{words[1:]}." for words in made)


def text_file(folder: Path, sentences: int = 400) -> Path:
    path = folder / "prose.txt"
    path.write_text(prose(sentences), encoding="utf-8")
    return path


def options(folder: Path, *lengths: int, sentences: int = 400, page: int = 64) -> TaskOptions:
    """Options with pages of the tiny profile's 64 tokens, or more."""
    return TaskOptions(tiny_tokenizer(), page, lengths, (folder,), (text_file(folder, sentences),))


def factory(folder: Path, **changes: Any) -> SystemFactory:
    made: dict[str, Any] = {"llm": llm(), "folder": folder, "generation": GenerationConfig(max_new_tokens=4)}
    return SystemFactory(**(made | changes))


def system(text: str, folder: Path, **changes: Any) -> System:
    return factory(folder, **changes).make(SystemSpec.parse(text))


class Oracle(System):
    """Answers from a dictionary, and counts what it was asked."""

    def __init__(self, name: str, answers: dict[str, str], pages: Sequence[int] = ()) -> None:
        self.name = name
        self.llm = llm()
        self.answers = answers
        self.pages = tuple(pages)
        self.asked: list[str] = []

    def _prepare(self, documents: Sequence[Document]) -> None:
        assert documents

    def answer(self, question: str, documents: Sequence[Document]) -> SystemAnswer:
        self.asked.append(question)
        text = self.answers.get(question, "The document does not say.")
        return SystemAnswer(text, self.pages, context=documents[0].text, context_pages=(1,), prompt_tokens=1)

    def continuation(self, past: Document, running: str, target: str) -> Loss:
        return Loss(nats=2.0 * len(target), tokens=len(target))


def questions_file(folder: Path, count: int = 12) -> Path:
    """pdfqa rows about R-intro.pdf: spans, yes-no and absent ones in turn."""
    path = folder / "questions.jsonl"
    rows = []
    for number in range(count):
        kind = ("span", "yes-no", "absent")[number % 3]
        answer = {"span": f"word{number}", "yes-no": "no", "absent": "The document does not say."}[kind]
        rows.append(
            {
                "id": f"q-{number:03d}",
                "document": "R-intro.pdf",
                "question": f"Question number {number}?",
                "answer": answer,
                "variants": [],
                "pages": [] if kind == "absent" else [1],
                "page_groups": [] if kind == "absent" else [[1]],
                "kind": kind,
                "style": "direct",
                "evidence": [] if kind == "absent" else [f"it says word{number} here"],
                "evidence_pages": [] if kind == "absent" else [1],
            }
        )
    path.write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return path


class TinyPdfQa(PdfQa):
    """pdfqa with a text of one page in place of the manual."""

    def _document(self, name: str) -> Document:
        return tiny_document(prose(5), name=name)


def squad(count: int, articles: int = 6) -> list[Squad]:
    """Questions with even ids, on paragraphs of some articles."""
    return [
        Squad(
            f"{number:023x}{'02468ace'[number % 8]}",
            f"Article {number % articles}",
            f"Paragraph {number} says {prose(3, seed=number)}",
            f"What does paragraph {number} say?",
            (f"answer {number}",),
        )
        for number in range(count)
    ]


def hay(count: int) -> list[Paragraph]:
    return [Paragraph(f"Hay {number}", f"Hay {number}. {prose(4, seed=1000 + number)}") for number in range(count)]
