"""The document contract: positions in the canonical text are the map from token to page and characters."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.document import Document, Page, Section
from sharedllm_docs.errors import ConfigError, DamagedDocumentError

PAGES = st.lists(st.text("ab \n", max_size=12), min_size=1, max_size=8)


def document(texts: list[str], sections: tuple[Section, ...] = (), first: int = 1) -> Document:
    pages = tuple(Page(number, text) for number, text in enumerate(texts, start=first))
    return Document("d", "0" * 64, "text", "1", pages, sections)


@given(PAGES, st.integers(1, 50))
def test_every_character_knows_its_page(texts: list[str], first: int) -> None:
    read = document(texts, first=first)
    assert read.text == "\n".join(texts)
    for start, page in zip(read.page_starts, read.pages, strict=True):
        assert read.text[start : start + len(page.text)] == page.text
        for char in range(start, start + len(page.text)):
            assert read.page_at(char) is page


@given(PAGES)
def test_the_separator_belongs_to_the_page_that_it_ends(texts: list[str]) -> None:
    read = document(texts)
    for page, following in zip(read.pages, read.page_starts[1:], strict=False):
        assert read.page_at(following - 1) is page


def test_positions_beyond_the_ends_stay_inside() -> None:
    read = document(["one", "two"])
    assert read.page_at(-5).number == 1
    assert read.page_at(500).number == 2


def test_section_at_is_the_last_that_began() -> None:
    sections = (Section("A", 1, 1, 2), Section("A.1", 2, 1, 4), Section("B", 1, 2, 9))
    read = document(["0123456", "89abcdef"], sections)
    assert read.section_at(1) is None
    assert [getattr(read.section_at(char), "title", "") for char in (2, 3, 4, 8, 9, 99)] == [
        "A",
        "A",
        "A.1",
        "A.1",
        "B",
        "B",
    ]


def test_iteration_gives_the_pages() -> None:
    assert [page.text for page in document(["x", "", "y"])] == ["x", "", "y"]


# -- from text in memory ------------------------------------------------------------------------------------------


def test_a_document_from_text_keeps_text_pages_and_metadata():
    one = Document.from_text("A\r\nb ", name="note", metadata={"author": "X"})
    assert (one.name, one.text, one.metadata, one.reader) == ("note", "A\r\nb ", {"author": "X"}, "text-in-memory")
    two = Document.from_text(pages=["first", "", "third"], name="pages")
    assert [(page.number, page.text) for page in two] == [(1, "first"), (2, ""), (3, "third")]
    assert two.page_at(two.text.index("third")).number == 3


def test_identity_follows_from_text_page_breaks_name_and_metadata():
    made = [
        Document.from_text("a\nb", name="n"),
        Document.from_text(pages=["a", "b"], name="n"),
        Document.from_text("a\nb", name="m"),
        Document.from_text("a\nb", name="n", metadata={"k": "v"}),
        Document.from_text("a\nc", name="n"),
    ]
    assert len({document.source_sha256 for document in made}) == len(made)
    again = Document.from_text("x", name="n", metadata={"b": "2", "a": "1"})
    assert again == Document.from_text("x", name="n", metadata={"a": "1", "b": "2"})


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ({"name": "n"}, ConfigError, "neither given"),
        ({"name": "n", "text": "a", "pages": ["a"]}, ConfigError, "both given"),
        ({"name": "n", "pages": "abc"}, ConfigError, "one string as pages"),
        ({"name": "n", "pages": ["a", 3]}, ConfigError, "page is int"),
        ({"name": " ", "text": "a"}, ConfigError, "name=' ' cannot name"),
        ({"name": "n", "text": "a", "metadata": {"k": 1}}, ConfigError, r"metadata\['k'\] is int"),
        ({"name": "n", "pages": ["a", "b\ud800"]}, DamagedDocumentError, r"n holds '\\ud800' at 1 of page 2"),
    ],
)
def test_what_is_no_text_is_refused(values, error, message):
    with pytest.raises(error, match=message):
        Document.from_text(**values)


def test_a_title_that_stands_twice_is_said_once_in_a_path() -> None:
    sections = (Section("Minutes", 1, 1, 0), Section("Minutes", 2, 1, 2), Section("Fees", 3, 1, 4))
    read = document(["0123456"], sections)
    assert read.section_path(3) == ("Minutes",)
    assert read.section_path(5) == ("Minutes", "Fees")
