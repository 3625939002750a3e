"""Cleaners: each format comes out as the text that a reader sees."""

from __future__ import annotations

import json
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_packages import dictd
from sharedllm_docs_data.cleaning.books import (
    clean_play,
    clean_summaries,
    clean_sword,
    clean_wordnet,
    dictionary,
    dictionary_entries,
    plain_entry,
)
from sharedllm_docs_data.cleaning.html import clean_html
from sharedllm_docs_data.cleaning.markup import clean_asciidoc, clean_markdown, clean_pod, clean_vim_help
from sharedllm_docs_data.cleaning.pages import decode, each, parts, tidy
from sharedllm_docs_data.cleaning.prose import is_english, is_prose, paragraphs, sentences
from sharedllm_docs_data.cleaning.rst import clean_rst


def test_html_keeps_text_and_leaves_out_what_surrounds_it() -> None:
    title, text = clean_html(
        "<?xml version='1.0'?><html><head><title>T</title><script>no()</script></head><body><div "
        "class='navheader'>Prev Next"
        "</div><h1>Backups<a class='headerlink'>¶</a></h1><p>Make  a <b>copy</b>\n every "
        "day.</p><ul><li>one<li>two</ul>"
        "<pre>cp a  b\n  "
        "c</pre><table><tr><th>Key</th><td>Value</td></tr><tr><td>a</td><td>1</td></tr></table><!-- gone "
        "--><footer>F</footer></body></html>"
    )

    assert title == "Backups"
    assert text == "Backups\n\nMake a copy every day.\n\n- one\n\n- two\n\ncp a  b\n  c\n\nKey | Value\na | 1"


def test_html_takes_the_main_part_and_survives_thousands_of_open_tags() -> None:
    assert clean_html("<body>menu<div role='main'><p>Text</p></div></body>")[1] == "Text"
    assert clean_html("<li>x" * 5000)[1].count("- x") == 5000


def test_a_long_table_row_becomes_paragraphs() -> None:
    assert clean_html(f"<table><tr><td>{'word ' * 80}<td>b</table>")[1].count("\n\n") == 1


def test_rst_directives_and_roles_become_words() -> None:
    title, text = clean_rst(
        ".. _label:\n\n:mod:`os` --- Things\n====================\n\n.. toctree::\n   a\n   b\n\nCall "
        ":func:`~os.path.join` or\n"
        "``x`` and `the page <http://x>`_ as *is*::\n\n   code\n\n.. note::\n\n   Mind this.\n\n.. function:: "
        "join(a, b)\n"
        "   :module: os\n\n   Join them. [#f]_\n\n.. versionadded:: 3.4\n\n.. comment here\n\n.. code-block:: "
        "c\n\n   int x;\n"
    )

    assert title == "os --- Things"
    for part in (
        "Call join or\nx and the page as is:",
        "Note:",
        "Mind this.",
        "join(a, b)",
        "Join them.",
        "Added in version 3.4",
        "int x;",
        "   code",
    ):
        assert part in text
    for part in ("toctree", "label", "comment", ":module:", "====", "[#f]"):
        assert part not in text


def test_pod_codes_are_resolved_inside_out() -> None:
    title, text = clean_pod(
        "=head1 NAME\n\nperlx - a I<page>\n\n=head1 TEXT\n\nUse C<< a <B<b>> >> and L<the docs|perlfunc/x>, "
        "L<http://a.b/c>,"
        " L<perlop/Quote>, E<lt>tagE<gt>.\n\n  verbatim C<x>\n\n=over\n\n=item foo BAR\n\nDoes foo.\n\n=back\n"
        "\n=begin html\n\n<p>\n\n"
        "=end html\n\n=cut\n\ncode here\n"
    )

    assert title == "perlx - a page"
    assert "Use a <b> and the docs, http://a.b/c, Quote in perlop, <tag>." in text
    assert "  verbatim C<x>" in text
    assert "- foo BAR\n\nDoes foo." in text
    assert "<p>" not in text
    assert "code here" not in text


def test_markdown_asciidoc_and_vim_help() -> None:
    assert clean_markdown("## A **bold** [link](x)\n\n> quoted\n\n---\n\\* star")[1].split("\n") == [
        "A bold link",
        "",
        "quoted",
        "",
        "",
        "* star",
    ]
    title, text = clean_asciidoc(
        "git-x(1)\n========\n[verse]\n'git x' `-n`\n\n-n::\n\tSee linkgit:git-add[1].\n+\n<<ref,that>>\n"
    )
    assert title == "git-x(1)"
    assert text.split() == ["git-x(1)", "git", "x", "-n", "-n:", "See", "git-add(1).", "that"]
    title, text = clean_vim_help("*x.txt*\tFor Vim\n\n*tag* *other*\nSee |:help|. >\n\t:cmd\n<Done ~\n vim:tw=78:\n")
    assert title == "x.txt"
    assert text.split() == ["For", "Vim", "See", ":help.", ":cmd", "Done"]


