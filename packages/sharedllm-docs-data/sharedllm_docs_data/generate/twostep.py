"""Questions that take two steps: chains of invented facts, chains over two tables, and comparisons.

For chains, both facts stand in the context, apart from each other and among others of the same sort.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.generate.base import Passage, Templates, made, question_row, seeded, upper_first
from sharedllm_docs_data.generate.facts import describe
from sharedllm_docs_data.generate.made_up import MAKERS, Maker, code, distinct, number
from sharedllm_docs_data.generate.passkeys import insert
from sharedllm_docs_data.sources.tables import Record
from sharedllm_docs_data.templates import pools, twostep
from sharedllm_docs_data.templates.facts_tables import TABLES
from sharedllm_docs_data.templates.twostep import Chain

Tables = Mapping[str, Sequence[Record]]

_MAKERS: dict[str, Maker] = {
    **MAKERS,
    "number": number,
    "code": code,
    "thing": lambda rng: f"{rng.choice(pools.COLOURS)} {rng.choice(pools.OBJECTS)}",
    "container": lambda rng: rng.choice(pools.CONTAINERS),
    "room": lambda rng: rng.choice(pools.ROOMS),
    "team": lambda rng: rng.choice(pools.TEAMS),
    "animal": lambda rng: rng.choice(pools.ANIMALS),
    "colour": lambda rng: rng.choice(pools.COLOURS),
    "word": lambda rng: rng.choice(pools.CODE_WORDS).capitalize(),
    "floor": lambda rng: rng.choice(
        [
            "first",
            "second",
            "third",
            "fourth",
            "fifth",
            "sixth",
            "seventh",
            "eighth",
            "ninth",
            "tenth",
            "eleventh",
            "twelfth",
        ]
    ),
}
_NUMERIC = {"element": ("number", "weight"), "package": ("size",), "place": ("elevation",)}
_SHARED = {
    "area": ("state", "code"),
    "division": ("country",),
    "airport": ("country",),
    "package": ("section", "source"),
    "region": ("country",),
    "place": ("country",),
    "zone": ("country",),
}


def rows(tables: Tables, passages: Sequence[Passage], count: int, seed: int) -> Iterator[QuestionRow]:
    """About ``count`` questions: half of them chains of invented facts."""
    for at in range(count):
        rng = seeded(seed, "twostep", str(at))
        if at % 2 == 0:
            row = _chain(twostep.CHAINS[at // 2 % len(twostep.CHAINS)], passages[at % len(passages)], str(at), rng)
        else:
            row = rng.choice(_ON_TABLES)(tables, str(at), rng)
        if row is not None:
            yield row


# -- invented facts -----------------------------------------------------------------------------------------------


def _chain(chain: Chain, filler: Passage, key: str, rng: random.Random) -> QuestionRow | None:
    size = rng.randint(2, 6)
    firsts = distinct(_MAKERS[chain.first], size, rng)
    middles = distinct(_MAKERS[chain.middle], size, rng)
    lasts = [last for last in distinct(_MAKERS[chain.last], size + 3, rng) if last not in firsts][:size]
    size = min(len(firsts), len(middles), len(lasts))
    one, two = rng.choice(chain.one), rng.choice(chain.two)
    told = [upper_first(one.format(a=a, b=b)) for a, b in zip(firsts, middles, strict=False)]
    told += [upper_first(two.format(b=b, c=c)) for b, c in zip(middles, lasts, strict=False)]
    rng.shuffle(told)
    passage, context = _spread(told, filler, key, rng)
    at = rng.randrange(size)
    if any(first in filler.text for first in firsts):
        return None
    wording = chain.ask.draw(rng)
    return question_row("two-step", passage, upper_first(wording.fill(a=firsts[at])), [lasts[at]], [wording], context)


def _spread(told: list[str], filler: Passage, key: str, rng: random.Random) -> tuple[Passage, str]:
    """The facts alone as a short text, or scattered in real text."""
    if rng.random() < 0.5:
        return filler, insert(filler, told, rng)
    join = rng.choice((" ", "\n", "\n\n"))
    context = join.join(told)
    return made(context, f"twostep/{key}"), context


# -- tables -------------------------------------------------------------------------------------------------------


def _join(
    tables: Tables, key: str, rng: random.Random, left: str, link: str, right: str, wanted: str, ask: Templates
) -> QuestionRow | None:
    """A record of one table, whose ``link`` names a record of another, whose ``wanted`` value is asked for."""
    targets = {record.name: record for record in tables.get(right, ()) if wanted in record.values}
    usable = [record for record in tables.get(left, ()) if record.values.get(link) in targets]
    if len(usable) < 3:
        return None
    chosen = rng.sample(usable, min(len(usable), rng.randint(2, 6)))
    linked = list({record.values[link]: targets[record.values[link]] for record in chosen}.values())
    rng.shuffle(linked)
    blocks = [describe(TABLES[left], chosen, rng), describe(TABLES[right], linked, rng)]
    if rng.random() < 0.4:
        blocks.reverse()
    passage = made("\n\n".join(blocks), f"twostep/{key}", f"table-{left}-{right}")
    wording = ask.draw(rng)
    answer = targets[chosen[0].values[link]].values[wanted]
    return question_row("two-step", passage, upper_first(wording.fill(a=chosen[0].name)), [answer], [wording])


def _airport_capital(tables: Tables, key: str, rng: random.Random) -> QuestionRow | None:
    return _join(tables, key, rng, "airport", "country", "country", "capital", twostep.AIRPORT_CAPITAL)


def _division_dial(tables: Tables, key: str, rng: random.Random) -> QuestionRow | None:
    return _join(tables, key, rng, "division", "country", "country", "dial", twostep.DIVISION_DIAL)


def _city_state(tables: Tables, key: str, rng: random.Random) -> QuestionRow | None:
    return _join(tables, key, rng, "area", "state", "state", "code", twostep.CITY_STATE)


def _region_code(tables: Tables, key: str, rng: random.Random) -> QuestionRow | None:
    return _join(tables, key, rng, "region", "country", "country", "alpha3", twostep.REGION_CODE)


def _amount(value: str) -> float | None:
    match = re.fullmatch(r"\(?(\d+(?:\.\d+)?)\)?(?: \w+)?", value)
    return float(match[1]) if match else None


def _compare(tables: Tables, key: str, rng: random.Random) -> QuestionRow | None:
    """The record of two, or of all, that has more of something."""
    names = sorted(name for name in _NUMERIC if tables.get(name))
    if not names:
        return None
    name = rng.choice(names)
    attribute = rng.choice(_NUMERIC[name])
    usable = [
        record
        for record in tables[name]
        if attribute in record.values and _amount(record.values[attribute]) is not None
    ]
    if len(usable) < 8:
        return None
    chosen = rng.sample(usable, rng.randint(3, 8))
    amounts = {record.name: _amount(record.values[attribute]) or 0.0 for record in chosen}
    if len(set(amounts.values())) < len(amounts):
        return None
    label = next(entry.label for entry in TABLES[name].attributes if entry.key == attribute)
    passage = made(describe(TABLES[name], chosen, rng), f"twostep/{key}", f"table-{name}")
    draw = rng.random()
    if draw < 0.3:
        wording, first = twostep.MOST.draw(rng), max(amounts, key=lambda entry: amounts[entry])
        return question_row("two-step", passage, wording.fill(t=TABLES[name].one, l=label), [first], [wording])
    pair = rng.sample(sorted(amounts), 2)
    more = draw < 0.65
    wording = (twostep.MORE if more else twostep.LESS).draw(rng)
    answer = (max if more else min)(pair, key=lambda entry: amounts[entry])
    return question_row(
        "two-step", passage, upper_first(wording.fill(l=label, a=pair[0], b=pair[1])), [answer], [wording]
    )


def _same(tables: Tables, key: str, rng: random.Random) -> QuestionRow | None:
    """The one other record that shares a value."""
    names = sorted(name for name in _SHARED if tables.get(name))
    if not names:
        return None
    name = rng.choice(names)
    attribute = rng.choice(_SHARED[name])
    by_value: dict[str, list[Record]] = {}
    for record in rng.sample(list(tables[name]), min(len(tables[name]), 400)):
        if attribute in record.values:
            by_value.setdefault(record.values[attribute], []).append(record)
    pairs = sorted((value for value, records in by_value.items() if len(records) >= 2))
    if not pairs or len(by_value) < 4:
        return None
    shared = rng.choice(pairs)
    first, second = rng.sample(by_value[shared], 2)
    others = [
        rng.choice(by_value[value])
        for value in rng.sample(sorted(set(by_value) - {shared}), min(len(by_value) - 1, rng.randint(2, 6)))
    ]
    records = [first, second, *others]
    rng.shuffle(records)
    words = TABLES[name]
    label = next(entry.label for entry in words.attributes if entry.key == attribute)
    passage = made(describe(words, records, rng), f"twostep/{key}", f"table-{name}")
    wording = twostep.SAME.draw(rng)
    return question_row(
        "two-step", passage, upper_first(wording.fill(t=words.one, l=label, a=first.name)), [second.name], [wording]
    )


_ON_TABLES: tuple[Callable[[Tables, str, random.Random], QuestionRow | None], ...] = (
    _airport_capital,
    _division_dial,
    _city_state,
    _region_code,
    _compare,
    _compare,
    _same,
    _same,
)
