"""Questions made from the parts of a clause: who, what, when, where, why, how many, by whom, called what."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from sharedllm_docs_data.generate.base import Passage, Templates
from sharedllm_docs_data.generate.drafts import Draft, draft, with_article
from sharedllm_docs_data.generate.english import Clause, without_brackets
from sharedllm_docs_data.generate.patterns import (
    AGENT_END,
    COUNTED,
    LOOSE_END,
    NAME,
    NO_OBJECT,
    NOT_PLACE,
    NOUN_START,
    OCCUPATION,
    PLACE_END,
    PLACED,
    PRONOUNS,
    WHEN_END,
    YEAR,
    is_unbalanced,
)
from sharedllm_docs_data.generate.verbs import BASES, BE, MODALS
from sharedllm_docs_data.templates import wh


def _when(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    found = WHEN_END.match(clause.rest)
    if (
        found is None
        or clause.is_auxiliary != (clause.verb in BE)
        or re.search(r",|(ing|death)$| (until|from) ", found[1])
    ):
        return None
    if re.search(rf"\b{YEAR}\b|\b(?:and|but)\b.*\b(?:was|were|is|are|had|has)\b", found[1]):
        return None
    if clause.verb in BE and (len(found[1]) < 3 or re.match(r"(a|an|the|one|his|her|its) ", found[1])):
        return None
    templates = wh.YEAR if re.fullmatch(YEAR, found[2]) else wh.DATE
    rest = f"{clause.back} {found[1]}"
    # Wordings that keep the statement's order need the auxiliary; with a main verb they are left out.
    return inverted(templates, clause, rest, (found[2],), rng)


def inverted(templates: Templates, clause: Clause, rest: str, answers: tuple[str, ...], rng: random.Random) -> Draft:
    allowed = templates if clause.is_auxiliary else _onlyinverted(templates)
    return draft(allowed, rng, answers, s=clause.subject, f=clause.front, r=rest, v=clause.verb)


def _onlyinverted(templates: Templates) -> Templates:
    return Templates(templates.name + "-do", tuple(text for text in templates.train if "{f} {s}" in text))


def _where(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    found = PLACE_END.match(clause.rest)
    if (
        found is None
        or clause.verb not in BE
        or not PLACED.match(found[1])
        or len(found[1].split()) > 6
        or re.search(r",| (in|at) ", found[1])
        or NOT_PLACE.match(found[2])
    ):
        return None
    return draft(wh.PLACE, rng, with_article(found[2]), s=clause.subject, f=clause.verb, r=found[1])


def _by_whom(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    found = AGENT_END.match(clause.rest)
    if (
        found is None
        or clause.verb not in BE
        or re.search(r"ing\b|\bdefault$|^(default|hand|far|now|then)\b", found[2])
    ):
        return None
    agent = re.split(
        r",? (?:in|as|at|on|during|after|before|under|for|to|from|with|when|while|that|which|who) ", found[2]
    )[0]
    if re.search(r",|\bonly$|^(one|a|an|the) ", found[1]) or len(found[1].split()) > 10:
        return None
    if not re.match(r"(the|a|an) |[A-Z]", agent) or PRONOUNS.search(agent) or LOOSE_END.search(agent):
        return None
    return draft(wh.AGENT, rng, with_article(agent), s=clause.subject, f=clause.verb, r=found[1])


def _how_many(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    found = COUNTED.match(clause.rest)
    if found is None or clause.verb in BE or clause.verb in MODALS:
        return None
    after = found[3] or ""
    if len(after.split()) > 8 or re.match(r"(of|while|and|or|but|which|that|because|though|before|then)\b", after):
        return None
    verb = clause.verb + (" " + after if after else "")
    if clause.verb in ("has", "have", "had"):
        front, back = {"has": "does", "have": "do", "had": "did"}[clause.verb], "have"
    else:
        front, back = clause.front, clause.back
    answers = (
        found[1],
        re.sub(r"^(?:about|around|approximately|nearly|over|more than|at least|up to|exactly|only) ", "", found[1]),
    )
    if after:
        kept = tuple(text for text in (*wh.COUNT.train, *wh.COUNT.heldout) if "{b}" in text)
        return draft(
            Templates("wh.count-after", kept), rng, answers, s=clause.subject, f=front, b=f"{back} {after}", n=found[2]
        )
    return draft(wh.COUNT, rng, answers, s=clause.subject, f=front, b=back, n=found[2], v=verb)


def _who_or_what(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    words = clause.rest.split()
    if (
        not 4 <= len(words) <= 22
        or clause.verb == "have"
        or PRONOUNS.search(clause.rest)
        or clause.verb in ("can", "may", "might")
    ):
        return None
    if clause.verb in BE and re.match(r"(a|an|the|one|not|also|very|now) ", clause.rest) and len(words) < 7:
        return None
    if re.match(r"(not|no|to) ", clause.rest) or len(clause.subject.split()) > 7 or LOOSE_END.search(clause.rest):
        return None
    person = _is_person(clause.subject, passage)
    word = "Who" if person else "What"
    return draft(wh.SUBJECT, rng, with_article(clause.subject), w=word, v=clause.verb, r=clause.rest)


def _is_person(subject: str, passage: Passage) -> bool:
    """Whether the passage says that the subject is an actor, a king, a physicist and so on."""
    if not re.fullmatch(rf"{NAME}", subject) or subject.startswith(("The ", "the ")):
        return False
    said = re.compile(
        rf"{re.escape(subject.split()[-1])}\b[^.]{{0,120}}? (?:was|is) (?:an?|the|one of)\b"
        rf"[^.]{{0,90}}?\b{OCCUPATION}\b"
    )
    return bool(said.search(without_brackets(passage.text)))


def _what_is(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    if (
        clause.verb not in BE
        or not re.match(r"(a|an|the|one of) [\w-]+ ", clause.rest)
        or not 4 <= len(clause.rest.split()) <= 24
    ):
        return None
    if re.match(r"an? ", clause.subject) and clause.rest.startswith("the "):
        return None
    if (
        LOOSE_END.search(clause.rest)
        or re.match(r"the (same|only|default|case|one)\b", clause.rest)
        or len(clause.subject.split()) > 6
    ):
        return None
    templates = wh.PERSON if _is_person(clause.subject, passage) else wh.IDENTITY
    return draft(templates, rng, with_article(clause.rest), s=clause.subject, f=clause.verb)


def _why(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    found = re.match(r"^(.{5,140}?),? because (?!of )(.{10,160}?)(?:[;:]| \u2014|$)", clause.whole)
    if (
        found is None
        or not clause.inverts
        or re.search(r",| and (it|they|this|he|she)\b", found[1])
        or re.match(r"(not|probably|only|simply) ", found[1])
        or " that " in f" {found[1]} "
    ):
        return None
    if not clause.is_auxiliary:
        kept = _onlyinverted(wh.REASON)
        return draft(
            kept,
            rng,
            (found[2], "because " + found[2]),
            s=clause.subject,
            f=clause.front,
            r=f"{clause.back} {found[1]}",
        )
    return draft(
        wh.REASON, rng, (found[2], "because " + found[2]), s=clause.subject, f=clause.verb, v=clause.verb, r=found[1]
    )


def _what_object(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    if clause.verb in MODALS:
        verb, _, rest = clause.rest.partition(" ")
        if verb not in BASES or verb == "be" or verb in NO_OBJECT or not clause.inverts:
            return None
        back, shown = verb, f"{clause.verb} {verb}"
    elif not clause.is_auxiliary and clause.back not in NO_OBJECT:
        back, rest, shown = clause.back, clause.rest, clause.verb
    else:
        return None
    if (
        not NOUN_START.match(rest)
        or not 2 <= len(rest.split()) <= 12
        or re.search(r"\b(it|they|he|she)\b", rest)
        or LOOSE_END.search(rest)
    ):
        return None
    return draft(wh.OBJECT, rng, with_article(rest), s=clause.subject, f=clause.front, b=back, v=shown)


def _what_called(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    found = re.match(
        r"^((?:also |often |sometimes |commonly |usually |better |generally )?"
        r"(?:called|known as|named|nicknamed|referred to as)) (.{2,60})$",
        clause.rest,
    )
    if (
        found is None
        or clause.verb not in BE
        or found[2].count(",") > 1
        or re.match(r"(by|with|from|in|on|at|after|when|for|to|as|so|up|out|upon|down|forth|into|back|away) ", found[2])
    ):
        return None
    name = re.split(r" (?:and|or|but) (?:is|are|was|were|better|has|also)\b", found[2])[0].strip('"\u201c\u201d')
    if is_unbalanced(name) or '"' in name or LOOSE_END.search(name):
        return None
    return draft(wh.CALLED, rng, with_article(name), s=clause.subject, f=clause.verb, c=found[1])


def _what_for(clause: Clause, passage: Passage, rng: random.Random) -> Draft | None:
    found = re.match(
        r"^(?:also |often |mainly |usually |typically |commonly |primarily |widely )?used (to|for) (.{8,120})$",
        clause.rest,
    )
    if found is None or clause.verb not in BE:
        return None
    if re.search(r",.* (is|are|was|were|has|can) |, the ", found[2]):
        return None
    answer = f"to {found[2]}" if found[1] == "to" else found[2]
    return draft(wh.PURPOSE, rng, (answer, found[2]), s=clause.subject, f=clause.verb)


ON_CLAUSES: tuple[Callable[[Clause, Passage, random.Random], Draft | None], ...] = (
    _when,
    _where,
    _by_whom,
    _how_many,
    _who_or_what,
    _what_is,
    _why,
    _what_object,
    _what_called,
    _what_for,
)
