"""Wordings of questions that are answered with yes or no. ``{x}`` is a statement without its full stop."""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

SAYS = Templates(
    "yesno.says",
    train=(
        "Does the text say that {x}?",
        "Is it true, according to the document, that {x}?",
        "Is it stated that {x}?",
        "True to the text or not: {X}.",
        "Does the passage tell us that {x}?",
        "Is the following right? {X}.",
        "Yes or no: {x}?",
        "Do we learn from the document that {x}?",
        "Is this what the document says? \u201c{X}.\u201d",
        "Can one read in the text that {x}?",
        "According to the passage, is it the case that {x}?",
        "{X}. Is that correct?",
        "Would you say, going by the text, that {x}?",
        "Does the document support the statement that {x}?",
    ),
    heldout=("Someone claims that {x}. Does the document agree?", "Check this against the text: {X}. Is it so?"),
)
TURNED = Templates("yesno.turned", train=("{F} {s} {r}?",), heldout=("Tell me yes or no: {f} {s} {r}?",))
FACT = Templates(
    "yesno.fact",
    train=(
        "Is {v} the {l} of {n}?",
        "Is the {l} of {n} {v}?",
        "Does {n} have {v} as its {l}?",
        "Is it right that the {l} of {n} is {v}?",
        "{n}: is the {l} {v}?",
        "Does the document give {v} as the {l} of {n}?",
    ),
    heldout=("Can {v} be called the {l} of {n}?",),
)
