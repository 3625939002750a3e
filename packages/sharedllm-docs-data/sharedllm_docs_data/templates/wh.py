"""Wordings of questions made from statements. ``{s}`` subject, ``{f}`` the auxiliary in front, ``{r}`` the rest."""

from __future__ import annotations

from sharedllm_docs_data.generate.base import Templates

YEAR = Templates(
    "wh.year",
    train=(
        "In what year {f} {s} {r}?",
        "In which year {f} {s} {r}?",
        "When {f} {s} {r}?",
        "What year {f} {s} {r}?",
        "{S} {f} {r} in what year?",
    ),
    heldout=("Which was the year in which {s} {f} {r}?",),
)
DATE = Templates(
    "wh.date",
    train=(
        "When {f} {s} {r}?",
        "At what point in time {f} {s} {r}?",
        "When exactly {f} {s} {r}?",
        "{S} {f} {r} when?",
        "What is the date given for when {s} {f} {r}?",
    ),
    heldout=("What date or period is given for when {s} {f} {r}?",),
)
PLACE = Templates(
    "wh.place",
    train=("Where {f} {s} {r}?", "In what place {f} {s} {r}?", "{S} {f} {r} where?", "Where exactly {f} {s} {r}?"),
    heldout=("What place is named as where {s} {f} {r}?",),
)
AGENT = Templates(
    "wh.agent",
    train=(
        "Who or what {f} {s} {r} by?",
        "By whom or by what {f} {s} {r}?",
        "{S} {f} {r} by whom or what?",
        "By what or whom {f} {s} {r}?",
    ),
    heldout=("Name the one by whom or which {s} {f} {r}.",),
)
COUNT = Templates(
    "wh.count",
    train=(
        "How many {n} {f} {s} {b}?",
        "What number of {n} {f} {s} {b}?",
        "{S} {v} how many {n}?",
        "How many {n} does the text say {s} {v}?",
    ),
    heldout=("State how many {n} {s} {v}.",),
)
THERE = Templates(
    "wh.there",
    train=(
        "How many {n} {f} there {r}?",
        "How many {n} does the text say there {f} {r}?",
        "There {f} how many {n} {r}?",
    ),
    heldout=("Give the number of {n} there {f} {r}.",),
)
SUBJECT = Templates(
    "wh.subject",
    train=("{w} {v} {r}?",),
    heldout=("{w} is it that {v} {r}?",),
)
IDENTITY = Templates(
    "wh.identity",
    train=(
        "What {f} {s}?",
        "How does the text describe {s}?",
        "What does the document say {s} {f}?",
        "What kind of thing {f} {s}?",
        "How {f} {s} described?",
        "What {f} {s}, according to the text?",
        "Explain in a few words what {s} {f}.",
    ),
    heldout=("What is one told that {s} {f}?", "Say what {s} {f}."),
)
PERSON = Templates(
    "wh.person",
    train=(
        "Who {f} {s}?",
        "How does the text describe {s}?",
        "What is said about who {s} {f}?",
        "Who {f} {s}, in a few words?",
        "Tell me who {s} {f}.",
    ),
    heldout=("Say who {s} {f}.",),
)
REASON = Templates(
    "wh.reason",
    train=(
        "Why {f} {s} {r}?",
        "For what reason {f} {s} {r}?",
        "What is the reason that {s} {v} {r}?",
        "How does the text explain that {s} {v} {r}?",
        "Why is it that {s} {v} {r}?",
    ),
    heldout=("Give the reason why {s} {v} {r}.",),
)
OBJECT = Templates(
    "wh.object",
    train=("What {f} {s} {b}?", "{S} {v} what?", "What is it that {s} {v}?", "What does the text say {s} {v}?"),
    heldout=("Name what {s} {v}.",),
)
CALLED = Templates(
    "wh.called",
    train=(
        "What {f} {s} {c}?",
        "{S} {f} {c} what?",
        "What does the text say {s} {f} {c}?",
        "What is it that {s} {f} {c}?",
    ),
    heldout=("State what {s} {f} {c}.",),
)
PURPOSE = Templates(
    "wh.purpose",
    train=(
        "What {f} {s} used for?",
        "For what purpose {f} {s} used?",
        "What is the use of {s}?",
        "{S} {f} used for what?",
        "What is said about the use of {s}?",
    ),
    heldout=("Name the purpose for which {s} {f} used.",),
)
CONDITION = Templates(
    "wh.condition",
    train=(
        "What happens {i} {x}?",
        "What does the text say happens {i} {x}?",
        "What follows {i} {x}?",
        "What is the case {i} {x}?",
        "What can be said {i} {x}?",
        "{I} {x}, what happens?",
    ),
    heldout=("Describe what happens {i} {x}.",),
)
ADVICE = Templates(
    "wh.advice",
    train=(
        "What should one do {i} {x}?",
        "What is one told to do {i} {x}?",
        "{I} {x}, what should you do?",
        "What does the document advise {i} {x}?",
    ),
    heldout=("Give the advice for what to do {i} {x}.",),
)
HOWTO = Templates(
    "wh.howto",
    train=(
        "How do you {x}?",
        "How can one {x}?",
        "What do you do to {x}?",
        "What has to be done to {x}?",
        "How would I {x}?",
        "How does the document tell you to {x}?",
        "What steps does the text give to {x}?",
    ),
    heldout=("Explain how to {x}.", "I want to {x}. How?"),
)
EVENT = Templates(
    "wh.event",
    train=(
        "What happened {t}?",
        "What does the text say happened {t}?",
        "What took place {t}?",
        "Which event is reported for {y}?",
        "What is said about what happened {t}?",
    ),
    heldout=("Report what happened {t}.",),
)
EXAMPLES = Templates(
    "wh.examples",
    train=(
        "What examples of {n} does the text give?",
        "Which examples of {n} are named?",
        "What {n} are named as examples?",
        "Name examples of {n} from the text.",
        "What does the text list as examples of {n}?",
    ),
    heldout=("Which {n}, for example, come up in the passage?",),
)
MEANING = Templates(
    "wh.meaning",
    train=(
        "What does {x} stand for?",
        "What is {x} short for?",
        "What is the long form of {x}?",
        "What is the abbreviation {x} spelled out?",
        "Which words does {x} abbreviate?",
    ),
    heldout=("Spell out the abbreviation {x}.",),
)
SHORT = Templates(
    "wh.short",
    train=(
        "What is the abbreviation for {x}?",
        "How is {x} abbreviated?",
        "What is the short form of {x}?",
        "Which abbreviation is used for {x}?",
    ),
    heldout=("By which letters does the text abbreviate {x}?",),
)
