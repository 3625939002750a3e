"""Files that unfold, nest or claim without bound: read, told or refused, within limits of time and memory."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from typing import Any

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.archives import members
from sharedllm_docs.documents.readers.collected import Found, Skipped
from sharedllm_docs.documents.readers.html import HtmlReader
from sharedllm_docs.documents.readers.nesting import MAX_DEPTH, parse_html
from sharedllm_docs.errors import DamagedDocumentError, DocumentError, DocumentTooLargeError
from tests import bombs
from tests.test_readers_office import samples

pytestmark = [
    pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning"),
    pytest.mark.skipif(os.name == "nt", reason="the limits are those of POSIX systems"),
]
BOUNDED = ReadOptions(process="separate", page_seconds=20, max_memory=1 << 30)
SILO = "The silo holds forty tonnes"


def read(data: bytes, name: str) -> Document:
    return read_document(data, name=name, options=BOUNDED)


def docx(change: Callable[[bytes], bytes], part: str = "word/document.xml") -> bytes:
    return bombs.replaced(dict(samples())["a.docx"], part, change)


def body(more: bytes) -> Callable[[bytes], bytes]:
    return lambda xml: xml.replace(b"<w:body>", b"<w:body>" + more)


def codes(document: Document) -> set[str]:
    return {issue.code for issue in document.issues}


@pytest.mark.parametrize(
    ("name", "make", "error", "match"),
    [
        ("a.pdf", bombs.million_pages, DocumentTooLargeError, "1,000,000 pages to read, the limit is 20,000"),
        ("a.pdf", bombs.doubling_tree, DamagedDocumentError, "not one page can be found"),
        ("a.pdf", bombs.deep_tree, DocumentError, "cannot be read|not one page"),
        ("a.png", lambda: bombs.picture_of(60_000, 60_000), DocumentError, "exceeds limit|its text is not recognised"),
        ("a.docx", lambda: docx(lambda xml: bombs.LAUGHS + xml), DamagedDocumentError, "declares entities"),
        ("a.docx", lambda: docx(lambda xml: utf16(bombs.LAUGHS)), DamagedDocumentError, "declares entities"),
        ("a.docx", lambda: docx(lambda xml: b" " * 70_000 + bombs.LAUGHS + xml), DamagedDocumentError, "hides where"),
        ("a.docx", lambda: docx(body(b"<w:sdt><w:sdtContent>" * 50_000)), DamagedDocumentError, "depth"),
        ("a.docx", lambda: docx(body(b" " * 30_000_000)), DocumentTooLargeError, "times its size, the limit is 200"),
        ("a.csv", lambda: b"," * 3_000_000, DocumentTooLargeError, "more than 2,000,000 values"),
        ("a.csv", lambda: b"a,b\n" + b"x" * 2_000_000 + b",1\n", DamagedDocumentError, "larger than field limit"),
        ("a.eml", bombs.quoted_mail, DamagedDocumentError, "RecursionError"),
        ("a.eml", bombs.nested_parts, DamagedDocumentError, "RecursionError"),
        (
            "a.rtf",
            lambda: b"{\\rtf1 " + b"{" * 50_000 + SILO.encode() + b"}" * 50_001,
            DocumentError,
            "no words|damaged",
        ),
        ("a.epub", lambda: epub(bombs.LAUGHS + b"<container>&m;</container>"), DamagedDocumentError, "entities"),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (value if isinstance(value, str) else None),
)
def test_what_cannot_be_read_within_the_limits_is_refused(
    name: str, make: Callable[[], bytes], error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        read(make(), name)


def utf16(text: bytes) -> bytes:
    return (text + b"<a>&m;</a>").decode().encode("utf-16")


def epub(container: bytes) -> bytes:
    return bombs.packed({"mimetype": b"application/epub+zip", "META-INF/container.xml": container})


@pytest.mark.parametrize(
    ("name", "make", "code"),
    [
        ("a.pdf", bombs.claimed_pages, None),
        ("a.pdf", bombs.cyclic_tree, "structure-failed"),
        ("a.pdf", bombs.recursive_form, None),
        ("a.pdf", bombs.packed_again, None),
        ("a.pdf", lambda: bombs.outline(3000), None),
        ("a.pdf", lambda: bombs.outline(3000, nested=True), "structure-failed"),
        ("a.html", lambda: b"<div>" * 100_000 + SILO.encode(), "nested-too-deep"),
        ("a.html", lambda: b"<table><tr><td>" * 5000 + SILO.encode(), "nested-too-deep"),
        ("a.html", lambda: b"<ul><li>" * 20_000 + SILO.encode(), "nested-too-deep"),
        ("a.html", lambda: bombs.LAUGHS + b"<p>&m; " + SILO.encode(), None),
        ("a.html", lambda: b"<!--" * 10_000 + b"--><p>" + SILO.encode(), None),
        ("a.md", lambda: b">" * 20_000 + b" " + SILO.encode(), None),
        ("a.md", lambda: b"[" * 50_000 + SILO.encode() + b"]" * 50_000, None),
        ("a.md", lambda: b"---\na: " + b"[" * 5000 + b"\n---\n" + SILO.encode(), "front-matter-failed"),
        ("a.md", lambda: b"---\n" + yaml_laughs() + b"---\n" + SILO.encode(), None),
        ("a.eml", lambda: bombs.nested_parts(200), None),
        ("a.rtf", lambda: b"{\\rtf1 " + b"{" * 1000 + SILO.encode() + b"}" * 1001, None),
    ],
    ids=lambda value: getattr(value, "__name__", None) or (value if isinstance(value, str) else None),
)
def test_what_can_be_read_is_read_and_what_is_lost_is_told(
    name: str, make: Callable[[], bytes], code: str | None
) -> None:
    document = read(make(), name)
    assert SILO in document.text
    assert code is None or code in codes(document)


def yaml_laughs() -> bytes:
    names = "abcdefghij"
    lines = [b"a: &a [x,x,x,x,x,x,x,x,x]"]
    for before, name in itertools.pairwise(names):
        lines.append(f"{name}: &{name} [{','.join([f'*{before}'] * 9)}]".encode())
    return b"\n".join(lines) + b"\n"


def test_an_e_mail_in_an_e_mail_is_read_as_deep_as_people_forward() -> None:
    document = read(bombs.quoted_mail(100), "a.eml")
    assert document.text.count("Forwarded message:") == 8
    assert codes(document) == {"nested-too-deep"}
    few = read(bombs.quoted_mail(3), "a.eml")
    assert "The silo holds forty tonnes." in few.text
    assert not few.issues


@pytest.mark.slow
@pytest.mark.parametrize("make", [bombs.doubling_forms, bombs.packed_stream], ids=["doubling forms", "packed stream"])
def test_a_page_that_unfolds_is_read_by_the_other_library_or_told(make: Callable[[], bytes]) -> None:
    limits: dict[str, Any] = {"page_seconds": 10, "max_memory": 600 << 20}
    try:
        document = read_document(make(), name="a.pdf", options=ReadOptions(process="separate", **limits))
    except DocumentError as error:
        assert "it took" in str(error)  # noqa: PT017 - either may be, as the libraries are
    else:
        assert codes(document) & {"page-fallback", "page-failed"}


# -- archives


def test_archives_in_archives_are_opened_two_deep() -> None:
    found = list(members(bombs.nested_zip(), "a.zip", max_bytes=1 << 20))
    assert [type(one) for one in found] == [Skipped]
    assert "2 deep" in str(found[0])


def test_archives_that_double_are_bounded() -> None:
    found = list(members(bombs.doubling_zip(3, 8), "a.zip", max_bytes=1 << 20))
    assert found
    assert not any(isinstance(one, Found) for one in found)


# -- nesting of HTML


def test_pages_of_usual_depth_are_parsed_as_they_are() -> None:
    """Many elements are no depth: those without end tags, those that the next one ends, and whole ones in XHTML."""
    for markup in ("<p>a" * 5000, "<br>" * 5000, "<ul>" + "<li>a" * 5000, "<i/>" * 5000, "<b>a</b>" * 5000):
        assert parse_html(markup)[1] == []
    deep = "<div>" * (MAX_DEPTH - 1) + "a" + "</div>" * (MAX_DEPTH - 1)
    assert parse_html(deep)[1] == []


def test_what_follows_a_deep_place_is_read_as_ever() -> None:
    deep = "<b>" * 3000 + "deep" + "</b>" * 3000 + "<h1>Silo</h1><p>Forty tonnes.</p>"
    document = read(deep.encode(), "a.html")
    assert [section.title for section in document.sections] == ["Silo"]
    assert document.text.endswith("Silo\n\nForty tonnes.")
    assert HtmlReader().name == document.reader
