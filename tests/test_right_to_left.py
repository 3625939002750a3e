"""Text that is read from the right: lines of PDF pages in order, by where their characters stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.documents.readers.pdf.text.right_to_left import Seen, in_order, ordered

DATA = Path(__file__).parent / "data"


def put(visual: str) -> list[Seen]:
    """Characters as they are seen from left to right, ten units wide."""
    return [Seen(place, one, 10.0 * place, 10.0 * place + 9) for place, one in enumerate(visual)]


def read(visual: str, *, from_right: bool = True) -> str:
    return "".join(one.text for one in ordered(put(visual), from_right=from_right))


@pytest.mark.parametrize(
    ("visual", "written"),
    [
        ("\u05d3\u05d2 \u05d1\u05d0", "\u05d0\u05d1 \u05d2\u05d3"),  # words and their letters
        ("17:00 \u05d3\u05e2 8:00 \u05df\u05d4", "\u05d4\u05df 8:00 \u05e2\u05d3 17:00"),  # times stand as they are
        (".1,450.50 \u05d0", "\u05d0 1,450.50."),  # a full stop is no part of the amount before it
        ("\u05d0 17% \u05d1", "\u05d1 17% \u05d0"),
        (".ABC Ltd \u05d0\u05d1", "\u05d1\u05d0 ABC Ltd."),
        ("\u05d1 )\u05d0 45(", "(45 \u05d0) \u05d1"),  # brackets as they are seen
        ("\u05d1 (\u05d0 45)", "(45 \u05d0) \u05d1"),  # and as they were written
        ("\u0627\u0644", "\u0644\u0627"),
        ("a@b.c :\u05d0", "\u05d0: a@b.c"),
    ],
)
def test_lines_are_read_from_the_right(visual: str, written: str) -> None:
    assert read(visual) == written


def test_a_name_in_a_latin_line_is_turned_alone() -> None:
    assert (
        read("See \u05d1\u05d0 12 \u05d3\u05d2 (p. 4).", from_right=False) == "See \u05d2\u05d3 12 \u05d0\u05d1 (p. 4)."
    )


def test_an_alef_joined_with_a_lam_stands_behind_it() -> None:
    ligature = [Seen(0, "\u0628", 20, 29), Seen(1, "\u0627", 5, 15), Seen(2, "\u0644", 5, 15)]
    assert "".join(one.text for one in ordered(ligature, from_right=True)) == "\u0628\u0644\u0627"


def test_words_that_stand_in_each_other_stay_as_they_are() -> None:
    tangled = [*put("\u05d0\u05d1\u05d2"), Seen(3, " ", 0, 0), Seen(4, "\u05d3", 4, 24), Seen(5, "\u05d4", 6, 26)]
    assert ordered(tangled, from_right=True) == tangled


def test_numbers_follow_their_characters_and_line_ends_stay() -> None:
    text = "\u05d1\u05d0\r\nabc"
    ordered_text, numbers = in_order(
        text, lambda at: None if text[at] in "\r\n" else at, lambda number: (number, number + 0.9)
    )
    assert ordered_text == "\u05d0\u05d1\r\nabc"
    assert numbers == [1, 0, -1, -1, 4, 5, 6]


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("hebrew.pdf", [
            "\u05e9\u05e2\u05d5\u05ea \u05d4\u05e4\u05ea\u05d9\u05d7\u05d4 \u05d4\u05df 8:00 \u05e2\u05d3 17:00",
            "(\u05db\u05d5\u05dc\u05dc \u05de\u05e2\"\u05de 17%).",
            "\u05d4\u05d7\u05d1\u05e8\u05d4 ABC Ltd. \u05d4\u05d5\u05e7\u05de\u05d4 \u05d1\u05e9\u05e0\u05ea 1998",
            "\u05d8\u05dc\u05e4\u05d5\u05df: 03-1234567, \u05d3\u05d5\u05d0\"\u05dc: info@port.example",
        ]),
        ("arabic.pdf", [
            "\u0627\u0644\u0631\u0633\u0648 \u0647\u064a 45 \u062f\u064a\u0646\u0627\u0631\u0627",
            "\u0645\u0646 \u0627\u0644\u0633\u0627\u0639\u0629 8:00 \u062d\u062a\u0649 17:00.",
            "\u0627\u0644\u0634\u0631\u0643\u0629 ABC \u0639\u0627\u0645 \u0661\u0669\u0669\u0668",
        ]),
    ],
)  # fmt: skip
def test_pages_that_a_browser_printed_are_in_order_and_their_boxes_fit(name: str, lines: list[str]) -> None:
    document = read_document(DATA / name)
    for line in lines:
        start = document.text.index(line)
        boxes = document.places.boxes(start, start + len(line))
        assert max(box.right for box in boxes) - min(box.left for box in boxes) > 3 * len(line)
        assert max(box.top for box in boxes) - min(box.top for box in boxes) < 5  # all on its line
    words = document.places.boxes(document.text.index("ABC"), document.text.index("ABC") + 3)
    whole = document.places.boxes(document.text.index(lines[-1]), document.text.index(lines[-1]) + 1)
    assert name == "hebrew.pdf" or words[0].right < whole[0].left  # what comes later stands further left
