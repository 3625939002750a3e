"""Whether a tenant can tell by the clock what another tenant holds. Behind the figures of docs/scale.md.

    python benchmarks/tenants.py --trials 200

Each trial makes a new place. One tenant adds a text; whether it is the very text that the other is about to add, or
another of the same length, is drawn at random. Timed is the other tenant: adding its text, the first question after
opening anew, and the next question. Printed are the medians of both kinds of trials and the p-value of a two-sided
Mann-Whitney U test for each. The same trials without tenants, in one index for both, show what the test can see.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scipy.stats import mannwhitneyu

from sharedllm_docs import Document, Index, Page, SharedLLM
from tests.tiny_text import PAGES, tiny_llm

WORDS = " ".join(PAGES).split()
STEPS = ("add", "first question", "next question")


def text_of(chance: random.Random, words: int) -> Document:
    """A document of random words."""
    text = " ".join(chance.choices(WORDS, k=words))
    return Document(f"{chance.random()}.txt", f"{chance.getrandbits(256):064x}", "text", "1", (Page(1, text),))


def seconds(work: Callable[[], Any]) -> float:
    """Time of a call."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def trial(llm: SharedLLM, place: Path, chance: random.Random, words: int, tenants: bool, held: bool) -> list[float]:
    """Times of the three steps."""
    mine, other = text_of(chance, words), text_of(chance, words)
    options: list[dict[str, Any]] = [
        {"tenant": name, "salt": f"{name}, and sixteen bytes"} if tenants else {} for name in ("one", "two")
    ]
    neighbour = Index.open_or_create(place, llm, **options[1])
    neighbour.add(mine if held else other)
    question = " ".join(chance.choices(WORDS, k=6)) + "?"
    neighbour.ask(question, min_confidence=0, max_new_tokens=4)
    index = Index.open_or_create(place, llm, **options[0])
    added = seconds(lambda: index.add(mine))
    index = Index.open(place, llm, **options[0])
    asked = [seconds(lambda: index.ask(question, min_confidence=0, max_new_tokens=4)) for _ in range(2)]
    return [added, *asked]


def measure(llm: SharedLLM, trials: int, words: int, seed: int, tenants: bool) -> dict[str, Any]:
    """Medians and p-values of each step."""
    chance = random.Random(seed)
    drawn = [number % 2 == 0 for number in range(trials)]
    chance.shuffle(drawn)
    times: dict[bool, list[list[float]]] = {True: [], False: []}
    with tempfile.TemporaryDirectory() as folder:
        trial(llm, Path(folder, "first"), chance, words, tenants, False)  # whatever is made once in a process
        for number, held in enumerate(drawn):
            times[held].append(trial(llm, Path(folder, str(number)), chance, words, tenants, held))
    found = {}
    for number, step in enumerate(STEPS):
        one, other = ([row[number] for row in times[held]] for held in (True, False))
        found[step] = {
            "held, ms": round(1000 * statistics.median(one), 2),
            "not held, ms": round(1000 * statistics.median(other), 2),
            "ratio": round(statistics.median(one) / statistics.median(other), 3),
            "p": float(f"{mannwhitneyu(one, other, alternative='two-sided').pvalue:.2g}"),
        }
    return found


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--words", type=int, default=300, help="of each text")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    os.environ["SHAREDLLM_DOCS_PROCESS"] = "own"
    llm = tiny_llm()
    kinds = {"tenants": True, "one index for both": False}
    settings = (given.trials, given.words, given.seed)
    found = {name: measure(llm, *settings, tenants) for name, tenants in kinds.items()}
    print(json.dumps({"trials": given.trials, "words": given.words, **found}, indent=2))


if __name__ == "__main__":
    main()
