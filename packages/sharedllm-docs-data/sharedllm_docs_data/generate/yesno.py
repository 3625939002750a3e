"""Yes-no questions: a statement of the text, unchanged or with another number, name or value."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping, Sequence

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.cleaning.prose import is_prose, sentences
from sharedllm_docs_data.generate.base import Passage, made, question_row, seeded, upper_first
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.english import Reader
from sharedllm_docs_data.generate.facts import describe
from sharedllm_docs_data.generate.patterns import LOOSE_END
from sharedllm_docs_data.generate.verbs import BE, MODALS
from sharedllm_docs_data.sources.tables import Record
from sharedllm_docs_data.templates import yesno
from sharedllm_docs_data.templates.facts_tables import TABLES

_NUMBER = re.compile(r"(?<![\w.,/-])\d{1,4}(?![\w/-]|[.,]\d)")
_NAME = re.compile(r"\b(in|of|by|from|at|with|to|near) ([A-Z][a-z\u00c0-\u024f]{2,}(?: [A-Z][a-z\u00c0-\u024f]{2,})*)")
_OPPOSITES = {
    "always": "never",
    "never": "always",
    "before": "after",
    "after": "before",
    "more": "less",
    "largest": "smallest",
    "smallest": "largest",
    "highest": "lowest",
    "lowest": "highest",
    "first": "last",
    "last": "first",
    "northern": "southern",
    "southern": "northern",
    "eastern": "western",
    "western": "eastern",
    "increases": "decreases",
    "decreases": "increases",
    "enabled": "disabled",
    "disabled": "enabled",
    "required": "optional",
    "optional": "required",
    "true": "false",
    "false": "true",
    "maximum": "minimum",
    "minimum": "maximum",
    "north": "south",
    "south": "north",
    "east": "west",
    "west": "east",
    "early": "late",
    "late": "early",
    "greater": "smaller",
    "smaller": "greater",
    "oldest": "youngest",
    "allowed": "forbidden",
    "possible": "impossible",
    "private": "public",
    "public": "private",
}


def drafts(passage: Passage, reader: Reader, rng: random.Random) -> Iterator[Draft]:
    """One question about a statement of the passage; half of them are answered with no."""
    told = [sentence for block in passage.paragraphs if is_prose(block) for sentence in sentences(block)]
    rng.shuffle(told)
    # Decided before the sentence is, or the sentences that cannot be falsified would tip the scales to yes.
    truth = rng.random() < 0.5
    for sentence in told:
        clause = reader.clause(sentence, passage.text)
        if clause is None or not 7 <= len(sentence.split()) <= 30:
            continue
        statement = f"{clause.subject} {clause.verb} {clause.rest}"
        if _is_vague(statement) or LOOSE_END.search(statement):
            continue
        shown = statement if truth else _falsified(statement, passage.text, rng)
        if shown:
            yield _draft(shown, clause.subject, clause.verb, truth, rng)
            return


def _is_vague(statement: str) -> bool:
    return bool(re.search(r"\b(this|these|those|he|she|it|they|his|her|their|its)\b", statement))


def _draft(statement: str, subject: str, verb: str, truth: bool, rng: random.Random) -> Draft:
    rest = statement[len(subject) + 1 + len(verb) :].strip()
    if statement.startswith(f"{subject} {verb} ") and verb in BE | MODALS and verb != "cannot" and rng.random() < 0.4:
        wording = yesno.TURNED.draw(rng)
        question = wording.fill(F=upper_first(verb), f=verb, s=subject, r=rest)
    else:
        wording = yesno.SAYS.draw(rng)
        question = upper_first(wording.fill(x=statement, X=upper_first(statement)))
    return Draft(wording, question, ("Yes",) if truth else ("No",))


def _falsified(statement: str, text: str, rng: random.Random) -> str:
    """The statement with one thing changed so that the text contradicts it; None if nothing can be changed."""
    changes = [change for make in (_other_number, _other_name, _opposite) if (change := make(statement, text, rng))]
    return rng.choice(changes) if changes else ""


def _other_number(statement: str, text: str, rng: random.Random) -> str:
    found = list(_NUMBER.finditer(statement))
    if not found:
        return ""
    match = rng.choice(found)
    value = int(match[0])
    other = value + rng.choice((-1, 1)) * rng.randint(1, max(2, min(30, value // 4)))
    if other <= 0 or str(other) in text:
        return ""
    return statement[: match.start()] + str(other) + statement[match.end() :]


def _other_name(statement: str, text: str, rng: random.Random) -> str:
    """The statement with one name replaced by another that follows the same preposition in the text."""
    pairs: list[tuple[re.Match[str], str]] = [
        (match, other)
        for match in _NAME.finditer(statement)
        for before, other in sorted(set(_NAME.findall(text)))
        if before == match[1] and other not in statement
    ]
    if not pairs:
        return ""
    match, other = rng.choice(pairs)
    return statement[: match.start(2)] + other + statement[match.end() :]


def _opposite(statement: str, text: str, rng: random.Random) -> str:
    found = [word for word in statement.split() if word in _OPPOSITES]
    if not found:
        return ""
    word = rng.choice(found)
    return re.sub(rf"\b{word}\b", _OPPOSITES[word], statement, count=1)


def rows_of_facts(tables: Mapping[str, Sequence[Record]], count: int, seed: int) -> Iterator[QuestionRow]:
    """Yes-no questions about facts from tables; a false value belongs to another record."""
    names = [name for name in TABLES if len(tables.get(name, ())) >= 8]
    for at in range(count):
        rng = seeded(seed, "yesno", str(at))
        name = rng.choice(names)
        words = TABLES[name]
        records = rng.sample(list(tables[name]), rng.randint(3, 8))
        record = records[0]
        # "Is living the status of ..." is not a way to ask.
        attribute = rng.choice(
            [
                entry
                for entry in words.attributes
                if entry.key in record.values and entry.key not in ("kind", "category")
            ]
        )
        value = record.values[attribute.key]
        truth = rng.random() < 0.5
        others = sorted({other.values.get(attribute.key, value) for other in records} - {value})
        if not truth and not others:
            continue
        shown = value if truth else rng.choice(others)
        rng.shuffle(records)
        wording = yesno.FACT.draw(rng)
        passage = made(describe(words, records, rng), f"yesno/{at}", f"table-{name}")
        question = upper_first(wording.fill(v=shown, l=attribute.label, n=record.name))
        yield question_row("yes-no", passage, question, ["Yes" if truth else "No"], [wording])
