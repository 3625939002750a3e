"""Wordings of questions that take two steps, with the statements that carry them."""

from __future__ import annotations

from dataclasses import dataclass

from sharedllm_docs_data.generate.base import Templates


@dataclass(frozen=True)
class Chain:
    """Two facts that share a middle term: ``{a}`` leads to ``{b}``, ``{b}`` leads to ``{c}``.

    ``first``, ``middle`` and ``last`` name makers of the generator.
    """

    name: str
    first: str
    middle: str
    last: str
    one: tuple[str, ...]
    two: tuple[str, ...]
    ask: Templates


CHAINS: tuple[Chain, ...] = (
    Chain(
        "floor",
        "person",
        "team",
        "floor",
        ("{a} works in {b}.", "{b} is the department of {a}.", "{a} belongs to the people of {b}."),
        (
            "The department {b} is on the {c} floor.",
            "{b} has its offices on the {c} floor.",
            "One finds {b} on the {c} floor.",
        ),
        Templates(
            "twostep.floor",
            (
                "On which floor does {a} work?",
                "On what floor can I find {a}?",
                "To which floor must I go to meet {a}?",
                "Which floor is {a} on?",
            ),
            ("The lift stops where, if I want to see {a}?",),
        ),
    ),
    Chain(
        "shelf",
        "thing",
        "container",
        "room",
        ("The {a} lies in {b}.", "{b} holds the {a}.", "Somebody put the {a} into {b}."),
        ("{b} stands in {c}.", "{b} was carried to {c}.", "In {c} there is {b}."),
        Templates(
            "twostep.shelf",
            (
                "In which room is the {a}?",
                "Where in the house is the {a}?",
                "To which room must I go for the {a}?",
                "Which room has the {a} in it?",
            ),
            ("Tell me the room with the {a}.",),
        ),
    ),
    Chain(
        "hobby",
        "person",
        "profession",
        "hobby",
        ("{a} is the {b} of the village.", "The village's {b} is {a}.", "As the only {b} here, {a} is busy."),
        (
            "The {b} spends the evenings with {c}.",
            "After work the {b} loves {c}.",
            "{c} is what the {b} does on Sundays.",
        ),
        Templates(
            "twostep.hobby",
            ("What does {a} do for fun?", "Which pastime does {a} have?", "What is the hobby of {a}?"),
            ("How does {a} spend leisure time?",),
        ),
    ),
    Chain(
        "train",
        "planet",
        "word",
        "clock",
        ("The ship to {a} is called {b}.", "{b} is the ship that flies to {a}.", "For {a}, take the ship {b}."),
        ("{b} leaves at {c}.", "The departure of {b} is at {c}.", "At {c}, {b} takes off."),
        Templates(
            "twostep.train",
            (
                "When does the ship to {a} leave?",
                "At what time can one fly to {a}?",
                "What is the departure time for {a}?",
            ),
            ("I have to be aboard for {a} by what time?",),
        ),
    ),
    Chain(
        "price",
        "good",
        "code",
        "price",
        ("{a} have the article number {b}.", "Article {b}: {a}.", "We list {a} under {b}."),
        ("{b} costs {c}.", "The price of {b} is {c}.", "For {b} we ask {c}."),
        Templates(
            "twostep.price",
            ("What do {a} cost?", "What is the price of {a}?", "How much are {a}?"),
            ("What will I pay for {a}?",),
        ),
    ),
    Chain(
        "boss",
        "person",
        "team",
        "person",
        ("{a} is in {b}.", "{a} has joined {b}.", "{b} counts {a} among its people."),
        ("{b} is led by {c}.", "The head of {b} is {c}.", "{c} is in charge of {b}."),
        Templates(
            "twostep.boss",
            (
                "Who leads the department in which {a} works?",
                "Who is the head of {a}'s department?",
                "Who is {a}'s boss?",
                "To whom does {a} report?",
            ),
            ("Name the superior of {a}.",),
        ),
    ),
    Chain(
        "host",
        "event",
        "room",
        "number",
        ("{a} is held in {b}.", "For {a}, come to {b}.", "{b} is reserved for {a}."),
        ("The door code of {b} is {c}.", "{b} opens with the code {c}.", "Enter {c} at the door of {b}."),
        Templates(
            "twostep.host",
            (
                "Which door code do I need for {a}?",
                "With what code do I get into the room of {a}?",
                "What code opens the door to {a}?",
            ),
            ("I am invited to {a}. Which code lets me in?",),
        ),
    ),
    Chain(
        "pet",
        "person",
        "animal",
        "colour",
        ("{a} keeps a tame {b}.", "The {b} belongs to {a}.", "{a} is the owner of the {b}."),
        ("The {b} wears a {c} ribbon.", "Round its neck the {b} has something {c}.", "A {c} collar marks the {b}."),
        Templates(
            "twostep.pet",
            (
                "What colour does the animal of {a} wear?",
                "Which colour marks {a}'s animal?",
                "What is the colour of the collar or ribbon of {a}'s animal?",
            ),
            ("By which colour do I know the animal of {a}?",),
        ),
    ),
    Chain(
        "file",
        "ticket",
        "person",
        "phone",
        ("{a} is handled by {b}.", "{b} looks after {a}.", "Responsible for {a}: {b}."),
        ("{b} can be called on {c}.", "The number of {b} is {c}.", "Telephone of {b}: {c}."),
        Templates(
            "twostep.file",
            (
                "Which number do I call about {a}?",
                "On what telephone number can I ask about {a}?",
                "What is the number of the person who handles {a}?",
            ),
            ("Whom I should ring about {a}: what number is that?",),
        ),
    ),
)

