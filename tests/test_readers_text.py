"""Plain text, Markdown and HTML: encodings, pages, sections, metadata."""

from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.errors import (
    ConfigError,
    DamagedDocumentError,
    DocumentError,
    DocumentTooLargeError,
    DocumentWarning,
    EmptyDocumentError,
    PageRangeError,
    UnknownFormatError,
)

FRENCH = (
    "L'\u00e9t\u00e9 dernier, nous avons mang\u00e9 des cr\u00eapes \u00e0 No\u00ebl; \u00e7a suffit, s\u00fbrement.\n"
    * 5
)

JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    "何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。\n"
)
POLISH = "Wszystkie szczęśliwe rodziny są do siebie podobne, każda nieszczęśliwa jest taka na swój sposób.\n"
RUSSIAN = "Все счастливые семьи похожи друг на друга, каждая несчастливая по-своему.\n"  # noqa: RUF001


def read(data: bytes | str, name: str = "sample.txt", **options: object) -> Document:
    data = data.encode() if isinstance(data, str) else data
    return read_document(data, name=name, options=ReadOptions(**options))  # type: ignore[arg-type]


# -- encodings


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
        (codecs.BOM_UTF32_BE, "utf-32-be"),
    ],
)
@pytest.mark.parametrize("name", ["sample.txt", "sample.md", "sample.html", "sample"])
def test_marked_and_utf8(mark: bytes, encoding: str, name: str) -> None:
    document = read(mark + FRENCH.encode(encoding), name=name)
    assert " ".join(document.text.split()) == " ".join(FRENCH.split())
    assert document.issues == ()


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_unmarked_utf16(encoding: str) -> None:
    with pytest.warns(DocumentWarning, match=f"encoding-guessed: sample.txt: .* guessed as {encoding}"):
        document = read(FRENCH.encode(encoding))
    assert document.text == FRENCH.strip()


@pytest.mark.parametrize("encoding", ["cp1252", "shift_jis", "euc_jp", "iso8859_2", "cp1250", "cp1251", "koi8_r"])
def test_other_encodings_are_guessed_with_a_warning(encoding: str) -> None:
    texts = {"cp1252": FRENCH, "iso8859_2": POLISH, "cp1250": POLISH, "cp1251": RUSSIAN, "koi8_r": RUSSIAN}
    text = texts.get(encoding, JAPANESE)
    with pytest.warns(DocumentWarning, match="encoding-guessed: .*give encoding="):
        document = read(text.encode(encoding))
    assert document.text == text.strip()
    assert [issue.code for issue in document.issues] == ["encoding-guessed"]


def test_encoding_that_is_given_is_used_and_recorded() -> None:
    document = read("\u0416\u0443\u043a".encode("cp1251"), encoding="windows-1251")
    assert document.text == "\u0416\u0443\u043a"
    assert document.reader_options == {"clean": "true", "encoding": "cp1251"}


def test_encoding_that_does_not_fit() -> None:
    with pytest.raises(DamagedDocumentError, match=r"sample\.txt is not in utf-8: .*byte 0xe9 in position 1"):
        read(b"L\xe9t\xe9", encoding="utf-8")


def test_utf8_cut_inside_its_last_character() -> None:
    with pytest.warns(DocumentWarning, match=r"truncated: .* its last 1 byte\(s\) are left out"):
        document = read(FRENCH.strip().encode() + "\u00e9".encode()[:1])
    assert document.text == FRENCH.strip()


def test_utf16_cut_inside_its_last_character() -> None:
    with pytest.warns(DocumentWarning, match="truncated"):
        assert read(codecs.BOM_UTF16_LE + "Hello".encode("utf-16-le") + b"x").text == "Hello"


@pytest.mark.parametrize(
    "data",
    [
        b"some text\n" * 1000 + b"\x00" + b"more",
        bytes(range(1, 32)) * 20,
        b"\x00\x01\x02\x03" * 50,
        b"\x01\x00\x02\x00\x03\x00\x04\x00" * 20,
        b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    ],
)
@pytest.mark.parametrize("name", ["sample.txt", "sample.md", "sample.html", "sample", "sample.dat"])
def test_binary_is_no_text(data: bytes, name: str) -> None:
    with pytest.raises(UnknownFormatError, match=r"is not text|bytes are not|no reader takes this file"):
        read(data, name=name)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
