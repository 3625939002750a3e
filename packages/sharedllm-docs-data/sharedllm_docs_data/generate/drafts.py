"""A question before it becomes a row, and how wordings are filled to make one."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from sharedllm_docs_data.generate.base import Templates, Wording, upper_first


@dataclass(frozen=True)
class Draft:
    """A question before it is framed: the wording that made it, its text and its accepted answers."""

    wording: Wording
    question: str
    answers: tuple[str, ...]


def draft(templates: Templates, rng: random.Random, answers: tuple[str, ...], **fields: str) -> Draft:
    """A draft in one of the wordings; ``{S}`` is filled with the subject ``s`` in a capital."""
    wording = templates.draw(rng)
    subject = fields.get("s", "")
    text = wording.fill(**{**fields, "S": upper_first(subject)})
    text = re.sub(r"\s+([?.,])", r"\1", re.sub(r"\s+", " ", text))
    return Draft(wording, upper_first(text.strip()), answers)


def with_article(answer: str) -> tuple[str, ...]:
    """The answer as it stands, and without its article."""
    bare = re.sub(r"^(?:the|a|an) ", "", answer, flags=re.IGNORECASE)
    return (answer,) if bare == answer else (answer, bare)
