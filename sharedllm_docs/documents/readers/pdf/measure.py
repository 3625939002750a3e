"""Places of words and drawn lines on a page, from PDFium, rotated as the page is shown. Its lock must be held."""

from __future__ import annotations

import ctypes
import itertools
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pypdfium2.raw as pdfium_c

from sharedllm_docs.documents.boxes import LEVEL, UPRIGHT
from sharedllm_docs.documents.readers.pdf.layout.boxes import Rule, Word
from sharedllm_docs.documents.readers.placing import Spots

MAX_CHARACTERS = 40_000
"""A page with more is left as PDFium returns it, which bounds the work on hostile files."""
_MAX_OBJECTS, _MAX_SEGMENTS = 8_000, 30_000  # of drawings: plots and maps contain more, tables do not
_THIN = 2.5  # points: a filled area no thicker is a line
_SHORT = 4.0  # points: shorter strokes are parts of signs
_ASCENT, _DESCENT = 0.74, 0.21  # of the font size: the height of a line, whatever the font claims
_ABOVE, _BELOW = 0.8, 0.24  # of the font size: how far boxes reach above and below the baseline
_ASKEW = 0.05  # quarter turns: text set further askew has the boxes of its characters
_SPLIT = 0.9  # of the font size: a gap inside a word that PDFium did not see
_LONGEST = 200  # characters of a word whose inside is looked at
_SOFT_BREAK = "\ufffe"
_WORD = re.compile(r"\S+")

_CharBox = tuple[int, float, float, float, float]
"""PDFium's number of a character; its left, bottom, right and top in PDF units."""
_Raw = tuple[int, int, float, float, float, float, float, float, float]
"""Start and end of a word in the text, its size, left, bottom, right, top, and the origin of its first character."""
Turn = Callable[[float, float], tuple[float, float]]


def turned(rotation: int, bounds: tuple[float, float, float, float]) -> Turn:
    """From PDF units to the page as shown after ``rotation`` quarter turns clockwise, (0, 0) at the upper left."""
    left, bottom, right, top = bounds
    turns: dict[int, Turn] = {
        0: lambda x, y: (x - left, top - y),
        1: lambda x, y: (y - bottom, x - left),
        2: lambda x, y: (right - x, y - bottom),
        3: lambda x, y: (top - y, right - x),
    }
    return turns[rotation % 4]


