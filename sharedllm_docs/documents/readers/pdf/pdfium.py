"""Page text through PDFium. One page is open at a time, under a lock: PDFium is not thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pypdfium2
import pypdfium2.raw as pdfium_c

from sharedllm_docs.documents.readers.pdf.engine import EngineError, PageText, encrypted
from sharedllm_docs.documents.readers.pdf.fields import Field
from sharedllm_docs.documents.readers.pdf.glyphs import Glyphs
from sharedllm_docs.documents.readers.source import Source

_LOCK = threading.RLock()


class PdfiumFile:
    """A PDF opened by PDFium.

    Raises:
        EncryptedDocumentError: without the right password.
        EngineError: when PDFium cannot open it.
    """

    name = "pdfium"

    def __init__(self, source: Source, password: str | None) -> None:
        with _LOCK:
            try:
                self._document = pypdfium2.PdfDocument(source.path or source.data, password=password)
            except pypdfium2.PdfiumError as error:
                # The code may be left over from an earlier file: PDFium does not reset it.
                if error.err_code == pdfium_c.FPDF_ERR_PASSWORD and b"/Encrypt" in source.read():
                    raise encrypted(source.name, password) from error
                raise EngineError(str(error)) from error
            self.count = len(self._document)

    def text(self, index: int, fields: Sequence[Field] = ()) -> PageText:
        """Raw text of a page as a viewer shows it: code indented, raised marks raised, hidden words left out."""
        with _LOCK:
            try:
                page = self._document[index]
                try:
                    textpage = page.get_textpage()
                    try:
                        return Glyphs(page, textpage).page_text(fields)
                    finally:
                        textpage.close()
                finally:
                    page.close()
            except pypdfium2.PdfiumError as error:
                raise EngineError(str(error)) from error

    def has_content(self, index: int) -> bool:
        """Whether the page has a single object: text, picture or line."""
        with _LOCK:
            try:
                page = self._document[index]
                try:
                    return bool(pdfium_c.FPDFPage_CountObjects(page) > 0)
                finally:
                    page.close()
            except pypdfium2.PdfiumError as error:
                raise EngineError(str(error)) from error

    def close(self) -> None:
        with _LOCK:
            self._document.close()
