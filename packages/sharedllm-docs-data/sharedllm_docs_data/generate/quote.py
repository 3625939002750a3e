"""Tasks whose answer is a quotation: the sentence with a name in it, its continuation, the sentence after it."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator

from sharedllm_docs_data.cleaning.prose import STOPWORDS, is_prose, sentences, words
from sharedllm_docs_data.generate.base import Passage, Templates
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.templates import quote

_SHORT, _LONG = 5, 40


def drafts(passage: Passage, rng: random.Random) -> Iterator[Draft]:
    """At most one task of each of two kinds."""
    told = [sentence for block in passage.paragraphs if is_prose(block) for sentence in sentences(block)]
    told = [
        sentence for sentence in told if _SHORT <= len(sentence.split()) <= _LONG and passage.text.count(sentence) == 1
    ]
    if len(told) >= 3:
        for make in rng.sample(_MAKERS, 2):
            draft = make(told, passage, rng)
            if draft is not None:
                yield draft


def _draft(templates: Templates, rng: random.Random, answer: str, **fields: str) -> Draft:
    wording = templates.draw(rng)
    return Draft(wording, wording.fill(**fields), (answer,))


def _mentions(told: list[str], passage: Passage, rng: random.Random) -> Draft | None:
    """The sentence that mentions a word which the passage has only once."""
    sentence = rng.choice(told)
    rare = [
        word
        for word in words(sentence)[1:]
        if len(word) > 5
        and word.lower() not in STOPWORDS
        and len(re.findall(rf"\b{re.escape(word)}", passage.text, re.IGNORECASE)) == 1
    ]
    return _draft(quote.MENTIONS, rng, sentence, x=f"\u201c{rng.choice(rare)}\u201d") if rare else None


def _begins(told: list[str], passage: Passage, rng: random.Random) -> Draft | None:
    sentence = rng.choice(told)
    parts = sentence.split()
    if len(parts) < 9:
        return None
    at = rng.randint(4, min(8, len(parts) - 4))
    head = " ".join(parts[:at])
    if passage.text.count(head) != 1 or re.search(r"[\"\u201c\u201d(]", head):
        return None
    return _draft(quote.BEGINS, rng, " ".join(parts[at:]), x=head)


def _neighbour(told: list[str], passage: Passage, rng: random.Random) -> Draft | None:
    at = rng.randrange(len(told) - 1)
    first, second = told[at], told[at + 1]
    if not re.search(re.escape(first) + r"\s+" + re.escape(second), passage.text):
        return None
    if rng.random() < 0.6:
        return _draft(quote.AFTER, rng, second, x=first)
    return _draft(quote.BEFORE, rng, first, x=second)


def _edge(told: list[str], passage: Passage, rng: random.Random) -> Draft | None:
    last = rng.random() < 0.5
    sentence = told[-1] if last else told[0]
    at_edge = passage.text.endswith(sentence) if last else passage.text.startswith(sentence)
    if not at_edge:
        return None
    return _draft(quote.EDGE, rng, sentence, e="last" if last else "first", d="end" if last else "begin")


def _heading(told: list[str], passage: Passage, rng: random.Random) -> Draft | None:
    """The heading over a sentence, if the passage has one."""
    heading, found = "", []
    for block in passage.paragraphs:
        if is_prose(block):
            found += [(heading, sentence) for sentence in told if heading and sentence in block]
        elif re.fullmatch(r"(?:\d[\d.]*\s+)?[A-Z][\w ,'\u2019/-]{4,60}", block):
            heading = block
    if not found or len({head for head, _ in found}) < 2:
        return None
    heading, sentence = rng.choice(found)
    return _draft(quote.HEADING, rng, heading, x=sentence)


_MAKERS: tuple[Callable[[list[str], Passage, random.Random], Draft | None], ...] = (
    _mentions,
    _begins,
    _neighbour,
    _edge,
    _heading,
)