# Chains over tables: the question needs a row of one table to find the row of the other.
AIRPORT_CAPITAL = Templates(
    "twostep.airport-capital",
    train=(
        "What is the capital of the country where {a} is?",
        "{a} lies in a country with which capital?",
        "Which city is the capital of the country of {a}?",
        "Name the capital of the country in which {a} is situated.",
    ),
    heldout=("Someone lands at {a}. What is the capital of that country?",),
)
DIVISION_DIAL = Templates(
    "twostep.division-dial",
    train=(
        "Which dialling code has the country to which {a} belongs?",
        "To telephone {a}, which country code must be dialled?",
        "What is the dialling code of the country of {a}?",
        "With which dialling code does one reach the country of {a}?",
    ),
    heldout=("I want to call somebody in {a}. Which dialling code does the country have?",),
)
CITY_STATE = Templates(
    "twostep.city-state",
    train=(
        "What is the postal code of the state or province in which {a} lies?",
        "How is the state or province of {a} abbreviated?",
        "Which two letters stand for the state or province of {a}?",
    ),
    heldout=("A letter goes to {a}. Which two letters stand for its state or province?",),
)
REGION_CODE = Templates(
    "twostep.region-code",
    train=(
        "What is the three-letter code of the country that has {a} as a region?",
        "Which three letters stand for the country of {a}?",
        "{a} is a region of a country with which three-letter code?",
    ),
    heldout=("By which three letters goes the country where {a} is a region?",),
)
MORE = Templates(
    "twostep.more",
    train=(
        "Which has the larger {l}, {a} or {b}?",
        "Which of the two has the greater {l}: {a} or {b}?",
        "{a} or {b}: which one has more as its {l}?",
        "Compare {a} with {b}. Whose {l} is larger?",
        "Is the {l} of {a} or that of {b} the larger one?",
    ),
    heldout=("Set {a} against {b}: where is the {l} larger?",),
)
LESS = Templates(
    "twostep.less",
    train=(
        "Which has the smaller {l}, {a} or {b}?",
        "Which of the two has the lower {l}: {a} or {b}?",
        "Compare {a} with {b}. Whose {l} is smaller?",
        "Is the {l} of {a} or that of {b} the smaller one?",
    ),
    heldout=("Set {a} against {b}: where is the {l} smaller?",),
)
MOST = Templates(
    "twostep.most",
    train=(
        "Which {t} has the largest {l}?",
        "Which {t} in the document has the greatest {l}?",
        "What {t} comes first by {l}, the largest first?",
        "Of all that are listed, which {t} has the highest {l}?",
    ),
    heldout=("Rank them by {l}: which {t} is at the top?",),
)
SAME = Templates(
    "twostep.same",
    train=(
        "Which other {t} has the same {l} as {a}?",
        "Besides {a}, which {t} has the same {l}?",
        "What {t} shares its {l} with {a}?",
        "Name the {t} with the same {l} as {a}.",
    ),
    heldout=("{a} is not alone in its {l}. Which {t} shares it?",),
)
