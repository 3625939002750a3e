"""Marks in an answer of several sentences: after each sentence, the number of the passage that supports it."""

from __future__ import annotations

import re

from sharedllm_docs.documents.sentences import item_spans, without_label
from sharedllm_docs.retrieval.cite import support, supports
from sharedllm_docs.retrieval.editing import Editor
from sharedllm_docs.retrieval.searcher import Selection

_OWN = r"\[\d+(?:\s*,\s*\d+)*\]"
_BEHIND = re.compile(rf"(?<=[.!?])(?:[ \t]*{_OWN})+")
_BEFORE_END = re.compile(rf"(?:\s+{_OWN})+(?=[.!?]*$)")
_BEFORE = re.compile(rf"(?:{_OWN}\s*)+")


class Marker(Editor):
    """Takes an answer piece by piece and gives it back sentence by sentence, with marks: ``It grew by 5 %. [1]``.

    The model is not asked to write them, as small ones number at random: each sentence is compared with the injected
    passages, and marks of the model's own at the ends of sentences are left out. A sentence that no passage bears out
    has no mark, nor has the number or bullet of a list item, which is no sentence.

    Args:
        selection: the injected nodes.
        limit: maximum number of passages.

    Attributes:
        citations: the passages so far, as they are first named; mark ``[n]`` stands for ``citations[n - 1]``.
        text: the marked answer so far.
        marks: (start, end, n) of each mark in ``text``.
    """

    def __init__(self, selection: Selection, limit: int) -> None:
        super().__init__()
        self._selection = selection
        self._limit = limit
        self._held = ""
        self._gap = ""

    def add(self, piece: str) -> str:
        """Take a piece; returns the sentences that are complete, with their marks."""
        self._held = _BEHIND.sub("", self._held + piece)
        spans = item_spans(self._held)
        if len(spans) < 2:
            return ""
        cut = spans[-1][0]
        done, self._held = self._held[:cut], self._held[cut:]
        return self._marked(done)

    def finish(self) -> str:
        """The rest of the answer, with its mark."""
        done, self._held = self._held, ""
        return self._marked(done)

    def _marked(self, text: str) -> str:
        before, position = len(self.text), 0
        for start, end in item_spans(f"{text}\n"):
            self._gap = self._gap or text[position:start]
            position = end
            sentence = self._own_marks_left_out(text[start:end])
            if sentence:
                self.text += self._gap + sentence
                self._gap = ""
                self._mark(sentence)
        self._gap = self._gap or text[position:]
        return self.text[before:]

    def _own_marks_left_out(self, sentence: str) -> str:
        """A sentence without the numbers in brackets that the model put at its end, or behind the one before.

        At the beginning of a line they are the text's own: so R prints results.
        """
        if self.text and "\n" not in self._gap:
            sentence = sentence[found.end() :] if (found := _BEFORE.match(sentence)) else sentence
        return _BEFORE_END.sub("", sentence)

    def _mark(self, sentence: str) -> None:
        """Put the mark of the passage that bears out a sentence behind it, if there is one."""
        number = self._number(sentence)
        if number:
            start = len(self.text) + 1
            self.text += f" [{number}]"
            self.marks.append((start, len(self.text), number))

    def _number(self, sentence: str) -> int:
        """Number of the passage that bears out a sentence, 0 for none; no new one beyond the limit."""
        sentence = without_label(sentence)
        passage = support(self._selection, sentence)
        if passage is None:
            return 0
        places = [(one.document_key, one.char_start, one.char_end) for one in self.citations]
        place = (passage.document_key, passage.char_start, passage.char_end)
        if place in places:
            return places.index(place) + 1
        if len(places) < self._limit:
            self.citations.append(passage)
            return len(self.citations)
        return next((n for n, one in enumerate(self.citations, start=1) if supports(one.quote, sentence)), 0)
