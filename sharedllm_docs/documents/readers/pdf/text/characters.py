"""What PDFium knows of the characters of a page: their places, sizes, fonts and colours. Its lock must be held."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import pypdfium2.raw as pdfium_c

from sharedllm_docs.documents.readers.pdf.measure import MAX_CHARACTERS
from sharedllm_docs.documents.readers.pdf.text.right_to_left import IS_RIGHT_TO_LEFT, in_order
from sharedllm_docs.documents.readers.pdf.text.torn_lines import Place, has_torn_lines, mended
from sharedllm_docs.documents.traced import traced

_FIXED_PITCH = 1  # bit of the PDF font descriptor's flags
_FIXED_NAME = re.compile(r"mono|courier|typewriter|consol|menlo|monaco|fixed|tt\d", re.IGNORECASE)
_FORCE_BOLD = 1 << 18  # another bit of these
_BOLD_NAME = re.compile(r"bold|black|heavy|(?<![a-z])(?:sfbx|cmb|cmssbx)", re.IGNORECASE)
_COVERS = 0.6  # share of the page from which pictures count as its scan
_SAMPLE = 400  # characters in which fonts without a Unicode map are looked for
_WHITE = 0xFE  # of 255, from which red, green and blue together are white
_INVISIBLE_MODES = (pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE,)


class Characters:
    """The characters of one page, by their position in ``text``.

    PDFium counts characters in its own way; ``index`` gives its number of a position, and the other methods take such a
    number.

    Attributes:
        text: the page text as PDFium gives it, traced.
        page: of pypdfium2.
        handle: of its text page.
    """

    def __init__(self, page: Any, textpage: Any) -> None:
        self.page, self.handle = page, textpage.raw
        self.text, self._numbers = _text_and_numbers(textpage)
        # buffers for PDFium's answers, made once: a page has thousands of characters
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._colour = tuple(ctypes.c_uint() for _ in range(4))
        if len(self.text) <= MAX_CHARACTERS and has_torn_lines(self.text):
            self.text, self._numbers = mended(self.text, self.index, self._place)
        if IS_RIGHT_TO_LEFT.search(self.text) and len(self.text) <= MAX_CHARACTERS:
            self.text, self._numbers = in_order(self.text, self.index, self.edges)
        self.text = traced(self.text)

    # -- single characters

    @cached_property
    def _units(self) -> Sequence[int]:
        """Position of each character in the UTF-16 units that PDFium counts."""
        if self.text.isascii() or max(self.text, default="") <= "\uffff":
            return range(len(self.text) + 1)
        units = [0]
        for character in self.text:
            units.append(units[-1] + (2 if character > "\uffff" else 1))
        return units

    def index(self, position: int) -> int | None:
        """PDFium's number of the character at ``position``; None for line breaks that PDFium made up."""
        if not 0 <= position < len(self.text):
            return None
        if self._numbers is not None:
            return self._numbers[position] if self._numbers[position] >= 0 else None
        index = int(pdfium_c.FPDFText_GetCharIndexFromTextIndex(self.handle, self._units[position]))
        if index < 0:
            return None
        character = self.text[position]  # of two surrogates PDFium names the first
        known = character > "\uffff" or pdfium_c.FPDFText_GetUnicode(self.handle, index) == ord(character)
        return index if known else None

    def nearest_index(self, position: int) -> int:
        """As ``index``, without comparing the characters; below 0 if PDFium has none."""
        if self._numbers is not None:
            return self._numbers[position]
        return int(pdfium_c.FPDFText_GetCharIndexFromTextIndex(self.handle, self._units[position]))

    def origin(self, index: int) -> tuple[float, float]:
        """x and y of the place on the baseline where the character begins."""
        pdfium_c.FPDFText_GetCharOrigin(self.handle, index, self._x, self._y)
        return self._x.value, self._y.value

    def size(self, index: int) -> float:
        """Font size as printed, in points."""
        matrix = pdfium_c.FS_MATRIX()
        size = float(pdfium_c.FPDFText_GetFontSize(self.handle, index))
        if not pdfium_c.FPDFText_GetMatrix(self.handle, index, matrix):
            return size
        return size * (math.hypot(matrix.c, matrix.d) or 1.0)

    def edges(self, index: int) -> tuple[float, float]:
        """Left and right edge."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        pdfium_c.FPDFText_GetCharBox(self.handle, index, left, right, bottom, top)
        return left.value, right.value

    def _place(self, position: int) -> Place | None:
        index = self.index(position)
        if index is None or self.text[position].isspace():
            return None
        box = pdfium_c.FS_RECTF()  # from where it begins to where the next one does, in place of its ink
        if not pdfium_c.FPDFText_GetLooseCharBox(self.handle, index, box):
            return None
        return Place(self.origin(index)[1], self.size(index), box.left, box.right)

    def is_fixed_pitch(self, index: int) -> bool:
        """Whether the character's font gives every letter the same width."""
        name, flags = self._font(index)
        return bool(flags & _FIXED_PITCH) or _FIXED_NAME.search(name) is not None

    def is_bold(self, index: int) -> bool:
        """Whether the character's font is bold."""
        name, flags = self._font(index)
        return bool(flags & _FORCE_BOLD) or _BOLD_NAME.search(name) is not None

    def _font(self, index: int) -> tuple[str, int]:
        """Name and flags of a character's font."""
        buffer, flags = ctypes.create_string_buffer(128), ctypes.c_int()
        pdfium_c.FPDFText_GetFontInfo(self.handle, index, buffer, len(buffer), flags)
        return buffer.value.decode("utf-8", "replace"), flags.value

    def is_inkless(self, index: int, x: float, y: float) -> bool:
        """Whether the character at this place is white with nothing behind it, or invisible.

        Invisible text over a scan counts as visible: it is the scan's text layer.
        """
        # PDFium gives invisible text the colour of its last visible text: the mode is asked first
        mode = pdfium_c.FPDFTextObj_GetTextRenderMode(pdfium_c.FPDFText_GetTextObject(self.handle, index))
        if mode in _INVISIBLE_MODES:
            return not self.is_covered
        if mode != pdfium_c.FPDF_TEXTRENDERMODE_FILL:
            return False
        if not pdfium_c.FPDFText_GetFillColor(self.handle, index, *self._colour):
            return False
        red, green, blue, alpha = (part.value for part in self._colour)
        if alpha == 0:
            return not self.is_covered
        if red < _WHITE or green < _WHITE or blue < _WHITE:
            return False
        return not any(x0 - 1 <= x <= x1 + 1 and y0 - 1 <= y <= y1 + 1 for _, (x0, y0, x1, y1) in self._painted)

    # -- the page

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of what viewers show."""
        box = pdfium_c.FS_RECTF()
        pdfium_c.FPDF_GetPageBoundingBox(self.page.raw, box)
        return box.left, box.bottom, box.right, box.top

    @property
    def rotation(self) -> int:
        """By how many quarter turns viewers rotate the page."""
        return int(pdfium_c.FPDFPage_GetRotation(self.page.raw))

    @cached_property
    def _painted(self) -> list[tuple[int, tuple[float, float, float, float]]]:
        """(type, bounds) of everything on the page but text, in the order of painting."""
        found = []
        for item in self.page.get_objects(max_depth=4):
            if item.type != pdfium_c.FPDF_PAGEOBJ_TEXT:
                found.append((item.type, item.get_bounds()))
        return found

    @cached_property
    def is_covered(self) -> bool:
        """Whether pictures cover most of the page."""
        left, bottom, right, top = self.bounds
        area = 0.0
        for kind, (x0, y0, x1, y1) in self._painted:
            if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
                area += max(0.0, min(x1, right) - max(x0, left)) * max(0.0, min(y1, top) - max(y0, bottom))
        return area >= _COVERS * (right - left) * (top - bottom) > 0

    def undecoded(self) -> float:
        """Share of the first characters whose font has no Unicode map."""
        count = min(_SAMPLE, int(pdfium_c.FPDFText_CountChars(self.handle)))
        bad = sum(pdfium_c.FPDFText_HasUnicodeMapError(self.handle, index) == 1 for index in range(count))
        return bad / count if count else 0.0


def _text_and_numbers(textpage: Any) -> tuple[str, list[int] | None]:
    """The text of a page, and PDFium's number of each character where that does not follow from its position.

    PDFium leaves characters beyond U+FFFF (slanted letters in formulas) out of the text unless the file writes them
    as surrogates, and counts them all the same. They are put back.
    """
    text: str = textpage.get_text_range()
    units = memoryview(text.encode("utf-16-le", "surrogatepass")).cast("H")
    count = int(pdfium_c.FPDFText_CountChars(textpage.raw))
    if count == len(units):
        return text, None
    codes = [int(pdfium_c.FPDFText_GetUnicode(textpage.raw, index)) for index in range(count)]
    if max(codes, default=0) <= 0xFFFF:
        return text, None
    parts, numbers, used = list[str](), list[int](), 0
    for index, code in enumerate(codes):
        if code > 0xFFFF:
            parts.append(chr(code))
            numbers.append(index)
        elif pdfium_c.FPDFText_GetTextIndexFromCharIndex(textpage.raw, index) >= 0 and used < len(units):
            unit, used = units[used], used + 1
            if 0xDC00 <= unit < 0xE000 and parts and "\ud800" <= parts[-1] < "\udc00":
                parts[-1] = (parts[-1] + chr(unit)).encode("utf-16-le", "surrogatepass").decode("utf-16-le")
            else:
                parts.append(chr(unit))
                numbers.append(index)
    return ("".join(parts), numbers) if used == len(units) else (text, None)
