"""The five kinds of needles: which sentences are hidden, what is asked and what is wanted, drawn from a seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise

from sharedllm_docs.evaluation.tasks.synthetic import Hidden

_THINGS = """
anchor apple arrow badger barrel basket beacon bridge button cabin candle canyon castle cedar chapel cherry circus comet
copper cottage cradle dragon falcon feather ferry fiddle forest fountain garden glacier goblet hammer harbour helmet
island jacket kettle ladder lantern lemon magnet marble meadow mirror monkey needle orchard otter paddle parrot pebble
pillow pirate planet pumpkin rabbit ribbon river saddle salmon shadow shovel silver spider statue temple thunder tiger
tunnel turtle valley velvet violin walnut whistle willow window
"""
THINGS = tuple(_THINGS.split())
COLOURS = ("amber", "black", "blue", "brown", "crimson", "green", "grey", "orange", "purple", "red", "white", "yellow")
OTHERS, VALUES, QUERIES, HOPS = 3, 4, 4, 4


def _names(rng: random.Random, count: int) -> list[str]:
    pairs = [f"{colour} {thing}" for colour in COLOURS for thing in THINGS]
    return rng.sample(pairs, count)


def _numbers(rng: random.Random, count: int) -> list[str]:
    return [str(number) for number in rng.sample(range(1_000_000, 10_000_000), count)]


def _fact(name: str, number: str) -> str:
    return f"The registration number of the {name} is {number}."


def single(rng: random.Random) -> Hidden:
    """One fact."""
    [name], [number] = _names(rng, 1), _numbers(rng, 1)
    return Hidden((_fact(name, number),), (0,), f"What is the registration number of the {name}?", (number,))


def multi_key(rng: random.Random) -> Hidden:
    """One fact among others of the same form."""
    names, numbers = _names(rng, 1 + OTHERS), _numbers(rng, 1 + OTHERS)
    asked = rng.randrange(1 + OTHERS)
    sentences = tuple(map(_fact, names, numbers))
    question = f"What is the registration number of the {names[asked]}?"
    return Hidden(sentences, (asked,), question, (numbers[asked],))


def multi_value(rng: random.Random) -> Hidden:
    """Several numbers of one thing."""
    [name], numbers = _names(rng, 1), _numbers(rng, VALUES)
    sentences = tuple(f"One of the registration numbers of the {name} is {number}." for number in numbers)
    question = f"What are all the registration numbers of the {name}?"
    return Hidden(sentences, tuple(range(VALUES)), question, tuple(numbers))


def multi_query(rng: random.Random) -> Hidden:
    """Several things in one question."""
    names, numbers = _names(rng, QUERIES), _numbers(rng, QUERIES)
    listed = ", ".join(f"the {name}" for name in names[:-1]) + f" and the {names[-1]}"
    question = f"What are the registration numbers of {listed}?"
    return Hidden(tuple(map(_fact, names, numbers)), tuple(range(QUERIES)), question, tuple(numbers))


def variable_tracking(rng: random.Random) -> Hidden:
    """A number passed on from variable to variable."""
    [number] = _numbers(rng, 1)
    letters = ["".join(rng.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=5)) for _ in range(HOPS + 1)]
    first = f"The variable {letters[0]} is set to {number}."
    passed_on = [f"The variable {b} is set to the value of {a}." for a, b in pairwise(letters)]
    question = f"Which {HOPS + 1} variables have the value {number}?"
    return Hidden((first, *passed_on), tuple(range(HOPS + 1)), question, tuple(letters))


KINDS: dict[str, Callable[[random.Random], Hidden]] = {
    "single": single,
    "multi-key": multi_key,
    "multi-value": multi_value,
    "multi-query": multi_query,
    "variable-tracking": variable_tracking,
}
