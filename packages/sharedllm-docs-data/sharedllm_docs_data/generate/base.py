"""What all generators share: templates, some of them held out, passages, rows, and seeded randomness."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from sharedllm_docs.training.dataset import HELDOUT, QuestionRow, digest, split_of

HELDOUT_SHARE = 0.06


@dataclass(frozen=True)
class Wording:
    """One template: its id, its text with ``{fields}``, and whether it is kept out of training."""

    id: str
    text: str
    heldout: bool

    def fill(self, **fields: object) -> str:
        """The text with its fields filled in."""
        return self.text.format(**fields)


@dataclass(frozen=True)
class Templates:
    """Several wordings of one thing.

    Attributes:
        name: ``kind.what``, the beginning of every template's id.
        train: wordings for training.
        heldout: wordings that only rows of the split ``heldout-template`` have.
    """

    name: str
    train: tuple[str, ...]
    heldout: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.train) + len(self.heldout)

    def draw(self, rng: random.Random, *, allow_heldout: bool = True) -> Wording:
        """Draw one wording; a few are held-out ones, if there are any and they are allowed."""
        if self.heldout and allow_heldout and rng.random() < HELDOUT_SHARE:
            number = rng.randrange(len(self.heldout))
            return Wording(f"{self.name}.h{number}", self.heldout[number], True)
        number = rng.randrange(len(self.train))
        return Wording(f"{self.name}.{number}", self.train[number], False)


@dataclass(frozen=True)
class Passage:
    """A piece of a document that questions are asked about.

    Attributes:
        source, doc, split: those of the document that it is cut from; ``made`` and ``""`` if a generator wrote it.
        title: the document's title.
        paragraphs: in order; each without line breaks.
        commercial: whether the text's licence allows commercial use.
    """

    source: str
    doc: str
    split: str
    title: str
    paragraphs: tuple[str, ...]
    commercial: bool = True

    @property
    def text(self) -> str:
        """The paragraphs as one text."""
        return "\n\n".join(self.paragraphs)


def made(text: str, key: str, source: str = "made") -> Passage:
    """A passage that a generator wrote, out of nothing or a table, all of which allow commercial use.

    Its split follows ``key``.
    """
    return Passage(source, "", split_of(f"{source}/{key}"), "", (text,))


def question_row(
    kind: str, passage: Passage, question: str, answers: Sequence[str], wordings: Sequence[Wording], context: str = ""
) -> QuestionRow:
    """A row over a passage, under its licence; its split is the passage's, unless one of its templates is held out."""
    context = context or passage.text
    question = re.sub(r"\s+", " ", question).strip() if "\n" not in question else question.strip()
    accepted = tuple(dict.fromkeys(answer.strip() for answer in answers if answer.strip()))
    split = HELDOUT if any(wording.heldout for wording in wordings) else passage.split
    template = "+".join(wording.id for wording in wordings)
    return QuestionRow(
        f"{kind}-{digest(context, question)}",
        kind,
        passage.source,
        passage.doc,
        context,
        question,
        accepted[0],
        accepted,
        template,
        split,
        passage.commercial,
    )


def seeded(seed: int, *keys: str) -> random.Random:
    """A random generator that depends only on its arguments."""
    return random.Random(f"{seed}/" + "/".join(keys))


def upper_first(text: str) -> str:
    """The text with its first letter as a capital."""
    return text[:1].upper() + text[1:]
