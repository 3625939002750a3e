"""Plain text, Markdown and HTML: encodings, pages, sections, metadata."""

from __future__ import annotations

import codecs
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.text import margins
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


@pytest.mark.parametrize("text", ["Die Geb\u00fchr f\u00fcr das Caf", "Geb\u00fchr ", FRENCH * 20, JAPANESE * 5])
@pytest.mark.parametrize("name", ["a.txt", "a.md", "a.html"])
@pytest.mark.parametrize("odd", [b"\xe9", b"\x96", b"\xff"])
def test_one_odd_byte_does_not_spoil_utf8(text: str, name: str, odd: bytes) -> None:
    with pytest.warns(DocumentWarning, match=r"bytes-replaced: .*1 byte\(s\) are not in utf-8"):
        document = read(text.encode() + b"x" + odd + b" und mehr " + text.encode(), name=name)
    assert [issue.code for issue in document.issues] == ["bytes-replaced"]
    assert document.text.count("\ufffd") == 1
    assert text.strip().split("\n")[0][:8] in document.text


def test_a_declared_encoding_with_one_odd_byte() -> None:
    page = f'<meta charset="windows-1251"><p>{RUSSIAN * 20}'.encode("cp1251") + b" \x98"
    with pytest.warns(DocumentWarning, match=r"bytes-replaced: .*1 byte\(s\) are not in cp1251"):
        assert read(page, name="a.html").text.startswith(RUSSIAN.split("\n")[0])


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
    with pytest.raises(EmptyDocumentError, match=r"is empty \(0 bytes\)|holds no words"):
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


def test_last_lines_that_no_blank_line_sets_off_are_content() -> None:
    pages = [f"Voucher {1000 + i}\nCabin {i * 7}\nDeposit 40 EUR" for i in range(1, 7)]
    document = read("\f".join(pages))
    assert [page.text for page in document.pages] == pages
    assert document.issues == ()


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("Head\n\nbody\nbody\n\n- 3 -", (1, 1)),
        ("\n\nHead\nmore\n \n\nbody\n\nfoot\n\n", (2, 1)),
        ("a\nb\nc", (0, 0)),
        ("a\nb\nc\nd\ne\n\nfoot", (0, 1)),
        ("", (0, 0)),
    ],
)
def test_lines_set_off_by_blank_lines(page: str, expected: tuple[int, int]) -> None:
    assert margins(page) == expected


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
    assert document.metadata == {"title": "A guide", "tags": "one, two", "nested.a": "1", "draft": "False"}
    assert document.text.startswith(
        "title: A guide\ntags: [one, two]\nnested: {a: 1}\ndraft: false\n\n# Getting *started*"
    )
    assert "```sh\n# no heading\n```" in document.text
    assert document.issues == ()


def test_nested_front_matter_can_be_asked_for() -> None:
    text = "---\ncontact:\n  phone: 0555-0142\nfees:\n  - child: 6 crowns\n  - [1, [2]]\n# a comment\n---\n# Plan\n"
    document = read(text, name="a.md")
    assert document.metadata["contact.phone"] == "0555-0142"
    assert document.metadata["fees.1.child"] == "6 crowns"
    assert "phone: 0555-0142" in document.text
    assert [(s.title, document.text[s.char :]) for s in document.sections] == [("Plan", "# Plan")]
    assert document.issues == ()


def test_front_matter_alone_and_of_a_later_page() -> None:
    assert read("---\ntitle: Only this\n---\n", name="a.md").text == "title: Only this"
    assert read("---\ntitle: A\n---\none\f# two\n", name="a.md", pages="2").text == "# two"


@pytest.mark.parametrize("deep", ["a: " + "[" * 20_000, "a: " + "{b: " * 5_000, "a: &x [*x]", "- " * 5_000])
def test_endless_front_matter_is_told_or_read(deep: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DocumentWarning)
        document = read(f"---\n{deep}\n---\nThe body.", name="a.md")
    assert document.text.endswith("The body.")
    assert len(document.metadata) <= 1000


def test_markdown_pages() -> None:
    document = read("# A\n\fSome text\n\n## B\n", name="a.md")
    assert [(s.title, s.page) for s in document.sections] == [("A", 1), ("B", 2)]
    assert document.text[document.sections[1].char :] == "## B"
    assert [s.title for s in read("# A\n\f# B\n\f# C", name="a.md", pages="2").sections] == ["B"]


