"""The answer to a question: text, citations, timings and counts; and the choice of a quote."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharedllm_docs.documents.box import Box

NOT_SAID = "The document does not say."


@dataclass(frozen=True)
class Citation:
    """A sentence or line quoted from an injected node, whole even where the node ends inside it.

    Attributes:
        document: name of the document.
        document_key: its key in the index.
        page: 1-based page on which the quote begins.
        last_page: 1-based page on which it ends; the same as ``page`` unless the sentence runs over a page break.
        page_label: printed label of that page, or "".
        char_start: first character of the quote in the document's canonical text.
        char_end: one past its last character.
        quote: the quoted text with white space folded; in a table row each value after its header, as in the text,
            although the page prints the header only once.
        section: title of its section, or "".
        score: relevance of the passage to the question, 0 to 1.
        chunk: index of its chunk in the document.
        level: level of the injected node in the chunk's tree.
        node: index of the node in its level.
        section_path: titles of its section and of those around it, outermost first.
        page_word: what the document's pages are: ``page``, ``slide``, ``sheet``; "" where its format has none.
        boxes: where the quote stands: rectangles in PDF points, one for each line, also across a page break. Empty if
            the format has no pages, or the document was read by an earlier version (``DocumentInfo.boxes``).
    """

    document: str
    document_key: str
    page: int
    last_page: int
    page_label: str
    char_start: int
    char_end: int
    quote: str
    section: str
    score: float
    chunk: int
    level: int
    node: int
    section_path: tuple[str, ...] = ()
    page_word: str = "page"
    boxes: tuple[Box, ...] = ()

    @property
    def place(self) -> str:
        """Where to look: ``page 7``, ``pages 7-8``, ``slide 3``, ``sheet 2 "Costs"``, or the path of its section."""
        if not self.page_word:
            return " > ".join(self.section_path) or "the beginning"
        if self.last_page != self.page:
            return f"{self.page_word}s {self.page}-{self.last_page}"
        named = f' "{self.page_label}"' if self.page_word == "sheet" and self.page_label else ""
        return f"{self.page_word} {self.page}{named}"

    def __str__(self) -> str:
        return f'{self.document}, {self.place}: "{self.quote}"'


@dataclass(frozen=True)
class Timings:
    """Seconds since the call.

    Attributes:
        select: finding candidates and choosing branches.
        load: reading, checking and rotating the stored rows.
        first_token: until the first token of the answer was known.
        total: until the answer was complete.
        encode: encoding and storing chunks that were not read yet; 0 for a document that is completely read.
    """

    select: float = 0.0
    load: float = 0.0
    first_token: float = 0.0
    total: float = 0.0
    encode: float = 0.0


@dataclass(frozen=True)
class Counts:
    """Amounts of work for one question.

    Attributes:
        documents: number of documents searched.
        chunks: number of their chunks.
        nodes: number of nodes injected.
        rows: number of rows injected per layer.
        bytes_read: bytes read from the store.
        question_tokens: tokens fed after the rows, evidence included.
        answer_tokens: tokens generated.
        chunks_encoded: number of chunks that were not read yet and were encoded for this question.
        grains: number of rows injected at each grain.
    """

    documents: int = 0
    chunks: int = 0
    nodes: int = 0
    rows: int = 0
    bytes_read: int = 0
    question_tokens: int = 0
    answer_tokens: int = 0
    chunks_encoded: int = 0
    grains: Mapping[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: as asked.
        text: the answer; "The document does not say." where ``found`` is False.
        citations: passages of the injected nodes, best first; empty when ``found`` is False.
        found: False if the documents do not say it: nothing in them was relevant enough to ask the model, the model
            said so, or ``confidence`` is below the model's threshold (``RetrievalConfig.min_confidence``).
        nearest: when ``found`` is False, the passages nearest to the question, best first, for readers who want to
            look for themselves. The answer is not based on them.
        confidence: how sure it is that the documents answer the question and that the answer is based on them, 0 to 1.
            Fitted on questions of which four in five had an answer. None for a summary, which answers no question.
        draft: what the model wrote, if the confidence was too low to give it as the answer; otherwise "".
        marks: (start, end, number) of each mark in ``text``, in the style ``full``: ``[2]`` stands for the second of
            ``citations``. Other numbers in brackets belong to the text itself.
        documents: names of the documents that the answer is based on; empty when ``found`` is False.
        alike: names of other documents that fit the question as well, best first: the question may have meant one of
            them. Empty when ``found`` is False.
        relevance: relevance of the best leaf, 0 to 1 (compare ``RetrievalConfig.relevance_floor``).
        finish_reason: ``stop``, ``length`` or ``not-found``.
        timings: seconds of each step.
        counts: amounts of work.
    """

    question: str
    text: str
    citations: tuple[Citation, ...] = ()
    found: bool = True
    relevance: float = 0.0
    finish_reason: str = "stop"
    timings: Timings = field(default_factory=Timings)
    counts: Counts = field(default_factory=Counts)
    nearest: tuple[Citation, ...] = ()
    confidence: float | None = 1.0
    draft: str = ""
    marks: tuple[tuple[int, int, int], ...] = ()
    documents: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.text

    @property
    def pages(self) -> tuple[int, ...]:
        """Numbers of the cited pages, best first, each once; a quote across a page break cites both pages."""
        cited = (range(citation.page, citation.last_page + 1) for citation in self.citations)
        return tuple(dict.fromkeys(page for pages in cited for page in pages))

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON-ready values."""
        return asdict(self)


_WORD = re.compile(r"\w+")
_SPACE = re.compile(r"\s+")
_TOGETHER = 3
"""Maximum number of neighbouring sentences or lines in one quote."""


def words(text: str) -> set[str]:
    """The set of lower-case words of a text, styled and joined letters as plain ones.

    A run of a script without spaces counts as the pairs of its neighbouring characters.
    """
    from sharedllm_docs.documents.folding import fold_forms
    from sharedllm_docs.documents.terms import word_pieces

    folded = fold_forms(text)
    found = _WORD.findall(folded)
    if folded.isascii():
        return {word.lower() for word in found}
    return {piece for word in found for piece in word_pieces(word.casefold())}


@dataclass(frozen=True)
class Quote:
    """A part of a text to quote.

    Attributes:
        start: its first character.
        end: one past its last character.
        overlap: share of the words of question and answer that it contains, with words of the answer counted twice; 0
            to 1.
        answers: whether it contains every word of the answer.
    """

    start: int
    end: int
    overlap: float
    answers: bool


def best_quote(
    text: str, question: str, answer: str, *, spans: Sequence[tuple[int, int]] | None = None, limit: int = 240
) -> Quote:
    """The part of ``text`` to quote: the shortest complete sentence or line that contains the words of the answer.

    Of several, the one that shares most words with the question. If no single one contains the whole answer: up to
    ``_TOGETHER`` neighbours that do, or else the one that shares most words with question and answer.

    Args:
        text: that was injected, with the text around it.
        question: in words.
        answer: the generated text.
        spans: (start, end) of the parts to choose from, in order; by default the quotable parts of the whole text.
        limit: maximum number of characters; a longer part is cut at words around the first word it shares.
    """
    if spans is None:
        from sharedllm_docs.documents.sentences import quotable_spans

        spans = quotable_spans(text)
    if not spans:
        return Quote(0, len(text), 0.0, False)
    wanted, said = _weights(question, answer), _answer_words(answer)
    found = [words(text[a:b]) for a, b in spans]
    shares = [_overlap(one, wanted) for one in found]
    whole = [i for i, one in enumerate(found) if said and said <= one]
    if whole:
        best = max(whole, key=lambda i: (shares[i], spans[i][0] - spans[i][1]))
        start, end = spans[best]
    else:
        best = max(range(len(spans)), key=lambda i: (shares[i], -i))
        start, end = spans[best]
        if said & found[best]:
            start, end = _together(spans, found, best, said, limit)
    if end - start > limit:
        start, end = _cut(text, start, end, said & words(text[start:end]) or wanted.keys(), limit)
    held = words(text[start:end])
    return Quote(start, end, _overlap(held, wanted), bool(said) and said <= held)


def _together(
    spans: Sequence[tuple[int, int]], found: Sequence[set[str]], best: int, said: set[str], limit: int
) -> tuple[int, int]:
    """The shortest run of neighbours around ``best`` that contains the whole answer, or ``best`` alone."""
    runs = [
        (spans[first][0], spans[last][1])
        for first in range(max(0, best - _TOGETHER + 1), best + 1)
        for last in range(best, min(len(spans), first + _TOGETHER))
        if said <= set[str]().union(*found[first : last + 1])
    ]
    fitting = [(a, b) for a, b in runs if b - a <= limit]
    return min(fitting, key=lambda run: run[1] - run[0], default=spans[best])


def holds_answer(quote: str, answer: str) -> bool:
    """Whether a quote contains every significant word of an answer."""
    said = _answer_words(answer)
    return bool(said) and said <= words(quote)


def _answer_words(answer: str) -> set[str]:
    """The words that a quote must contain to support the answer; stop words only if there are no others."""
    said = words(answer)
    return {word for word in said if len(word) > 2 or any(map(str.isdigit, word))} or said


def _weights(question: str, answer: str) -> dict[str, float]:
    weights = {word: 1.0 for word in words(question) if len(word) > 2}
    for word in words(answer):
        if len(word) > 1 or word.isdigit():
            weights[word] = weights.get(word, 0.0) + 2.0
    return weights


def _overlap(held: set[str], wanted: dict[str, float]) -> float:
    total = sum(wanted.values())
    return sum(wanted.get(word, 0.0) for word in held) / total if total else 0.0


def _cut(text: str, start: int, end: int, wanted: Collection[str], limit: int) -> tuple[int, int]:
    """At most ``limit`` characters of ``[start, end)`` around the first wanted word, cut between words."""
    first = next((m.start() for m in _WORD.finditer(text, start, end) if words(m.group()) & set(wanted)), start)
    begin = max(start, min(first - limit // 3, end - limit))
    if begin > start and not text[begin - 1].isspace():
        gap = _SPACE.search(text, begin, first)
        begin = gap.end() if gap else begin
    stop = min(end, begin + limit)
    if stop < end and not text[stop].isspace():
        gaps = [m.start() for m in _SPACE.finditer(text, begin + 1, stop)]
        stop = gaps[-1] if gaps else stop
    return begin, begin + len(text[begin:stop].rstrip()) or stop


def fold(text: str) -> str:
    """The text with every run of white space replaced by one space."""
    return " ".join(text.split())
