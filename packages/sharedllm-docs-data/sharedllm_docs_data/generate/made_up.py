"""Makers of invented keys and values: people, numbers, dates, codes."""

from __future__ import annotations

import random
from collections.abc import Callable

from sharedllm_docs_data.templates import pools

Maker = Callable[[random.Random], str]


def person(rng: random.Random) -> str:
    """A first and a last name."""
    return f"{rng.choice(pools.FIRST_NAMES)} {rng.choice(pools.SURNAMES)}"


def code(rng: random.Random) -> str:
    """A code such as ``KD-4821`` or ``amber-willow-17``."""
    if rng.random() < 0.5:
        return "".join(rng.choice("ABCDEFGHJKLMNPQRSTUVWXYZ") for _ in range(2)) + f"-{rng.randint(100, 99999)}"
    return f"{rng.choice(pools.CODE_WORDS)}-{rng.choice(pools.CODE_WORDS)}-{rng.randint(2, 99)}"


def number(rng: random.Random) -> str:
    """A number of four to eight digits."""
    digits = rng.randint(4, 8)
    return str(rng.randint(10 ** (digits - 1), 10**digits - 1))


def date(rng: random.Random) -> str:
    """A day of a month."""
    return f"{rng.randint(1, 28)} {rng.choice(pools.MONTHS)}"


def _price(rng: random.Random) -> str:
    sign, cents = rng.choice("$\u20ac\u00a3"), rng.choice(("00", "50", "95", "20", "75"))
    return f"{sign}{rng.randint(1, 499)}.{cents}"


def _phone(rng: random.Random) -> str:
    return rng.choice(
        (
            f"{rng.randint(1000, 9999)}",
            f"0{rng.randint(20, 99)} {rng.randint(100, 999)} {rng.randint(1000, 9999)}",
            f"555-{rng.randint(1000, 9999)}",
        )
    )


def _setting_value(rng: random.Random) -> str:
    return str(rng.choice((rng.randint(1, 64), rng.randint(100, 9999), rng.randint(1000, 65535))))


MAKERS: dict[str, Maker] = {
    "person": person,
    "setting": lambda rng: rng.choice(pools.SETTINGS),
    "small_number": _setting_value,
    "hex": lambda rng: f"{rng.getrandbits(32):08x}",
    "phone": _phone,
    "good": lambda rng: rng.choice(pools.GOODS),
    "count": lambda rng: str(rng.randint(2, 999)),
    "price": _price,
    "room": lambda rng: f"room {rng.choice('ABCDE')}{rng.randint(1, 499)}",
    "event": lambda rng: rng.choice(pools.EVENTS),
    "date": date,
    "clock": lambda rng: f"{rng.randint(7, 21)}:{rng.choice(('00', '15', '20', '30', '40', '45'))}",
    "profession": lambda rng: rng.choice(pools.PROFESSIONS),
    "ticket": lambda rng: f"{rng.choice(('ticket', 'case', 'order', 'job'))} {rng.randint(100, 99999)}",
    "planet": lambda rng: f"{rng.choice(pools.PLANETS)} {rng.choice(('I', 'II', 'III', 'IV', 'V', 'VI', 'VII'))}",
    "distance": lambda rng: f"{rng.randint(2, 980)} {rng.choice(('light years', 'parsecs', 'days of flight'))}",
    "hobby": lambda rng: rng.choice(pools.HOBBIES),
}


def distinct(make: Maker, count: int, rng: random.Random) -> list[str]:
    """Up to ``count`` different results of a maker, in the order in which they were made."""
    found: dict[str, None] = {}
    for _ in range(count * 8):
        if len(found) == count:
            break
        found[make(rng)] = None
    return list(found)