def test_broken_front_matter_stays_in_the_text() -> None:
    with pytest.warns(DocumentWarning, match="front-matter-failed: a.md: the front matter is not valid YAML"):
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
            "Name | Size\na | Size: 1",
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
        ('<meta charset="x-cp1251">', "cp1251"),
        ('<meta charset="csisolatincyrillic">', "iso-8859-5"),
    ],
)
def test_html_declares_its_encoding(head: str, encoding: str) -> None:
    document = read(f"{head}<html><p>\u0416\u0443\u043a".encode(encoding), name="a.html")
    assert document.text == "\u0416\u0443\u043a"
    assert document.issues == ()


@pytest.mark.parametrize(
    "label", ["iso-8859-1", "latin1", "l1", "us-ascii", "ansi_x3.4-1968", "cp1252", "windows-1252"]
)
def test_labels_that_browsers_read_as_windows_1252(label: str) -> None:
    document = read(f'<meta charset="{label}"><p>\u201c5 \u20ac\u201d'.encode("cp1252"), name="a.html")
    assert document.text == "\u201c5 \u20ac\u201d"


@pytest.mark.parametrize(("label", "codec", "text"), [("shift_jis", "cp932", "\u2460"), ("gb2312", "gbk", "\u9555")])
def test_labels_of_wider_encodings(label: str, codec: str, text: str) -> None:
    assert read(f'<meta charset="{label}"><p>{text}'.encode(codec), name="a.html").text == text


def test_html_that_declares_nonsense_is_still_read() -> None:
    assert read('<meta charset="klingon"><p>caf\u00e9', name="a.html").text == "caf\u00e9"


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<!doctype html><html><head><title>T</title><p>The room opens at 9:30.", "The room opens at 9:30."),
        ("<html><head><meta charset=utf-8><h1>A</h1>b", "A\n\nb"),
        ("<table><tr><th>Port<th hidden>id<th>Fare<tr><td>Oln<td hidden>17<td>11 EUR</table><p>Free", None),
        ("<ul><li>one<li hidden>two<li>three</ul><p>four<p hidden>five<p>six", "- one\n- three\n\nfour\n\nsix"),
        ("<select><option>no<option>perhaps</select><p>yes", "no\n\nyes"),
        ("<dl><dt>Term<dd hidden>x<dt>Other<dd>y</dl>z", "Term\nOther\ny\n\nz"),
    ],
)
def test_html_with_end_tags_left_out_loses_nothing(markup: str, text: str | None) -> None:
    assert read(markup, name="a.html").text == (text or "Port | Fare\nOln | Fare: 11 EUR\n\nFree")


@pytest.mark.parametrize("field", ["<textarea>7004</textarea>", "<select><option>7004</select>", "<input value=7004>"])
def test_what_stands_in_a_field_does_not_melt_with_its_neighbours(field: str) -> None:
    assert read(f"<p>No.{field}27,994", name="a.html").text == "No. 7004 27,994"


@pytest.mark.parametrize(("name", "data", "taken"), [
    ("fares.bin", b"The fare to Oln is 12 EUR.", True),
    ("fares.com", "Die \u00dcberfahrt nach Oln kostet 12 EUR.".encode(), True),
    ("x.exe", b"MZ\x90", False),
    ("x.bin", b"abc", False),
    ("x.bin", b"a b c d e \x01\x02 f", False),
    ("x.bin", b"\x89\x8a word word word word word", False),
])  # fmt: skip
def test_endings_of_programs_are_refused_unless_they_hold_writing(name: str, data: bytes, taken: bool) -> None:
    if taken:
        assert read(data, name=name).text == data.decode()
        return
    with pytest.raises(UnknownFormatError):
        read(data, name=name)


def test_xhtml_closes_its_empty_elements() -> None:
    page = (
        '<?xml version="1.0"?><html><head><title/><script src="a.js"/></head><body><p>A <a id="x"/>b<br/>c</p></body>'
    )
    assert read(page, name="a.xhtml").text == "A b\nc"


@pytest.mark.parametrize(
    "hidden",
    [
        '<span style="display:none">7004</span>',
        '<span style="color: red; DISPLAY : none !important">7004</span>',
        '<span style="visibility:hidden">7004</span>',
        '<span aria-hidden="true">7004</span>',
        '<span hidden="until-found">7004</span>',
        '<span class="sortkey">7004</span>',
        "<dialog>7004</dialog>",
        "<button>7004</button>",
        "<select><option selected><option>7004</select>",
        "<math><semantics><annotation>7004</annotation></semantics></math>",
    ],
)
def test_hidden_parts_of_html_are_not_read(hidden: str) -> None:
    assert read(f"<p>{hidden}27,994", name="a.html").text == "27,994"


