"""HTML: what a reader of the page sees, headings as sections, the title as metadata. One page, page 1."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

from sharedllm_docs.documents.cleaning import CLEANING_VERSION, clean_characters
from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.decode import declared_encoding, decode, looks_like_text
from sharedllm_docs.documents.readers.html_blocks import html_blocks, join_blocks
from sharedllm_docs.documents.readers.nesting import parse_html
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.source import Source

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

_LOOKS_LIKE = re.compile(
    rb"\A\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|body)\b", re.I | re.S
)
_EMPTY_ELEMENT = re.compile(
    r"<(?P<name>(?!(?:area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)\b)[a-z][\w:.-]*)"
    r"(?P<rest>(?:\s[^<>]*)?)/>",
    re.I,
)
_IS_XHTML = re.compile(r"\A\s*(?:<\?xml|<!doctype[^>]*xhtml)", re.I)
_XML_DECLARATION = re.compile(r"\A\s*<\?xml[^>]*>")

_META_NAMES = ("author", "description", "keywords", "date")


def _metadata(soup: BeautifulSoup) -> dict[str, str]:
    found = {"title": soup.title.get_text() if soup.title else ""}
    for tag in soup.find_all("meta"):
        key = str(tag.get("name", "")).lower()
        if key in _META_NAMES:
            found.setdefault(key, str(tag.get("content", "")))
    return {key: text for key, value in found.items() if (text := " ".join(clean_characters(value).split()))}


class HtmlReader:
    """HTML and XHTML through Beautiful Soup and html5lib, which closes open tags as browsers do and never fails."""

    name = "html"
    suffixes = (".html", ".htm", ".xhtml")
    takes = frozenset({"encoding", "ocr"})

    @property
    def version(self) -> str:
        libraries = "+".join(f"{name}-{installed_version(name)}" for name in ("beautifulsoup4", "html5lib"))
        return f"5+clean{CLEANING_VERSION}+{libraries}"

    def sniff(self, head: bytes, name: str) -> bool:
        """Text of an HTML name, or any text that opens like an HTML page."""
        named = name.lower().endswith(self.suffixes)
        return looks_like_text(head) and (named or bool(_LOOKS_LIKE.match(head.lstrip(b"\xef\xbb\xbf"))))

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """One page with the visible text.

        Raises:
            DamagedDocumentError: when the bytes are not in ``options.encoding``.
            UnknownFormatError: when they are not text.
        """
        markup, issues = decode(source.read(), source.name, options.encoding, declared_encoding(source.head))
        choose_pages(source.name, 1, options)
        if _IS_XHTML.match(markup):  # where <title/> and <a id="x"/> are whole elements
            markup = _EMPTY_ELEMENT.sub(r"<\g<name>\g<rest>></\g<name>>", markup)
        soup, deep = parse_html(_XML_DECLARATION.sub("", markup))
        issues += deep
        pictures = Pictures(options)
        text, sections, repeats = join_blocks(html_blocks(soup, options.clean, pictures.shown_by))
        issues += pictures.issues()
        if progress is not None:
            progress(1, 1)
        return make_document(
            self,
            source,
            options,
            pages=[Page(1, text, repeats=repeats)],
            page_count=1,
            sections=sections,
            issues=issues,
            metadata=_metadata(soup),
        )
