"""Plain text. Form feeds separate pages; without one the whole file is page 1."""

from __future__ import annotations

import re

from sharedllm_docs.documents.cleaning import CLEANING_VERSION, MARGIN_LINES, clean_pages
from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.readers.base import Progress, choose_pages, cleaning_issues, make_document
from sharedllm_docs.documents.readers.decode import decode, looks_like_text
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import Source

_BLANK_LINE = re.compile(r"\n(?:[ \t]*\n)+")


def split_pages(text: str) -> list[str]:
    """Pages between form feeds; the form feed that ends the last page opens no new one."""
    pages = text.split("\f")
    return pages[:-1] if len(pages) > 1 and not pages[-1].strip() else pages


def margins(page: str) -> tuple[int, int]:
    """Number of lines that a blank line sets off at the top and at the bottom of a page; 0 where they are too many."""
    blocks = [block.count("\n") + 1 for block in _BLANK_LINE.split(page.strip())]
    if len(blocks) < 2:
        return 0, 0
    lead, trail = blocks[0], blocks[-1]
    return (lead if lead <= MARGIN_LINES else 0), (trail if trail <= MARGIN_LINES else 0)


class TextReader:
    """Plain text of any encoding; also takes files of unknown name that look like text."""

    name = "text"
    version = f"2+clean{CLEANING_VERSION}"
    suffixes = (".txt", ".text")
    takes = frozenset({"encoding"})

    def sniff(self, head: bytes, name: str) -> bool:
        """Anything without NUL bytes and hardly any control characters."""
        return looks_like_text(head)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Pages as the form feeds say; no sections.

        Raises:
            DamagedDocumentError: when the bytes are not in ``options.encoding``.
            UnknownFormatError: when they are not text.
        """
        text, issues = decode(source.read(), source.name, options.encoding)
        texts = split_pages(text)
        numbers = choose_pages(source.name, len(texts), options)
        pages = [texts[number - 1] for number in numbers]
        cleaned = pages
        if options.clean:
            cleaned, removed = clean_pages(
                pages,
                numbers=numbers,
                margins=[margins(page) for page in pages],
                layout=False,
                keep_running_lines=options.keep_running_lines,
            )
            issues = [*issues, *cleaning_issues(pages, cleaned, numbers, removed)]
        read = [Page(number, page) for number, page in zip(numbers, cleaned, strict=True)]
        if progress is not None:
            progress(len(read), len(read))
        return make_document(self, source, options, pages=read, page_count=len(texts), issues=issues)
