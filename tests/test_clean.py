"""Cleaning rules: each by example, and what must hold for any text by property."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.cli import screen
from sharedllm_docs.documents.cleaning import (
    clean_characters,
    clean_layout,
    clean_text,
    join_hyphens,
    join_word,
    limit_blank_lines,
    restore_soft_breaks,
    restore_tex_codes,
    vocabulary,
)
from sharedllm_docs.documents.cleaning import clean_pages as clean_and_list
from sharedllm_docs.documents.cleaning import strip_running_lines as strip_and_list

ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=200)
LINES = st.text(st.sampled_from("ab -.,1\n\t\u00ad\ufffe\ufb01"), max_size=120)


def clean_pages(pages: list[str], **options: Any) -> list[str]:
    return clean_and_list(pages, **options)[0]


def strip_running_lines(pages: list[str], **known: Any) -> list[str]:
    return strip_and_list(pages, **known)[0]


# -- characters


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\ufb01eld \ufb02ow o\ufb00er su\ufb03x ra\ufb04e", "field flow offer suffix raffle"),
        ("a\u00a0b\u2009c\u3000d\u202fe", "a b c d e"),
        ("a\x00b\x07c\ufeffd\u200be\u00adf", "abcdef"),
        ("one\r\ntwo\rthree\u2028four\x0bfive\x0csix", "one\ntwo\nthree\nfour\nfive\nsix"),
        ("e\u0301t\u00e9", "\u00e9t\u00e9"),
        ("x\u00b2 + y\u2082 \u2115 \uff21", "x\u00b2 + y\u2082 \u2115 \uff21"),
        ("\uf0b7 item", "\u2022 item"),
        ("if x:\n\tpass\n    y", "if x:\n\tpass\n    y"),
        ("lone \ud800 surrogate", "lone \ufffd surrogate"),
        ("\u0645\u06cc\u200c\u0631\u0648\u0645", "\u0645\u06cc\u200c\u0631\u0648\u0645"),
    ],
)
def test_characters(raw: str, clean: str) -> None:
    assert clean_characters(raw) == clean


@given(ANY_TEXT)
def test_characters_are_printable_nfc_utf8_and_settled(text: str) -> None:
    clean = clean_characters(text)
    clean.encode("utf-8")
    assert unicodedata.is_normalized("NFC", clean)
    assert all(c in "\t\n" or unicodedata.category(c) not in ("Cc", "Cs", "Zl", "Zp") for c in clean)
    assert all(c == " " or unicodedata.category(c) != "Zs" for c in clean)
    assert clean_characters(clean) == clean


@given(st.text(st.characters(codec="ascii", categories=("L", "N", "P", "S")), max_size=80))
def test_plain_text_is_left_alone(text: str) -> None:
    assert clean_characters(text) == text


def test_tex_ligature_codes_next_to_letters() -> None:
    raw = "\x0cve e\x0bect \x0elm wa\x0fe \reet\r\nnext\x0c 3"
    assert restore_tex_codes(raw) == "five effect ffilm waffle fleet\r\nnextfi 3"
    assert (
        restore_tex_codes("Copyright \rc 1990\r\nCopyright c\u00a9 1991")
        == "Copyright \u00a9 1990\r\nCopyright \u00a9 1991"
    )
    assert restore_tex_codes("a b\r\n\x0c\r\n1") == "a b\r\n\x0c\r\n1"


# -- hyphens


def test_soft_breaks_become_hyphens_at_line_ends() -> None:
    assert restore_soft_breaks("an\ufffealyzed") == "an-\nalyzed"
    assert restore_soft_breaks("an\u00ad \n alyzed") == "an-\nalyzed"
    assert restore_soft_breaks("an\u00adalyzed") == "an\u00adalyzed"


@pytest.mark.parametrize(
    ("left", "right", "words", "joined"),
    [
        ("an", "alyzed", "", "analyzed"),
        ("e", "mail", "", "e-mail"),
        ("S", "Plus", "", "S-Plus"),
        ("Kolmogorov", "Smirnov", "", "Kolmogorov-Smirnov"),
        ("COVID", "19", "", "COVID-19"),
        ("1990", "95", "", "1990-95"),
        ("DOCU", "MENT", "", "DOCUMENT"),
        ("low", "level", "a low-level routine", "low-level"),
        ("well", "being", "wellbeing", "wellbeing"),
        ("well", "known", "", "well-known"),
        ("non", "linear", "", "non-linear"),
        ("user", "contributed", "user code was contributed", "user-contributed"),
        ("through", "out", "through and out", "throughout"),
        ("--no", "restore", "norestore", "--no-restore"),
        ("state-of-the", "art", "", "state-of-the-art"),
        ("well-de", "fined", "defined", "well-defined"),
        ("pre", "and", "", "pre- and"),
        ("thous", "and", "thousand", "thousand"),
        ("in", "put", "in put", "input"),
    ],
)
def test_joined_words(left: str, right: str, words: str, joined: str) -> None:
    assert join_word(left, right, vocabulary([words])) == joined


def test_join_keeps_the_line_count_and_punctuation() -> None:
    text = "it was often an-\nalyzed, as data\nor func-\ntion(x, y) and so"
    assert join_hyphens(text, frozenset()) == "it was often analyzed,\nas data\nor function(x,\ny) and so"


@pytest.mark.parametrize(
    "text",
    [
        *("a -\nb", "x <- y --\nz", "rule -----\nbelow", "end-\n\nnew", "- item-\n- item", "word--\nnext"),
        *("Balance 1.204,50-\nCarried over", "was 1.1-\n3. Share", "Result | 2024: 12-\n2. Other income"),
    ],
)
def test_what_is_no_broken_word(text: str) -> None:
    assert join_hyphens(text, frozenset()) == text


def test_broken_halves_are_not_vocabulary() -> None:
    assert vocabulary(["func-\ntion and an-\nalyzed", "low-level"]) == {"and", "low-level"}


@given(LINES)
def test_joining_is_settled_and_loses_only_hyphens_and_spaces(text: str) -> None:
    words = vocabulary([text])
    joined = join_hyphens(text, words)
    assert join_hyphens(joined, words) == joined

    def kept(text: str) -> str:
        return "".join(c for c in text if c not in "- \t\n")

    assert kept(joined) == kept(text)


def test_word_broken_over_a_page_end_stands_on_its_first_page() -> None:
    pages = clean_pages(["one\nand FAT filesys-", "tems, which are\nmany", "Third page-", "Next sentence"])
    assert pages == ["one\nand FAT filesystems,", "which are\nmany", "Third page-", "Next sentence"]


# -- layout


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("1.1 The environment. . . . . . . 2", "1.1 The environment ... 2"),
        ("Numbers and vectors . . 8", "Numbers and vectors ... 8"),
        ("Preface ............... iv", "Preface ... iv"),
        ("var . . . . . . . 9, 18", "var ... 9, 18"),
        ("The '...' argument . . . . . 47", "The '...' argument ... 47"),
        ("x1, . . . , xn and {1, 2, . . ., n}", "x1, ... , xn and {1, 2, ..., n}"),
        ("function(x, ...) and ..1", "function(x, ...) and ..1"),
        ("an end. A start.", "an end. A start."),
        ("is lost 2\n. So now", "is lost 2. So now"),
        ("about A2\n.\nNext", "about A2.\nNext"),
        ("lost 1\n). So", "lost 1). So"),
        ("- . . . . 9\n.\n. . . . 60\n.First . . . . 52", "- ... 9\n.\n ... 60\n.First ... 52"),
        ("a list\n.5 and\n... more", "a list\n.5 and\n... more"),
        ("\u261b \u271f\ncode\n\u2721 \u2720", "code\n"),
        ("stretched   words    here", "stretched words here"),
        ("    indented  code", "    indented code"),
    ],
)
def test_layout(raw: str, clean: str) -> None:
    assert clean_layout(raw) == clean


def test_blank_lines_are_limited_and_indentation_kept() -> None:
    assert limit_blank_lines("\n\n  a  \n\n\n\n\tb\n\n") == "  a\n\n\tb"


@given(LINES)
def test_limit_blank_lines_is_settled(text: str) -> None:
    limited = limit_blank_lines(text)
    assert "\n\n\n" not in limited
    assert limit_blank_lines(limited) == limited


# -- running lines


def body(page: int) -> str:
    words = ["apple", "pear", "plum", "quince", "cherry", "grape", "melon", "lemon", "fig", "date", "olive"]
    return "\n".join(f"{words[(page * 3 + i) % 11]} {words[(page + 5 * i) % 11]} of row {i * page}x" for i in range(5))


def test_same_header_on_most_pages_is_removed_but_for_the_first() -> None:
    pages = [f"The Big Manual, draft 7\n{body(i)}" for i in range(1, 9)]
    assert strip_running_lines(pages) == [pages[0], *(body(i) for i in range(2, 9))]


def test_chapter_headers_that_end_with_the_page_number_are_removed_but_for_the_first_of_each() -> None:
    chapters = ["One", "One", "Two", "Two", "Two", "Three", "Three", "Three"]
    pages = [f"Chapter {name}   {40 + i}\n{body(i)}" for i, name in enumerate(chapters)]
    assert strip_running_lines(pages) == [pages[i] if i in (0, 2, 5) else body(i) for i in range(8)]
    titled = [f"In Chapter {name} this is row {i}.\nend {i * i}" for i, name in enumerate(chapters)]
    known = [f"{page}\n{text}" for page, text in zip(pages, titled, strict=True)]
    assert strip_running_lines(known) == [page.split("\n", 1)[1] for page in known]  # the titles stand elsewhere


def test_left_and_right_headers_and_lone_footers() -> None:
    pages = [(f"{i}  My Book" if i % 2 == 0 else f"A Chapter  {i}") + f"\n{body(i)}\n- {i} -" for i in range(1, 13)]
    titled = [f"A Chapter  1\n{body(1)}", f"2  My Book\n{body(2)}"]
    assert strip_running_lines(pages) == [*titled, *(body(i) for i in range(3, 13))]


def test_header_on_pages_in_a_row() -> None:
    pages = [body(i) for i in range(1, 21)]
    for i in (10, 12, 14):
        pages[i] = "Reference tables\n" + pages[i]
    expected = [body(i) for i in range(1, 21)]
    expected[10] = pages[10]
    assert strip_running_lines(pages) == expected


def test_page_labels_show_lone_roman_numbers() -> None:
    pages = [f"{label}\n{body(i)}" for i, label in enumerate(["i", "ii", "1", "2"], start=1)]
    assert strip_running_lines(pages, labels=["i", "ii", "1", "2"]) == [body(i) for i in range(1, 5)]


def test_page_numbers_of_a_scattered_range() -> None:
    numbers = [3, 4, 50, 51, 52]
    pages = [f"{body(n)}\nPage {n} of 60" for n in numbers]
    assert strip_running_lines(pages, numbers=numbers) == [body(n) for n in numbers]


def test_known_headings_stay() -> None:
    pages = [f"{i}  Part A\n{body(i)}" for i in range(1, 9)]
    headings = [["Part A"] if i == 5 else [] for i in range(1, 9)]
    stripped = strip_running_lines(pages, headings=headings)
    assert stripped == [pages[4] if i == 5 else body(i) for i in range(1, 9)]


@pytest.mark.parametrize(
    "pages",
    [
        ["1\n00:00:01 subtitle\n2"],
        ["Same head\nbody one", "Same head\nbody two", "Other"],
        [f"{10 * i * i + 3} {body(i)}" for i in range(1, 9)],
    ],
    ids=["single-page", "too-few-pages", "numbers-that-are-no-page-numbers"],
)
def test_what_is_no_running_line(pages: list[str]) -> None:
    assert strip_running_lines(pages) == pages


@given(st.lists(st.text(st.sampled_from("ab1i \n"), max_size=40), max_size=12))
def test_running_lines_only_ever_disappear(pages: list[str]) -> None:
    stripped = strip_running_lines(pages)
    assert len(stripped) == len(pages)
    for before, after in zip(pages, stripped, strict=True):
        remaining = iter(before.split("\n"))
        assert all(any(line == old for old in remaining) for line in after.split("\n") if line)


# -- what differs in more than the page's number is content


@pytest.mark.parametrize(
    "pages",
    [
        [f"Water account\n{body(i)}\nAmount due: {i * 7 + 40}.{i}5 EUR" for i in range(1, 8)],
        [f"Voucher {1000 + i}\nCabin {(i * 11) % 40}\nDeposit {i % 3 * 15 + 40} EUR" for i in range(1, 8)],
        [f"Day {i}\n{body(i)}" for i in range(1, 8)],
        [f"{body(i)}\nLesson {i}" for i in range(1, 8)],
        [f"{i}. Which animal lives here?\n{body(i)}" for i in range(1, 8)],
        [f"{i}) Which animal lives here?\n{body(i)}" for i in range(1, 8)],
        [f"{i} eggs, flour and milk\n{body(i)}" for i in range(1, 8)],
        [f"{body(i)}\nNumber of dogs:\n{value}" for i, value in enumerate([7, 2, 0, 4, 1], start=1)],
        [f"{body(i)}\nNumber of dogs:\n{i}" for i in range(1, 3)],
        [f"Invoice of {i}.{i}.2025\n{body(i)}" for i in range(1, 8)],
        [f"{body(i)}\nTotal:   {i * i}" for i in range(1, 8)],
        [f"{body(i)}\n{'MCDLXVI'[i - 1]}" for i in range(1, 8)],
    ],
    ids=[
        *("amounts", "vouchers", "days", "lessons", "questions", "bracketed", "recipe", "values", "two-values"),
        *("dates", "totals", "letters"),
    ],
)
def test_lines_that_differ_in_a_number_stay(pages: list[str]) -> None:
    stripped, removed = strip_and_list(pages)
    kept = "\n".join(stripped)
    for page in pages:
        for line in page.split("\n"):
            if line != "Water account" and line != "Number of dogs:":
                assert line in kept
    assert {line.text for line in removed} <= {"Water account", "Number of dogs:"}


def test_pages_that_are_copies_of_one_form_lose_nothing() -> None:
    form = "\n".join(f"{word} box of the form" for word in ("Upper", "Left", "Middle", "Right", "Lower", "Last"))
    pages = [f"{form}\nsigned by {name}" for name in ("Ada", "Bob", "Cem", "Dag", "Eva")]
    assert strip_running_lines(pages) == pages


def test_a_long_header_goes_where_the_body_differs() -> None:
    head = "One\nTwo heads\nThree heads"
    pages = [f"{head}\n{body(i)}" for i in range(1, 8)]
    assert strip_running_lines(pages) == [pages[0], *(body(i) for i in range(2, 8))]


def test_only_lines_in_the_margin_are_running() -> None:
    pages = [f"The same head\n{body(i)}\nThe same last line" for i in range(1, 8)]
    stripped = strip_running_lines(pages, margins=[(1, 0)] * 7)
    assert stripped == [pages[0], *(f"{body(i)}\nThe same last line" for i in range(2, 8))]
    assert strip_running_lines(pages, margins=[(0, 0)] * 7) == pages


def test_a_title_of_the_outline_shows_a_number_beside_it() -> None:
    pages = [f"Chapter 2: Fruit trees {40 + i}\n{body(i)}" for i in range(8)]
    assert strip_running_lines(pages) == pages
    assert strip_running_lines(pages, titles=["2 Fruit trees", "Fruit trees"]) == [body(i) for i in range(8)]


def test_page_numbers_inside_of_headings() -> None:
    heads = ["Methods", "Results", "Methods", "Findings", "An appendix"]
    pages = [f"{head}\n{i + 8}\n{body(i)}" for i, head in enumerate(heads, start=1)]
    stripped, removed = strip_and_list(pages)
    assert stripped == [f"{head}\n{body(i)}" for i, head in enumerate(heads, start=1)]
    assert [line.text for line in removed] == ["9", "10", "11", "12", "13"]
    values = [f"{head}\n{value}\n{body(i)}" for i, (head, value) in enumerate(zip(heads, [4, 2, 3, 9, 7], strict=True))]
    assert strip_running_lines(values) == values


def test_lone_numbers_of_pages_far_apart() -> None:
    pages = [body(i) + (f"\n{i - 6}" if i % 9 == 8 else "") for i in range(1, 100)]
    assert strip_running_lines(pages) == [body(i) for i in range(1, 100)]
    few = [body(i) + (f"\n{i - 6}" if i in (20, 60, 80) else "") for i in range(1, 100)]
    assert strip_running_lines(few) == few


@pytest.mark.parametrize(
    "footer", ["Page {}", "Seite {}", "- {} -", "{} / 9", "Notes on Fruit | {}", "Miller [Page {}]"]
)
def test_forms_of_page_numbers(footer: str) -> None:
    pages = [f"{body(i)}\n{footer.format(i)}" for i in range(1, 9)]
    stripped, removed = strip_and_list(pages)
    titled = footer[0] in "NM"  # the first of a title that stands nowhere else stays
    assert stripped == [pages[0] if titled else body(1), *(body(i) for i in range(2, 9))]
    assert [(line.page, line.text) for line in removed] == [(i, footer.format(i)) for i in range(1 + titled, 9)]


def test_removed_lines_are_listed_by_their_source_pages() -> None:
    numbers = [3, 4, 50, 51, 52]
    pages = [f"A head\n{body(n)}\n{n}" for n in numbers]
    _, removed = strip_and_list(pages, numbers=numbers)
    assert [(line.page, line.text) for line in removed if line.text == "A head"] == [(n, "A head") for n in numbers[1:]]
    assert [(line.page, line.text) for line in removed if line.text != "A head"] == [(n, str(n)) for n in numbers]


def test_running_lines_can_be_kept() -> None:
    pages = [f"A head\n{body(i)}\n{i}" for i in range(1, 9)]
    assert clean_and_list(pages, keep_running_lines=True) == (pages, [])


# -- all together


@given(st.lists(ANY_TEXT, max_size=6))
def test_clean_pages_gives_as_many_tidy_pages(pages: list[str]) -> None:
    cleaned = clean_pages(pages)
    assert len(cleaned) == len(pages)
    for text in cleaned:
        assert unicodedata.is_normalized("NFC", text)
        assert not set("\ufffe\u00ad\r\x00\ufb01") & set(text)
        assert text == limit_blank_lines(text)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("piece", [" ", "-", ".", ". ", "a-", "a-\n", "-\n", "1 ", "\t\n", "\u00ad ", "a\n. "])
def test_long_runs_take_no_quadratic_time(piece: str) -> None:
    assert len(clean_pages([piece * 50_000 + "x", piece * 50_000 + "y"])) == 2


def test_unpaged_text_keeps_its_hyphens_and_dots() -> None:
    assert clean_text("a \ufb01ne low-\nlevel . . . . . x  y") == "a fine low-\nlevel . . . . . x  y"


def test_plain_text_pages_keep_their_tables() -> None:
    page = "name    value\n.....   . . . . 3"
    assert clean_pages([page], layout=False) == [page]


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("\x1b[31mred\x1b[0m and \x1b[1;38;5;208mbold\x1b[m", "red and bold"),
        ("\x1b[2J\x1b[?25l\x1b[10;4Hhere\x1b[K", "here"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x1b]8;;https://a.b/\x1b\\link\x1b]8;;\x07 \x1b]0;title\x07end", "link end"),
        ("\x1bP1$r0m\x1b\\text\x1b(B\x1b7\x1b8\x1b=\x1bc.", "text."),
        ("\x1bHello [31m]", "Hello [31m]"),
        ("\x1b]no end\nnext line", "]no end\nnext line"),
    ],
)  # fmt: skip
def test_escape_sequences_go_as_a_whole(raw, clean):
    assert clean_characters(raw) == clean
    assert screen.clean(raw) == clean
