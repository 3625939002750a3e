"""Answers that are bare numbers: the sign or unit that stands with them in the text is not lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.retrieval.amounts import Amount, whole_amount
from sharedllm_docs.retrieval.editing import Editor

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
    editor = Amount("How much?", lambda _answer: sentence)
    told = shown(editor, pieces)
    assert "".join(told) == editor.text
    whole = "".join(pieces)
    assert editor.text in (whole, whole_amount(whole, sentence, "How much?"))


@pytest.mark.parametrize(("answer", "sentence", "whole"), WHOLE)
def test_numbers_are_made_whole_however_they_arrive(answer, sentence, whole):
    for pieces in ([answer], list(answer), [answer[:1], answer[1:]], [" " + answer]):
        editor = Amount("How much?", lambda _answer: sentence)
        shown(editor, pieces)
        assert editor.text.strip() == whole


def test_words_are_shown_as_they_come_and_no_sentence_is_looked_for():
    def never(_answer):
        raise AssertionError("a source was looked for")

    words = ["The", " her", "on", " has 5", " legs."]
    assert shown(Amount("What?", never), words) == [*words, ""]
    assert shown(Amount("What?", never), ["5 herons and", " 6 storks stood there", " all day"])[-1] == ""
    assert shown(Editor(), words) == [*words, ""]
