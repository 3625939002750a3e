"""Cleaning of page texts, before the canonical text of a document is fixed. Pure functions of text.

Traced text (``documents.traced``) stays traced: each remaining character keeps the mark of its place on the page.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sharedllm_docs.documents.cleaning.characters import (
    clean_characters,
    normalise_line_breaks,
    restore_soft_breaks,
    restore_tex_codes,
)
from sharedllm_docs.documents.cleaning.hyphens import join_across_pages, join_hyphens, join_word, vocabulary
from sharedllm_docs.documents.cleaning.lines import clean_layout, limit_blank_lines
from sharedllm_docs.documents.cleaning.marks import lower, raised_behind, roman
from sharedllm_docs.documents.cleaning.running import (
    MARGIN_LINES,
    RunningLine,
    fold,
    is_page_number,
    strip_running_lines,
)

# Part of every reader's version: raise it when a rule changes what comes out.
CLEANING_VERSION = "4"

__all__ = [
    "CLEANING_VERSION",
    "MARGIN_LINES",
    "RunningLine",
    "clean_characters",
    "clean_layout",
    "clean_pages",
    "clean_text",
    "fold",
    "is_page_number",
    "join_across_pages",
    "join_hyphens",
    "join_word",
    "limit_blank_lines",
    "lower",
    "normalise_line_breaks",
    "raised_behind",
    "restore_soft_breaks",
    "restore_tex_codes",
    "roman",
    "strip_running_lines",
    "vocabulary",
]


def clean_text(text: str) -> str:
    """Text that was never laid out on pages (Markdown, HTML): characters and blank lines only."""
    return limit_blank_lines(clean_characters(text))


def clean_pages(
    pages: Sequence[str],
    *,
    numbers: Sequence[int] = (),
    labels: Sequence[str] = (),
    headings: Sequence[Collection[str]] = (),
    titles: Collection[str] = (),
    margins: Sequence[tuple[int, int]] = (),
    layout: bool = True,
    keep_running_lines: bool = False,
) -> tuple[list[str], list[RunningLine]]:
    """Clean the pages of one document together, since headers and vocabulary show only over all of them.

    Args:
        pages: raw page texts in order.
        numbers: their page numbers in the source, where they are not 1, 2, 3 and so on.
        labels: printed page labels, one a page, or nothing.
        headings: titles known to start on each page, or nothing; never taken for running headers.
        titles: titles of the whole document, as ``strip_running_lines`` takes them.
        margins: lines in the top and bottom margin of each page, as ``strip_running_lines`` takes them.
        layout: True for text from a typeset page (PDF), where leader dots and wide spaces are removed too.
        keep_running_lines: True to leave running headers, footers and page numbers in the text.

    Returns:
        the cleaned pages, as many as came in, and the running lines that were removed.
    """
    raw = [restore_tex_codes(page) for page in pages] if layout else pages
    texts, removed = [clean_characters(restore_soft_breaks(page)) for page in raw], list[RunningLine]()
    if not keep_running_lines:
        texts, removed = strip_running_lines(
            texts, numbers=numbers, labels=labels, headings=headings, titles=titles, margins=margins
        )
    words = vocabulary(["\n".join(text.strip() for text in texts)])  # joined: a page may end inside a word
    texts = join_across_pages([join_hyphens(text, words) for text in texts], words)
    if layout:
        texts = [clean_layout(text) for text in texts]
    return [limit_blank_lines(text) for text in texts], removed
