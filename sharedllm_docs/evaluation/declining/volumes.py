"""Questions with and without an answer over the same subject: articles in two volumes, each question asked of both.

The volumes of a pair contain alternate paragraphs of the same articles. One of them answers a question; the other is
about the same subject and does not. Nothing has to be hidden, so no stored row has attended to the answer.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import cached_property

from sharedllm_docs.documents.document import Document
from sharedllm_docs.evaluation.tasks.base import Example, QuestionTask, check_limit
from sharedllm_docs.evaluation.tasks.squad_haystack.data import Squad, check_even, squad_rows, wheel
from sharedllm_docs.evaluation.tasks.synthetic import document_of

ARTICLES = 5
"""Number of articles in a pair of volumes."""
QUESTIONS = 5
"""Maximum number of questions about one article: many subjects are more informative than many questions about one."""
LEAST_PARAGRAPHS = 4
"""Articles of fewer paragraphs leave too little in a volume."""


class Volumes(QuestionTask):
    """SQuAD questions (even ids), each asked of the volume with its paragraph and of the one without.

    Args:
        rows: questions; by default the even rows of the wheel, fetched at first use.
        report: called with a sentence before that.
    """

    name = "volumes"
    title = "SQuAD questions (even ids), each with and without its paragraph"
    main = "F1"
    max_new_tokens = 32

    def __init__(self, rows: Sequence[Squad] | None = None, report: Callable[[str], None] = lambda _text: None) -> None:
        self._rows = rows
        self._report = report

    def examples(self, limit: int | None, seed: int) -> list[Example]:
        """Pairs of examples, one with and one without an answer.

        Args:
            limit: maximum number of pairs; None for all.
            seed: of the order of the articles.
        """
        check_limit(limit)
        for row in self._questions:
            check_even(row.id)
        found: list[Example] = []
        for number, group in enumerate(self._groups(seed)):
            found += self._pairs(group, number, seed)
        return found[: None if limit is None else 2 * limit]

    @staticmethod
    def pair(example: Example) -> str:
        """Names the pair of volumes that an example is about."""
        return example.documents[0].name.rpartition("-")[0]

    @cached_property
    def _questions(self) -> Sequence[Squad]:
        return self._rows if self._rows is not None else squad_rows(wheel(self._report))

    def _groups(self, seed: int) -> list[list[list[Squad]]]:
        """Articles, each as the questions about it, in groups."""
        articles: dict[str, list[Squad]] = {}
        for row in self._questions:
            articles.setdefault(row.title, []).append(row)
        titles = sorted(t for t, rows in articles.items() if len({r.paragraph for r in rows}) >= LEAST_PARAGRAPHS)
        random.Random(f"volumes {seed}").shuffle(titles)
        return [[articles[t] for t in titles[at : at + ARTICLES]] for at in range(0, len(titles), ARTICLES)]

    def _pairs(self, group: Sequence[Sequence[Squad]], number: int, seed: int) -> list[Example]:
        paragraphs = [list(dict.fromkeys(row.paragraph for row in rows)) for rows in group]
        halves: list[Document] = [
            document_of(f"volumes-seed{seed}-{number:02d}-{half}.txt", [p for one in paragraphs for p in one[half::2]])
            for half in (0, 1)
        ]
        found = []
        for rows, own in zip(group, paragraphs, strict=True):
            for row in rows[:: math.ceil(len(rows) / QUESTIONS)]:
                half = own.index(row.paragraph) % 2
                found += [_example(row, halves[half], True), _example(row, halves[1 - half], False)]
        return found


def _example(row: Squad, document: Document, answerable: bool) -> Example:
    return Example(
        id=f"{row.id}-{'with' if answerable else 'without'}",
        documents=(document,),
        question=row.question,
        answers=row.answers if answerable else (),
        kind="span" if answerable else "absent",
        answerable=answerable,
    )
