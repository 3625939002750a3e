"""Questions out of statements: clauses taken apart, and who, what, when, where, why, how many."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator

import pytest
from made_packages import passage, small_reader
from sharedllm_docs_data.generate import wh
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.english import cut_clause, without_brackets
from sharedllm_docs_data.generate.verbs import past, third_person

READER = small_reader()
# Behind a short statement, so that the paragraph is long enough to count as prose; nothing is asked about it.
PADDING = " Now and then they come here, as it has always been said of them by all of those who were there."


def all_drafts(text: str, seeds: int = 40) -> Iterator[Draft]:
    """What many seeds make of a text."""
    for seed in range(seeds):
        yield from wh.drafts(passage(text + PADDING), READER, random.Random(seed))


def asked(text: str, slot: str) -> dict[str, str]:
    """Questions of one sort over a text, with their answers."""
    return {draft.question: draft.answers[0] for draft in all_drafts(text) if draft.wording.id.startswith(f"wh.{slot}")}


@pytest.mark.parametrize(
    ("sentence", "subject", "verb", "rest"),
    [
        ("The tower has 214 steps and a lamp.", "the tower", "has", "214 steps and a lamp"),
        (
            "Old Keepers' Society was founded in 1880, which is long ago.",
            "Old Keepers' Society",
            "was",
            "founded in 1880",
        ),
        (
            "The keeper of the tower writes a book, a letter, and a poem.",
            "the keeper of the tower",
            "writes",
            "a book, a letter, and a poem",
        ),
        ("Debian (a system) provides the tools for this task.", "Debian", "provides", "the tools for this task"),
    ],
)
def test_plain_statements_are_taken_apart(sentence: str, subject: str, verb: str, rest: str) -> None:
    clause = READER.clause(sentence, sentence)

    assert clause is not None
    assert (clause.subject, clause.verb, clause.rest) == (subject, verb, rest)


@pytest.mark.parametrize(
    "sentence",
    [
        "It is a tower by the sea.",
        "In 1862 the tower was built here.",
        "The tower, which is old, has a lamp.",
        "This option is used for the lamp.",
        "If the lamp is out, call the keeper.",
        "The keeper and the is here now.",
        "What is the tower made of?",
        "The archive restored by the daemon at night.",
        "the tower is very old.",
        "Usually the tower is open on Sunday.",
        "The keepers eat bread that was baked at noon.",
        "The former is the older of both.",
        "A tower is a place where old keepers, such as these, are at home.",
        "The keeper strongly supports the old tower.",
        "Years and several orders of stone for the tower.",
        "The archive raised when the daemon is out.",
        "Old is the tower by the bay.",
    ],
)
def test_statements_that_are_not_plain_are_left_alone(sentence: str) -> None:
    assert READER.clause(sentence, sentence) is None


@pytest.mark.parametrize(
    ("base", "third", "before"),
    [
        ("carry", "carries", "carried"),
        ("pass", "passes", "passed"),
        ("write", "writes", "wrote"),
        ("use", "uses", "used"),
        ("refer", "refers", "referred"),
        ("play", "plays", "played"),
    ],
)
def test_verb_forms(base: str, third: str, before: str) -> None:
    assert (third_person(base), past(base)) == (third, before)


def test_helpers_on_text() -> None:
    assert without_brackets("A (b) c (d), e.") == "A c, e."
    assert cut_clause("red, green, and blue, which is all") == "red, green, and blue"
    assert cut_clause("the lamp, and it shines") == "the lamp"


def test_when_where_by_whom() -> None:
    years = asked("The tower was built in 1862. The lamp was replaced on 3 May 1911.", "year")
    assert years["When was the tower built?"] == "1862"
    dates = asked("The lamp was replaced on 3 May 1911 here.", "date") | asked(
        "The lamp was replaced on 3 May 1911.", "date"
    )
    assert dates["When was the lamp replaced?"] == "3 May 1911"
    does = asked("The company replaced the lamp in 1911.", "year")
    assert does["In which year did the company replace the lamp?"] == "1911"
    assert not any(re.search(r"company replaced", question) for question in does)
    agents = asked("The lamp was replaced by a harbour company.", "agent")
    assert agents["By whom or by what was the lamp replaced?"] == "a harbour company"
    places = asked("The old lens was found in the Town Museum.", "place")
    assert places["Where was the old lens found?"] == "the Town Museum"


def test_what_why_how_many() -> None:
    assert asked("The tower has 214 steps.", "count")["How many steps does the tower have?"] == "214"
    assert (
        asked("There were four rooms for the families of keepers.", "there")[
            "How many rooms were there for the families of keepers?"
        ]
        == "four"
    )
    assert asked("The tower is a landmark of the northern coast.", "identity")["What is the tower?"] == (
        "a landmark of the northern coast"
    )
    assert (
        asked("The daemon provides a simple protocol.", "object")["What does the daemon provide?"]
        == "a simple protocol"
    )
    assert (
        asked("The backup directory is called the vault.", "called")["What is the backup directory called?"]
        == "the vault"
    )
    assert (
        asked("The archive is used to restore the files.", "purpose")["What is the archive used for?"]
        == "to restore the files"
    )
    assert asked("The lamp was replaced because the glass had cracks.", "reason")["Why was the lamp replaced?"] == (
        "the glass had cracks"
    )
    assert asked("The lamp of the tower shines over the bay at night.", "subject") == {}
    assert asked("The old tower marks the way into the harbour at night.", "subject") == {
        "What marks the way into the harbour at night?": "the old tower",
        "What is it that marks the way into the harbour at night?": "the old tower",
    }


def test_questions_from_whole_sentences() -> None:
    assert (
        asked("If the folder does not exist, the command prints a warning.", "condition")[
            "What happens if the folder does not exist?"
        ]
        == "the command prints a warning"
    )
    assert (
        asked("If the folder is missing at the start, create it with the command.", "advice")[
            "What should one do if the folder is missing at the start?"
        ]
        == "create it with the command"
    )
    assert (
        asked("To create a backup, run the copy command.", "howto")["How do you create a backup?"]
        == "run the copy command"
    )
    assert (
        asked("The daemon supports protocols such as http, ftp and rsync.", "examples")[
            "Which examples of protocols are named?"
        ]
        == "http, ftp and rsync"
    )
    short = asked("The World Wide Web (WWW) uses the first.", "short") | asked(
        "The World Wide Web (WWW) uses it.", "meaning"
    )
    assert short["What is the abbreviation for World Wide Web?"] == "WWW"
    assert short["What does WWW stand for?"] == "World Wide Web"
    assert asked("In 1911, the harbour company replaced the lamp with a new one.", "event")[
        "What happened in 1911?"
    ] == ("The harbour company replaced the lamp with a new one")


def test_a_person_is_asked_for_with_who() -> None:
    text = (
        "Tomas Hale was a British engineer and inventor of lamps. Tomas Hale designed the tower of Brennick "
        "in his youth."
    )

    questions = asked(text, "person") | asked(text, "subject")

    assert questions["Who was Tomas Hale?"] == "a British engineer and inventor of lamps"
    assert not any(question.startswith("What was Tomas Hale") for question in questions)
