"""Answers of a model with their signs, on questions with and without an answer: what the decision is fitted on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.config import GenerationConfig, RetrievalConfig
from sharedllm_docs.evaluation.declining.removed import WithoutPages
from sharedllm_docs.evaluation.declining.states import packed
from sharedllm_docs.evaluation.run_file import RunFile
from sharedllm_docs.evaluation.tasks.base import Example, QuestionTask
from sharedllm_docs.index.index import Index
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.query import Query


@dataclass(frozen=True)
class Case:
    """A question to collect signs for.

    Attributes:
        id: of the example, with ``-removed`` where its pages are hidden.
        source: name of the task.
        task: scores the answer.
        example: the question.
        group: questions of one group are about the same text: a fit is judged by groups that it has not seen.
        removed: pages that are hidden; the question has no answer then.
    """

    id: str
    source: str
    task: QuestionTask
    example: Example
    group: str
    removed: tuple[int, ...] = ()

    @property
    def answerable(self) -> bool:
        """Whether what is left of the documents answers the question."""
        return self.example.answerable and not self.removed


def cases_of(
    task: QuestionTask, limit: int | None, seed: int = 0, *, group: Callable[[Example], str] | None = None
) -> list[Case]:
    """Every example of a task, and each answerable one again without its pages.

    Args:
        task: brings the examples.
        limit: as for ``task.examples``.
        seed: likewise.
        group: names the group of an example; by default that of its documents.
    """
    cases = []
    for example in task.examples(limit, seed):
        own = group(example) if group else " ".join(d.name for d in example.documents)
        cases.append(Case(example.id, task.name, task, example, own))
        pages = tuple(sorted(set(sum(example.page_groups, ()))))
        if example.answerable and pages and _leaves_some(example, pages):
            cases.append(Case(f"{example.id}-removed", task.name, task, example, own, pages))
    return cases


def _leaves_some(example: Example, pages: Sequence[int]) -> bool:
    """Whether there is text beside these pages."""
    return any(page.text.strip() for d in example.documents for page in d.pages if page.number not in pages)


def collect(
    llm: SharedLLM,
    cases: Sequence[Case],
    folder: Path,
    file: RunFile,
    report: Callable[[str], None] = lambda _text: None,
) -> list[dict[str, Any]]:
    """Answers with their signs, one per case; those that the file contains are not asked again.

    Args:
        llm: the model with its adapter.
        cases: what to ask.
        folder: of the index.
        file: results so far.
        report: called with a sentence for each answer.
    """
    index = Index.open_or_create(folder, llm)
    keys: dict[str, str] = {}
    for number, case in enumerate(_in_order(cases), start=1):
        if (case.source, case.id) in file:
            continue
        for document in case.example.documents:
            if document.source_sha256 not in keys:
                report(f"Reading {document.name}")
                keys[document.source_sha256] = index.add(document, encode="when-asked").document.key
        asked = [keys[document.source_sha256] for document in case.example.documents]
        result = _measured(index, case, asked)
        file.add(result)
        report(f"{number}/{len(cases)} {case.id}: {result['text']!r}")
    found = {(result["system"], result["id"]): result for result in file.results}
    return [found[case.source, case.id] for case in cases]


def _in_order(cases: Sequence[Case]) -> list[Case]:
    """By document, and questions as they were written first: a run that stops early can be fitted."""
    first: dict[tuple[str, ...], int] = {}
    for case in cases:
        first.setdefault(tuple(d.source_sha256 for d in case.example.documents), len(first))
    return sorted(
        cases, key=lambda case: (bool(case.removed), first[tuple(d.source_sha256 for d in case.example.documents)])
    )


def _measured(index: Index, case: Case, keys: Sequence[str]) -> dict[str, Any]:
    settings = RetrievalConfig(relevance_floor=0.0, min_confidence=0.0)
    generation = GenerationConfig(max_new_tokens=case.task.max_new_tokens)
    query = Query(case.example.question, settings, generation, documents=keys)
    engine = index.engine(query)
    if case.removed:
        engine.searcher = WithoutPages(engine.searcher, engine.llm.profile, case.removed)
    begun = time.perf_counter()
    answer, signs, states = engine.examine(query)
    scores = case.task.score(case.example, answer.text) if case.answerable else {}
    return {
        "system": case.source,
        "id": case.id,
        "question": case.example.question,
        "answerable": case.answerable,
        "declined": not answer.found,
        "text": answer.text,
        "answers": list(case.example.answers),
        "f1": scores.get("f1", 0.0),
        "pages": list(answer.pages),
        "signs": {name: round(value, 5) for name, value in signs.items()},
        "group": case.group,
        "states": None if states is None else packed(states),
        "seconds": round(time.perf_counter() - begun, 4),
    }