class Measured:
    """Words and rules of one page.

    Args:
        page: of pypdfium2.
        handle: of its text page.
        text: the page text.
        index_of: number of the character at a position of the text, or None.
        bounds: left, bottom, right, top of what is shown.
    """

    def __init__(
        self,
        page: Any,
        handle: Any,
        text: str,
        index_of: Callable[[int], int | None],
        bounds: tuple[float, float, float, float],
    ) -> None:
        self._page, self._handle, self._text, self._index_of = page, handle, text, index_of
        rotation = int(pdfium_c.FPDFPage_GetRotation(page.raw))
        self._turn = turned(rotation, bounds)
        self._box = pdfium_c.FS_RECTF()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()
        raw = list(self._measured_words())
        upright = Counter(angle for angle, _ in raw)
        # what most words call upright is upright: text set sideways on a page that is not turned
        angle = max(upright, key=lambda one: upright[one], default=0)
        if angle != rotation % 4 and upright[angle] > 0.6 * len(raw):
            self._turn = turned(angle, bounds)
        else:
            angle = rotation % 4
        across, down = bounds[2] - bounds[0], bounds[3] - bounds[1]
        self.height = across if angle % 2 else down
        self.words = [self._placed(measured) for own, measured in raw if own == angle]
        self.sideways = [(measured[0], measured[1]) for own, measured in raw if own != angle]

    # -- words

    def _measured_words(self) -> Iterator[tuple[int, _Raw]]:
        """(quarter turns that make it upright, what was measured) of each word."""
        for match in _WORD.finditer(self._text):
            for start, end, first, last in self._parts(match.start(), match.end()):
                size, angle = self._size_and_angle(first[0])
                corners = (
                    min(first[1], last[1]),
                    min(first[2], last[2]),
                    max(first[3], last[3]),
                    max(first[4], last[4]),
                )
                pdfium_c.FPDFText_GetCharOrigin(self._handle, first[0], self._x, self._y)
                yield angle, (start, end, size, *corners, self._x.value, self._y.value)

    def _parts(self, start: int, end: int) -> Iterator[tuple[int, int, _CharBox, _CharBox]]:
        """A word divided at gaps that PDFium did not see, with the outermost characters of each part."""
        first, last = self._char(start), self._char(end - 1)
        broken = self._text.find(_SOFT_BREAK, start, end - 1)
        if broken >= 0:  # PDFium joins a word that a line end broke
            yield from self._parts(start, broken + 1)
            yield from self._parts(broken + 1, end)
            return
        if first and last:
            height = max(min(first[4] - first[2], first[3] - first[1]), 1.0)
            length = max(last[3] - first[1], first[3] - last[1], last[4] - first[2], first[4] - last[2])
            if length <= (end - start + 1) * height or end - start > _LONGEST:
                yield start, end, first, last
                return
        boxes = [(place, box) for place in range(start, min(end, start + _LONGEST)) if (box := self._char(place))]
        begin = 0
        for number in range(1, len(boxes)):
            box, before = boxes[number][1], boxes[number - 1][1]
            height = max(box[4] - box[2], box[3] - box[1], 1.0)
            gap = max(box[1] - before[3], before[1] - box[3], box[2] - before[4], before[2] - box[4])
            if gap > _SPLIT * height:
                yield boxes[begin][0], boxes[number][0], boxes[begin][1], before
                begin = number
        if boxes:
            yield boxes[begin][0], end, boxes[begin][1], boxes[-1][1]

    def _char(self, position: int) -> _CharBox | None:
        """The box of a character."""
        index = self._index_of(position)
        if index is None or not pdfium_c.FPDFText_GetLooseCharBox(self._handle, index, self._box):
            return None
        box = self._box
        return index, box.left, box.bottom, box.right, box.top

    def _size_and_angle(self, index: int) -> tuple[float, int]:
        """Font size as printed, and the quarter turns clockwise after which the character stands upright."""
        matrix = pdfium_c.FS_MATRIX()
        size = float(pdfium_c.FPDFText_GetFontSize(self._handle, index)) or 1.0
        if not pdfium_c.FPDFText_GetMatrix(self._handle, index, matrix):
            return size, 0
        angle = math.atan2(matrix.b, matrix.a)
        return size * (math.hypot(matrix.c, matrix.d) or 1.0), round(angle / (math.pi / 2)) % 4

    def _placed(self, measured: _Raw) -> Word:
        start, end, size, left, bottom, right, top, x, y = measured
        (x0, _y0), (x1, _y1) = self._turn(left, bottom), self._turn(right, top)
        base = self._turn(x, y)[1]
        return Word(
            left=min(x0, x1),
            top=base - _ASCENT * size,
            right=max(x0, x1),
            bottom=base + _DESCENT * size,
            base=base,
            size=size,
            start=start,
            end=end,
            text=self._text[start:end],
        )

    # -- rules

    def rules(self) -> list[Rule]:
        """Straight lines and edges of filled areas, drawn level or upright; none on pages with too many drawings."""
        found: list[Rule] = []
        fills: list[tuple[tuple[int, ...], tuple[float, float, float, float]]] = []
        if pdfium_c.FPDFPage_CountObjects(self._page.raw) > _MAX_OBJECTS:
            return found
        count = 0
        for item in self._page.get_objects(filter=(pdfium_c.FPDF_PAGEOBJ_PATH,), max_depth=4):
            segments = int(pdfium_c.FPDFPath_CountSegments(item.raw))
            count += segments + 1
            if count > _MAX_SEGMENTS:
                return []
            if segments <= 400:
                found.extend(self._rules_of(item, segments, fills))
        return [*found, *visible_edges(fills)]

    def _rules_of(
        self, item: Any, segments: int, fills: list[tuple[tuple[int, ...], tuple[float, float, float, float]]]
    ) -> Iterator[Rule]:
        """The rules of a path; an area that is filled and not outlined goes to ``fills``."""
        fill, stroke = ctypes.c_int(), ctypes.c_int()
        pdfium_c.FPDFPath_GetDrawMode(item.raw, fill, stroke)
        if not fill.value and not stroke.value:
            return
        points = [self._turn(x, y) for x, y in self._points(item, segments)]
        subpaths = self._subpaths(item, segments, points)
        for path in subpaths:
            xs, ys = [x for x, _ in path], [y for _, y in path]
            left, right, top, bottom = min(xs), max(xs), min(ys), max(ys)
            if right - left <= _THIN or bottom - top <= _THIN:
                if bottom - top <= right - left and right - left >= _SHORT:
                    yield Rule(True, (top + bottom) / 2, left, right)
                elif bottom - top >= _SHORT:
                    yield Rule(False, (left + right) / 2, top, bottom)
                continue
            if not stroke.value:
                fills.append((self._fill_colour(item), (left, top, right, bottom)))
                continue
            for (x0, y0), (x1, y1) in itertools.pairwise(path):
                if abs(y1 - y0) <= 0.5 and abs(x1 - x0) >= _SHORT:
                    yield Rule(True, (y0 + y1) / 2, min(x0, x1), max(x0, x1))
                elif abs(x1 - x0) <= 0.5 and abs(y1 - y0) >= _SHORT:
                    yield Rule(False, (x0 + x1) / 2, min(y0, y1), max(y0, y1))

    def _fill_colour(self, item: Any) -> tuple[int, ...]:
        parts = tuple(ctypes.c_uint() for _ in range(4))
        pdfium_c.FPDFPageObj_GetFillColor(item.raw, *parts)
        return tuple(part.value for part in parts)

    def _points(self, item: Any, segments: int) -> Iterator[tuple[float, float]]:
        x, y = ctypes.c_float(), ctypes.c_float()
        matrices = [item.get_matrix()]
        container = getattr(item, "container", None)
        while container is not None:
            matrices.append(container.get_matrix())
            container = getattr(container, "container", None)
        for number in range(segments):
            segment = pdfium_c.FPDFPath_GetPathSegment(item.raw, number)
            pdfium_c.FPDFPathSegment_GetPoint(segment, x, y)
            place = (x.value, y.value)
            for m in matrices:
                place = (m.a * place[0] + m.c * place[1] + m.e, m.b * place[0] + m.d * place[1] + m.f)
            yield place

    @staticmethod
    def _subpaths(item: Any, segments: int, points: list[tuple[float, float]]) -> list[list[tuple[float, float]]]:
        paths: list[list[tuple[float, float]]] = []
        for number in range(segments):
            segment = pdfium_c.FPDFPath_GetPathSegment(item.raw, number)
            kind = pdfium_c.FPDFPathSegment_GetType(segment)
            if kind == pdfium_c.FPDF_SEGMENT_MOVETO or not paths:
                paths.append([])
            if kind == pdfium_c.FPDF_SEGMENT_BEZIERTO:
                continue
            paths[-1].append(points[number])
            if pdfium_c.FPDFPathSegment_GetClose(segment) and len(paths[-1]) > 2:
                paths[-1].append(paths[-1][0])
        return [path for path in paths if len(path) > 1]