def test_a_dictionary_is_read_by_its_index_and_grouped_by_letters() -> None:
    entries = [
        ("abbey", 'Abbey \\Ab"bey\\, n.\n   A {house} of monks. --Shak.\n   [1913 Webster] Abbot'),
        ("Abbot", "Abbot, n.\n   Head of an abbey."),
        ("zoo", "Zoo, n.\n   Animals."),
    ]

    assert [word for word, _ in dictionary_entries(dictd(entries))] == ["abbey", "Abbot", "zoo"]
    docs = list(dictionary()(dictd(entries)))
    assert [doc.path for doc in docs] == ["ab", "zo"]
    assert docs[0].text == "Abbey, n.\n   A house of monks. — Shak.\n\nAbbot, n.\n   Head of an abbey."
    assert plain_entry("See {Caliph}.\n   [WordNet 1.5]") == "See Caliph."


def test_a_sword_module_gives_a_document_a_block() -> None:
    block = zlib.compress(
        b'<chapter n="1" osisID="Gen.1" sID="Gen.1"/> <w>In</w> the beginning<note>x</note> &amp; so <div eID="p"/>on.'
    )
    members = [("ot.bzs", struct.pack("<III", 0, len(block), 9)), ("ot.bzz", block)]

    (doc,) = clean_sword(members)

    assert (doc.path, doc.title) == ("ot.bzs#0", "Gen.1")
    assert doc.text == "Chapter 1\n\nIn the beginning & so\n\non."


def test_wordnet_summaries_and_plays() -> None:
    data = b'  licence\n1 04 n 02 plum 0 prize_money 0 001 @ 2 n 0000 | a good thing; "a plum"  \n'
    assert [doc.text for doc in clean_wordnet([("data.noun", data)])] == [
        'plum: (noun) a good thing; "a plum"',
        'prize money: (noun) a good thing; "a plum"',
    ]
    summaries = json.dumps({"B b": {"title": "B b", "extract": "Text."}}).encode()
    assert [(doc.path, doc.title) for doc in clean_summaries([("s.json", summaries)])] == [("B_b", "B b")]
    play = (
        "licence\n*END THE SMALL PRINT! FOR PUBLIC DOMAIN*\nHAMLET\nTo be\n"
        + "word\n" * 40
        + "End of Project Gutenberg\nno"
    )
    assert clean_play(play)[0] == "HAMLET"
    assert "licence" not in clean_play(play)[1]
    assert not clean_play(play)[1].rstrip().endswith("no")


def test_one_file_is_cut_into_chapters() -> None:
    book = "Chapter 1: A\nChapter 2: B\n\n\n" + "Chapter 1: A\n" + "one " * 200 + "\nChapter 2: B\n" + "two " * 200

    docs = list(parts(r"^Chapter \d+: ")([("b.txt", book.encode())]))

    assert [doc.title for doc in docs] == ["Chapter 1: A", "Chapter 2: B"]


def test_a_file_of_an_old_encoding_is_decoded() -> None:
    assert decode("naïve “x”".encode("cp1252")) == "naïve “x”"
    (doc,) = each(lambda text: ("", text))([("d/page.html", b"a\r\n\n\n\nb")])
    assert (doc.title, doc.text) == ("page", "a\n\nb")


@given(st.text())
def test_tidying_twice_changes_nothing(text: str) -> None:
    assert tidy(tidy(text)) == tidy(text)


def test_sentences_end_where_they_end() -> None:
    text = 'Dr. J. Smith paid 3.5 pounds, e.g. in London. "Was it much?" No (see Fig. 2. It is big). The end.'

    assert sentences(text) == [
        "Dr. J. Smith paid 3.5 pounds, e.g. in London.",
        '"Was it much?"',
        "No (see Fig. 2. It is big).",
        "The end.",
    ]


@given(st.lists(st.sampled_from(["The cat sat.", "It was late!", "Why so?", "A b. c."]), max_size=6))
def test_sentences_lose_no_word(told: list[str]) -> None:
    assert " ".join(sentences(" ".join(told))).split() == " ".join(told).split()


def test_what_is_prose_and_what_is_english() -> None:
    prose = "The lamp was replaced by a harbour company in the year 1911, and it has been in use ever since."
    assert is_prose(prose)
    assert not is_prose("x = y; if (a == b) { return c[d] + e; } else { return -1; } // and the rest of it.")
    assert not is_prose("See the list below")
    assert is_english(prose)
    assert not is_english(
        "Das ist ein ganz gewöhnlicher deutscher Satz ohne jedes englische Wort darin, und noch einer dazu."
    )
    assert not is_english("0x00 0x01 0x02 0x03 " * 50 + prose)


@pytest.mark.parametrize(
    ("block", "lines"), [("one line\nwrapped here", 1), ("int x;\nint y;\n}", 3), ("a    b\nc    d", 2)]
)
def test_paragraphs_are_unwrapped_unless_they_are_code_or_tables(block: str, lines: int) -> None:
    assert len(paragraphs(block)[0].split("\n")) == lines
