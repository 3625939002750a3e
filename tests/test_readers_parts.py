"""A long document that several processes read: the same document, whatever happens to one of them."""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document, running_lines
from sharedllm_docs.documents.readers.separate import parts, reading
from sharedllm_docs.documents.readers.separate.journal import Journal
from sharedllm_docs.documents.readers.separate.parts import number_of_parts, pages_in_parts
from sharedllm_docs.documents.readers.separate.pool import POOL
from sharedllm_docs.errors import EmptyDocumentError, EncryptedDocumentError, PageRangeError
from tests.documents import BLANK, drawn_pdf, encrypt, make_pdf, prose
from tests.test_pdf_tables import HEADS, TITLE, harbour_rows, harbours
from tests.test_readers_separate import REASONS, SMALL, Break, broken, placed, told
from tests.waiting import PATIENCE, until

__all__ = ["broken"]
pytestmark = pytest.mark.skipif(os.name == "nt", reason="the faults are those of POSIX systems")
BOOK = make_pdf([["The Book of Silos", *prose(number)] for number in range(1, 13)], outline=[("One", 1, 1)])


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """Every document is long, and there are three processors; the requests that were made, in order."""
    monkeypatch.setattr(parts, "PART", 2)
    monkeypatch.setattr(parts, "processors", lambda: 3)
    monkeypatch.setattr(reading, "processors", lambda: 3)
    monkeypatch.setattr(reading, "_BYTES_OF_MANY", 0)
    requests: list[dict[str, Any]] = []
    ask = reading._once

    def once(source: Any, options: Any, request: dict[str, Any], journal: Any, progress: Any) -> Any:
        requests.append({**request, "known": sorted(journal.pages)})
        return ask(source, options, request, journal, progress)

    monkeypatch.setattr(reading, "_once", once)
    yield requests
    POOL.end()


def read(data: bytes, **options: Any) -> Document:
    return read_document(data, name="sample.pdf", options=ReadOptions(process="separate", **options))


def read_here(data: bytes, **options: Any) -> Document:
    return read_document(data, name="sample.pdf", options=ReadOptions(process="own", **options))


def kinds(asked: list[dict[str, Any]]) -> list[str]:
    return [request["kind"] for request in asked]


# -- the same document


def test_three_processes_read_four_pages_each_and_one_makes_the_document(asked: list[dict[str, Any]]) -> None:
    document = read(BOOK)
    assert kinds(asked) == ["count", "part", "part", "part", "document"]
    assert asked[-1]["known"] == list(range(1, 13))
    assert document == read_here(BOOK)
    assert placed(document) == placed(read_here(BOOK))


def test_chosen_pages_are_shared_too(asked: list[dict[str, Any]]) -> None:
    assert read(BOOK, pages="2-5,9-") == read_here(BOOK, pages="2-5,9-")
    assert asked[-1]["known"] == [2, 3, 4, 5, 9, 10, 11, 12]


def test_a_table_goes_on_over_the_border_between_two_parts(asked: list[dict[str, Any]]) -> None:
    pages = [harbours(harbour_rows(4 * page + 1, 4 * page + 4), 780) for page in range(1, 6)]
    pdf = drawn_pdf([harbours(harbour_rows(1, 4), 700, HEADS, TITLE), *pages])
    document = read(pdf)
    assert kinds(asked)[-1] == "document"
    assert document == read_here(pdf)
    assert all("2022: " in page.text for page in document)  # else nothing went on


def test_running_lines_are_those_of_the_whole(asked: list[dict[str, Any]]) -> None:
    lines = running_lines(BOOK, name="a.pdf", options=ReadOptions(process="separate"))
    assert "part" in kinds(asked)
    assert lines == running_lines(BOOK, name="a.pdf", options=ReadOptions(process="own"))
    assert lines


@pytest.mark.parametrize(
    ("pages", "number"), [(0, 1), (23, 1), (47, 1), (48, 2), (72, 3), (96, 4), (4_000, 4), (4_001, 1)]
)
def test_short_documents_and_very_long_ones_are_not_divided(
    pages: int, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "processors", lambda: 16)
    assert number_of_parts(pages) == number
    monkeypatch.setattr(parts, "processors", lambda: 1)
    assert number_of_parts(pages) == 1


# -- progress


def test_progress_counts_the_pages_of_all_parts(asked: list[dict[str, Any]]) -> None:
    seen: list[tuple[int, int]] = []
    here = threading.current_thread()

    def tell(done: int, total: int) -> None:
        assert threading.current_thread() is here
        seen.append((done, total))

    read_document(BOOK, name="a.pdf", options=ReadOptions(process="separate"), progress=tell)
    assert seen == [(number, 12) for number in range(1, 13)]


def test_what_progress_raises_ends_all_parts(asked: list[dict[str, Any]], broken: Break) -> None:
    broken("pdfium", "sleep", "8")  # the second part hangs

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        read_document(BOOK, name="a.pdf", options=ReadOptions(process="separate", page_seconds=1), progress=stop)
    assert time.monotonic() - begun < PATIENCE
    assert "document" not in kinds(asked)
    until(lambda: not [one for one in threading.enumerate() if one.name == "sharedllm-docs-pages"])


# -- faults


@pytest.mark.parametrize("how", ["segfault", "loop", "grow_at_once"])
def test_a_page_at_which_one_part_fails_is_read_by_the_other_library(
    how: str, broken: Break, asked: list[dict[str, Any]]
) -> None:
    broken("pdfium", how, "6")
    with pytest.warns(match="page-fallback"):
        document = read(BOOK, **SMALL)
    assert [issue.page for issue in told(document, "page-fallback")] == [6]
    assert told(document, "page-fallback")[0].message.startswith("the text was read by pypdf")
    assert re.search(REASONS[how], told(document, "page-fallback")[0].message)
    assert kinds(asked).count("document") == 1  # it does not stumble over the page again


def test_errors_are_those_of_one_process(asked: list[dict[str, Any]]) -> None:
    with pytest.raises(EncryptedDocumentError, match="needs a password"):
        read(encrypt(BOOK, "secret"))
    assert read(encrypt(BOOK, "secret"), password="secret").text == read_here(BOOK).text
    with pytest.raises(PageRangeError, match="Page 40 of the range"):
        read(BOOK, pages="40")
    with pytest.raises(EmptyDocumentError, match="blank"):
        read(make_pdf([BLANK] * 8))


def test_a_part_that_cannot_be_read_is_left_to_the_whole() -> None:
    def ask(request: dict[str, Any], journal: Journal, progress: Any) -> None:
        if request["part"] == 1:
            raise EmptyDocumentError("nothing", remedy="none")
        journal.pages[request["part"]] = "page"
        journal.failed["pdfium", request["part"]] = "it crashed"
        progress(1)

    seen: list[tuple[int, int]] = []
    journal = pages_in_parts(3, 3, ask, lambda done, total: seen.append((done, total)))
    assert journal.pages == {0: "page", 2: "page"}
    assert journal.failed == {("pdfium", 0): "it crashed", ("pdfium", 2): "it crashed"}
    assert seen == [(1, 3), (2, 3)]


def test_a_fault_in_a_thread_is_not_swallowed() -> None:
    def ask(request: dict[str, Any], journal: Journal, progress: Any) -> None:
        raise RuntimeError("a mistake of ours")

    with pytest.raises(RuntimeError, match="a mistake of ours"):
        pages_in_parts(4, 2, ask, lambda done, total: None)
