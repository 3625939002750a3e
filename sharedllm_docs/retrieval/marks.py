"""Marks in an answer of several sentences: behind each sentence the number of the passage that it stands on."""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeVar

from sharedllm_docs.documents.sentences import sentence_spans
from sharedllm_docs.retrieval.answer import Citation
from sharedllm_docs.retrieval.cite import support
from sharedllm_docs.retrieval.searcher import Selection

T = TypeVar("T")


class Marker:
    """Takes an answer piece by piece and gives it back sentence by sentence, with marks: ``It grew by 5 %. [1]``.

    The model is not asked to write them, as small ones number at random: each sentence is compared with the injected
    passages. A sentence that no passage bears out has no mark.

    Args:
        selection: the injected nodes.
        limit: maximum number of passages.

    Attributes:
        citations: the passages so far; mark ``[n]`` stands for ``citations[n - 1]``.
        text: the marked answer so far.
    """

    def __init__(self, selection: Selection, limit: int) -> None:
        self.citations: list[Citation] = []
        self.text = ""
        self._selection = selection
        self._limit = limit
        self._held = ""

    def add(self, piece: str) -> str:
        """Take a piece; returns the sentences that are complete, with their marks."""
        self._held += piece
        spans = sentence_spans(self._held)
        if len(spans) < 2:
            return ""
        cut = spans[-1][0]
        done, self._held = self._held[:cut], self._held[cut:]
        return self._marked(done)

    def finish(self) -> str:
        """The rest of the answer, with its mark."""
        done, self._held = self._held, ""
        return self._marked(done)

    def through(self, pieces: Generator[str, None, T]) -> Generator[str, None, T]:
        """The pieces of an answer, marked."""
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

    def _marked(self, text: str) -> str:
        made, position = "", 0
        for start, end in sentence_spans(text):
            made += text[position:end] + self._mark(text[start:end])
            position = end
        made += text[position:]
        self.text += made
        return made

    def _mark(self, sentence: str) -> str:
        passage = support(self._selection, sentence)
        if passage is None:
            return ""
        places = [(one.document_key, one.char_start, one.char_end) for one in self.citations]
        place = (passage.document_key, passage.char_start, passage.char_end)
        if place not in places:
            if len(places) >= self._limit:
                return ""
            places.append(place)
            self.citations.append(passage)
        return f" [{places.index(place) + 1}]"
