"""What PDFium knows of the characters of a page: places, sizes, colours; and the page text that follows from them.

PDFium's own page text drops indentation, joins raised marks to the number before them and holds text that no viewer
shows. The edits that mend it are found here, each at its position in that text.
"""

from __future__ import annotations

import bisect
import ctypes
import math
import re
import statistics
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby, pairwise
from typing import Any

import pypdfium2.raw as pdfium_c

from sharedllm_docs.documents.cleaning import MARGIN_LINES, lower, raised_behind
from sharedllm_docs.documents.readers.pdf.engine import PageText, listed
from sharedllm_docs.documents.readers.pdf.fields import Field
from sharedllm_docs.documents.readers.pdf.layout.boxes import Word
from sharedllm_docs.documents.readers.pdf.layout.continued import OpenTable, Sheet
from sharedllm_docs.documents.readers.pdf.layout.page import LaidOut, lay_out
from sharedllm_docs.documents.readers.pdf.layout.written import Part
from sharedllm_docs.documents.readers.pdf.lone_marks import lone_marks
from sharedllm_docs.documents.readers.pdf.measure import MAX_CHARACTERS, Extents, Measured, clipped
from sharedllm_docs.documents.readers.pdf.right_to_left import IS_RIGHT_TO_LEFT, in_order
from sharedllm_docs.documents.readers.placing import Spots
from sharedllm_docs.documents.traced import NOWHERE, Traced, aligned, joined, marked, marks_of, substitute, traced

_FIXED_PITCH = 1  # bit of the PDF font descriptor's flags
_FIXED_NAME = re.compile(r"mono|courier|typewriter|consol|menlo|monaco|fixed|tt\d", re.IGNORECASE)
_FORCE_BOLD = 1 << 18  # another bit of these
_BOLD_NAME = re.compile(r"bold|black|heavy|(?<![a-z])(?:sfbx|cmb|cmssbx)", re.IGNORECASE)
_MAX_INDENT = 60
_MARGIN = 0.15  # of the page's height, in which running lines stand
_SIDE = 0.06  # of the page's width: marks that production systems print up the side
_SMALL, _RAISED, _LOWERED = 0.85, 0.15, -0.08  # size and rise of raised marks, in sizes of the text beside them
_WIDE_GAP = 1.2  # sizes: no word space is that wide
_TYPEWRITTEN = 0.95  # share of a page's words in fixed pitch, from which it is no page with code on it
_BOX_GAP = 2.0  # sizes: between a box to tick and its label
_LABEL_GAP = 1.0  # sizes: between words of one label
_ABOVE_GAP = 12.0  # points: between a field and the label above it
_TIGHT = 0.12  # sizes: two pieces of one word
_COVERS = 0.6  # share of the page from which pictures count as its scan
_FEW_LETTERS = 120  # text of a stamp, not of a page
_SAMPLE = 400  # characters in which fonts without a Unicode map are looked for
_WHITE = 0xFE  # of 255, from which red, green and blue together are white
_INVISIBLE_MODES = (pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE,)

_LINE_END = re.compile("\r\n")
_WORD = re.compile(r"\S+")
_WITH_DIGIT = re.compile(r"\S*\d\S*")
_FRACTION = re.compile(r"\d*\s*\u2044")
_SIGNS = frozenset("+-\u2212\u2013")
_EDGE_NUMBER = re.compile(r"^(?:\d{1,5}|[ivxlc]{1,8})( )\S|\S( )(?:\d{1,5}|[ivxlc]{1,8})\s*$", re.IGNORECASE)


@dataclass(frozen=True)
class _Edit:
    """Replace ``[start, end)`` of PDFium's page text."""

    start: int
    end: int
    text: str


@dataclass(frozen=True)
class _Line:
    """A line of page text; ``left`` and ``advance`` (width of one character) in points, for code only."""

    start: int
    text: str
    left: float | None = None
    advance: float | None = None


@dataclass(frozen=True)
class _Spot:
    """A word of the page text with its edges, baseline and font size."""

    start: int
    end: int
    left: float
    right: float
    y: float
    size: float


