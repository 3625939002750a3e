"""Wordings of questions about meanings, over dictionary entries."""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

MEANS = Templates(
    "definitions.means",
    train=(
        "What does {w} mean?",
        "What is the meaning of {w}?",
        "Define {w}.",
        "How is {w} defined?",
        "What is meant by {w}?",
        "How does the dictionary explain {w}?",
        "Give the definition of {w}.",
        "Look up {w}: what does it say?",
        "Explain the word {w}.",
        "{w}: what is that?",
        "What is the sense of {w}?",
        "What definition is given for {w}?",
    ),
    heldout=("Which explanation stands under {w}?", "Tell me the meaning that is entered for {w}."),
)
PART = Templates(
    "definitions.part",
    train=(
        "What part of speech is {w}?",
        "Is {w} a noun, a verb, an adjective or an adverb?",
        "Which part of speech does the entry give for {w}?",
        "As what part of speech is {w} entered?",
        "Grammatically, what is {w}?",
    ),
    heldout=("Name the word class of {w}.",),
)
WORD = Templates(
    "definitions.word",
    train=(
        "Which word means \u201c{d}\u201d?",
        "What is the word for \u201c{d}\u201d?",
        "Which entry is defined as \u201c{d}\u201d?",
        "What do you call this: {d}?",
        "Find the word that means: {d}",
        "Which term is explained as \u201c{d}\u201d?",
        "The definition is \u201c{d}\u201d. Of which word?",
    ),
    heldout=("Name the headword whose meaning is \u201c{d}\u201d.",),
)
EXAMPLE = Templates(
    "definitions.example",
    train=(
        "Which example is given for {w}?",
        "How is {w} used in the example?",
        "Quote the example for {w}.",
        "In what sentence or phrase does the entry show {w}?",
    ),
    heldout=("Which phrase illustrates {w}?",),
)
TERM = Templates(
    "definitions.term",
    train=(
        "What is {w}?",
        "How does the entry describe {w}?",
        "What does the document say about {w}?",
        "What does {w} mean in computing?",
        "Explain {w}.",
        "What is meant by {w}?",
        "Describe {w} in the words of the entry.",
    ),
    heldout=("Which account of {w} is given?",),
)
FIELD = Templates(
    "definitions.field",
    train=(
        "To which field does the term {w} belong?",
        "Which subject label does the entry {w} have?",
        "In which area is {w} used?",
        "Under which subject is {w} classed?",
    ),
    heldout=("Name the subject of the entry {w}.",),
)