def visible_edges(fills: list[tuple[tuple[int, ...], tuple[float, float, float, float]]]) -> Iterator[Rule]:
    """The edges of filled areas (colour, box) that can be seen: not those between two areas of one colour."""
    inner: dict[tuple[tuple[int, ...], bool, int], list[tuple[float, float]]] = {}

    def edges(box: tuple[float, float, float, float]) -> Iterator[tuple[bool, float, float, float, int]]:
        left, top, right, bottom = box
        yield from ((True, top, left, right, 0), (True, bottom, left, right, 1))
        yield from ((False, left, top, bottom, 0), (False, right, top, bottom, 1))

    for colour, box in fills:
        for level, place, start, end, side in edges(box):
            # each edge is looked up from the other side, one step of rounding away at most
            for key in (round(place) - 1, round(place), round(place) + 1):
                inner.setdefault(((*colour, side), level, key), []).append((start, end))
    for colour, box in fills:
        for level, place, start, end, side in edges(box):
            beside = inner.get(((*colour, 1 - side), level, round(place)), [])
            if len(beside) > 200:
                continue
            covered = max((min(end, b) - max(start, a) for a, b in beside), default=0.0)
            if covered < 0.8 * (end - start):
                yield Rule(level, place, start, end)


Sides = tuple[float, float, float, float]
"""Left, bottom, right, top in PDF units."""