class Glyphs:
    """The characters of one page. Positions count in ``text``; PDFium's lock must be held."""

    def __init__(self, page: Any, textpage: Any) -> None:
        self._page, self._handle = page, textpage.raw
        self.text, self._numbers = _characters(textpage)
        # buffers for PDFium's answers, made once: a page has thousands of characters
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        self._colour = tuple(ctypes.c_uint() for _ in range(4))
        if IS_RIGHT_TO_LEFT.search(self.text) and len(self.text) <= MAX_CHARACTERS:
            self.text, self._numbers = in_order(self.text, self._index, self._box)
        self.text = traced(self.text)

    def page_text(self, fields: Sequence[Field] = (), before: OpenTable | None = None) -> PageText:
        """Text as a reader of the page sees it, with what is known of its layout.

        Args:
            fields: filled form fields and notes; a field's value follows the line that labels it, others stand last.
            before: the table at the end of the page before.
        """
        # a field's value has a mark behind those of the page's characters
        fields = [replace(one, value=marked(one.value, len(self.text) + n)) for n, one in enumerate(fields)]
        hidden = self._hidden_words()
        visible = sum(end - start for start, end in _gaps(hidden, len(self.text)))
        lines = [line for line in self._lines() if not _inside(hidden, line.start, line.start + len(line.text))]
        lone = list(lone_marks(self.text, self._measure, self._edges))
        alone = sorted((start, end) for start, end, written in lone if written.strip())
        edits = [
            *(_Edit(start, end, "") for start, end in hidden),
            *(edit for edit in self._indentation(lines)),
            *(edit for edit in self._marks() if not _inside([*hidden, *alone], edit.start, edit.end)),
            *(_Edit(*one) for one in lone),
        ]
        filled, unlabelled = self._fill([line for line in lines if line.text.strip()], fields)
        laid_out = self._laid_out(hidden, lines, before)
        if laid_out is None:
            shown = [line for line in lines if line.text.strip()]
            lead, trail, gaps = self._margins(shown)
            edits += [_Edit(place, place, "  ") for place in gaps]
            text = _apply(self.text, [*edits, *filled], [(0, len(self.text))])
        else:
            text, shown = self._written(laid_out, [*edits, *filled])
            lead, trail, _ = self._margins(shown)
        text = substitute(_LINE_END, "\n", text)
        if unlabelled:
            text = (text + listed(unlabelled)).lstrip("\n")
        text, spots = self._placed(text, fields)
        return PageText(
            text=text,
            margins=(min(lead, MARGIN_LINES), 0 if unlabelled else min(trail, MARGIN_LINES)),
            scanned=visible <= _FEW_LETTERS and not fields and self._is_covered,
            hidden=len(hidden),
            undecoded=self._undecoded(),
            spots=spots,
            open_table=laid_out.open_table if laid_out is not None else None,
        )

    # -- layout

    def _laid_out(
        self, hidden: Sequence[tuple[int, int]], lines: Sequence[_Line], before: OpenTable | None
    ) -> LaidOut | None:
        """Lines in reading order and tables as rows, or None where PDFium's order will do."""
        if len(self.text) > MAX_CHARACTERS:
            return None
        measured = self.measured
        words = [word for word in measured.words if not _inside(hidden, word.start, word.end)]
        words = _with_code(
            words, [(line.start, line.start + len(line.text)) for line in lines if line.left is not None]
        )
        laid_out = lay_out(words, measured.rules(), before, Sheet(measured.height, self._is_bold))
        if laid_out is None or not measured.sideways:
            return laid_out
        # what stands on its side comes last
        aside = [Part(text=self.text[start:end]) for start, end in measured.sideways if not _inside(hidden, start, end)]
        rest = [part for one in aside for part in (one, Part(text=" "))][:-1]
        return replace(laid_out, lines=(*laid_out.lines, tuple(rest))) if rest else laid_out

    def _written(self, laid_out: LaidOut, edits: Sequence[_Edit]) -> tuple[str, list[_Line]]:
        """Text of a page that was laid out, and its lines as margins are measured by."""
        text, lines = list[str](), list[_Line]()
        pending = sorted(edits, key=lambda edit: (edit.start, edit.end))
        starts = [edit.start for edit in pending]
        used: set[int] = set()
        for parts in laid_out.lines:
            line: list[str] = []
            for part in parts:
                for start, end, glue in self._spans(part.words):
                    low, high = bisect.bisect_left(starts, start), bisect.bisect_right(starts, end)
                    own = [n for n in range(low, high) if pending[n].end <= end and n not in used]
                    used.update(own)
                    piece = _apply(self.text, [pending[n] for n in own], [(start, end)])
                    line += [glue, substitute(_LINE_END, " ", piece)]
                if not part.words:
                    line.append(part.text)
            whole = joined("", line)
            words = parts[0].words if len(parts) == 1 else ()
            lines.append(_Line(words[0].start if words else -1, whole))
            text.append(whole)
        return joined("\n", text), lines

    def _spans(self, words: Sequence[Word]) -> Iterator[tuple[int, int, str]]:
        """(start, end, what stands before it) of the runs of the page text that words make up."""
        start = end = -1
        last: Word | None = None
        glue = ""
        for word in words:
            follows = last is not None and 0 <= word.start - end <= 1 and self.text[end : word.start] in ("", " ")
            if last is not None and follows and (word.start > end or word.left - last.right < _TIGHT * word.size):
                end, last = word.end, word
                continue
            if last is not None:
                yield start, end, glue
                gap = word.left - last.right
                tight = _TIGHT * (2 if word.size < _SMALL * last.size else 1)
                glue = "" if -word.size < gap < tight * word.size else "  " if gap > _WIDE_GAP * word.size else " "
            start, end, last = word.start, word.end, word
        if last is not None:
            yield start, end, glue

    @cached_property
    def measured(self) -> Measured:
        """Words and drawn lines with their places."""
        return Measured(self._page, self._handle, self.text, self._index, self._bounds)

    # -- places

    def _placed(self, text: str, fields: Sequence[Field]) -> tuple[str, Spots]:
        """The text with marks that count in the spots, which come with it: of characters, and of fields."""
        spots, size = Spots(), len(self.text)
        # TeX's codes for ligatures are white space to Python, so only real spaces are left out
        marks = [NOWHERE if c in " \n" else mark for c, mark in zip(text, marks_of(text), strict=True)]
        drawn = sorted({mark for mark in marks if 0 <= mark < size})
        numbers = Extents(self._handle, self._index, self._bounds).place(drawn, spots)
        for number, one in enumerate(fields, start=size):
            if (shown := clipped((one.left, one.bottom, one.right, one.top), self._bounds)) is not None:
                numbers[number] = spots.add(*shown)
        return Traced(text, array("i", (numbers.get(mark, NOWHERE) for mark in marks))), spots

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

    def _index(self, position: int) -> int | None:
        """PDFium's number of the character at ``position``; None for line breaks that PDFium made up."""
        if not 0 <= position < len(self.text):
            return None
        if self._numbers is not None:
            return self._numbers[position] if self._numbers[position] >= 0 else None
        index = int(pdfium_c.FPDFText_GetCharIndexFromTextIndex(self._handle, self._units[position]))
        if index < 0:
            return None
        character = self.text[position]  # of two surrogates PDFium names the first
        known = character > "\uffff" or pdfium_c.FPDFText_GetUnicode(self._handle, index) == ord(character)
        return index if known else None

    def _origin(self, index: int) -> tuple[float, float]:
        pdfium_c.FPDFText_GetCharOrigin(self._handle, index, self._x, self._y)
        return self._x.value, self._y.value

    def _size(self, index: int) -> float:
        """Font size as printed, in points."""
        matrix = pdfium_c.FS_MATRIX()
        size = float(pdfium_c.FPDFText_GetFontSize(self._handle, index))
        if not pdfium_c.FPDFText_GetMatrix(self._handle, index, matrix):
            return size
        return size * (math.hypot(matrix.c, matrix.d) or 1.0)

    def _box(self, index: int) -> tuple[float, float]:
        """Left and right edge."""
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        pdfium_c.FPDFText_GetCharBox(self._handle, index, left, right, bottom, top)
        return left.value, right.value

    def _is_fixed(self, index: int) -> bool:
        name, flags = self._font(index)
        return bool(flags & _FIXED_PITCH) or _FIXED_NAME.search(name) is not None

    def _is_bold(self, word: Word) -> bool:
        index = self._index(word.start)
        if index is None:
            return False
        name, flags = self._font(index)
        return bool(flags & _FORCE_BOLD) or _BOLD_NAME.search(name) is not None

    def _font(self, index: int) -> tuple[str, int]:
        """Name and flags of a character's font."""
        buffer, flags = ctypes.create_string_buffer(128), ctypes.c_int()
        pdfium_c.FPDFText_GetFontInfo(self._handle, index, buffer, len(buffer), flags)
        return buffer.value.decode("utf-8", "replace"), flags.value

    # -- the page

    @cached_property
    def _bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right, top of what viewers show."""
        box = pdfium_c.FS_RECTF()
        pdfium_c.FPDF_GetPageBoundingBox(self._page.raw, box)
        return box.left, box.bottom, box.right, box.top

    @cached_property
    def _painted(self) -> list[tuple[int, tuple[float, float, float, float]]]:
        """(type, bounds) of everything on the page but text, in the order of painting."""
        found = []
        for item in self._page.get_objects(max_depth=4):
            if item.type != pdfium_c.FPDF_PAGEOBJ_TEXT:
                found.append((item.type, item.get_bounds()))
        return found

    @cached_property
    def _is_covered(self) -> bool:
        """Whether pictures cover most of the page."""
        left, bottom, right, top = self._bounds
        area = 0.0
        for kind, (x0, y0, x1, y1) in self._painted:
            if kind == pdfium_c.FPDF_PAGEOBJ_IMAGE:
                area += max(0.0, min(x1, right) - max(x0, left)) * max(0.0, min(y1, top) - max(y0, bottom))
        return area >= _COVERS * (right - left) * (top - bottom) > 0

    def _undecoded(self) -> float:
        """Share of the first characters whose font has no Unicode map."""
        count = min(_SAMPLE, int(pdfium_c.FPDFText_CountChars(self._handle)))
        bad = sum(pdfium_c.FPDFText_HasUnicodeMapError(self._handle, index) == 1 for index in range(count))
        return bad / count if count else 0.0

    # -- what no viewer shows

    def _hidden_words(self) -> list[tuple[int, int]]:
        """Spans of the words that stand outside the page, or are printed in no ink or in white on nothing."""
        hidden: list[tuple[int, int]] = []
        left, bottom, right, top = self._bounds
        known = right > left and top > bottom
        index_of, units, numbers = pdfium_c.FPDFText_GetCharIndexFromTextIndex, self._units, self._numbers
        for word in _WORD.finditer(self.text):
            index = index_of(self._handle, units[word.start()]) if numbers is None else numbers[word.start()]
            if index < 0:
                continue
            x, y = self._origin(index)
            outside = known and not (left - 1 <= x <= right + 1 and bottom - 1 <= y <= top + 1)
            if outside or self._is_inkless(index, x, y):
                hidden.append(word.span())
        return hidden

    def _is_inkless(self, index: int, x: float, y: float) -> bool:
        """White text with nothing behind it; text in invisible mode, unless it lies over a scan (its text layer)."""
        # PDFium gives invisible text the colour of its last visible text: the mode is asked first
        mode = pdfium_c.FPDFTextObj_GetTextRenderMode(pdfium_c.FPDFText_GetTextObject(self._handle, index))
        if mode in _INVISIBLE_MODES:
            return not self._is_covered
        if mode != pdfium_c.FPDF_TEXTRENDERMODE_FILL:
            return False
        if not pdfium_c.FPDFText_GetFillColor(self._handle, index, *self._colour):
            return False
        red, green, blue, alpha = (part.value for part in self._colour)
        if alpha == 0:
            return not self._is_covered
        if red < _WHITE or green < _WHITE or blue < _WHITE:
            return False
        return not any(x0 - 1 <= x <= x1 + 1 and y0 - 1 <= y <= y1 + 1 for _, (x0, y0, x1, y1) in self._painted)

    # -- lines

    def _lines(self) -> Iterator[_Line]:
        position = 0
        for line in self.text.split("\r\n"):
            yield self._measured(position, line)
            position += len(line) + 2

    def _measured(self, position: int, text: str) -> _Line:
        """The line with its place on the page, if it opens in a fixed-pitch font."""
        start = None if not text or text[0].isspace() else self._index(position)
        if start is None or not self._is_fixed(start):
            return _Line(position, text)
        origins = [self._origin(start + offset)[0] for offset in range(min(3, len(text)))]
        steps = [right - left for left, right in pairwise(origins)]
        if " " in text[:3] or len(steps) < 2:
            return _Line(position, text, left=origins[0])
        if abs(steps[0] - steps[1]) > 0.1 * abs(steps[0]) or steps[0] <= 0:
            return _Line(position, text)
        return _Line(position, text, left=origins[0], advance=steps[0])

    def _indentation(self, lines: Sequence[_Line]) -> Iterator[_Edit]:
        """The indentation of runs of fixed-pitch lines. The leftmost line of a run starts at column 0."""
        for is_code, group in groupby(lines, key=lambda line: line.left is not None):
            run = list(group)
            advances = [line.advance for line in run if line.advance]
            if not is_code or not advances:
                continue
            lefts = [line.left or 0.0 for line in run]
            for line, left in zip(run, lefts, strict=True):
                columns = round((left - min(lefts)) / statistics.median(advances))
                if columns:
                    yield _Edit(line.start, line.start, " " * min(columns, _MAX_INDENT))

    def _margins(self, lines: Sequence[_Line]) -> tuple[int, int, list[int]]:
        """Number of leading and of trailing lines in a margin, and the places of wide gaps beside their numbers."""
        places = [self._place(line) for line in lines]
        steps = sorted({round(down, 2) for _, down in places})
        highest, lowest = steps[:MARGIN_LINES], steps[-MARGIN_LINES:]
        top = [down <= _MARGIN and round(down, 2) in highest for _, down in places]
        bottom = [down >= 1 - _MARGIN and round(down, 2) in lowest for _, down in places]
        side = [not _SIDE <= across <= 1 - _SIDE for across, _ in places]
        # headers that are drawn last and footers that are drawn first: only where a body stands between them
        has_body = not all(map(any, zip(top, bottom, side, strict=True)))
        at_start = [t or s or (b and has_body) for t, b, s in zip(top, bottom, side, strict=True)]
        at_end = [b or s or (t and has_body) for t, b, s in zip(top, bottom, side, strict=True)]
        lead = next((i for i, one in enumerate(at_start) if not one), len(lines))
        trail = next((i for i, one in enumerate(reversed(at_end)) if not one), len(lines))
        edges = [*lines[:lead], *lines[max(lead, len(lines) - trail) :]]
        return lead, trail, [gap for line in edges for gap in self._wide_gap(line)]

    def _place(self, line: _Line) -> tuple[float, float]:
        """Where the line begins as the page is shown: across from the left and down from the top, 0 to 1."""
        index = self._index(line.start + len(line.text) - len(line.text.lstrip()))
        left, bottom, right, top = self._bounds
        if index is None or right <= left or top <= bottom:
            return 0.5, 0.5
        x, y = self._origin(index)
        across, down = (x - left) / (right - left), (top - y) / (top - bottom)
        turned = {1: (1 - down, across), 2: (1 - across, 1 - down), 3: (down, 1 - across)}
        return turned.get(pdfium_c.FPDFPage_GetRotation(self._page.raw), (across, down))

    def _wide_gap(self, line: _Line) -> Iterator[int]:
        """Where a number at an end of the line is set apart from its words by more than a word space."""
        match = _EDGE_NUMBER.search(line.text)
        if match is None:
            return
        space = line.start + max(match.start(1), match.start(2))
        before, after = self._index(space - 1), self._index(space + 1)
        if before is None or after is None:
            return
        if self._box(after)[0] - self._box(before)[1] > _WIDE_GAP * self._size(before):
            yield space

    def _fill(self, lines: Sequence[_Line], fields: Sequence[Field]) -> tuple[list[_Edit], list[Field]]:
        """The fields' values behind the words that label them, and the fields that no words label."""
        words = [self._spot(*match.span()) for line in lines for match in self._words(line)] if fields else []
        spots = [word for word in words if word is not None]
        labelled: list[tuple[int, float, str]] = []
        others: list[Field] = []
        for field in fields:
            place = None if field.is_note else self._label_end(field, spots, fields)
            if place is None:
                others.append(field)
            else:
                labelled.append((place, field.left, field.value))
        return [_Edit(place, place, self._behind(place, value)) for place, _, value in sorted(labelled)], others

    def _words(self, line: _Line) -> Iterator[re.Match[str]]:
        return _WORD.finditer(self.text, line.start, line.start + len(line.text))

    def _behind(self, place: int, value: str) -> str:
        """A value as it is written behind the label that ends at ``place``."""
        return (": " if self.text[place - 1].isalnum() or self.text[place - 1] == ")" else " ") + value

    def _spot(self, start: int, end: int) -> _Spot | None:
        """Where a word stands, in the page's own units."""
        first, last = self._index(start), self._index(end - 1)
        if first is None or last is None:
            return None
        return _Spot(start, end, self._box(first)[0], self._box(last)[1], self._origin(first)[1], self._size(first))

    @staticmethod
    def _label_end(field: Field, spots: Sequence[_Spot], fields: Sequence[Field]) -> int | None:
        """Where the label of a field ends in the text: it stands before it, behind a box to tick, or above it."""
        beside = [one for one in spots if field.bottom - 2 <= one.y <= field.top + 2]
        rivals = [one for one in fields if one is not field and one.bottom < field.top and one.top > field.bottom]
        before = max((one for one in beside if one.right <= field.left + 2), key=lambda one: one.right, default=None)
        if before is not None and any(before.right - 2 <= one.left < field.left for one in rivals):
            before = None if field.is_tick else before  # another field stands between
        behind = min((one for one in beside if one.left >= field.right - 2), key=lambda one: one.left, default=None)
        if field.is_tick and behind is not None:
            # boxes of one line have their labels on one side: where the last has none behind it, before them
            last = max([field.right, *(one.right for one in rivals if one.is_tick)])
            gap, ends = behind.left - field.right, all(one.left < last for one in beside)
            near = gap < _BOX_GAP * behind.size and (before is None or gap < field.left - before.right)
            if near and not (ends and before is not None):
                return _run_end(behind, beside, rivals)
        if before is not None:
            return before.end
        above = [
            one for one in spots if field.top < one.y <= field.top + _ABOVE_GAP and -4 <= one.left - field.left <= 60
        ]
        lowest = min((one.y for one in above), default=0.0)
        first = min((one for one in above if one.y < lowest + 2), key=lambda one: one.left, default=None)
        if first is None or field.is_tick or any(one.bottom < first.y < one.top for one in fields):
            return None
        return _run_end(first, [one for one in spots if abs(one.y - first.y) < 2], ())

    # -- raised and lowered marks

    def _marks(self) -> Iterator[_Edit]:
        """Digits set above or below the line, as Unicode's own; and no line break after them."""
        for word in _WITH_DIGIT.finditer(self.text):
            yield from self._marks_of(*word.span())

    def _marks_of(self, start: int, end: int) -> Iterator[_Edit]:
        measured = {place: self._measure(place) for place in range(start, end)}
        first, last = self._neighbour(start, -1), self._neighbour(end - 1, 1)
        if self._even([*measured.values(), first, last]):
            return
        base, run = first, start  # run: where the raised characters up to here begin
        for place in range(start, end):
            here = measured[place]
            beside = base or next((m for p, m in measured.items() if p > place and m and here and m[1] > here[1]), last)
            if here is None:
                continue
            if beside is None:  # the word stands alone: it begins on the line
                base, run = here, place + 1
                continue
            rise = _rise(here, beside)
            if not rise:
                base, run = here, place + 1
                continue
            character = self.text[place]
            if character.isdecimal() or (character in _SIGNS and self.text[place + 1 : place + 2].isdecimal()):
                written = self._raised(run, place) if rise > 0 else self._lowered(place, start, end)
                yield _Edit(place, place + 1, written)
                if place + 1 == end and self.text[end : end + 2] == "\r\n" and self._goes_on(here, beside, end + 2):
                    glue = "" if self.text[end + 2 : end + 3] in (" ", *".,;:)\u2044") else " "
                    yield _Edit(end, end + 2, glue)

    def _raised(self, run: int, place: int) -> str:
        """One of the raised characters that begin at ``run``, as all of them are written together.

        The upper half of a fraction stays plain, apart from a number before it (three and a half is not 31 halves).
        """
        if _FRACTION.match(self.text, place + 1):
            apart = place == run and self.text[max(0, run - 1) : run].isdecimal()
            return f" {self.text[place]}" if apart else self.text[place]
        written = raised_behind(self.text[max(0, run - 4) : run], self.text[run : place + 1])
        return written if place == run else written[-1]

    def _lowered(self, place: int, start: int, end: int) -> str:
        """A lowered digit stays plain (``H2O``), unless another digit stands beside it (``log10 5`` set close)."""
        around = self.text[max(start, place - 1) : place] + self.text[place + 1 : min(end, place + 2)]
        return lower(self.text[place]) if any(c.isdecimal() for c in around) else self.text[place]

    def _measure(self, place: int) -> tuple[float, float, float] | None:
        """(height of the baseline, size, place across) of a character."""
        index = self._index(place)
        if index is None:
            return None
        x, y = self._origin(index)
        return y, self._size(index), x

    def _edges(self, place: int) -> tuple[float, float] | None:
        """Left and right edge of a character."""
        index = self._index(place)
        return None if index is None else self._box(index)

    def _neighbour(self, place: int, step: int) -> tuple[float, float, float] | None:
        """The next character on the same line, over one space."""
        place += step
        if self.text[place : place + 1] == " ":
            place += step
        character = self.text[place : place + 1]
        return self._measure(place) if place >= 0 and character and not character.isspace() else None

    @staticmethod
    def _even(measured: Sequence[tuple[float, float, float] | None]) -> bool:
        known = [one for one in measured if one is not None]
        return len({(round(y, 1), round(size, 1)) for y, size, _ in known}) < 2

    def _goes_on(self, mark: tuple[float, float, float], base: tuple[float, float, float], place: int) -> bool:
        """Whether what PDFium put on a new line stands after the mark on the same line."""
        place += self.text[place : place + 1] == " "
        following = self._measure(place)
        if following is None:
            return False
        return abs(following[0] - base[0]) < 0.1 * base[1] and following[2] > mark[2]


