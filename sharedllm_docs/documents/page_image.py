"""A picture of a page as viewers show it, with the places of boxes on it. Knows nothing of what drew it."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from sharedllm_docs.documents.box import Box

MAX_PIXELS = 50_000_000
"""Largest picture that is drawn: 150 MB in memory."""


@dataclass(frozen=True)
class PageImage:
    """A page drawn as viewers show it: turned and cropped.

    Attributes:
        page: 1-based number of the page in the source.
        width: in pixels.
        height: in pixels.
        scale: pixels a point.
        rotation: degrees clockwise by which the page was turned: 0, 90, 180 or 270.
        shown: left, bottom, right, top of what is shown, in the page's own coordinates (those of ``Box``).
        rgb: red, green and blue, one byte each, row by row from the top.
    """

    page: int
    width: int
    height: int
    scale: float
    rotation: int
    shown: tuple[float, float, float, float]
    rgb: bytes

    def pixels(self, box: Box) -> tuple[float, float, float, float]:
        """Left, top, right, bottom of a box in pixels of this picture, from its upper left corner."""
        corners = (self._place(box.left, box.bottom), self._place(box.right, box.top))
        (x0, x1), (y0, y1) = (sorted(numbers) for numbers in zip(*corners, strict=True))
        return x0, y0, x1, y1

    def _place(self, x: float, y: float) -> tuple[float, float]:
        left, bottom, right, top = self.shown
        across, down = (x - left) / (right - left), (top - y) / (top - bottom)
        turns = {0: (across, down), 90: (1 - down, across), 180: (1 - across, 1 - down), 270: (down, 1 - across)}
        across, down = turns[self.rotation]
        return across * self.width, down * self.height

    def png(self) -> bytes:
        """The picture as a PNG file."""
        stride = 3 * self.width
        # each row behind filter 0
        rows = b"".join(b"\0" + self.rgb[row : row + stride] for row in range(0, stride * self.height, stride))
        head = struct.pack(">IIBBBBB", self.width, self.height, 8, 2, 0, 0, 0)
        body = _part(b"IHDR", head) + _part(b"IDAT", zlib.compress(rows, 6)) + _part(b"IEND", b"")
        return b"\x89PNG\r\n\x1a\n" + body


def _part(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
