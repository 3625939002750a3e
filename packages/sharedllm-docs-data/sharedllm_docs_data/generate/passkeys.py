"""Pass keys in real text: one sentence with a secret is inserted among the paragraphs, and asked for."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.generate.base import Passage, question_row, seeded
from sharedllm_docs_data.generate.made_up import code, number
from sharedllm_docs_data.templates import pools
from sharedllm_docs_data.templates.passkeys import PASSKEYS

_NOISE = "The grass is green. The sky is blue. The sun is yellow. Here we go. There and back again."


def insert(passage: Passage, sentences: Sequence[str], rng: random.Random) -> str:
    """The passage with the sentences at random places, each at an end of a paragraph or as a paragraph of its own."""
    blocks = list(passage.paragraphs)
    for sentence in sentences:
        at = rng.randint(0, len(blocks))
        if at < len(blocks) and "\n" not in blocks[at] and rng.random() < 0.6:
            blocks[at] = f"{blocks[at]} {sentence}" if rng.random() < 0.5 else f"{sentence} {blocks[at]}"
        else:
            blocks.insert(at, sentence)
    return "\n\n".join(blocks)


def rows(passages: Sequence[Passage], count: int, seed: int) -> Iterator[QuestionRow]:
    """``count`` questions over passages; some of them over noise, as the task is usually set."""
    for at in range(count):
        rng = seeded(seed, "passkey", str(at))
        passage = passages[at % len(passages)]
        if rng.random() < 0.15:
            noise = tuple([" ".join([_NOISE] * rng.randint(2, 8))] * rng.randint(2, 6))
            passage = Passage("made", "", passage.split, "", noise)
        statement, ask = rng.choice(PASSKEYS)
        digits_only = ask.name.rpartition(".")[2] in ("number", "pin", "magic", "frequency", "serial")
        value = number(rng) if digits_only else rng.choice((number, code, lambda r: r.choice(pools.CODE_WORDS)))(rng)
        if value in passage.text:
            continue
        context = insert(passage, [statement.format(v=value)], rng)
        wording = ask.draw(rng)
        yield question_row("passkey", passage, wording.text, [value], [wording], context)