def clipped(sides: Sides, bounds: Sides) -> Sides | None:
    """The part of a rectangle that lies within ``bounds``; None where none does. Empty bounds do not clip."""
    left, bottom, right, top = sides
    if not (bounds[0] < bounds[2] and bounds[1] < bounds[3]):
        return sides
    if left >= bounds[2] or right <= bounds[0] or bottom >= bounds[3] or top <= bounds[1]:
        return None
    return max(left, bounds[0]), max(bottom, bounds[1]), min(right, bounds[2]), min(top, bounds[3])


class Extents:
    """Places of single characters of a page, in its own coordinates.

    Args:
        handle: of the text page.
        index_of: number of the character at a position of the text, or None.
        bounds: what is shown of the page.
    """

    def __init__(self, handle: Any, index_of: Callable[[int], int | None], bounds: Sides) -> None:
        self._handle, self._index_of, self._bounds = handle, index_of, bounds
        self._box, self._matrix = pdfium_c.FS_RECTF(), pdfium_c.FS_MATRIX()
        self._x, self._y = ctypes.c_double(), ctypes.c_double()

    def place(self, positions: Iterable[int], spots: Spots) -> dict[int, int]:
        """Put the rectangles of these characters of the text among the spots; returns their numbers there.

        Along the line, a rectangle is as wide as the printed character; across, it has the height of the font size,
        because the heights that fonts claim reach into other lines. Characters that are not drawn, or are outside the
        page, have none.
        """
        # looked up once: a page has thousands of characters
        handle, index_of, box, get = self._handle, self._index_of, self._box, pdfium_c.FPDFText_GetLooseCharBox
        numbers: dict[int, int] = {}
        low, high, direction = 0.0, 0.0, UPRIGHT
        claimed: tuple[float, float] | None = None
        for position in positions:
            index = index_of(position)
            if index is None or not get(handle, index, box):
                continue
            left, bottom, right, top = box.left, box.bottom, box.right, box.top
            if direction == UPRIGHT or claimed != (bottom, top):
                low, high, direction = self._measured(index)
                claimed = bottom, top
            sides = (left, low, right, high) if direction == LEVEL else (low, bottom, high, top)
            if (shown := clipped(sides, self._bounds)) is not None:
                numbers[position] = spots.add(*shown, direction)
        return numbers

    def _measured(self, index: int) -> tuple[float, float, int]:
        """Edges across the line, and its direction, of a character."""
        matrix, box = self._matrix, self._box
        size = float(pdfium_c.FPDFText_GetFontSize(self._handle, index)) or 1.0
        if not pdfium_c.FPDFText_GetMatrix(self._handle, index, matrix):
            return box.bottom, box.top, LEVEL
        size *= math.hypot(matrix.c, matrix.d) or 1.0
        turns = math.atan2(matrix.b, matrix.a) / (math.pi / 2)
        if abs(turns - round(turns)) > _ASKEW:
            return box.bottom, box.top, LEVEL
        pdfium_c.FPDFText_GetCharOrigin(self._handle, index, self._x, self._y)
        quarter = round(turns) % 4
        base, direction = (self._x.value, UPRIGHT) if quarter % 2 else (self._y.value, LEVEL)
        # where the type's upper edge points: mirrored text may stand on its head on a level line
        up = math.copysign(1.0, matrix.c if quarter % 2 else matrix.d)
        low, high = sorted((base - up * _BELOW * size, base + up * _ABOVE * size))
        return low, high, direction
