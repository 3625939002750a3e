"""Drawings as files of their own (``.svg``, ``.svgz``): one page with the text that they show."""

from __future__ import annotations

from importlib.metadata import version as installed_version

from sharedllm_docs.documents.cleaning import CLEANING_VERSION, clean_characters
from sharedllm_docs.documents.document import Document, Page
from sharedllm_docs.documents.readers.base import Progress, choose_pages, make_document
from sharedllm_docs.documents.readers.html_blocks import html_blocks, join_blocks
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.pictures import Pictures
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.documents.readers.svg import drawing_tree, opens_drawing
from sharedllm_docs.errors import EmptyDocumentError


class SvgReader:
    """SVG drawings, packed or not."""

    name = "svg"
    suffixes = (".svg", ".svgz")
    takes = frozenset({"encoding", "ocr"})

    @property
    def version(self) -> str:
        libraries = "+".join(f"{name}-{installed_version(name)}" for name in ("beautifulsoup4", "html5lib"))
        return f"1+clean{CLEANING_VERSION}+{libraries}"

    def sniff(self, head: bytes, name: str) -> bool:
        """A first element ``svg``, whatever the file is called."""
        return opens_drawing(head)

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """One page: the drawing's text, and that of the pictures in it.

        Raises:
            EmptyDocumentError: it has no text.
            DamagedDocumentError, UnknownFormatError: it is not text, or not in ``options.encoding``.
        """
        choose_pages(source.name, 1, options)
        tree, issues = drawing_tree(source.read(), source.name, options.encoding)
        pictures = Pictures(options)
        text, sections, repeats = join_blocks(html_blocks(tree, options.clean, pictures.shown_by))
        issues += pictures.issues()
        if not text.strip():
            told = "".join(f" ({issue.message})" for issue in issues)
            raise EmptyDocumentError(
                f"{source.name} is a drawing without text{told}.",
                remedy="Letters that are drawn as curves are no text: export it as PNG to have them recognised.",
            )
        if progress is not None:
            progress(1, 1)
        title = tree.find("title")
        said = " ".join(clean_characters(title.get_text()).split()) if title is not None else ""
        return make_document(
            self,
            source,
            options,
            pages=[Page(1, text, repeats=repeats)],
            page_count=1,
            sections=sections,
            issues=issues,
            metadata={"title": said} if said else {},
        )
