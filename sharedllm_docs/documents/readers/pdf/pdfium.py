"""Page text through PDFium. One page is open at a time, under a lock: PDFium is not thread-safe."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium_c

from sharedllm_docs.documents.readers.pdf.engine import EngineError, PageText, encrypted
from sharedllm_docs.documents.readers.pdf.fields import Field
from sharedllm_docs.documents.readers.pdf.layout.continued import OpenTable
from sharedllm_docs.documents.readers.pdf.text.page import PdfiumPage
from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.source import Source

PDFIUM_LOCK = threading.RLock()
_LONG_SIDE = 1800  # pixels of a drawn page: 150 to 160 dpi of an A4 or letter page
_MAX_SCALE = 4.0  # pixels a point, of small pages
_BIG_PAGE = 1200.0  # points; larger pages are drawn at 1.5 pixels a point
_PICTURE_SHARE = 0.04  # of the page, from which a picture may contain text
_MAX_PICTURES = 20  # of a page


@dataclass(frozen=True)
class Corner:
    """Maps the pixels of a picture to its page.

    Attributes:
        origin: x and y of the upper left corner of the drawn page, in the page's own coordinates.
        across: by how much x and y grow a pixel to the right.
        down: by how much they grow a pixel down.
        left, top: pixels of the drawn page that are cut off before the picture.
    """

    origin: tuple[float, float]
    across: tuple[float, float]
    down: tuple[float, float]
    left: int = 0
    top: int = 0

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Two opposite corners on the page of a box in pixels (left, top, right, bottom) of the picture."""
        return (*self._place(box[0], box[1]), *self._place(box[2], box[3]))

    def _place(self, x: float, y: float) -> tuple[float, float]:
        x, y = x + self.left, y + self.top
        (x0, y0), (ax, ay), (dx, dy) = self.origin, self.across, self.down
        return x0 + ax * x + dx * y, y0 + ay * x + dy * y

    @property
    def is_upright(self) -> bool:
        """Whether pixels to the right go along x."""
        return abs(self.across[0]) >= abs(self.across[1])


@dataclass(frozen=True)
class Drawn:
    """A page, or a part of it, as a picture.

    Attributes:
        pixels: [height, width, 3] bytes of red, green and blue.
        corner: maps its pixels to the page.
    """

    pixels: Any
    corner: Corner