@pytest.mark.parametrize(
    "shown",
    [
        '<span style="display:inline">7004</span>',
        '<span aria-hidden="false">7004</span>',
        "<dialog open>7004</dialog>",
        '<button aria-expanded="false">7004</button>',
        "<details><summary><button>7004</button></summary></details>",
        "<math><mi>7004</mi></math>",
    ],
)
def test_visible_parts_of_html_are_read(shown: str) -> None:
    assert "7004" in read(f"<p>a</p>{shown}", name="a.html").text


STYLES = "<style>.gone, #gone {display: none} .dim {visibility:hidden} @media print {.screen {display:none}}"


@pytest.mark.parametrize(
    "hidden",
    [
        "<div class='a gone'>7004</div>",
        "<p id=gone>7004</p>",
        "<span class=dim>7004</span>",
        "<div class=gone><p>70<b>04</b></div>",
        "<style>p.x {display:block} div p.x {display:none}</style><div><p class=x>7004</div>",
        "<style>.y {display:none !important} p.y {display:block}</style><p class=y>7004</p>",
    ],
)
def test_what_the_style_sheet_of_a_page_hides_is_not_read(hidden: str) -> None:
    with pytest.warns(DocumentWarning, match="style sheet hides"):
        document = read(f"{STYLES}</style>{hidden}<p>27,994", name="a.html")
    assert document.text == "27,994"
    assert [issue.code for issue in document.issues] == ["hidden-text"]


@pytest.mark.parametrize("hidden", ["<template><p>7004</template>", "<video>7004</video>", "<progress>7004</progress>"])
def test_what_no_browser_shows_is_not_read(hidden: str) -> None:
    assert read(f"<p>{hidden}27,994", name="a.html").text == "27,994"


@pytest.mark.parametrize(
    "shown",
    [
        "<p class=screen>7004</p>",
        "<p class=gone style='display:block'>7004</p>",
        "<style>p.gone {display:block}</style><p class=gone>7004</p>",
        "<style>.open .gone {display:block}</style><p class=gone>7004</p>",  # there is a state in which it is shown
        "<style>input:checked + .gone {display:block}</style><input type=checkbox><p class=gone>7004</p>",
        "<a href='#gone'>More</a><p id=gone>7004</p>",
        "<button onclick=\"toggle('gone')\">More</button><p class=gone>7004</p>",
        "<script>for (const one of document.querySelectorAll('.gone')) listen(one)</script><p class=gone>7004</p>",
        "<script src=menu.js></script><p class=gone>7004</p>",
        "<style>p:frobnicate( {display:none} }} @media screen {</style><p>7004</p>",
    ],
)
def test_what_a_page_can_open_is_read(shown: str) -> None:
    assert "7004" in read(f"{STYLES}</style>{shown}<p>27,994", name="a.html").text


def test_frames_and_shadow_trees_of_a_page_are_read() -> None:
    document = read(
        "<p>Before<iframe srcdoc='&lt;style&gt;i{display:none}&lt;/style&gt;&lt;p&gt;Fee 45&lt;i&gt;7'></iframe>"
        "<iframe src=b.html>no frames?</iframe>"
        "<my-card><template shadowrootmode=open><h2><slot name=t>Untitled</slot></h2><slot>none</slot> end</template>"
        "<b slot=t>Tolls</b>light</my-card>",
        name="a.html",
    )
    assert document.text == "Before\n\nFee 45\n\nTolls\n\nlight end"
    assert [issue.code for issue in document.issues] == ["frames"]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<span style='display:block'>Fee</span><span style='display:block'>45</span>", "Fee\n45"),
        ("<div style='display: flex'><span>Fee</span><b>45</b></div>", "Fee 45"),
        ("<style>.row{display:grid}</style><div class=row><i>Fee</i><i>45</i></div>", "Fee 45"),
        ("<style>.l{display:block}</style>a<i class=l>b</i>c", "a\nb\nc"),
        ("<input type=checkbox checked>Insured <input type=checkbox> Towed", "[x] Insured [ ] Towed"),
        ("<input type=radio> Petrol <input type=radio checked> Diesel", "( ) Petrol (x) Diesel"),
        ("Map:<img src=a.png alt='Berth seven, north'><img src=b.png alt=Logo>", "Map:\n\nPicture: Berth seven, north"),
        ("<object data=a.swf>Fee 45</object>", "Fee 45"),
    ],
)  # fmt: skip
def test_what_stands_apart_or_is_ticked_is_read_so(markup: str, text: str) -> None:
    assert read(markup, name="a.html").text == text


