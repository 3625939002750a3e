"""Questions made from plain statements: who, what, when, where, why, how many, by whom, what if, how to.

In: a passage. Out: drafts, each a question with its answer. Every pattern asks for a sentence that the small grammar of
``english`` sees through, and most sentences are left alone.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

from sharedllm_docs_data.cleaning.prose import is_prose, sentences
from sharedllm_docs_data.generate.base import Passage
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.english import Reader
from sharedllm_docs_data.generate.wh_clauses import ON_CLAUSES
from sharedllm_docs_data.generate.wh_sentences import ON_SENTENCES


def drafts(passage: Passage, reader: Reader, rng: random.Random) -> Iterator[Draft]:
    """All questions that the statements of a passage give, at most two per sentence."""
    for paragraph in passage.paragraphs:
        if is_prose(paragraph):
            for sentence in sentences(paragraph):
                if 5 <= len(sentence.split()) <= 45:
                    yield from _of_sentence(sentence, passage, reader, rng)


def _of_sentence(sentence: str, passage: Passage, reader: Reader, rng: random.Random) -> Iterator[Draft]:
    found = [draft for make in ON_SENTENCES if (draft := make(sentence, passage, reader, rng)) is not None]
    clause = reader.clause(sentence, passage.text)
    if clause is not None:
        found += [draft for make in ON_CLAUSES if (draft := make(clause, passage, rng)) is not None]
    rng.shuffle(found)
    # Questions for the subject come out of almost every sentence; the rarer ones go first.
    found.sort(key=lambda draft: draft.wording.id.startswith("wh.subject"))
    yield from found[:2]
