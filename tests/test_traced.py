"""Text that knows where its characters come from, through all of cleaning."""

from __future__ import annotations

import copy
import pickle
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.cleaning import clean_characters, clean_pages, join_across_pages, join_hyphens
from sharedllm_docs.documents.tables import CLOSES, OPENS, without_marks
from sharedllm_docs.documents.traced import (
    NOWHERE,
    Traced,
    aligned,
    composed,
    joined,
    marked,
    marks_of,
    substitute,
    traced,
    translated,
)

PIECES = st.sampled_from(
    [
        *("ana", "lysed", "low", "level", "pre", "and", "e", "x", "Pond", "12", "250", "fi"),
        *("-\n", "\ufffe", "\u00ad\n", "- ", "-", " ", "  ", "\n", "\r\n", "\n\n\n", "\t", "\u00a0"),
        *("\ufb01", "\ufb03", "\x0b", "\x0c", "e\u0301", "o\u0302\u0323", "\u1112\u1161\u11ab", "\u212b", "\u200b"),
        *(". . . . .", ".....", "...... 7", ".", ",", ";", "\rc", "c©", "\uf0b7", "7"),
    ]
)
TEXTS = st.lists(PIECES, max_size=25).map("".join)


def numbered(pages: list[str]) -> list[str]:
    """Marks that count over all pages."""
    starts = [sum(map(len, pages[:n])) for n in range(len(pages))]
    return [traced(page, start) for page, start in zip(pages, starts, strict=True)]


@given(st.lists(TEXTS, min_size=1, max_size=4), st.booleans())
def test_cleaning_gives_the_same_text_and_every_character_its_origin(pages: list[str], layout: bool) -> None:
    plain, removed = clean_pages(pages, layout=layout)
    found, removed_too = clean_pages(numbered(pages), layout=layout)
    assert found == plain
    assert removed == removed_too
    source = "".join(pages)
    for text in found:
        before = -1
        for character, mark in zip(text, marks_of(text), strict=True):
            if character.isspace():
                continue
            assert mark >= 0, (character, text)
            assert mark >= before, "in order"
            before = mark
            assert shows(source[mark : mark + 2], character), (source[mark], character)


def shows(origin: str, character: str) -> bool:
    """Whether a character comes from what stands at its place: itself, a part of it, or it with its accents."""
    known = {"\x0b": "ff", "\x0c": "fi", "\r": "fl©", "c": "c©", "\ufffe": "-", "\u00ad": "-", "\uf0b7": "•"}
    shown = known.get(origin[0], "") + unicodedata.normalize("NFKC", origin[0])
    base = unicodedata.normalize("NFD", character)[0]
    return character in shown or base in unicodedata.normalize("NFD", origin[0])


@given(st.text())
def test_copies_keep_marks(text: str) -> None:
    made = traced(text, 3)
    for copied in (copy.copy(made), copy.deepcopy(made), pickle.loads(pickle.dumps(made))):
        assert (copied, copied.marks) == (made, made.marks)


@given(TEXTS, TEXTS)
def test_slices_and_sums_keep_marks(one: str, other: str) -> None:
    whole = traced(one) + other + marked(other, 7)
    assert whole == one + other + other
    assert list(marks_of(whole)) == [*range(len(one)), *[NOWHERE] * len(other), *[7] * len(other)]
    assert list(marks_of(other + traced(one))) == [*[NOWHERE] * len(other), *range(len(one))]
    assert list(marks_of(traced(one)[1:-1])) == list(range(len(one)))[1:-1]
    assert list(marks_of(traced(one).strip())) == list(range(len(one) - len(one.lstrip()), len(one.rstrip())))


@given(TEXTS)
def test_splitting_and_joining_is_the_identity(text: str) -> None:
    parts = traced(text).split("\n")
    assert parts == text.split("\n")
    again = joined("\n", parts)
    assert again == text
    assert all(mark == place for place, mark in enumerate(marks_of(again)) if text[place] != "\n")


@given(TEXTS)
def test_nfc_is_that_of_plain_text(text: str) -> None:
    found = composed(traced(text))
    assert found == unicodedata.normalize("NFC", text)
    assert len(marks_of(found)) == len(found)


@pytest.mark.parametrize(
    ("before", "after", "places"),
    [
        ("ana-\nlysed ", "analysed\n", [0, 1, 2, 5, 6, 7, 8, 9, -1]),
        ("low-\nlevel ", "low-level\n", [0, 1, 2, 3, 5, 6, 7, 8, 9, -1]),
        ("pre-\nand ", "pre- and\n", [0, 1, 2, 3, -1, 5, 6, 7, -1]),
        ("\ufb03", "ffi", [0, 0, 0]),
        ("\rc", "©", [0]),
        ("c©", "©", [1]),
        ("6", "^6", [0, 0]),
        ("", "x", [-1]),
    ],
)
def test_what_a_replacement_keeps_keeps_its_marks(before: str, after: str, places: list[int]) -> None:
    assert list(aligned(before, traced(before).marks, after)) == places


def test_broken_words_lead_to_both_of_their_lines() -> None:
    text = "the ana-\nlysed data"
    found = join_hyphens(traced(text), frozenset({"analysed"}))
    assert found == "the analysed\ndata"
    assert [text[mark] for mark in marks_of(found) if mark >= 0] == list("the analyseddata")


def test_words_over_a_page_break_lead_to_both_pages() -> None:
    first, second = numbered(["It was ana-", "lysed, then.\nMore."])
    one, two = join_across_pages([first, second], frozenset({"analysed"}))
    assert (one, two) == ("It was analysed,", "then.\nMore.")
    source = "It was ana-lysed, then.\nMore."
    assert [source[mark] for mark in marks_of(one)] == list("It was analysed,")
    assert [source[mark] for mark in marks_of(two)] == list("then.\nMore.")


def test_marks_around_repeated_text_come_out_and_leave_the_rest_traced() -> None:
    text = f"Pond | {OPENS}Litres: {CLOSES}9,500"
    found, spans = without_marks(traced(text))
    assert found == "Pond | Litres: 9,500"
    assert spans == ((7, 15),)
    assert [text[mark] for mark in marks_of(found)] == list(found)


def test_plain_text_stays_plain() -> None:
    for made in (
        clean_characters("e\u0301 \ufb01\r\n"),
        substitute(re.compile("a"), "b", "abc"),
        translated("a\u00adb", {0xAD: None}),
        joined(" ", ["a", "b"]),
        composed("e\u0301"),
    ):
        assert type(made) is str
    assert type(str(traced("ab"))) is str


def test_a_mark_for_each_character() -> None:
    with pytest.raises(ValueError, match="1 marks for 2 characters"):
        Traced("ab", [1])
