"""Edits an answer between the model and the user, piece by piece while it is generated."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from sharedllm_docs.retrieval.answer import Citation

T = TypeVar("T")


class Editor:
    """Takes an answer piece by piece and returns what is to be shown; what it has returned never changes afterwards.

    This class changes nothing.

    Attributes:
        text: the answer so far.
        citations: the passages that the marks in ``text`` refer to.
        marks: (start, end, n) of each mark in ``text``, which stands for ``citations[n - 1]``.
    """

    def __init__(self) -> None:
        self.text = ""
        self.citations: list[Citation] = []
        self.marks: list[tuple[int, int, int]] = []

    def add(self, piece: str) -> str:
        """Take a piece; returns what can be shown now."""
        self.text += piece
        return piece

    def finish(self) -> str:
        """The rest of the answer."""
        return ""

    def through(self, pieces: Generator[str, None, T]) -> Generator[str, None, T]:
        """The pieces of an answer, edited."""
        while True:
            try:
                piece = self.add(next(pieces))
            except StopIteration as end:
                if rest := self.finish():
                    yield rest
                result: T = end.value
                return result
            if piece:
                yield piece