@pytest.mark.parametrize("data", [b"", b" \n\t\n", b"\xef\xbb\xbf", b"... --- ...\n"])
def test_nothing_to_read(name: str, data: bytes) -> None:
    with pytest.raises(EmptyDocumentError, match=r"is empty \(0 bytes\)|not a single word"):
        read(data, name=name)


@pytest.mark.filterwarnings("ignore::sharedllm_docs.errors.DocumentWarning")
@given(st.binary(max_size=400), st.sampled_from(["a.txt", "a.md", "a.html", "a"]))
def test_any_bytes_give_text_or_a_typed_error(data: bytes, name: str) -> None:
    try:
        document = read(data, name=name)
    except DocumentError:
        return
    document.text.encode("utf-8")
    assert "\0" not in document.text


# -- plain text


def test_form_feeds_separate_pages() -> None:
    document = read("one apple\f\ftwo pears\nhere\r\n\f")
    assert [(page.number, page.text) for page in document.pages] == [(1, "one apple"), (2, ""), (3, "two pears\nhere")]
    assert document.text[document.page_starts[2] :] == "two pears\nhere"
    assert document.sections == ()


def test_text_without_form_feeds_is_page_one() -> None:
    document = read("1\n\n\n\n  indented   columns\n2")
    assert [(page.number, page.text) for page in document.pages] == [(1, "1\n\n  indented   columns\n2")]


def test_running_lines_of_paged_text() -> None:
    pages = [f"RFC 99 Fruit Protocol\n\n{word} is the word\n\nMiller [Page {i}]" for i, word in enumerate("abcdef", 1)]
    document = read("\f".join(pages))
    assert [page.text for page in document.pages][1:] == [f"{word} is the word" for word in "bcdef"]


def test_text_uncleaned() -> None:
    assert read("a\u00a0b\r\n\r\n\r\n\r\nlow-\r\nlevel", clean=False).text == "a\u00a0b\n\n\n\nlow-\nlevel"


def test_page_options_of_text() -> None:
    text = "\f".join(f"page {word}" for word in ["one", "two", "three", "four"])
    assert [page.number for page in read(text, pages="2-3").pages] == [2, 3]
    assert read(text, pages="2-3").reader_options["pages"] == "2-3"
    with pytest.raises(PageRangeError, match="Page 5 of the range '5' is outside the document, which has 4"):
        read(text, pages="5")
    with pytest.raises(DocumentTooLargeError, match="4 pages to read, the limit is 3"):
        read(text, max_pages=3)


@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
def test_options_that_do_not_apply_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"The option\(s\) engine, password do not apply to documents of format"):
        read("text", name=name, password="x", engine="pypdf")


# -- Markdown

MARKDOWN = """---
title: A guide
tags: [one, two]
nested: {a: 1}
draft: false
---
# Getting *started*

Text with `code`.

Second level
------------

```sh
# no heading
```

    # no heading either

### Third ###
> # Quoted heading
"""


def test_markdown_headings_are_sections_and_the_text_stays() -> None:
    document = read(MARKDOWN, name="guide.md")
    assert [(s.title, s.level, document.text[s.char :].split("\n")[0]) for s in document.sections] == [
        ("Getting started", 1, "# Getting *started*"),
        ("Second level", 2, "Second level"),
        ("Third", 3, "### Third ###"),
        ("Quoted heading", 1, "> # Quoted heading"),
    ]
    assert document.metadata == {"title": "A guide", "tags": "one, two", "draft": "False"}
    assert document.text.startswith("# Getting *started*")
    assert "```sh\n# no heading\n```" in document.text
    assert document.issues == ()


def test_markdown_pages() -> None:
    document = read("# A\n\fSome text\n\n## B\n", name="a.md")
    assert [(s.title, s.page) for s in document.sections] == [("A", 1), ("B", 2)]
    assert document.text[document.sections[1].char :] == "## B"
    assert [s.title for s in read("# A\n\f# B\n\f# C", name="a.md", pages="2").sections] == ["B"]


def test_broken_front_matter_stays_in_the_text() -> None:
    with pytest.warns(DocumentWarning, match="front-matter-failed: a.md: the front matter is no valid YAML"):
        document = read("---\ntitle: [unclosed\n---\n# A\n", name="a.md")
    assert document.text.startswith("---\ntitle: [unclosed")
    assert document.metadata == {}