def test_questions_in_buttons_are_headings() -> None:
    document = read("<h2><button>How long?</button></h2><div>45 days.</div><button>Send</button>", name="a.html")
    assert document.text == "How long?\n\n45 days."
    assert [section.title for section in document.sections] == ["How long?"]


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<ol start=3><li>a<li>b</ol>", "3. a\n4. b"),
        ("<ol><li>a<li value=7>b<li>c</ol>", "1. a\n7. b\n8. c"),
        ("<ol reversed><li>a<li>b</ol>", "2. a\n1. b"),
        ("<ol reversed start=10><li>a<li>b</ol>", "10. a\n9. b"),
        ("<ol type=a start=26><li>a<li>b</ol>", "z. a\naa. b"),
        ("<ol type=I><li>a<li>b<li type=i>c<li>d</ol>", "I. a\nII. b\niii. c\nIV. d"),
        ("<ol start=x><li>a</ol>", "1. a"),
        ("<ol start=-1><li>a<li>b</ol>", "-1. a\n0. b"),
        ("<ol start=5><li>a<ul><li>b</ul><li>c</ol>", "5. a\n- b\n6. c"),
        ("<li>a", "- a"),
    ],
)
def test_list_numbers_are_those_of_the_page(markup: str, text: str) -> None:
    assert "\n".join(filter(None, read(markup, name="a.html").text.split("\n"))) == text


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("costs 250<sup>3</sup> euros", "costs 250\u00b3 euros"),
        ("costs 250<sup><a href=#f>3</a></sup> euros", "costs 250\u00b3 euros"),
        ("stores 10<sup>6</sup> kWh, 10<sup>\u22126</sup>", "stores 10^6 kWh, 10^-6"),
        ("a word<sup>2,3</sup>", "a word\u00b2,\u00b3"),
        ("a word<sup>[3]</sup>", "a word[3]"),
        ("H<sub>2</sub>O, log 3<sub>10</sub>", "H2O, log 3\u2081\u2080"),
        ("the 5<sup>th</sup>, 2<sup>n</sup>, x<sup>n</sup>", "the 5th, 2^n, xn"),
        ("<math><msup><mi>x</mi><mn>2</mn></msup></math>", "x\u00b2"),
        ("<sup>3</sup> Only for", "\u00b3 Only for"),
        ("a<sup></sup>b<sup>1<p>2</sup>", "ab1\n\n2"),
    ],
)
def test_raised_marks_in_html(markup: str, text: str) -> None:
    assert read(f"<div>{markup}</div>", name="a.html").text == text


@pytest.mark.parametrize(
    "struck",
    [
        "<del>80</del>",
        "<s>80</s>",
        "<strike>80</strike>",
        '<span style="color:red;text-decoration: line-through">80</span>',
    ],
)
def test_struck_out_text_is_marked(struck: str) -> None:
    assert read(f"<p>It costs {struck} 62<del></del> crowns.", name="a.html").text == (
        "It costs [deleted: 80] 62 crowns."
    )


def test_deeply_nested_html() -> None:
    assert read("<div>" * 900 + "deep" + "</div>" * 900, name="a.html").text == "deep"
    with pytest.warns(DocumentWarning, match="nested more than 1,000 deep"):
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


@pytest.mark.parametrize(
    "matter",
    [
        "a: &a [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]",
        "l0: &l0 []\n" + "".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        "l0: &l0 {a: 1}\n" + "".join(f"l{n}: &l{n}\n  <<: [{', '.join([f'*l{n - 1}'] * 10)}]\n" for n in range(1, 9)),
        f"a: &a {'x' * 100_000}\nb: [{', '.join(['*a'] * 2000)}]",
        "a: 0x" + "f" * 5000,
    ],
    ids=["itself", "lists", "merges", "copies", "number"],
)
def test_front_matter_that_stands_for_much_more_is_bounded(matter: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DocumentWarning)
        document = read_document(f"---\n{matter}\n---\nBody".encode(), name="a.md")
    assert document.text.endswith("Body")
    assert sum(map(len, document.metadata.values())) < 1_000_000


def test_an_escaped_pair_in_front_matter_is_one_character() -> None:
    document = read_document(b'---\ntitle: "\\ud83d\\ude00 Hello"\n---\nBody', name="a.md")
    assert document.metadata["title"] == "\U0001f600 Hello"


PAROM = "Паром отходит в семь. Билет стоит 20 крон."
KAKIKU = "渡し船は七時に出ます。ｶｷｸは半角です。切符は二十クローネ。"


@pytest.mark.parametrize(("text", "encoding"), [(PAROM, "koi8-r"), (PAROM, "cp1251"), (KAKIKU, "cp932")])
def test_bytes_of_russian_are_not_taken_for_half_width_japanese(text: str, encoding: str) -> None:
    with pytest.warns(DocumentWarning, match=f"guessed as {encoding}"):
        assert read_document(text.encode(encoding), name="a.txt").text == text
