"""Several needles in real text: one is asked for, or all values of a key, or two at once, or a chain of variables."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.generate.base import Passage, question_row, seeded, upper_first
from sharedllm_docs_data.generate.made_up import MAKERS, Maker, code, distinct, number
from sharedllm_docs_data.generate.passkeys import insert
from sharedllm_docs_data.templates import passkeys as words
from sharedllm_docs_data.templates import pools

_MAKERS: dict[str, Maker] = {
    **MAKERS,
    "word": lambda rng: rng.choice(pools.CODE_WORDS),
    "number": number,
    "code": code,
    "thing": lambda rng: f"{rng.choice(pools.COLOURS)} {rng.choice(pools.OBJECTS)}",
    "container": lambda rng: rng.choice(pools.CONTAINERS),
    "room": lambda rng: rng.choice(pools.ROOMS),
    "month": lambda rng: rng.choice(pools.MONTHS),
    "team": lambda rng: rng.choice(pools.TEAMS),
    "animal": lambda rng: rng.choice(pools.ANIMALS),
    "object": lambda rng: rng.choice(pools.OBJECTS),
    "colour": lambda rng: rng.choice(pools.COLOURS),
}


def rows(passages: Sequence[Passage], count: int, seed: int) -> Iterator[QuestionRow]:
    """``count`` questions, a quarter of them of the harder sorts."""
    for at in range(count):
        rng = seeded(seed, "needles", str(at))
        passage = passages[(at * 7 + 3) % len(passages)]
        make = rng.choices((_one, _all_values, _both, _variables), (5, 1, 2, 2))[0]
        row = make(passage, rng)
        if row is not None:
            yield row


def _one(passage: Passage, rng: random.Random) -> QuestionRow | None:
    statement, keys, values, ask = rng.choice(words.NEEDLES)
    pairs = _pairs(keys, values, rng.randint(2, 6), rng)
    if not pairs or any(value in passage.text for value in pairs.values()):
        return None
    context = insert(passage, [upper_first(statement.format(k=key, v=value)) for key, value in pairs.items()], rng)
    key = rng.choice(sorted(pairs))
    wording = ask.draw(rng)
    return question_row("needles", passage, upper_first(wording.fill(k=key)), [pairs[key]], [wording], context)


def _both(passage: Passage, rng: random.Random) -> QuestionRow | None:
    statement, keys, values, ask = rng.choice(words.NEEDLES)
    pairs = _pairs(keys, values, rng.randint(3, 6), rng)
    if len(pairs) < 2 or any(value in passage.text for value in pairs.values()):
        return None
    context = insert(passage, [upper_first(statement.format(k=key, v=value)) for key, value in pairs.items()], rng)
    first, second = rng.sample(sorted(pairs), 2)
    wording, frame = ask.draw(rng), words.BOTH.draw(rng)
    question = frame.fill(a=upper_first(wording.fill(k=first)), b=upper_first(wording.fill(k=second)))
    answer = f"{pairs[first]} and {pairs[second]}"
    return question_row(
        "needles", passage, question, [answer, f"{pairs[first]}, {pairs[second]}"], [wording, frame], context
    )


def _all_values(passage: Passage, rng: random.Random) -> QuestionRow | None:
    statement = words.NEEDLES[0][0]
    key, other = distinct(_MAKERS["word"], 2, rng)
    values = distinct(number, rng.randint(2, 4), rng)
    told = [statement.format(k=key, v=value) for value in values] + [statement.format(k=other, v=number(rng))]
    # In the order of the text, so that one answer is the right one.
    blocks = list(passage.paragraphs)
    places = sorted(rng.sample(range(len(blocks) + 1), min(len(told), len(blocks) + 1)))
    if len(places) < len(told):
        return None
    for place, sentence in sorted(zip(places, told, strict=True), reverse=True):
        blocks.insert(place, sentence)
    wording = words.ALL_VALUES.draw(rng)
    return question_row(
        "needles",
        passage,
        upper_first(wording.fill(k=key)),
        [", ".join(values), " and ".join(values)],
        [wording],
        "\n\n".join(blocks),
    )


def _variables(passage: Passage, rng: random.Random) -> QuestionRow | None:
    names = distinct(lambda r: "".join(r.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(3)), rng.randint(3, 6), rng)
    value, decoy = number(rng), number(rng)
    pattern = rng.choice(words.ASSIGNMENTS)
    split = rng.randint(2, len(names))
    chain = [pattern.format(x=names[0], v=value)]
    chain += [pattern.format(x=names[i], v=names[i - 1]) for i in range(1, split)]
    others = [
        pattern.format(x=name, v=decoy if i == 0 else names[split + i - 1]) for i, name in enumerate(names[split:])
    ]
    blocks = list(passage.paragraphs)
    places = sorted(rng.randint(0, len(blocks)) for _ in range(len(chain) + len(others)))
    for place, sentence in zip(reversed(places), reversed([*others, *chain]), strict=True):
        blocks.insert(place, sentence)
    wording = words.VARIABLES.draw(rng)
    return question_row("needles", passage, wording.fill(x=names[split - 1]), [value], [wording], "\n\n".join(blocks))


def _pairs(keys: str, values: str, count: int, rng: random.Random) -> dict[str, str]:
    made = distinct(_MAKERS[keys], count, rng)
    return dict(zip(made, distinct(_MAKERS[values], len(made), rng), strict=False))
