"""Made-up contexts and facts out of tables: every answer stands in its context, and nothing depends on chance."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest
from made_packages import MANUAL, PROSE, passage
from sharedllm_docs_data.generate import facts, keyvalue, needles, passkeys, twostep, yesno
from sharedllm_docs_data.generate.base import Templates, Wording, question_row, seeded
from sharedllm_docs_data.generate.made_up import MAKERS, distinct
from sharedllm_docs_data.generate.quality import fault
from sharedllm_docs_data.sources.tables import Record
from sharedllm_docs_data.templates import cloze, common, definitions, quote, wh
from sharedllm_docs_data.templates import passkeys as passkey_words
from sharedllm_docs_data.templates import twostep as twostep_words
from sharedllm_docs_data.templates.facts_tables import TABLES as WORDS
from sharedllm_docs_data.templates.keyvalue import FORMS

from sharedllm_docs.training.dataset import HELDOUT, QuestionRow

FILLERS = [
    replace(passage(text, source), paragraphs=tuple(f"{sentence}." for sentence in text.rstrip(".").split(". ")))
    for text, source in ((PROSE, "wiki"), (MANUAL, "gnome"))
]
TABLES = {
    "country": [
        Record(f"Land{i}", {"capital": f"Town{i}", "alpha3": f"L{i:02}", "dial": str(300 + i)}) for i in range(12)
    ],
    "airport": [Record(f"Field{i} Airport", {"code": f"F{i:02}", "country": f"Land{i % 12}"}) for i in range(30)],
    "element": [Record(f"stuff{i}", {"number": str(i + 1), "weight": f"{i * 2.5 + 1:.1f}"}) for i in range(30)],
    "division": [Record(f"Shire{i}", {"country": f"Land{i % 6}", "kind": "county"}) for i in range(40)],
    "area": [Record(f"Ville{i}", {"code": str(200 + i), "state": f"State{i % 5}"}) for i in range(30)],
    "state": [Record(f"State{i}", {"code": f"S{i}"}) for i in range(5)],
    "region": [Record(f"Mark{i}", {"capital": f"Burg{i}", "country": f"Land{i % 12}"}) for i in range(30)],
    "package": [
        Record(f"lib-x{i}", {"version": f"1.{i}", "size": f"{i + 20} kB", "section": "libs"}) for i in range(20)
    ],
}
GENERATORS: dict[str, Callable[[int], Iterable[QuestionRow]]] = {
    "facts": lambda seed: facts.rows(TABLES, 300, seed),
    "key-value": lambda seed: keyvalue.rows(300, seed),
    "passkey": lambda seed: passkeys.rows(FILLERS, 200, seed),
    "needles": lambda seed: needles.rows(FILLERS, 200, seed),
    "two-step": lambda seed: twostep.rows(TABLES, FILLERS, 300, seed),
    "yes-no": lambda seed: yesno.rows_of_facts(TABLES, 200, seed),
}


@pytest.mark.parametrize("kind", GENERATORS)
def test_rows_pass_the_checks_and_have_their_kind(kind: str) -> None:
    rows = list(GENERATORS[kind](0))

    assert len(rows) >= 120
    assert {row.kind for row in rows} == {kind}
    faults = Counter(fault(row) for row in rows)
    assert faults[""] >= 0.93 * len(rows), faults


@pytest.mark.parametrize("kind", GENERATORS)
def test_equal_seeds_give_equal_rows_and_others_do_not(kind: str) -> None:
    assert list(GENERATORS[kind](5)) == list(GENERATORS[kind](5))
    assert list(GENERATORS[kind](5)) != list(GENERATORS[kind](6))


@pytest.mark.parametrize("kind", GENERATORS)
def test_held_out_templates_are_marked_and_occur(kind: str) -> None:
    rows = [row for seed in range(4) for row in GENERATORS[kind](seed)]

    for row in rows:
        held = any(re.search(r"\.h\d+$", template) for template in row.template.split("+"))
        assert held == (row.split == HELDOUT)
    assert any(row.split == HELDOUT for row in rows)
    assert {"train", "test", "valid"} & {row.split for row in rows}


def test_a_fact_is_answered_from_its_own_record() -> None:
    by_name = {record.name: record for record in TABLES["country"]}
    for row in facts.rows({"country": TABLES["country"]}, 300, 1):
        named = [name for name in by_name if re.search(rf"\b{name}\b", row.question)]
        if row.template.startswith("facts.back"):
            assert any(value in row.question for value in by_name[row.answer].values.values())
        else:
            assert row.answer in by_name[named[0]].values.values()


def test_a_package_keeps_its_small_letter_and_a_country_its_article() -> None:
    words = WORDS["package"]
    text = " ".join(facts.describe(words, TABLES["package"][:3], seeded(0, str(seed))) for seed in range(30))
    assert "Lib-x" not in text
    record = Record("Netherlands", {"capital": "Amsterdam"})
    sentence = facts.state(WORDS["country"], WORDS["country"].attributes[0], record, seeded(0, "a"))
    assert "the Netherlands" in sentence or sentence.startswith("The Netherlands")


def test_key_value_answers_are_the_values_of_their_keys() -> None:
    assert {row.template.split(".")[1] for row in keyvalue.rows(120, 0)} == {form.name for form in FORMS}
    for row in keyvalue.rows(60, 3):
        assert row.context.count(row.answer) >= 1


def test_a_pass_key_stands_once_in_its_context() -> None:
    for row in passkeys.rows(FILLERS, 100, 2):
        statement_count = 2 if "The pass key is" in row.context else 1
        assert row.context.count(row.answer) == statement_count


def test_needles_of_every_sort_are_made() -> None:
    rows = [row for seed in range(3) for row in needles.rows(FILLERS, 200, seed)]
    slots = {template.split(".")[1] for row in rows for template in row.template.split("+")}
    assert {"magic", "all", "both", "variable"} <= slots
    for row in rows:
        if "needles.all" in row.template:
            places = [row.context.index(value) for value in row.answer.split(", ")]
            assert places == sorted(places)
        if "needles.variable" in row.template:
            assert follow(row) == row.answer


def follow(row: QuestionRow) -> str:
    """The value of the variable that is asked for, by following the assignments."""
    name = re.search(r"\b([A-Z]{3})\b(?!.*\b[A-Z]{3}\b)", row.question.replace("VAR", ""))
    assert name is not None
    at = name[1]
    while not at.isdigit():
        found = re.search(
            rf"(?:VAR |Let |variable |^|[^A-Z]){at} (?:=|:=|is set to|be|takes the value of) (\w+)", row.context
        )
        assert found is not None
        at = found[1]
    return at


def test_chains_need_both_of_their_facts() -> None:
    names = {f"twostep.{chain.name}" for chain in twostep_words.CHAINS}
    for row in twostep.rows(TABLES, FILLERS, 200, 4):
        if row.template.rsplit(".", 1)[0] in names:
            sentences = re.split(r"(?<=\.)\s+", row.context)
            asked = [sentence for sentence in sentences if row.answer.lower() in sentence.lower()]
            assert asked
            assert not any(
                word in sentence
                for sentence in asked
                for word in re.findall(r"[A-Z]\w+ [A-Z]\w+|\w+ \d{3,}", row.question)
            )


def test_comparisons_are_right() -> None:
    weights = {record.name: record.values for record in TABLES["element"]}
    for row in twostep.rows({"element": TABLES["element"]}, FILLERS, 200, 5):
        if re.match(r"twostep\.(more|less)", row.template):
            pair = [name for name in weights if re.search(rf"\b{name}\b", row.question)]
            choose = max if ".more" in row.template else min
            assert row.answer == choose(pair, key=lambda name: float(weights[name]["number"]))


def test_yes_no_facts_are_balanced_and_right() -> None:
    countries = {"country": TABLES["country"]}
    rows = list(yesno.rows_of_facts(countries, 300, 0))
    counts = Counter(row.answer for row in rows)
    assert min(counts.values()) > 0.35 * len(rows)
    for row in rows:
        (record,) = [entry for entry in TABLES["country"] if re.search(rf"\b{entry.name}\b", row.question)]
        true = any(re.search(rf"(?<!\w){value}(?!\w)", row.question) for value in record.values.values())
        assert (row.answer == "Yes") == true


def test_no_generator_fails_on_empty_tables() -> None:
    assert list(facts.rows({}, 50, 0)) == []


def test_makers_give_what_they_can() -> None:
    for name, make in MAKERS.items():
        found = distinct(make, 5, seeded(0, name))
        assert len(found) == len(set(found)) == 5
    assert len(distinct(lambda rng: "x", 5, seeded(0, "x"))) == 1


def test_there_are_hundreds_of_templates_and_held_out_ones_everywhere() -> None:
    groups = [
        value
        for module in (cloze, common, definitions, quote, wh, twostep_words, passkey_words)
        for value in vars(module).values()
        if isinstance(value, Templates)
    ]
    groups += (
        [form.ask for form in FORMS]
        + [ask for _, ask in passkey_words.PASSKEYS]
        + [entry[3] for entry in passkey_words.NEEDLES]
    )
    groups += [chain.ask for chain in twostep_words.CHAINS]

    assert sum(map(len, groups)) > 400
    assert all(group.heldout for group in groups)
    assert all(not set(group.train) & set(group.heldout) for group in groups)
    assert len({group.name for group in groups}) == len(groups)


def test_a_held_out_wording_decides_the_split_of_a_row() -> None:
    plain, held = Wording("a.0", "x", False), Wording("a.h0", "y", True)

    assert question_row("k", passage(), "Q here?", ["a", "a", " "], [plain]).split == "train"
    row = question_row("k", passage(), "Q here?", ["a", "b"], [plain, held])
    assert (row.split, row.template, row.answers) == (HELDOUT, "a.0+a.h0", ("a", "b"))
    never = Templates("t", ("a",), ("b",))
    assert all(not never.draw(seeded(0, str(i)), allow_heldout=False).heldout for i in range(100))
