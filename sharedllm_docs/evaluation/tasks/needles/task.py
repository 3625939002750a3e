"""Needles by length and kind. In: real text. Out: documents with sentences hidden in them; the score is the share of
the wanted texts that the answer holds."""

from __future__ import annotations

import random
from functools import cached_property
from typing import Any

from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.metrics import share_contained
from sharedllm_docs.evaluation.tasks.base import (
    COST_COLUMNS,
    Column,
    Example,
    QuestionTask,
    check_limit,
    score_column,
)
from sharedllm_docs.evaluation.tasks.needles.kinds import KINDS
from sharedllm_docs.evaluation.tasks.options import TaskOptions, chosen_lengths, length_label
from sharedllm_docs.evaluation.tasks.pages import cut_pages, document_of, filled, with_sentence
from sharedllm_docs.evaluation.tasks.texts import names_of, real_text

LENGTHS = (4096, 8192, 16384, 32768, 65536, 131072)
EXAMPLES = 20


class Needles(QuestionTask):
    """See the folder's README.

    Args:
        options: tokenizer, lengths (4K to 128K tokens by default), text.
    """

    name = "needles"
    title = "facts hidden in real text, in the manner of RULER, by length"
    main = "recall"
    max_new_tokens = 64

    def __init__(self, options: TaskOptions) -> None:
        self._options = options
        self._lengths = chosen_lengths(options, LENGTHS)

    def options(self) -> dict[str, Any]:
        return {"page_tokens": self._options.chunk_tokens, "texts": names_of(self._options)}

    def examples(self, limit: int | None, seed: int) -> list[Example]:
        check_limit(limit)
        numbers = range(EXAMPLES if limit is None else limit)
        return [self._example(length, kind, n, seed) for length in self._lengths for kind in KINDS for n in numbers]

    def score(self, example: Example, text: str) -> dict[str, float]:
        recall = share_contained(text, example.answers)
        return {"recall": recall, "all": float(recall == 1.0), example.kind: recall}

    @property
    def columns(self) -> tuple[Column, ...]:
        return (
            score_column("recall", "recall"),
            score_column("all found", "all"),
            *(score_column(kind, kind) for kind in KINDS),
            *COST_COLUMNS,
        )

    @cached_property
    def _pages(self) -> list[str]:
        most = max(self._lengths) // self._options.chunk_tokens
        return cut_pages(real_text(self._options), self._options.tokenizer, self._options.chunk_tokens, most)

    def _example(self, length: int, kind: str, number: int, seed: int) -> Example:
        rng = random.Random(f"needles {seed} {length} {kind} {number}")
        hidden = KINDS[kind](rng)
        size = self._options.chunk_tokens
        pages = filled(self._pages, length // size)
        places = sorted((rng.randrange(len(pages)), rng.random()) for _ in hidden.sentences)
        # from the end of a page to its beginning, so that a sentence put in later moves no earlier one off the page
        for (page, place), sentence in reversed(list(zip(places, hidden.sentences, strict=True))):
            pages[page] = with_sentence(pages[page], sentence, 0.8 * place, self._options.tokenizer, size)
        self._check(pages, hidden.sentences)
        label = f"needles-{kind}-{length_label(length)}-{number:03d}"
        return Example(
            id=f"{label}-seed{seed}",
            documents=(document_of(f"{label}.txt", pages),),
            question=hidden.question,
            answers=hidden.wanted,
            kind=kind,
            page_groups=tuple((places[proof][0] + 1,) for proof in hidden.proof),
            evidence=tuple(hidden.sentences[proof] for proof in hidden.proof),
            length=length,
        )

    def _check(self, pages: list[str], sentences: tuple[str, ...]) -> None:
        lost = [sentence for sentence in sentences if not any(sentence in page for page in pages)]
        if lost:
            raise EvaluationError(
                f"{len(sentences)} needles do not fit {len(pages)} pages of {self._options.chunk_tokens} tokens.",
                remedy="Ask for longer documents.",
            )
