"""The tables of a PDF with their places, for measurements and for callers who want cells rather than text."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pypdfium2

from sharedllm_docs.documents.readers.pdf.layout.table import Table
from sharedllm_docs.documents.readers.pdf.layout.tables import find_tables
from sharedllm_docs.documents.readers.pdf.text.page import PdfiumPage

PlacedTable = Table


def tables_of(path: Path) -> Iterator[tuple[int, Table]]:
    """(page number, table) of the tables of a PDF file."""
    document = pypdfium2.PdfDocument(path)
    for number in range(len(document)):
        page = document[number]
        textpage = page.get_textpage()
        measured = PdfiumPage(page, textpage).measured
        for table in find_tables(measured.words, measured.rules()):
            yield number + 1, table
        textpage.close()
        page.close()
