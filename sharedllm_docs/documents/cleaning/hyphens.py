"""Words broken over two lines: joined, with or without the hyphen. Pure functions of text.

A hyphen at a line end is either the typesetter's (``an-\\nalyzed``) or the author's (``low-\\nlevel``). The document
itself is the best witness, so the decision is made against its own vocabulary; see ``join_word``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from sharedllm_docs.documents.traced import Traced, aligned, joined, marks_of, substitute

_BAR = " | "  # between the cells of a row
_LETTERS = r"[^\W\d_]"
_BROKEN = re.compile(r"(?P<left>(?<![\w-])-{0,2}\w+(?:-\w+)*)-\n[ \t]*(?P<right>\w+(?:-\w+)*)(?P<tail>\S*[ ]?)")
_WORD = re.compile(rf"{_LETTERS}+(?:-{_LETTERS}+)*")

# First halves that keep their hyphen in English even when the compound occurs once only.
_PREFIXES = frozenset(("all", "cross", "ex", "half", "non", "quasi", "self", "well"))

# "pre-\nand post-processing" is a hyphen left hanging, not half a word.
_HANGING = frozenset(("and", "or", "und", "oder"))

# Solid words whose halves are words themselves: typesetters break them there.
_SOLID_WORDS = """
    afterwards another anything background become because before cannot database elsewhere everything feedback
    firstly forever framework furthermore handbook hardware however inside instead into keyboard likewise meanwhile
    moreover network nevertheless nonetheless nothing notebook nowadays otherwise outcome outline output outside
    overall overview sometimes somewhat therefore throughout today together underline understand underlying update
    upgrade upon whatever whenever whereas whereby wherever whether within without workspace worldwide
"""
_SOLID = frozenset(_SOLID_WORDS.split())


def vocabulary(texts: Iterable[str]) -> frozenset[str]:
    """Lower-case words and hyphenated compounds of ``texts`` that are not broken over a line end."""
    words: set[str] = set()
    for text in texts:
        words.update(match.casefold() for match in _WORD.findall(_BROKEN.sub(" ", text)))
    return frozenset(words)


def join_word(left: str, right: str, words: frozenset[str]) -> str:
    """The word that ``left-`` at a line end and ``right`` on the next line make.

    The hyphen is kept when, in this order: a half holds a digit or ``right`` starts upper-case in a word that is not
    all upper-case (``S-Plus``, ``COVID-19``); ``left`` is an option (``--no``) or one letter (``e-mail``). It is
    dropped when the joined form occurs in the document, kept when the hyphenated form does. With neither, it is left
    hanging before ``and`` and ``or`` (``pre- and post-processing``), kept when ``left`` is a compound already
    (``state-of-the-art``), a known prefix (``non``, ``self``), or when both halves are words of the document
    (``user-contributed``), and dropped otherwise (``an-alyzed``).
    """
    hyphenated, joined = f"{left}-{right}", f"{left}{right}"
    stem, first, second = left.rpartition("-")[2], left.casefold(), right.casefold()
    if not (stem.isalpha() and right[0].isalpha()) or (right[0].isupper() and not stem.isupper()):
        return hyphenated
    if left.startswith("-") or len(stem) == 1:
        return hyphenated
    head = right.partition("-")[0].casefold()
    solid = stem.casefold() + head
    if solid in words or first + second in words or solid in _SOLID:
        return joined
    if head in _HANGING:
        return f"{left}- {right}"
    if f"{first}-{second}" in words or f"{stem.casefold()}-{head}" in words or "-" in left or first in _PREFIXES:
        return hyphenated
    both_words = min(len(stem), len(head)) > 2 and stem.casefold() in words and head in words
    return hyphenated if both_words else joined


def join_hyphens(text: str, words: frozenset[str]) -> str:
    """Join every word of ``text`` that a line end broke; the line then ends after the word.

    Args:
        text: lines of which some end in ``-``.
        words: what ``vocabulary`` found in the whole document.
    """

    def replace(match: re.Match[str]) -> str:
        if _is_minus(match):
            return match[0]
        word = join_word(match["left"], match["right"], words) + match["tail"]
        # The break moves after the word, unless that would make a new broken word.
        return word[:-1] + "\n" if word.endswith(" ") and not word.endswith("- ") else word

    previous = None
    while previous != text:  # a word broken twice needs a second pass
        previous, text = text, substitute(_BROKEN, replace, text)
    return text


def _is_minus(match: re.Match[str]) -> bool:
    """Whether the hyphen ends a row of a table, or is the minus behind an amount (``1.204,50-``)."""
    text, left = match.string, match["left"]
    if not left[-1].isdigit():
        return False
    if _BAR in text[text.rfind("\n", 0, match.start()) + 1 : match.start()]:
        return True
    grouped = re.search(r"\d[.,'\u2019]\Z", text[max(0, match.start() - 2) : match.start()])
    return left.isdigit() and grouped is not None and not match["right"][0].islower()


_PAGE_END = re.compile(r"(?P<left>(?<![\w-])\w+(?:-\w+)*)-\s*\Z")
_PAGE_START = re.compile(r"\A\s*(?P<right>[^\W\d_]\w*(?:-\w+)*)(?P<tail>\S*)[ \t]*\n?")


def join_across_pages(pages: Sequence[str], words: frozenset[str]) -> list[str]:
    """Join a word that a page end broke; it then stands whole on the page where it begins."""
    whole = list(pages)
    for index in range(len(whole) - 1):
        end, start = _PAGE_END.search(whole[index]), _PAGE_START.match(whole[index + 1])
        if end and start and start["right"][0].islower():
            word = join_word(end["left"], start["right"], words) + start["tail"]
            halves = joined("", (whole[index][end.start() :], whole[index + 1][: start.end()]))
            if isinstance(halves, Traced):
                word = Traced(word, aligned(halves, marks_of(halves), word))
            whole[index] = joined("", (whole[index][: end.start()], word))
            whole[index + 1] = whole[index + 1][start.end() :]
    return whole
