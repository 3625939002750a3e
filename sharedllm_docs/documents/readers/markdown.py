"""Markdown: the text as written, its headings as sections, its front matter as metadata."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate, pairwise

from sharedllm_docs.documents.cleaning import CLEANING_VERSION, clean_text
from sharedllm_docs.documents.document import PAGE_SEPARATOR, Document, Issue, Page, Section
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.decode import decode, looks_like_text
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.readers.text import split_pages

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(?P<yaml>.*?\n)??(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_SCALARS = (str, int, float, bool)


def split_front_matter(text: str) -> tuple[dict[str, str], str, list[Issue]]:
    """Metadata, the text behind the front matter, and an issue when the front matter is no YAML mapping.

    Only scalars and lists of scalars become metadata.
    """
    match = _FRONT_MATTER.match(text)
    if not match:
        return {}, text, []
    import yaml  # type: ignore[import-untyped,unused-ignore]

    try:
        values = yaml.safe_load(match["yaml"] or "")
    except (yaml.YAMLError, ValueError) as error:  # ValueError: impossible dates and the like
        reason = " ".join(str(error).split())
        return (
            {},
            text,
            [Issue("front-matter-failed", f"the front matter is no valid YAML and stays in the text: {reason}")],
        )
    if values is None:
        values = {}
    if not isinstance(values, dict):  # a thematic break at the top, not front matter
        return {}, text, []
    return {str(key): _plain(value) for key, value in values.items() if _plain(value)}, text[match.end() :], []


def _plain(value: object) -> str:
    """A scalar, or a list of scalars, as one string; "" for anything deeper."""
    items = value if isinstance(value, list) else [value]
    if any(isinstance(item, (dict, list, tuple, set)) or item is None for item in items):
        return ""
    return ", ".join(str(item).strip() for item in items)


def find_headings(pages: Sequence[Page]) -> list[Section]:
    """A section for each heading, ATX or setext, outside code; ``char`` counts in the joined page texts."""
    from markdown_it import MarkdownIt

    text = PAGE_SEPARATOR.join(page.text for page in pages)
    line_starts = [0, *accumulate(len(line) + 1 for line in text.split("\n"))]
    page_starts = list(accumulate((len(page.text) + len(PAGE_SEPARATOR) for page in pages), initial=0))
    tokens = MarkdownIt("commonmark").parse(text)
    sections = []
    for opening, inline in pairwise(tokens):
        if opening.type != "heading_open" or opening.map is None or not inline.content.strip():
            continue
        char = line_starts[opening.map[0]]
        index = max(i for i in range(len(pages)) if page_starts[i] <= char)
        title = "".join(child.content or " " for child in inline.children or () if child.type != "html_inline")
        sections.append(Section(" ".join(title.split()), int(opening.tag[1:]), pages[index].number, char))
    return sections


class MarkdownReader:
    """Markdown stays as it is written (its marks are readable), so that quotes match the source."""

    name = "markdown"
    version = f"1+clean{CLEANING_VERSION}"
    suffixes = (".md", ".markdown")
    takes = frozenset({"encoding"})

    def sniff(self, head: bytes, name: str) -> bool:
        """Text of a Markdown name; text alone does not show that it is Markdown."""
        return name.lower().endswith(self.suffixes) and looks_like_text(head)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Pages as form feeds say (usually one), sections from the headings.

        Raises:
            DamagedDocumentError: when the bytes are not in ``options.encoding``.
            UnknownFormatError: when they are no text.
        """
        text, issues = decode(source.read(), source.name, options.encoding)
        metadata, body, front_issues = split_front_matter(text)
        texts = split_pages(body)
        numbers = choose_pages(source.name, len(texts), options)
        clean = clean_text if options.clean else str
        pages = [Page(number, clean(texts[number - 1])) for number in numbers]
        if progress is not None:
            progress(len(pages), len(pages))
        return make_document(
            self,
            source,
            options,
            pages=pages,
            page_count=len(texts),
            sections=find_headings(pages),
            issues=[*issues, *front_issues],
            metadata=metadata,
        )
