"""What is done to an answer between the model and the reader, piece by piece as it is written."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from sharedllm_docs.retrieval.answer import Citation

T = TypeVar("T")


class Editor:
    """Takes an answer piece by piece and gives it back as it is shown; what it gave back does not change any more.

    This one changes nothing.

    Attributes:
        text: the answer so far.
        citations: the passages that marks in ``text`` name.
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
