"""Puts a finished question into a frame such as "According to the text, ...", for some questions."""

from __future__ import annotations

import random
import re

from sharedllm_docs_data.generate.base import Wording
from sharedllm_docs_data.templates.common import FRAMES
from sharedllm_docs_data.wordlists import listed

_SHARE = 0.3
_SPEAKS_OF_TEXT = re.compile(r"\b(?:text|document|passage)\b")
_SMALL = frozenset(
    listed(
        "what who whom whose which when where why how in by at on to for of is are was were does do did can "
        "could will would may might must should has have had the a an there name give state explain tell say "
        "spell describe report if from with under quote i which"
    )
)


def framed(question: str, rng: random.Random) -> tuple[str, tuple[Wording, ...]]:
    """The question, framed or as it is, and the frame's wording if there is one."""
    if rng.random() >= _SHARE or _SPEAKS_OF_TEXT.search(question):
        return question, ()
    frame = FRAMES.draw(rng)
    first = re.split(r"\W", question, maxsplit=1)[0]
    small = question[:1].lower() + question[1:] if first.lower() in _SMALL and first != "I" else question
    return frame.fill(q=small if frame.text.endswith(", {q}") else question, Q=question), (frame,)
