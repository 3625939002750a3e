"""Wordings of facts from tables: how a fact is stated in a context, and how it is asked for.

``{n}`` is what the fact is about, ``{l}`` the attribute's label, ``{v}`` its value. Every attribute also has the
general wordings at the top; those with ``the {l}`` want a label that takes an article.
"""

from __future__ import annotations

from dataclasses import dataclass

from sharedllm_docs_data.generate.base import Templates

STATE_ANY = (
    "The {l} of {n} is {v}.",
    "{n} has {v} as its {l}.",
    "For {n}, the {l} is {v}.",
    "{n}: the {l} is {v}.",
    "As for {n}, its {l} is {v}.",
)
ASK_ANY = Templates(
    "facts.any",
    train=(
        "What is the {l} of {n}?",
        "Which {l} does {n} have?",
        "Name the {l} of {n}.",
        "What is {n}'s {l}?",
        "What {l} is given for {n}?",
        "{n}: what is the {l}?",
        "What does the document give as the {l} of {n}?",
        "Please look up the {l} of {n}.",
        "I need the {l} of {n}.",
        "Which {l} is listed for {n}?",
    ),
    heldout=("Under {n}, which {l} is entered?", "State the {l} recorded for {n}.", "{l} of {n}?"),
)
BACK_ANY = Templates(
    "facts.back",
    train=(
        "Which {t} has the {l} {v}?",
        "{v} is the {l} of which {t}?",
        "What {t} has {v} as its {l}?",
        "For which {t} is the {l} {v}?",
        "Name the {t} whose {l} is {v}.",
        "To which {t} does the {l} {v} belong?",
        "The {l} {v} is given for which {t}?",
        "Of which {t} is {v} the {l}?",
    ),
    heldout=("Which {t} is entered with the {l} {v}?", "Identify the {t} by its {l}, {v}."),
)
TITLES = (
    "A list of {ts}",
    "{Ts}: an overview",
    "Some {ts}",
    "Notes on {ts}",
    "Register of {ts}",
    "Facts about {ts}",
    "{Ts} at a glance",
    "Handbook of {ts}",
    "Appendix: {ts}",
    "{Ts}",
)


@dataclass(frozen=True)
class Attribute:
    """An attribute of a table's records, and the ways to state it and to ask for it.

    Attributes:
        key: in the record's values.
        label: what it is called in a sentence.
        state: statements of its own, beside the general ones.
        ask: questions of its own.
        back: whether one record can be asked for by the value (the values are distinct, and say enough).
    """

    key: str
    label: str
    state: tuple[str, ...] = ()
    ask: tuple[str, ...] = ()
    back: bool = False


@dataclass(frozen=True)
class TableWords:
    """Words for a table: for one record, for many, for their attributes; and how often it is drawn.

    ``keeps_case`` is set where the names are never written with a capital, not even at the head of a sentence.
    """

    one: str
    many: str
    attributes: tuple[Attribute, ...]
    weight: float = 1.0
    keeps_case: bool = False
