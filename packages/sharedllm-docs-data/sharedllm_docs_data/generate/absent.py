"""Questions whose answer the document does not give: about another passage, or about a key that is not on the list."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.cleaning.prose import STOPWORDS, words
from sharedllm_docs_data.generate.base import Passage, made, question_row, seeded, upper_first
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.frames import framed
from sharedllm_docs_data.generate.keyvalue import entries_of, written
from sharedllm_docs_data.sources.question_sets import NOT_SAID, NOT_SAID_TOO
from sharedllm_docs_data.templates.keyvalue import FORMS

_ANSWERS = (NOT_SAID, *NOT_SAID_TOO)


def rows_of_passages(asked: Sequence[tuple[Passage, Draft]], count: int, seed: int) -> Iterator[QuestionRow]:
    """Questions moved to another passage that does not answer them, half of the time to a neighbouring one.

    Args:
        asked: passages in the order of their documents, each with one question about it.
        count: how many are tried.
        seed: of the build.
    """
    for at in range(count if asked else 0):
        rng = seeded(seed, "absent", str(at))
        index = rng.randrange(len(asked))
        other = index + rng.choice((-1, 1)) if rng.random() < 0.5 else rng.randrange(len(asked))
        passage, (source, draft) = asked[other % len(asked)][0], asked[index]
        if passage.text != source.text and passage.split == source.split and not may_answer(passage.text, draft):
            question, frames = framed(draft.question, rng)
            # the question quotes the text that it was made for
            passage = replace(passage, commercial=passage.commercial and source.commercial)
            yield question_row("absent", passage, question, _ANSWERS, [draft.wording, *frames])


def may_answer(text: str, draft: Draft) -> bool:
    """Whether a text might answer a question after all: it has the answer, or most of the words of the question."""
    small = text.lower()
    if draft.answers[0].lower() in small:
        return True
    telling = {word.lower() for word in words(draft.question) if len(word) > 3 and word.lower() not in STOPWORDS}
    known = sum(bool(re.search(rf"\b{re.escape(word[:6])}", small)) for word in telling)
    return not telling or known > 0.6 * len(telling)


def rows_of_lists(count: int, seed: int) -> Iterator[QuestionRow]:
    """Questions about a key that a key-value document does not have."""
    for at in range(count):
        rng = seeded(seed, "absent-list", str(at))
        form = FORMS[at % len(FORMS)]
        entries = entries_of(form, rng)
        missing = _withdrawn(entries, rng)
        wording = form.ask.draw(rng)
        passage = made(written(form, entries, rng), f"absent/{at}")
        yield question_row("absent", passage, upper_first(wording.fill(k=missing)), _ANSWERS, [wording])


def _withdrawn(entries: dict[str, str], rng: random.Random) -> str:
    """Take one entry out of a list and return its key."""
    key = rng.choice(sorted(entries))
    del entries[key]
    return key
