"""Questions over real text: cloze, quoting, yes-no, absent, carried, definitions, and the passages themselves."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_packages import MANUAL, PROSE, dictd, passage, small_reader, text_row
from sharedllm_docs_data.generate import absent, carried, cloze, definitions, quote, yesno
from sharedllm_docs_data.generate.base import Wording
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.frames import framed
from sharedllm_docs_data.generate.from_text import ask, capped, draw
from sharedllm_docs_data.generate.passages import passages
from sharedllm_docs_data.generate.quality import fault
from sharedllm_docs_data.sources.question_sets import NOT_SAID

READER = small_reader()


def test_every_draft_of_a_passage_passes_the_checks_or_is_known_to_fail() -> None:
    rows = ask([passage(PROSE), passage(MANUAL, "gnome")], READER, 1).rows

    faults = {row.question: fault(row) for family in rows.values() for row in family}
    assert len(faults) >= 8
    assert set(faults.values()) <= {"", "answer-in-question", "answer-not-in-context"}
    assert list(faults.values()).count("") >= 0.7 * len(faults)


def test_cloze_leaves_out_one_thing_that_stands_once() -> None:
    kinds = set()
    for seed in range(60):
        for draft in cloze.drafts(
            passage(
                "The keepers of Brennick used port_number 4711 since 1862 and cleaned the copper lamp"
                " with --quiet in the North Bay."
            ),
            READER,
            random.Random(seed),
        ):
            assert "____" in draft.question
            assert draft.answers[0] not in draft.question
            assert draft.answers[0] in (
                "Brennick",
                "port_number",
                "4711",
                "1862",
                "copper lamp",
                "--quiet",
                "North Bay",
            )
            kinds.add(draft.wording.id.split(".")[1])
    assert {"any", "number", "year", "name", "code", "phrase"} <= kinds


@pytest.mark.parametrize(
    "sentence",
    [
        "Too short for a cloze, this.",
        "See section 4 for all the other things of it and so on.",
        "This is told in Kropotkin, Op. Cit. 1902 of the same old author as before.",
    ],
)
def test_cloze_passes_over_what_says_nothing(sentence: str) -> None:
    drafts = [
        draft for seed in range(20) for draft in cloze.drafts(passage(sentence + " " * 60), READER, random.Random(seed))
    ]
    assert not [draft for draft in drafts if draft.answers[0] in ("4", "1902")]


def test_quoting_tasks_give_the_text_back() -> None:
    text = PROSE + "\n\n" + MANUAL
    slots = set()
    for seed in range(80):
        for draft in quote.drafts(passage(PROSE) if seed % 2 else passage(MANUAL), random.Random(seed)):
            assert draft.answers[0] in text
            slots.add(draft.wording.id.split(".")[1])
    assert {"mentions", "begins", "after", "before", "edge"} <= slots


def test_a_heading_is_asked_for_when_there_are_two() -> None:
    paragraphs = ("First Part", PROSE, "Second Part", MANUAL)
    two = passage()
    two = type(two)(two.source, two.doc, two.split, two.title, paragraphs)

    found = [
        draft
        for seed in range(60)
        for draft in quote.drafts(two, random.Random(seed))
        if ".heading" in draft.wording.id
    ]

    assert found
    for draft in found:
        told = re.search(
            r"(The lighthouse|It stands|The tower|The lamp|Keepers|There were|The old lens)", draft.question
        )
        assert draft.answers[0] == ("First Part" if told else "Second Part")


def test_yes_no_questions_are_balanced_and_false_ones_contradict_the_text() -> None:
    text = (
        "The old tower has 214 steps of stone in Brennick. The lamp was moved to Farness after the war by "
        "the town of Hale."
    )
    answers = {"Yes": 0, "No": 0}
    for seed in range(200):
        for draft in yesno.drafts(passage(text), READER, random.Random(seed)):
            answers[draft.answers[0]] += 1
            statement = re.sub(r"[^\w ]", "", draft.question).lower()
            kept = "214 steps of stone in brennick" in statement or "moved to farness after the war" in statement
            assert kept == (draft.answers[0] == "Yes") or "town of" in statement or "has the old tower" in statement
    assert min(answers.values()) > 50


def test_absent_questions_are_not_answered_by_their_context() -> None:
    other = passage(
        "The Kingdom of Aragon was a medieval realm on a peninsula far away. Its 33 towns were governed from Zaragoza.",
        doc="e",
    )
    wording = Wording("wh.year.0", "", False)
    pairs = [
        (passage(PROSE), Draft(wording, "When was the lamp of the lighthouse replaced?", ("1911",))),
        (other, Draft(wording, "When was Zaragoza founded?", ("1134",))),
    ]

    rows = list(absent.rows_of_passages(pairs, 40, 0))

    assert rows
    for row in rows:
        assert (row.kind, row.answer) == ("absent", NOT_SAID)
    assert absent.may_answer(PROSE, Draft(wording, "What was replaced?", ("the lamp",)))
    assert absent.may_answer(PROSE, Draft(wording, "Which lighthouse stands in Brennick?", ("none",)))
    assert list(absent.rows_of_passages([], 5, 0)) == []


def test_lists_are_asked_for_a_missing_key() -> None:
    keys = 0
    for row in absent.rows_of_lists(120, 0):
        assert row.answer == NOT_SAID
        for key in re.findall(r"\b(?:[a-z]+_[a-z_]+|[0-9a-f]{8}|[A-Z]\w+ [A-Z]\w+)\b", row.question):
            keys += 1
            assert not re.search(rf"\b{key}\b", row.context)
    assert keys > 30


def carried_rows(text: str, source: str = "manual") -> dict[str, str]:
    """Questions that a document carries, with their answers."""
    return {row.question: row.answer for seed in range(30) for row in carried.rows([text_row(text, source)], seed)}


@pytest.mark.parametrize(
    ("text", "question", "answer"),
    [
        (
            "Intro.\n\n3.2. What is a virtual package?\n\nA virtual package is a name. It stands for many. "
            "More here.\n\nEnd.",
            "What is a virtual package?",
            "A virtual package is a name. It stands for many.",
        ),
        (
            "--all:\n--every:\n        Update all the entries. Really.\n\n--none:\n        No entries at all "
            "are kept.\n",
            "What is --every for?",
            "Update all the entries.",
        ),
        (
            "join(a, b)\n\n   Join two paths into one\n   path.\n\n   More.\n\n",
            "What does join() do?",
            "Join two paths into one path.",
        ),
        (
            "join(a, b)\n\n   Join two paths into one\n   path.\n\n   More.\n\n",
            "What are the parameters of join()?",
            "a, b",
        ),
        (
            "work_mem (integer)\n\nSets the memory that a query may use. More.\n",
            "What is work_mem for?",
            "Sets the memory that a query may use.",
        ),
        (
            "work_mem (integer)\n\nSets the memory that a query may use. More.\n",
            "What is the type of work_mem?",
            "integer",
        ),
        (
            "Alias Directive\n\nDescription: | Maps names\nSyntax: | Alias a b\nContext: | server config\n"
            "Module: | mod_alias\n\nText.",
            "Which module does Alias have?",
            "mod_alias",
        ),
        (
            "Alias Directive\n\nDescription: | Maps names\nSyntax: | Alias a b\nContext: | server config\n"
            "Module: | mod_alias\n\nText.",
            "What does the directive Alias do?",
            "Maps names",
        ),
        (
            "scipy.stats.mean\n\nscipy.stats.mean(a, axis=0)\n\nCompute the mean of values.\n\nMore.",
            "What does scipy.stats.mean() do?",
            "Compute the mean of values.",
        ),
    ],
)
def test_documents_carry_questions(text: str, question: str, answer: str) -> None:
    assert carried_rows(text)[question] == answer


def test_glossary_terms_are_taken_from_glossaries_only() -> None:
    text = "- abstract class\n\nA class that has no objects of its own.\n"

    glossary = carried.rows([text_row(text, "perl", "perlglossary.pod")], 0)

    assert next(glossary).answer == "A class that has no objects of its own."
    assert list(carried.rows([text_row(text, "perl", "perlfunc.pod")], 0)) == []


WORDNET = (
    b"1 04 n 01 plum 0 001 @ 2 n 0000 | a fruit with a stone  \n2 04 n 01 pear 0 000 | a juicy fruit; "
    b'"the pear is ripe"  \n'
)


def test_definitions_come_from_each_dictionary() -> None:
    wordnet = definitions.wordnet_entries([("data.noun", WORDNET * 1)])
    assert [(entry.word, entry.meaning, entry.example) for entry in wordnet] == [
        ("pear", "a juicy fruit", "the pear is ripe"),
        ("plum", "a fruit with a stone", ""),
    ]
    rows = [row for seed in range(30) for row in definitions.rows("wordnet", wordnet, 3, seed)]
    assert {"definitions.means", "definitions.word", "definitions.part", "definitions.example"} <= {
        row.template.rsplit(".", 1)[0] for row in rows
    }
    assert all(fault(row) == "" for row in rows)


def test_dictionary_entries_are_cut_to_their_first_sense() -> None:
    gcide = definitions.gcide_entries(
        dictd(
            [
                (
                    "abbey",
                    'Abbey \\Ab"bey\\, n.\n   1. A house of monks; as, the abbey of Hale. --Shak.\n   [1913 '
                    "Webster]\n   2. A church.",
                ),
                ("see", "See, v. t.\n   See also look."),
                ("odd", "Odd entry without a part of speech."),
            ]
        )
    )
    assert [(entry.word, entry.part, entry.meaning) for entry in gcide] == [("abbey", "noun", "A house of monks")]
    foldoc = definitions.foldoc_entries(
        dictd(
            [
                (
                    "WWW",
                    "WWW\n\n   <web, networking> A system of linked pages on the {Internet}.  It is large.\n\n "
                    "  (1995)",
                ),
                ("bare", "bare\n\n   No subject here."),
            ]
        )
    )
    assert [(entry.word, entry.field, entry.meaning) for entry in foldoc] == [
        ("WWW", "web", "A system of linked pages on the Internet")
    ]


def test_passages_begin_and_end_with_prose_and_lose_no_document_order() -> None:
    text = "\n\n".join(["HEAD", PROSE, "x = 1;\ny = 2;\n}", MANUAL, "- list", PROSE.upper()])

    found = list(passages([text_row(text)], 3))

    assert found
    assert all(entry.paragraphs[-1] in (PROSE, MANUAL, PROSE.upper()) for entry in found)
    assert all(entry.doc == "manual:a" and entry.split == "train" for entry in found)


def test_passages_are_drawn_by_weight_and_in_order() -> None:
    rows = [text_row(PROSE.replace("214", str(number)), name=str(number)) for number in range(40)]

    found = list(draw({"a": lambda: rows, "b": lambda: rows}, {"a": 1.0, "b": 0.0}, 0, scale=10 / 3500))

    names = [int(entry.doc.split(":")[1]) for entry in found]
    assert len(found) == 10
    assert names == sorted(names)


def test_large_families_are_capped_to_a_sample() -> None:
    asked_rows = ask([passage(PROSE, doc=str(number)) for number in range(6)], READER, 0).rows
    family, rows = max(asked_rows.items(), key=lambda entry: len(entry[1]))

    kept = list(capped({family: rows}, {family: 2}, 0))

    assert len(kept) == 2
    assert [rows.index(row) for row in kept] == sorted(rows.index(row) for row in kept)


@given(st.integers(0, 400))
def test_a_frame_keeps_the_question_whole(seed: int) -> None:
    for question in ("What is the tower?", "Brennick was built in what year?"):
        text, frames = framed(question, random.Random(seed))
        assert question[1:] in text
        assert (text == question) == (not frames) or frames[0].text in ("{q}", "{Q}")
        if question.startswith("Brennick"):
            assert "brennick" not in text


def test_a_question_that_speaks_of_the_text_gets_no_frame_that_does_so_again() -> None:
    question = "What does the text say a nail is?"

    assert all(framed(question, random.Random(seed)) == (question, ()) for seed in range(50))
