"""Answers that are bare numbers: the sign or unit that stands with them in the text is not lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.retrieval.amounts import Amount, Source, whole_amount
from sharedllm_docs.retrieval.editing import Editor
from sharedllm_docs.retrieval.table_units import Row, Unit, unit_in

WHOLE = [
    ("0.42", "The dividend is \u00a30.42 per share.", "\u00a30.42"),
    ("31.4", "Costs fell to \u20ac31.4 million.", "\u20ac31.4 million"),
    ("48.2 million", "Revenue was $48.2 million, up 7.5%.", "$48.2 million"),
    ("12,300,000", "Debt stood at US$ 12,300,000 then.", "US$ 12,300,000"),
    ("12,500", "worth \u00a512,500 in Japan", "\u00a512,500"),
    ("19.90", "It costs 19.90 \u20ac per parcel.", "19.90 \u20ac"),
    ("1,300", "and 1,300 kr in Sweden", "1,300 kr"),
    ("100", "EUR 100 at most", "EUR 100"),
    ("100", "at most 100 CHF", "100 CHF"),
    ("2,450,000", "It cost 2,450,000 euros.", "2,450,000 euros"),
    ("7.5", "Revenue was $48.2 million, up 7.5%.", "7.5%"),
    ("3.1", "Returns were 3.1 % of orders.", "3.1 %"),
    ("9", "It rose by 9 percentage points.", "9 percentage points"),
    ("85", "The hall is 85 m long.", "85 m"),
    ("340.", "It weighs 340 t.", "340 t."),
    ("220", "It draws 220 kW.", "220 kW"),
    ("1,150", "is kept at 1,150 \u00b0C", "1,150 \u00b0C"),
    ("14", "took 14 months to build", "14 months"),
    ("450", "holds 450 litres", "450 litres"),
    ("16", "has 16 GB of memory", "16 GB"),
]
BARE = [
    ("5", "Section 5 has 5 apples."),
    ("5", "5 % of 5 apples"),  # which of them is meant is not known
    ("2.4", "up 2.45 %"),
    ("2", "up 12 % and 2.5 %"),
    ("5", "release v5 % of"),
    ("3", "on 3 March"),
    ("85", "85 men and women"),
    ("3", "3rd of them"),
    ("42", "nothing of the kind"),
    ("2021", "The year 2021 was dry."),
    ("14 months", "took 14 months"),
    ("about 5", "about 5 %"),
    ("five", "five percent"),
    ("", "5 %"),
]


@pytest.mark.parametrize(("answer", "sentence", "whole"), WHOLE)
def test_a_bare_number_is_given_what_stands_with_it(answer, sentence, whole):
    assert whole_amount(answer, sentence, "How much?") == whole
    assert whole.rstrip(".") in sentence


@pytest.mark.parametrize(("answer", "sentence"), BARE)
def test_any_other_answer_stays(answer, sentence):
    assert whole_amount(answer, sentence, "How much?") == answer


@pytest.mark.parametrize(
    ("question", "whole"),
    [("How long did it take?", "14 months"), ("How many months did it take?", "14"), ("The time, in MONTHS?", "14")],
)
def test_a_unit_that_the_question_names_is_not_repeated(question, whole):
    assert whole_amount("14", "It took 14 months.", question) == whole


# -- piece by piece -----------------------------------------------------------------------------------------------


def shown(editor, pieces):
    return [*map(editor.add, pieces), editor.finish()]


@given(st.lists(st.text(alphabet="0123456789., $%ab", max_size=4), max_size=12), st.sampled_from(["", "$5 million"]))
def test_what_was_shown_is_the_text(pieces, sentence):
    editor = Amount("How much?", lambda _answer: Source(sentence))
    told = shown(editor, pieces)
    assert "".join(told) == editor.text
    whole = "".join(pieces)
    assert editor.text in (whole, whole_amount(whole.strip(), sentence, "How much?"))


@pytest.mark.parametrize(("answer", "sentence", "whole"), WHOLE)
def test_numbers_are_made_whole_however_they_arrive(answer, sentence, whole):
    for pieces in ([answer], list(answer), [answer[:1], answer[1:]], [" " + answer]):
        editor = Amount("How much?", lambda _answer: Source(sentence))
        shown(editor, pieces)
        assert editor.text.strip() == whole


def test_words_are_shown_as_they_come_and_no_sentence_is_looked_for():
    def never(_answer):
        raise AssertionError("a source was looked for")

    words = ["The", " her", "on", " has 5", " legs."]
    assert shown(Amount("What?", never), words) == [*words, ""]
    assert shown(Amount("What?", never), ["5 herons and", " 6 storks stood there", " all day"])[-1] == ""
    assert shown(Editor(), words) == [*words, ""]


# -- units in the heads of a table --------------------------------------------------------------------------------

QUARTER = Row([
    ("", "2024 Q4"), ("Revenue (million EUR)", "17.3"), ("Cost [EUR m]", "12.5"), ("Units sold (thousand)", "438"),
    ("Energy use (MWh)", "1588"), ("Share, %", "7"), ("Staff", "52"), ("Tax (\u20ac million)", "1.25"),
    ("Pages", "12 of 52"), ("Fee (thousand)", "$31"), ("Debt (million)", "9 %"),
])  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        ("17.3", "17.3 million EUR"),
        ("17.3 million", "17.3 million EUR"),
        ("17.3 thousand", "17.3 thousand"),  # it contradicts the head
        ("12.5", "12.5 million EUR"),
        ("438.", "438 thousand."),
        ("1588", "1588 MWh"),
        ("7", "7%"),
        ("1.25", "\u20ac1.25 million"),
        ("31", "$31 thousand"),
        ("52", "52"),  # two cells hold it, and the head names no unit
        ("9", "9 %"),  # what stands in the cell goes first
        ("2024", "2024"),  # the label
        ("3", "3"),
    ],
)
def test_a_number_out_of_a_table_is_given_the_unit_of_its_head(answer, whole):
    sentence = " | ".join(f"{head}: {value}" if head else value for head, value in QUARTER.cells)
    assert whole_amount(answer, sentence, "How much?", QUARTER) == whole
    for pieces in ([answer], list(answer)):
        editor = Amount("How much?", lambda _answer: Source(sentence, QUARTER))
        shown(editor, pieces)
        assert editor.text == whole


@pytest.mark.parametrize(
    ("cells", "title", "whole"),
    [
        ([("", "Units (thousand)"), ("2023", "402"), ("2024", "438")], "", "438 thousand"),  # the label of the row
        ([("", "Weight (kg)"), ("Thousand (thousand)", "438")], "", "438"),  # they do not agree
        ([("", "Revenue"), ("2024", "438")], "Income statement (in thousands of euros)", "438 thousand euros"),
        ([("", "Employees"), ("2024", "438")], "Income statement (in thousands of euros)", "438"),
        ([("", "Revenue per share"), ("2024", "438")], "Income statement (in thousands of euros)", "438"),
        ([("", "Revenue"), ("2024", "438")], "Income statement (MWh)", "438"),
        ([("", "Sold"), ("2023 (kg)", "438"), ("2024 (t)", "438")], "", "438"),  # which of them is meant is not known
        ([("", "Pump"), ("Weight (kg)", "438.5")], "", "438"),
        ([("", "Pump"), ("", "438")], "Pumps (EUR)", "438"),
        ([("", "BW-438"), ("Flow (l/min)", "438")], "", "438 l/min"),
        ([("", "Pump"), ("Head (m)", "-438"), ("Flow (l/min)", "438")], "", "438"),
    ],
)
def test_labels_and_titles_give_units_where_they_are_sure(cells, title, whole):
    assert whole_amount("438", "", "How many?", Row(cells, title)) == whole


@pytest.mark.parametrize(
    ("head", "unit"),
    [
        ("Price (\u20ac)", Unit("\u20ac")),
        ("Flow (l/min)", Unit(measure="l/min")),
        ("Salary (GBP)", Unit("GBP")),
        ("Revenue ($ in millions)", Unit("$", "million")),
        ("Revenue (\u00a3'000)", Unit("\u00a3", "thousand")),
        ("Revenue (restated) (\u20acm)", Unit("\u20ac", "million")),
        ("Weight, kg", Unit(measure="kg")),
        ("Weight in kg", Unit(measure="kg")),
        ("Lease term (months)", Unit(measure="months")),
        ("Built (year)", None),
        ("Item(s)", None),
        ("Revenue (note 3)", None),
        ("Weight (kg) or length (m)", None),
        ("Change in cost", None),
        ("2024", None),
        ("", None),
    ],
)
def test_what_heads_name(head, unit):
    assert unit_in(head) == unit


def test_a_unit_of_a_head_that_the_question_names_is_not_repeated():
    row = Row([("", "Flat 3"), ("Lease (months)", "14")])
    assert whole_amount("14", "", "How many months does the lease of flat 3 run?", row) == "14"
    assert whole_amount("14", "", "How long is the lease of flat 3?", row) == "14 months"


ENERGY = "Quarter,Energy (MWh),Units sold (thousand)\n2024 Q3,1310,301\n2024 Q4,1588,438\n"
PRICES = (
    "<!doctype html><title>T</title><table><tr><th>Model<th>Flow (l/min)<th>Price (\u20ac)"
    "<tr><td>BW-120<td>120<td>745<tr><td>BW-300<td>300<td>1,960</table>"
)


@pytest.mark.parametrize(
    ("name", "text", "answer", "whole"),
    [
        ("quarters.csv", ENERGY, "438", "438 thousand"),
        ("quarters.csv", ENERGY, "1588", "1588 MWh"),
        ("pumps.html", PRICES, "1,960", "\u20ac1,960"),
        ("pumps.html", PRICES, "300", "300 l/min"),
    ],
)
def test_cells_are_found_in_tables_as_they_are_read(name, text, answer, whole):
    document = read_document(text.encode(), name=name)
    place = document.text.index(f": {answer}") + 2
    row = Row(document.row_at(place, place + len(answer)), document.table_title(place))
    assert whole_amount(answer, "", "How much?", row) == whole
    assert document.row_at(0, len(document.text)) == (), "more than one row"
