"""Words and drawn lines of a page with their places, as the page is shown: x to the right, y downwards, in points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Box:
    """A rectangle on the page as shown; ``top`` is less than ``bottom``."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        return self.right - self.left

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        """Half-way down."""
        return (self.top + self.bottom) / 2

    @property
    def centre(self) -> float:
        """Half-way across."""
        return (self.left + self.right) / 2

    def holds(self, x: float, y: float, slack: float = 0.0) -> bool:
        """Whether the point lies inside, or at most ``slack`` outside."""
        across = self.left - slack <= x <= self.right + slack
        return across and self.top - slack <= y <= self.bottom + slack


@dataclass(frozen=True, eq=False)
class Word(Box):
    """A run of characters without white space; equal to itself only, so that words in sets are quick.

    Attributes:
        base: height of the baseline.
        size: of the font, in points.
        start: position of its first character in the page's raw text.
        end: one past its last.
        text: the characters.
        code: whether it stands on a line in a fixed-pitch font, as programs are printed.
    """

    base: float
    size: float
    start: int
    end: int
    text: str
    code: bool = False


@dataclass(frozen=True)
class Rule:
    """A straight drawn line, or the edge of a filled area: along x when ``level``, else along y.

    Attributes:
        level: whether it runs across.
        place: its y if level, else its x.
        start: where it begins along its direction.
        end: where it ends.
    """

    level: bool
    place: float
    start: float
    end: float


def around(boxes: Sequence[Box]) -> Box:
    """The smallest box around all of ``boxes`` (at least one)."""
    if len(boxes) == 1:
        return boxes[0]
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )
