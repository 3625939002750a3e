"""Key-value tasks as documents: settings, telephone lists, stock, prices, rooms, dates and so on."""

from __future__ import annotations

import random
from collections.abc import Iterator

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.generate.base import made, question_row, seeded, upper_first
from sharedllm_docs_data.generate.made_up import MAKERS, distinct
from sharedllm_docs_data.templates.keyvalue import FORMS, Form

_ENTRIES = (6, 36)
_QUESTIONS = 3


def entries_of(form: Form, rng: random.Random) -> dict[str, str]:
    """Keys with values, without duplicates as far as the maker has enough values."""
    count = rng.randint(*_ENTRIES)
    keys = distinct(MAKERS[form.keys], count, rng)
    values = distinct(MAKERS[form.values], len(keys), rng)
    return dict(zip(keys, values, strict=False))


def written(form: Form, entries: dict[str, str], rng: random.Random) -> str:
    """The document that holds the entries."""
    pattern, head = rng.choice(form.entries), rng.choice(form.heads)
    lines = [
        upper_first(pattern.format(k=key, v=value)) if form.keys == "event" else pattern.format(k=key, v=value)
        for key, value in entries.items()
    ]
    return "\n".join([head, "", *lines]) if head else "\n".join(lines)


def rows(count: int, seed: int) -> Iterator[QuestionRow]:
    """About ``count`` questions, evenly over the forms."""
    for number in range(count // _QUESTIONS):
        form = FORMS[number % len(FORMS)]
        rng = seeded(seed, "keyvalue", str(number))
        entries = entries_of(form, rng)
        passage = made(written(form, entries, rng), f"keyvalue/{number}")
        for key in rng.sample(sorted(entries), min(_QUESTIONS, len(entries))):
            wording = form.ask.draw(rng)
            yield question_row("key-value", passage, wording.fill(k=key), [entries[key]], [wording])
