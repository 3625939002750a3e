"""Passkey retrieval by length (the paper's retrieval figure). In: real text. Out: documents with a number in them."""

from __future__ import annotations

import random
from functools import cached_property
from typing import Any

from sharedllm_docs.evaluation.tasks.base import Example, QuestionTask, check_limit
from sharedllm_docs.evaluation.tasks.options import TaskOptions, chosen_lengths, length_label
from sharedllm_docs.evaluation.tasks.pages import cut_pages, document_of, filled, with_sentence
from sharedllm_docs.evaluation.tasks.texts import names_of, real_text

LENGTHS = tuple(1024 << power for power in range(9))
QUESTION = "What is the pass key?"
EXAMPLES = 50


class Passkey(QuestionTask):
    """See the folder's README.

    Args:
        options: tokenizer, lengths (1K to 256K tokens by default), text.
    """

    name = "passkey"
    title = "a five-digit pass key in real text, by length"
    main = "contains"
    max_new_tokens = 24

    def __init__(self, options: TaskOptions) -> None:
        self._options = options
        self._lengths = chosen_lengths(options, LENGTHS)

    def options(self) -> dict[str, Any]:
        return {"page_tokens": self._options.chunk_tokens, "texts": names_of(self._options)}

    def examples(self, limit: int | None, seed: int) -> list[Example]:
        check_limit(limit)
        count = EXAMPLES if limit is None else limit
        return [self._example(length, number, seed) for length in self._lengths for number in range(count)]

    @cached_property
    def _pages(self) -> list[str]:
        most = max(self._lengths) // self._options.chunk_tokens
        return cut_pages(real_text(self._options), self._options.tokenizer, self._options.chunk_tokens, most)

    def _example(self, length: int, number: int, seed: int) -> Example:
        rng = random.Random(f"passkey {seed} {length} {number}")
        key = str(rng.randrange(10_000, 100_000))
        size = self._options.chunk_tokens
        pages = filled(self._pages, length // size)
        hidden = rng.randrange(len(pages))
        sentence = f"The pass key is {key}. Remember it. {key} is the pass key."
        pages[hidden] = with_sentence(pages[hidden], sentence, rng.random(), self._options.tokenizer, size)
        label = f"passkey-{length_label(length)}-{number:03d}"
        return Example(
            id=f"{label}-seed{seed}",
            documents=(document_of(f"{label}.txt", pages),),
            question=QUESTION,
            answers=(key,),
            kind="passkey",
            page_groups=((hidden + 1,),),
            evidence=(sentence,),
            length=length,
        )