class PdfiumFile:
    """A PDF opened by PDFium.

    Raises:
        EncryptedDocumentError: without the right password.
        EngineError: when PDFium cannot open it.
    """

    name = "pdfium"

    def __init__(self, source: Source, password: str | None) -> None:
        with PDFIUM_LOCK:
            try:
                self._document = pypdfium2.PdfDocument(source.path or source.data, password=password)
            except pypdfium2.PdfiumError as error:
                # The code may be left over from an earlier file: PDFium does not reset it.
                if error.err_code == pdfium_c.FPDF_ERR_PASSWORD and b"/Encrypt" in source.read():
                    raise encrypted(source.name, password) from error
                raise EngineError(reason_of(error)) from error
            self.count = len(self._document)

    def text(self, index: int, fields: Sequence[Field] = (), before: OpenTable | None = None) -> PageText:
        """Raw text of a page as a viewer shows it: code indented, raised marks raised, hidden words left out."""
        with PDFIUM_LOCK:
            try:
                page = self._document[index]
                try:
                    textpage = page.get_textpage()
                    try:
                        return PdfiumPage(page, textpage).page_text(fields, before)
                    finally:
                        textpage.close()
                finally:
                    page.close()
            except pypdfium2.PdfiumError as error:
                raise EngineError(reason_of(error)) from error

    def has_content(self, index: int) -> bool:
        """Whether the page has a single object: text, picture or line."""
        with PDFIUM_LOCK:
            try:
                page = self._document[index]
                try:
                    return bool(pdfium_c.FPDFPage_CountObjects(page) > 0)
                finally:
                    page.close()
            except pypdfium2.PdfiumError as error:
                raise EngineError(reason_of(error)) from error

    @contextmanager
    def _page(self, index: int) -> Iterator[Any]:
        with PDFIUM_LOCK:
            try:
                page = self._document[index]
                try:
                    yield page
                finally:
                    page.close()
            except pypdfium2.PdfiumError as error:
                raise EngineError(reason_of(error)) from error

    def render(self, index: int) -> Drawn:
        """The page as viewers show it. Raises EngineError."""
        with self._page(index) as page:
            scale = _scale(*page.get_size())
            drawn = rgb(page.render(scale=scale).to_numpy())
            return Drawn(drawn, _on_page(page, drawn.shape[1], drawn.shape[0]))

    def pictures(self, index: int) -> list[Drawn]:
        """The large pictures of a page that have no text on top of them, cut out of the drawn page, top to bottom.

        Raises EngineError.
        """
        with self._page(index) as page:
            spots = self._picture_spots(page)
            if not spots:
                return []
            width, height = page.get_size()
            scale = _scale(width, height)
            drawn = rgb(page.render(scale=scale).to_numpy())
            corner = _on_page(page, drawn.shape[1], drawn.shape[0])
            cut = []
            for spot in spots:
                left, top, right, bottom = _on_bitmap(page, spot, drawn.shape[1], drawn.shape[0])
                picture = np.ascontiguousarray(drawn[top:bottom, left:right])
                if picture.shape[0] >= 20 and picture.shape[1] >= 40:
                    cut.append(Drawn(picture, replace(corner, left=left, top=top)))
            return cut

    def picture_count(self, index: int) -> int:
        """How many pictures ``pictures`` would give, without drawing the page. Raises EngineError."""
        with self._page(index) as page:
            return len(self._picture_spots(page))

    @staticmethod
    def _picture_spots(page: Any) -> list[tuple[float, float, float, float]]:
        """Left, bottom, right, top in page coordinates of the pictures that may contain text."""
        left, bottom, right, top = page.get_bbox()
        area = (right - left) * (top - bottom)
        spots = []
        for item in page.get_objects(filter=(pdfium_c.FPDF_PAGEOBJ_IMAGE,), max_depth=4):
            x0, y0, x1, y1 = item.get_bounds()
            x0, y0, x1, y1 = max(x0, left), max(y0, bottom), min(x1, right), min(y1, top)
            if x1 > x0 and y1 > y0 and (x1 - x0) * (y1 - y0) >= _PICTURE_SHARE * area:
                spots.append((x0, y0, x1, y1))
        if not spots:
            return []
        textpage = page.get_textpage()
        try:
            bare = {spot for spot in spots if not textpage.get_text_bounded(*spot).strip()}
        finally:
            textpage.close()
        return sorted(bare, key=lambda spot: (-spot[3], spot[0]))[:_MAX_PICTURES]

    def close(self) -> None:
        with PDFIUM_LOCK:
            self._document.close()


def _scale(width: float, height: float) -> float:
    """Pixels a point at which a page of this size (in points) is drawn."""
    longest = max(width, height, 1.0)
    if longest > _BIG_PAGE:
        return min(1.5, 3000 / longest)
    return min(_MAX_SCALE, _LONG_SIDE / longest)


def rgb(bitmap: Any) -> Any:
    """PDFium's bitmap (grey, BGR or BGRx) as [height, width, 3] in the order red, green, blue."""
    if bitmap.ndim == 2:
        bitmap = bitmap[..., None]
    if bitmap.shape[2] == 1:
        return np.repeat(bitmap, 3, axis=2)
    return np.ascontiguousarray(bitmap[..., 2::-1])


def _on_page(page: Any, width: int, height: int) -> Corner:
    """Maps the pixels of the drawn page to it; the page may be rotated."""
    places = []
    for across, down in ((0, 0), (width, 0), (0, height)):
        x, y = ctypes.c_double(), ctypes.c_double()
        pdfium_c.FPDF_DeviceToPage(page.raw, 0, 0, width, height, 0, across, down, x, y)
        places.append((x.value, y.value))
    origin, right, down_ = places
    step = (right[0] - origin[0]) / width, (right[1] - origin[1]) / width
    down_step = (down_[0] - origin[0]) / height, (down_[1] - origin[1]) / height
    return Corner(origin, step, down_step)


def _on_bitmap(
    page: Any, spot: tuple[float, float, float, float], width: int, height: int
) -> tuple[int, int, int, int]:
    """Left, top, right, bottom in pixels of the drawn page, which may be turned."""
    corners = []
    for x, y in ((spot[0], spot[1]), (spot[2], spot[3])):
        across, down = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDF_PageToDevice(page.raw, 0, 0, width, height, 0, x, y, across, down)
        corners.append((min(max(across.value, 0), width), min(max(down.value, 0), height)))
    (x0, y0), (x1, y1) = corners
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)
