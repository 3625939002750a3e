"""Wordings of tasks whose answer is a quotation."""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

MENTIONS = Templates(
    "quote.mentions",
    train=(
        "Quote the sentence that mentions {x}.",
        "Which sentence speaks of {x}?",
        "Repeat word for word the sentence with {x} in it.",
        "In which sentence does {x} occur?",
        "What does the document say about {x}? Quote it.",
        "Find the sentence about {x}.",
        "Give me the exact sentence that contains {x}.",
    ),
    heldout=("Cite the one sentence in which {x} comes up.",),
)
BEGINS = Templates(
    "quote.begins",
    train=(
        "How does the sentence go on that begins \u201c{x}\u201d?",
        "Complete the sentence of the text: \u201c{x} \u2026\u201d",
        "Continue word for word: {x}",
        "What follows after \u201c{x}\u201d?",
        "Finish the sentence as the document does: {x}",
        "\u201c{x} \u2026\u201d \u2013 how does this sentence end?",
    ),
    heldout=("Take up the text where it says \u201c{x}\u201d and finish the sentence.",),
)
AFTER = Templates(
    "quote.after",
    train=(
        "Which sentence comes right after this one? \u201c{x}\u201d",
        "What is the next sentence after \u201c{x}\u201d",
        "Quote the sentence that follows: {x}",
        "What does the text say directly after \u201c{x}\u201d",
    ),
    heldout=("Read on: what comes after \u201c{x}\u201d",),
)
BEFORE = Templates(
    "quote.before",
    train=(
        "Which sentence stands right before this one? \u201c{x}\u201d",
        "What is said just before \u201c{x}\u201d",
        "Quote the sentence in front of: {x}",
    ),
    heldout=("Go one sentence back from \u201c{x}\u201d",),
)
EDGE = Templates(
    "quote.edge",
    train=(
        "What is the {e} sentence of the passage?",
        "Quote the {e} sentence.",
        "With which sentence does the passage {d}?",
        "How does the passage {d}? Quote the sentence.",
    ),
    heldout=("Give back the {e} sentence of the text.",),
)
HEADING = Templates(
    "quote.heading",
    train=(
        "Under which heading does the document say: \u201c{x}\u201d",
        "What is the heading of the section that says \u201c{x}\u201d",
        "In which section is this found? {x}",
        "Which heading stands above \u201c{x}\u201d",
    ),
    heldout=("Name the section that contains: {x}",),
)
