"""Passages to ask about: runs of prose paragraphs from the documents of long text."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from sharedllm_docs.training.dataset import TextRow
from sharedllm_docs.training.licences import is_commercial
from sharedllm_docs_data.cleaning.prose import is_prose, paragraphs
from sharedllm_docs_data.generate.base import Passage, seeded

_WORDS = (60, 340)
_LONGEST = 3000


def passages(rows: Iterable[TextRow], seed: int) -> Iterator[Passage]:
    """Cut documents into passages of some 60 to 340 words.

    A passage keeps what stands between its paragraphs (headings, lists, code), so that it reads as a page does, but it
    begins and ends with prose.
    """
    for row in rows:
        rng = seeded(seed, "passages", row.id)
        yield from _of_document(row, rng)


def _of_document(row: TextRow, rng: random.Random) -> Iterator[Passage]:
    run: list[str] = []
    count, goal = 0, rng.randint(*_WORDS)
    for block in paragraphs(row.text):
        words = len(block.split())
        if words > 2 * _WORDS[1] or len(block) > _LONGEST:
            yield from _passage(row, run)
            run, count = [], 0
            continue
        run.append(block)
        count += words
        if count >= goal:
            yield from _passage(row, run)
            run, count, goal = [], 0, rng.randint(*_WORDS)
    yield from _passage(row, run)


def _passage(row: TextRow, run: list[str]) -> Iterator[Passage]:
    while run and not is_prose(run[-1]):
        run = run[:-1]
    while run and not is_prose(run[0]) and len(run[0]) > 80:
        run = run[1:]
    if sum(len(block.split()) for block in run if is_prose(block)) >= _WORDS[0] // 2:
        yield Passage(row.source, row.id, row.split, row.title, tuple(run), is_commercial(row))
