"""Page text through PDFium. One page is open at a time, under a lock: PDFium is not thread-safe."""

from __future__ import annotations

import ctypes
import re
import statistics
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import pypdfium2
import pypdfium2.raw as pdfium_c

from sharedllm_docs.documents.readers.pdf.engine import EngineError, encrypted
from sharedllm_docs.documents.readers.source import Source

_LOCK = threading.RLock()

_FIXED_PITCH = 1  # bit of the PDF font descriptor's flags
_FIXED_NAME = re.compile(r"mono|courier|typewriter|consol|menlo|monaco|fixed|tt\d", re.IGNORECASE)
_MAX_INDENT = 60


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

    def text(self, index: int) -> str:
        """Raw text of a page, lines of code indented as they stand on the page."""
        with _LOCK:
            try:
                page = self._document[index]
                try:
                    textpage = page.get_textpage()
                    try:
                        return _indent_code(textpage, textpage.get_text_range())
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


@dataclass(frozen=True)
class _Line:
    """A line of page text; ``left`` and ``advance`` (width of one character) in points, for code only."""

    text: str
    left: float | None = None
    advance: float | None = None


def _indent_code(textpage: pypdfium2.PdfTextpage, text: str) -> str:
    """``text`` with the indentation of runs of fixed-pitch lines, which PDFium drops, put back.

    The leftmost line of a run starts at column 0.
    """
    lines: list[str] = []
    for is_code, group in groupby(_lines(textpage, text), key=lambda line: line.left is not None):
        run = list(group)
        advances = [line.advance for line in run if line.advance]
        if not is_code or not advances:
            lines.extend(line.text for line in run)
            continue
        lefts = [line.left or 0.0 for line in run]
        for line, left in zip(run, lefts, strict=True):
            columns = round((left - min(lefts)) / statistics.median(advances))
            lines.append(" " * min(columns, _MAX_INDENT) + line.text)
    return "\n".join(lines)


def _lines(textpage: pypdfium2.PdfTextpage, text: str) -> Iterator[_Line]:
    position = 0  # in the UTF-16 units that PDFium counts
    for line in text.split("\r\n"):
        yield _measured(textpage, position, line)
        position += len(line.encode("utf-16-le", "surrogatepass")) // 2 + 2


def _measured(textpage: pypdfium2.PdfTextpage, position: int, text: str) -> _Line:
    """The line with its place on the page, if it opens in a fixed-pitch font."""
    if not text or text[0].isspace():
        return _Line(text)
    start = pdfium_c.FPDFText_GetCharIndexFromTextIndex(textpage, position)
    if start < 0 or pdfium_c.FPDFText_GetUnicode(textpage, start) != ord(text[0]) or not _is_fixed(textpage, start):
        return _Line(text)
    origins = [_origin(textpage, start + offset) for offset in range(min(3, len(text)))]
    steps = [right - left for left, right in pairwise(origins)]
    if " " in text[:3] or len(steps) < 2:
        return _Line(text, left=origins[0])
    if abs(steps[0] - steps[1]) > 0.1 * abs(steps[0]) or steps[0] <= 0:
        return _Line(text)
    return _Line(text, left=origins[0], advance=steps[0])


def _is_fixed(textpage: pypdfium2.PdfTextpage, index: int) -> bool:
    buffer, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    pdfium_c.FPDFText_GetFontInfo(textpage, index, buffer, len(buffer), flags)
    name = buffer.value.decode("utf-8", "replace")
    return bool(flags.value & _FIXED_PITCH) or _FIXED_NAME.search(name) is not None


def _origin(textpage: pypdfium2.PdfTextpage, index: int) -> float:
    x, y = ctypes.c_double(), ctypes.c_double()
    pdfium_c.FPDFText_GetCharOrigin(textpage, index, x, y)
    return x.value
