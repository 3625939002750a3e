"""The document contract: positions in the canonical text are the map from token to page and characters."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.document import Document, Page, Section

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