@pytest.mark.parametrize(
    "text", ["---\n\nA rule above.\n\n---\n\nMore.", "--- no front matter\n", "a\n---\nb: c\n---\n"]
)
def test_rules_are_no_front_matter(text: str) -> None:
    document = read(text, name="a.md")
    assert document.metadata == {}
    assert document.text == text.strip()


@given(st.lists(st.sampled_from(["# A b", "text", "", "Set\n===", "- item", "> q", "```", "   ## C", "\f"])))
def test_every_markdown_section_is_where_it_says(lines: list[str]) -> None:
    document = read("word\n\n" + "\n".join(lines), name="a.md")
    for section in document.sections:
        assert document.page_at(section.char).number == section.page
        assert section.title in " ".join(document.text[section.char :].split())
        assert section.char == 0 or document.text[section.char - 1] == "\n"


# -- HTML

HTML = """<!DOCTYPE html><html lang="en"><head><title>A  page &amp; more</title>
<meta name="author" content="N. N."><style>p {color: red}</style></head>
<body><nav><a href="/">Home</a></nav>
<header><h1>Main <em>title</em></h1></header>
<script>var x = "<p>not this</p>";</script><!-- nor this -->
<p>First
   paragraph with <b>bold</b>ness,&nbsp;a soft&shy;hyphen<br>and a break.</p>
<h2>Lists</h2>
<ul><li>one</li><li><p>two</p></li></ul>
<ol><li>first<li>second<ul><li>inner</ul></ol>
<table><tr><th>Name<th>Size</tr><tr><td>a</td><td>1</td></tr></table>
<pre>def f():
    return 1
</pre>
<div hidden>secret</div><div>Not <span>closed
<h3>Deep</h3> tail
"""


def test_html_text_as_a_reader_sees_it() -> None:
    document = read(HTML, name="page.html")
    assert document.text == "\n\n".join(
        [
            "Main title",
            "First paragraph with boldness, a softhyphen\nand a break.",
            "Lists",
            "- one",
            "- two",
            "1. first\n2. second\n- inner",
            "Name | Size\na | 1",
            "def f():\n    return 1",
            "Not closed",
            "Deep",
            "tail",
        ]
    )
    assert [(s.title, s.level, document.text[s.char : s.char + 5]) for s in document.sections] == [
        ("Main title", 1, "Main "),
        ("Lists", 2, "Lists"),
        ("Deep", 3, "Deep\n"),
    ]
    assert document.metadata == {"title": "A page & more", "author": "N. N."}
    assert [page.number for page in document.pages] == [1]


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="windows-1251">', "cp1251"),
        ("<meta http-equiv=Content-Type content='text/html; charset=koi8-r'>", "koi8-r"),
        ('<?xml version="1.0" encoding="iso-8859-5"?>', "iso-8859-5"),
        ('<meta charset="utf-16">', "utf-8"),
    ],
)
def test_html_declares_its_encoding(head: str, encoding: str) -> None:
    document = read(f"{head}<html><p>\u0416\u0443\u043a".encode(encoding), name="a.html")
    assert document.text == "\u0416\u0443\u043a"
    assert document.issues == ()


def test_html_that_declares_nonsense_is_still_read() -> None:
    assert read('<meta charset="klingon"><p>caf\u00e9', name="a.html").text == "caf\u00e9"


def test_deeply_nested_html() -> None:
    assert read("<div>" * 3000 + "deep" + "</div>" * 3000, name="a.html").text == "deep"


def test_html_has_one_page() -> None:
    assert read("<p>x", name="a.html", pages="1").reader_options == {"clean": "true"}
    with pytest.raises(PageRangeError, match="Page 2 of the range '2' is outside the document, which has 1"):
        read("<p>x", name="a.html", pages="2")


@given(
    st.lists(
        st.sampled_from(
            ["<h1>", "</h1>", "<p>", "<li>", "<ul>", "</ul>", "</p>", "a b", "<td>", "<pre>", "\n", "<h2>c"]
        )
    )
)
def test_every_html_section_is_where_it_says(parts: list[str]) -> None:
    document = read("<p>word</p>" + "".join(parts), name="a.html")
    assert "\n\n\n" not in document.text
    for section in document.sections:
        text = document.text[section.char :]
        assert " ".join(text.split()).startswith(section.title)
