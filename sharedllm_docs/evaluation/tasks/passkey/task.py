"""Passkey retrieval by length, the paper's retrieval figure: documents of real text with a number hidden in them."""

from __future__ import annotations

import random
from typing import ClassVar

from sharedllm_docs.evaluation.tasks.synthetic import Hidden, HiddenSentences

QUESTION = "What is the pass key?"


def pass_key(rng: random.Random) -> Hidden:
    """A number of five digits, stated twice."""
    key = str(rng.randrange(10_000, 100_000))
    sentence = f"The pass key is {key}. Remember it. {key} is the pass key."
    return Hidden((sentence,), (0,), QUESTION, (key,))


class Passkey(HiddenSentences):
    """See the folder's README."""

    name = "passkey"
    title = "a five-digit pass key in real text, by length"
    main = "contains"
    max_new_tokens = 24
    lengths = tuple(1024 << power for power in range(9))
    default_limit = 50
    kinds: ClassVar = {"passkey": pass_key}
