"""PDF: structure (outline, metadata, labels) by pypdf, page text by PDFium, each standing in for the other.

This module is light; the libraries are imported when a PDF is read.
"""

from __future__ import annotations

from importlib.metadata import version as installed_version

from sharedllm_docs.documents.cleaning import CLEANING_VERSION
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.base import Progress
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.source import Source

__all__ = ["PdfReader"]


class PdfReader:
    """PDF files of every version, encrypted ones included. Pictures of text are recognised where an engine is there."""

    name = "pdf"
    suffixes = (".pdf",)
    takes = frozenset({"password", "engine", "ocr", "attachments"})

    @property
    def version(self) -> str:
        """Own rules, cleaning rules and both libraries: any of them may change the text."""
        libraries = "+".join(f"{name}-{installed_version(name)}" for name in ("pypdfium2", "pypdf"))
        return f"6+clean{CLEANING_VERSION}+{libraries}"

    def sniff(self, head: bytes, name: str) -> bool:
        """The header may come after some junk, as PDF viewers allow."""
        return b"%PDF-" in head[:1024]

    def read(self, source: Source, options: ReadOptions, progress: Progress | None) -> Document:
        """Read page by page.

        Raises:
            EncryptedDocumentError: without the right password.
            DamagedDocumentError: when no page can be read.
            ScannedDocumentError: when the pages are pictures without a text layer, and nothing is recognised in them.
            EmptyDocumentError: when there are no pages, or all are blank.
            PageRangeError, DocumentTooLargeError: as ``options`` say.
        """
        from sharedllm_docs.documents.readers.pdf.read import read_pdf

        return read_pdf(self, source, options, progress)

    def count_pages(self, source: Source, options: ReadOptions) -> int:
        """See ``Divisible``."""
        from sharedllm_docs.documents.readers.pdf.read import count_pages

        return count_pages(source, options)

    def read_part(self, source: Source, options: ReadOptions, part: int, parts: int, progress: Progress | None) -> None:
        """See ``Divisible``."""
        from sharedllm_docs.documents.readers.pdf.read import read_part

        read_part(source, options, part, parts, progress)