def _run_end(first: _Spot, line: Sequence[_Spot], fields: Sequence[Field]) -> int:
    """Where the words end that follow ``first`` on its line without a wide gap, or a field, between."""
    last = first
    for one in sorted((one for one in line if one.left > first.left), key=lambda one: one.left):
        if one.left - last.right > _LABEL_GAP * one.size or any(last.right - 1 <= f.left <= one.left for f in fields):
            break
        last = one
    return last.end


def _characters(textpage: Any) -> tuple[str, list[int] | None]:
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


def _with_code(words: Sequence[Word], spans: Sequence[tuple[int, int]]) -> list[Word]:
    """The words, those inside ``spans`` marked as code; where nearly all are, the page is typewritten and none is."""
    starts = [start for start, _ in spans]

    def inside(word: Word) -> bool:
        place = bisect.bisect_right(starts, word.start) - 1
        return place >= 0 and word.start < spans[place][1]

    code = [inside(word) for word in words] if spans else []
    if sum(code) > _TYPEWRITTEN * len(words):
        return list(words)
    return (
        [replace(word, code=True) if mark else word for word, mark in zip(words, code, strict=True)]
        if spans
        else list(words)
    )


def _rise(mark: tuple[float, float, float], base: tuple[float, float, float]) -> int:
    """1 for a small character above the baseline of its neighbour, -1 for one below, 0 for one on it."""
    if base[1] <= 0 or mark[1] > _SMALL * base[1]:
        return 0
    height = (mark[0] - base[0]) / base[1]
    return 1 if 1 > height >= _RAISED else -1 if -1 < height <= _LOWERED else 0


