"""``Box``: a rectangle on a page. In a module that loads nothing, since commands that only print answers need it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Box:
    """A rectangle on a page.

    Attributes:
        page: 1-based number of the page in the source.
        left: smallest x, in PDF points (see ``documents/boxes``).
        bottom: smallest y.
        right: largest x.
        top: largest y.
    """

    page: int
    left: float
    bottom: float
    right: float
    top: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.top - self.bottom
