"""Questions made from the form of a whole sentence: how many, what if, how to, what happened, abbreviations."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from sharedllm_docs_data.generate.base import Passage, upper_first
from sharedllm_docs_data.generate.drafts import Draft, draft
from sharedllm_docs_data.generate.english import Reader, cut_clause, without_brackets
from sharedllm_docs_data.generate.patterns import (
    CONDITION,
    EXAMPLES,
    HOWTO,
    LONG_SHORT,
    LOOK,
    LOOSE_END,
    PRONOUNS,
    THERE,
    VAGUE_WORDS,
    WHEN_START,
    YEAR,
    is_plain,
    is_unbalanced,
)
from sharedllm_docs_data.generate.verbs import AUXILIARIES, BASES, BE, PAST
from sharedllm_docs_data.generate.wh_clauses import inverted
from sharedllm_docs_data.templates import wh


def _how_many_there(sentence: str, passage: Passage, reader: Reader, rng: random.Random) -> Draft | None:
    found = THERE.match(without_brackets(sentence))
    if found is None:
        return None
    noun, rest = found[3], cut_clause(found[4])
    if not 2 <= len(rest.split()) <= 14 or PRONOUNS.search(rest) or LOOSE_END.search(rest) or "of which" in rest:
        return None
    if not re.match(
        r"(of|in|for|to|that|which|who|on|at|with|between|from|per|within|under|available|\w+(?:ed|ing)) ", rest
    ):
        return None
    of = re.match(r"^(of (?:(?!in |that |which |for |to |on |with |at )\S+ ?){1,4})(.*)$", rest)
    if of is not None:
        noun, rest = f"{noun} {of[1].strip()}", of[2]
    return draft(wh.THERE, rng, (found[2],), f=found[1], n=noun, r=rest)


def _what_if(sentence: str, passage: Passage, reader: Reader, rng: random.Random) -> Draft | None:
    found = CONDITION.match(without_brackets(sentence))
    if (
        found is None
        or not is_plain(found[2])
        or PRONOUNS.match(found[2])
        or found[2].count(",") > 1
        or re.match(r"(I|we|thou|ye|my|our)\b", found[2])
        or not reader.has_verb(found[2])
    ):
        return None
    answer = re.split(r"; |: | \u2014 ", found[3])[0].strip()
    first = answer.split()[0].lower().rstrip(",")
    if (
        not 3 <= len(answer.split()) <= 32
        or first in ("and", "or", "but", "for", "then", "note", "which", "who")
        or is_unbalanced(answer)
    ):
        return None
    small = reader.lower_first(found[2], passage.text) if found[2][:1].isupper() else found[2]
    if first in LOOK or re.match(r"be\b", first):
        return None
    templates = wh.ADVICE if first in BASES else wh.CONDITION
    return draft(templates, rng, (answer,), i=found[1].lower(), I=found[1], x=small)


def _how_to(sentence: str, passage: Passage, reader: Reader, rng: random.Random) -> Draft | None:
    found = HOWTO.match(without_brackets(sentence))
    if found is None or not is_plain(found[1]) or re.search(r"\b(this|that|these|those)\b(?! (?:the|a))", found[1]):
        return None
    first = re.split(r"\W", found[1])[0]
    answer = re.split(r"; |: ", found[2])[0].strip()
    verb = re.split(r"\W", answer)[0].lower()
    if (
        first not in BASES
        or verb not in BASES
        or first == "be"
        or verb in LOOK
        or verb == "be"
        or not 3 <= len(answer.split()) <= 34
        or is_unbalanced(answer)
    ):
        return None
    return draft(wh.HOWTO, rng, (answer,), x=found[1])


def _what_happened(sentence: str, passage: Passage, reader: Reader, rng: random.Random) -> Draft | None:
    found = WHEN_START.match(without_brackets(sentence))
    if found is None:
        return None
    event = re.sub(
        r"^(?:for example|however|too|also|therefore|thus|moreover),? ", "", found[2].rstrip("."), flags=re.IGNORECASE
    )
    if not 4 <= len(event.split()) <= 28 or re.search(r"[?!]", event):
        return None
    clause = reader.clause(upper_first(event) + ".", passage.text)
    if clause is not None and (clause.verb in BE or clause.verb in PAST) and rng.random() < 0.6:
        templates = wh.YEAR if re.fullmatch(YEAR, found[1]) else wh.DATE
        return inverted(templates, clause, f"{clause.back} {clause.rest}", (found[1],), rng)
    kept = event if clause is not None or not PRONOUNS.match(event) else ""
    if not kept or re.match(r"(and|or) ", event) or not any(word in PAST or word in BE for word in event.split()[:9]):
        return None
    preposition = sentence.split()[0].lower()
    return draft(wh.EVENT, rng, (upper_first(event),), t=f"{preposition} {found[1]}", y=found[1])


def _what_examples(sentence: str, passage: Passage, reader: Reader, rng: random.Random) -> Draft | None:
    found = EXAMPLES.search(without_brackets(sentence))
    if found is None or not 1 <= len(found[2].split()) <= 14 or PRONOUNS.search(found[2]):
        return None
    noun, named = found[1], re.split(r", (?:where|which|when|who|that|will|and has)\b", found[2])[0]
    if any(word in AUXILIARIES for word in named.split()):
        return None
    if " " in noun and (noun.split()[0] in VAGUE_WORDS or not reader.is_adjective(noun.split()[0])):
        noun = noun.partition(" ")[2]
    if not noun or noun in ("things", "ways", "words", "others") or noun.startswith(("other ", "such ")):
        return None
    return draft(wh.EXAMPLES, rng, (named,), n=noun)


def _abbreviation(sentence: str, passage: Passage, reader: Reader, rng: random.Random) -> Draft | None:
    found = LONG_SHORT.search(sentence)
    if found is None:
        return None
    words = [word for word in re.split(r"[ -]", found[1]) if word]
    capitals = "".join(word[0] for word in words if word[0].isupper())
    long = found[1]
    while re.match(r"[a-z]", long):
        long = long.partition(" ")[2]
    while len(capitals) > len(found[2]):
        capitals = capitals[1:]
        long = re.sub(r"^[A-Z]\S*[ -](?:[a-z]+ )*", "", long)
    if capitals != found[2]:
        return None
    if rng.random() < 0.5:
        return draft(wh.MEANING, rng, (long,), x=found[2])
    return draft(wh.SHORT, rng, (found[2],), x=long)


ON_SENTENCES: tuple[Callable[[str, Passage, Reader, random.Random], Draft | None], ...] = (
    _how_many_there,
    _what_if,
    _how_to,
    _what_happened,
    _what_examples,
    _abbreviation,
)