def _inside(spans: Sequence[tuple[int, int]], start: int, end: int) -> bool:
    """Whether every word of ``[start, end)`` is among the (few) ``spans``."""
    return bool(spans) and any(a <= start and end <= b for a, b in spans)


def _gaps(spans: Sequence[tuple[int, int]], length: int) -> Iterator[tuple[int, int]]:
    """What ``spans`` leave of ``[0, length)``."""
    start = 0
    for a, b in spans:
        yield start, a
        start = b
    yield start, length


def _apply(text: str, edits: Sequence[_Edit], spans: Sequence[tuple[int, int]]) -> str:
    """``spans`` of the text with the edits made; what takes a character's place has its mark."""
    parts = list[str]()
    ordered = sorted(edits, key=lambda edit: (edit.start, edit.end))
    for start, end in spans:
        position = start
        for edit in ordered:
            if edit.start < position:
                continue
            parts += [text[position : edit.start], _replacing(text[edit.start : edit.end], edit.text)]
            position = edit.end
        parts.append(text[position:end])
    return joined("", filter(None, parts))


def _replacing(before: str, text: str) -> str:
    """The text of an edit, with the marks of what it replaces."""
    if isinstance(text, Traced) or not before or not text:
        return text
    return Traced(text, aligned(before, marks_of(before), text))
