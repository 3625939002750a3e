"""The example document, a typeset manual of 113 pages: does what a person sees come out, by either engine?"""

from __future__ import annotations

import difflib
import functools
import re

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document

from .documents import R_INTRO

ENGINES = ("pdfium", "pypdf")


@functools.cache
def r_intro(engine: str = "pdfium", pages: str | None = None) -> Document:
    return read_document(R_INTRO, options=ReadOptions(engine=engine, pages=pages))  # type: ignore[arg-type]


def flowed(text: str) -> str:
    return " ".join(text.split())


def test_pages_labels_and_no_loss() -> None:
    document = r_intro()
    assert len(document.pages) == 113
    assert [page.label for page in document.pages[:8]] == ["T-1", "T-2", "i", "ii", "iii", "iv", "1", "2"]
    assert document.pages[112].label == "107"
    assert [(issue.code, issue.page) for issue in document.issues] == [("running-lines", None)]
    assert document.issues[0].message.startswith("111 running header(s), footer(s) and page number(s) on 111 page(s)")


@pytest.mark.parametrize("engine", ENGINES)
def test_sentences_with_their_spaces_on_their_pages(engine: str) -> None:
    document = r_intro(engine, "7-14")
    expected = {
        7: "Most R novices will start with the introductory session in Appendix A.",
        8: "R is an integrated suite of software facilities for data manipulation, calculation and graphical display.",
        9: "about 25 packages supplied with R (called \u201cstandard\u201d and \u201crecommended\u201d packages)",
        14: "If an expression is used as a complete command, the value is printed and lost {mark}. So now if we were",
    }
    expected[14] = expected[14].replace("{mark}", "\u00b2" if engine == "pdfium" else "2")
    for number, sentence in expected.items():
        page = next(page for page in document if page.number == number)
        assert sentence in flowed(page.text)
        position = document.text.index(page.text)
        assert document.page_at(position + len(page.text) // 2).number == number


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_ugly_is_left(engine: str) -> None:
    pages = "1-24,108-113"
    for page in r_intro(engine, pages):
        lines = page.text.split("\n")
        assert not re.search("[\ufffe\u00ad\ufb00-\ufb06\x00-\x08\x0b-\x1f]", page.text)
        assert not re.search(r"\. \. \.|\.{4}", page.text)
        assert not [
            line for line in (lines[0], lines[-1]) if re.fullmatch(r"\d+|[ivx]+|(Chapter|Appendix) .*: .* \d+", line)
        ]
        assert not re.search(r"[^\W\d_]-\n[^\W\d_]", page.text)


def test_contents_and_index() -> None:
    document = r_intro()
    assert document.pages[2].text.startswith(
        "Table of Contents\nPreface ... 1\n1 Introduction and preliminaries ... 2\n"
    )
    assert "\nvar ... 9, 18\n" in document.pages[109].text


def test_code_is_indented_as_printed() -> None:
    assert (
        "\n".join(
            [
                "no.dimnames <- function(a) {",
                "  ## Remove all dimension names from an array for compact printing.",
                "  d <- list()",
                "  l <- 0",
                "  for(i in dim(a)) {",
                '    d[[l <- l + 1]] <- rep("", i)',
                "  }",
                "  dimnames(a) <- d",
                "  a",
                "}",
            ]
        )
        in r_intro().pages[53].text
    )


def test_compounds_keep_their_hyphens_and_broken_words_do_not() -> None:
    text = flowed(r_intro().text)
    for whole in (
        "S and S-Plus environments",
        "with the low-level axis() graphics function",
        "about the right-hand mode",
        "often analyzed as gaussian",
        "--no-restore.",
    ):
        assert whole in text


def test_sections_are_the_outline_at_their_headings() -> None:
    document = r_intro()
    sections = document.sections
    assert len(sections) == 145
    assert [(s.title, s.level, s.page) for s in sections[:4]] == [
        ("Preface", 1, 7),
        ("1 Introduction and preliminaries", 1, 8),
        ("The R environment", 2, 8),
        ("Related software and documentation", 2, 8),
    ]
    headings = {s.title: document.text[s.char :].split("\n")[0] for s in sections}
    assert headings["The ... argument"] == "10.4 The \u2018...\u2019 argument"
    assert headings["attach() and detach()"] == "6.3.2 attach() and detach()"
    assert headings["B Invoking R"] == "Appendix B Invoking R"
    assert headings["Nonlinear least squares and maximum likelihood models"].startswith("11.7 Nonlinear least")
    for section in sections:
        assert document.page_at(section.char).number == section.page
        folded = re.sub(r"\W", "", document.text[section.char : section.char + 120])
        assert re.sub(r"\W", "", section.title) in folded
    middle = document.text.index("no.dimnames <- function")
    assert document.section_at(middle) == next(
        s for s in sections if s.title == "Dropping all names in a printed array"
    )


def test_both_engines_agree() -> None:
    pdfium, pypdf = (r_intro(engine, "1-20") for engine in ENGINES)
    assert [(p.number, p.label) for p in pdfium] == [(p.number, p.label) for p in pypdf]
    assert [(s.title, s.level, s.page) for s in pdfium.sections] == [(s.title, s.level, s.page) for s in pypdf.sections]
    for ours, theirs in zip(pdfium, pypdf, strict=True):
        matcher = difflib.SequenceMatcher(None, ours.text.split(), theirs.text.split(), autojunk=False)
        assert matcher.ratio() > 0.97, f"page {ours.number}"
