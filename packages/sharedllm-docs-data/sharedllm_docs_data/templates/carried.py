"""Wordings of questions that a manual's own structure answers: options, functions, settings, directives, headings."""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

FAQ = Templates(
    "carried.faq",
    train=("{q}", "The document answers this question: {q}", "{q} Answer as the document does.", "I wonder: {q}"),
    heldout=("A reader asks: {q}",),
)
OPTION = Templates(
    "carried.option",
    train=(
        "What does the option {x} do?",
        "What is the effect of {x}?",
        "What happens with {x}?",
        "Explain the option {x}.",
        "What is {x} for?",
        "How does {x} change the command?",
        "What does {x} mean?",
        "Why would one use {x}?",
        "Describe {x}.",
    ),
    heldout=("I saw {x} in a script. What does it do?",),
)
WHICH_OPTION = Templates(
    "carried.which-option",
    train=(
        "Which option does this: {d}",
        "With which option can this be had? {d}",
        "Name the option described so: \u201c{d}\u201d",
        "What option is explained as \u201c{d}\u201d?",
    ),
    heldout=("Which switch do I need for this? {d}",),
)
FUNCTION = Templates(
    "carried.function",
    train=(
        "What does {x} do?",
        "What is {x} for?",
        "What does the documentation say about {x}?",
        "Describe {x}.",
        "Explain {x}.",
        "How is {x} described?",
        "What is the purpose of {x}?",
        "What does calling {x} do?",
    ),
    heldout=("Summarise {x} in the words of the manual.",),
)
WHICH_FUNCTION = Templates(
    "carried.which-function",
    train=(
        "Which function is described so: \u201c{d}\u201d",
        "Name the function that does this: {d}",
        "What is the name of the function? {d}",
        "Which one does this: {d}",
    ),
    heldout=("Find the function by what it does: {d}",),
)
ARGUMENTS = Templates(
    "carried.arguments",
    train=(
        "Which arguments does {x} take?",
        "What are the parameters of {x}?",
        "With which arguments is {x} called?",
        "How is {x} called? Give the arguments.",
        "What goes between the parentheses of {x}?",
    ),
    heldout=("List what one passes to {x}.",),
)
SETTING = Templates(
    "carried.setting",
    train=(
        "What does the parameter {x} do?",
        "What is {x} for?",
        "What does {x} control?",
        "Explain the setting {x}.",
        "How is the parameter {x} described?",
        "What is set by {x}?",
    ),
    heldout=("Tell me what {x} governs.",),
)
TYPE = Templates(
    "carried.type",
    train=(
        "What is the type of {x}?",
        "Which type does the parameter {x} have?",
        "Of what type is {x}?",
        "Is {x} an integer, a string or what?",
    ),
    heldout=("What sort of value does {x} take?",),
)
DIRECTIVE = Templates(
    "carried.directive",
    train=(
        "What does the directive {x} do?",
        "What is the directive {x} for?",
        "How is {x} described?",
        "Give the description of {x}.",
        "Explain {x} in a line.",
    ),
    heldout=("What is {x} good for?",),
)
DIRECTIVE_FIELD = Templates(
    "carried.directive-field",
    train=(
        "What is the {f} of the directive {x}?",
        "Which {f} does {x} have?",
        "What {f} is given for {x}?",
        "Give the {f} of {x}.",
        "{x}: what is its {f}?",
        "What does the manual state as the {f} of {x}?",
    ),
    heldout=("Under {f}, what does the entry {x} say?",),
)
TERM = Templates(
    "carried.term",
    train=(
        "What is meant by \u201c{x}\u201d?",
        "How is \u201c{x}\u201d explained?",
        "What does \u201c{x}\u201d mean here?",
        "What does the document say under \u201c{x}\u201d?",
        "Explain \u201c{x}\u201d.",
        "Define \u201c{x}\u201d as the document does.",
    ),
    heldout=("What stands under the entry \u201c{x}\u201d?",),
)
