"""Facts from open tables in words: a short document about some records, and questions about one of them.

The document takes one of several forms: running sentences, a table, lines of keys and values, or a list in lines.
"""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.generate.base import Templates, Wording, made, question_row, seeded, upper_first
from sharedllm_docs_data.sources.tables import Record
from sharedllm_docs_data.templates import facts
from sharedllm_docs_data.templates.facts import Attribute, TableWords
from sharedllm_docs_data.templates.facts_tables import TABLES

_RECORDS = (3, 12)
_QUESTIONS = 3
_TAKES_THE = re.compile(
    r"(United (States|Kingdom|Arab)|Netherlands|Philippines|Bahamas|Maldives|Comoros|Seychelles|Gambia"
    r"|Dominican Rep|Central African Rep|Russian Fed|Isle of Man|\w+( \w+)? Islands$)"
)


def rows(tables: Mapping[str, Sequence[Record]], count: int, seed: int) -> Iterator[QuestionRow]:
    """About ``count`` questions over all tables, by their weights."""
    usable = {name: words for name, words in TABLES.items() if len(tables.get(name, ())) > _RECORDS[0]}
    total = sum(words.weight for words in usable.values())
    for name, words in usable.items():
        for number in range(round(count * words.weight / total / _QUESTIONS)):
            rng = seeded(seed, "facts", name, str(number))
            yield from _document(name, words, tables[name], f"{name}/{number}", rng)


def _document(
    name: str, words: TableWords, table: Sequence[Record], key: str, rng: random.Random
) -> Iterator[QuestionRow]:
    chosen = rng.sample(table, min(len(table), rng.randint(*_RECORDS)))
    # The split follows the first record, so that a fact asked about in a test document is seldom asked in training.
    context = describe(words, chosen, rng)
    passage = made(context, f"{key}/{chosen[0].name}", f"table-{name}")
    for record in rng.sample(chosen, min(_QUESTIONS, len(chosen))):
        drawn = _ask(words, chosen, record, rng)
        if drawn is not None:
            wording, question, answers = drawn
            yield question_row("facts", passage, question, answers, [wording])


def describe(words: TableWords, records: Sequence[Record], rng: random.Random) -> str:
    """A short document about some records of a table."""
    form = rng.choice((_sentences, _sentences, _grid, _lines, _list))
    body = form(words, records, rng)
    if rng.random() < 0.6:
        title = rng.choice(facts.TITLES).format(ts=words.many, Ts=upper_first(words.many))
        return f"{title}\n\n{body}"
    return body


def _present(words: TableWords, record: Record) -> list[Attribute]:
    return [attribute for attribute in words.attributes if attribute.key in record.values]


def _sentences(words: TableWords, records: Sequence[Record], rng: random.Random) -> str:
    return "\n\n".join(
        " ".join(
            state(words, attribute, record, rng)
            for attribute in rng.sample(_present(words, record), len(_present(words, record)))
        )
        for record in records
    )


def state(words: TableWords, attribute: Attribute, record: Record, rng: random.Random) -> str:
    """One fact as a sentence."""
    general = rng.random() < 0.35 or not attribute.state
    pattern = rng.choice(facts.STATE_ANY if general else attribute.state)
    value = record.values[attribute.key]
    sentence = pattern.format(
        n=_with_the(record.name), l=attribute.label, v=_with_the(value) if attribute.key == "country" else value
    )
    if not (words.keeps_case and pattern.startswith("{n}")):
        sentence = upper_first(sentence)
    return re.sub(r"\.\.$", ".", sentence)


def _with_the(name: str) -> str:
    """``the United States``: the article that some countries take in a sentence."""
    return f"the {name}" if _TAKES_THE.match(name) else name


def _grid(words: TableWords, records: Sequence[Record], rng: random.Random) -> str:
    keys = [attribute for attribute in words.attributes if any(attribute.key in record.values for record in records)]
    head = " | ".join(["name", *(attribute.label for attribute in keys)])
    lines = [
        " | ".join([record.name, *(record.values.get(attribute.key, "-") for attribute in keys)]) for record in records
    ]
    return "\n".join([head, *lines])


def _lines(words: TableWords, records: Sequence[Record], rng: random.Random) -> str:
    blocks = []
    for record in records:
        lines = [
            f"{upper_first(attribute.label)}: {record.values[attribute.key]}" for attribute in _present(words, record)
        ]
        blocks.append("\n".join([record.name, *lines]))
    return "\n\n".join(blocks)


def _list(words: TableWords, records: Sequence[Record], rng: random.Random) -> str:
    mark = rng.choice(("- ", "* ", ""))
    return "\n".join(
        f"{mark}{record.name} ("
        + "; ".join(f"{attribute.label}: {record.values[attribute.key]}" for attribute in _present(words, record))
        + ")"
        for record in records
    )


def _ask(
    words: TableWords, records: Sequence[Record], record: Record, rng: random.Random
) -> tuple[Wording, str, tuple[str, ...]] | None:
    attribute = rng.choice(_present(words, record))
    value = record.values[attribute.key]
    if attribute.back and rng.random() < 0.35 and value != record.name:
        if Counter(other.values.get(attribute.key) for other in records)[value] > 1:
            return None
        wording = facts.BACK_ANY.draw(rng)
        return wording, upper_first(wording.fill(t=words.one, l=attribute.label, v=value)), (record.name,)
    own = Templates(f"facts.{attribute.key}", attribute.ask)
    wording = (own if own.train and rng.random() < 0.5 else facts.ASK_ANY).draw(rng)
    return wording, upper_first(wording.fill(n=_with_the(record.name), l=attribute.label)), (value,)
