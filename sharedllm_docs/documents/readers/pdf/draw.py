"""A page of a PDF as a picture, drawn by PDFium with its annotations and filled fields."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import pypdfium2
import pypdfium2.raw as pdfium_c

from sharedllm_docs.documents.page_image import MAX_PIXELS, PageImage
from sharedllm_docs.documents.readers.pdf.engine import encrypted
from sharedllm_docs.documents.readers.pdf.pdfium import PDFIUM_LOCK, rgb
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.errors import ConfigError, DamagedDocumentError, PageRangeError


def draw_page(source: Any, name: str, number: int, scale: float, password: str | None = None) -> PageImage:
    """Draw a page.

    Args:
        source: a path, or an open binary file.
        name: of the document, for messages.
        number: 1-based number of the page.
        scale: pixels a point.
        password: of an encrypted file.

    Raises:
        ConfigError: the picture would be empty or too large.
        PageRangeError: there is no such page.
        EncryptedDocumentError: without the right password.
        DamagedDocumentError: PDFium cannot open the file or the page.
    """
    with PDFIUM_LOCK, _opened(source, name, number, password) as page:
        width, height = page.get_size()
        check_picture(name, number, width * scale, height * scale)
        box = pdfium_c.FS_RECTF()
        pdfium_c.FPDF_GetPageBoundingBox(page.raw, box)
        drawn = rgb(page.render(scale=scale).to_numpy())
        return PageImage(
            page=number,
            width=drawn.shape[1],
            height=drawn.shape[0],
            scale=scale,
            rotation=90 * int(pdfium_c.FPDFPage_GetRotation(page.raw)),
            shown=(box.left, box.bottom, box.right, box.top),
            rgb=drawn.tobytes(),
        )


def check_picture(name: str, number: int, width: float, height: float) -> None:
    """Raise ConfigError for a picture of no pixel, or of too many."""
    if not (math.isfinite(width) and math.isfinite(height)) or min(width, height) < 1 or width * height > MAX_PIXELS:
        raise ConfigError(
            f"Page {number} of {name} would be drawn with {width:,.0f} x {height:,.0f} pixels; allowed are 1 to "
            f"{MAX_PIXELS:,} in all.",
            remedy="Choose another scale.",
        )


@contextlib.contextmanager
def _opened(source: Any, name: str, number: int, password: str | None) -> Iterator[Any]:
    """The page of pypdfium2."""
    document = page = None
    try:
        try:
            document = pypdfium2.PdfDocument(source, password=password)
            count = len(document)
            if not 1 <= number <= count:
                raise PageRangeError(
                    f"{name} has {count} page(s), there is no page {number}.", remedy=f"Name a page from 1 to {count}."
                )
            if document.get_formtype() != pdfium_c.FORMTYPE_NONE:
                document.init_forms()
            page = document[number - 1]
        except pypdfium2.PdfiumError as error:
            if document is None and error.err_code == pdfium_c.FPDF_ERR_PASSWORD:
                raise encrypted(name, password) from error
            raise DamagedDocumentError(
                f"Page {number} of {name} cannot be drawn: {reason_of(error)}.",
                remedy="Fetch or export the file again.",
            ) from error
        yield page
    finally:
        for opened in (page, document):
            if opened is not None:
                opened.close()
