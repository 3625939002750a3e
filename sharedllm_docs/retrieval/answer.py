"""What comes back from a question: the answer, the pages it stands on, timings and counts. Pure data and text."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from sharedllm_docs.documents.sentences import sentence_spans

NOT_SAID = "The document does not say."


@dataclass(frozen=True)
class Citation:
    """A passage of an injected node.

    Attributes:
        document: name of the document.
        document_key: its key in the index.
        page: 1-based page on which the quote begins.
        page_label: printed page label, "" where the document has none.
        char_start: first character of the quote in the document's canonical text.
        char_end: one past its last.
        quote: that text, white space folded.
        section: title of the section it stands in, or "".
        score: relevance of the passage to the question, 0 .. 1, higher is better.
        chunk: index of its chunk in the document.
        level: level of the injected node in the chunk's tree.
        node: index of the node in its level.
    """

    document: str
    document_key: str
    page: int
    page_label: str
    char_start: int
    char_end: int
    quote: str
    section: str
    score: float
    chunk: int
    level: int
    node: int

    def __str__(self) -> str:
        return f'{self.document}, page {self.page}: "{self.quote}"'


@dataclass(frozen=True)
class Timings:
    """Seconds, from the call on.

    Attributes:
        select: finding candidates and choosing branches.
        load: reading, checking and rotating the stored rows.
        first_token: until the first token of the answer was known.
        total: until the answer was complete.
    """

    select: float = 0.0
    load: float = 0.0
    first_token: float = 0.0
    total: float = 0.0


@dataclass(frozen=True)
class Counts:
    """How much was touched.

    Attributes:
        documents: searched.
        chunks: in them.
        nodes: injected.
        rows: keys (and values) injected a layer.
        bytes_read: read from the store for this question.
        question_tokens: fed behind the rows, evidence included.
        answer_tokens: generated.
    """

    documents: int = 0
    chunks: int = 0
    nodes: int = 0
    rows: int = 0
    bytes_read: int = 0
    question_tokens: int = 0
    answer_tokens: int = 0


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        question: as asked.
        text: the answer.
        citations: best first, out of the nodes that were injected; empty when ``found`` is False.
        found: False when nothing in the documents was relevant enough and the model was not asked, or when it answered
            that the document does not say.
        nearest: when ``found`` is False the passages nearest to the question, best first: where a reader who doubts
            that may look. The answer does not stand on them.
        relevance: of the best leaf, 0 .. 1 (compare ``RetrievalConfig.relevance_floor``).
        finish_reason: ``stop``, ``length`` or ``not-found``.
        timings: see ``Timings``.
        counts: see ``Counts``.
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

    def __str__(self) -> str:
        return self.text

    @property
    def pages(self) -> tuple[int, ...]:
        """Pages cited, best first, each once."""
        return tuple(dict.fromkeys(citation.page for citation in self.citations))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)


_WORD = re.compile(r"\w+")


def words(text: str) -> set[str]:
    """Lower-case words, for counting overlap."""
    return {word.lower() for word in _WORD.findall(text)}


def best_quote(text: str, question: str, answer: str, *, limit: int = 240) -> tuple[int, int, float]:
    """The part of ``text`` to quote: the sentence that shares most words with the question and, twice, the answer.

    Args:
        text: of an injected node.
        question: the user's words.
        answer: the generated text.
        limit: most characters; a longer sentence is cut at a word around its first shared word, a short one is
            extended by the sentences that follow.

    Returns:
        start, end (in ``text``) and the share of the words of question and answer that it holds (0 .. 1).
    """
    spans = sentence_spans(text)
    if not spans:
        return 0, len(text), 0.0
    wanted = _weights(question, answer)
    scored = [(_overlap(text[a:b], wanted), -index) for index, (a, b) in enumerate(spans)]
    score, negative = max(scored)
    index = -negative
    start, end = spans[index]
    while index + 1 < len(spans) and spans[index + 1][1] - start <= limit:
        index += 1
        end = spans[index][1]
    if end - start > limit:
        start, end = _cut(text, start, end, wanted, limit)
    return start, end, score


def _weights(question: str, answer: str) -> dict[str, float]:
    weights = {word: 1.0 for word in words(question) if len(word) > 2}
    for word in words(answer):
        if len(word) > 1 or word.isdigit():
            weights[word] = weights.get(word, 0.0) + 2.0
    return weights


def _overlap(text: str, wanted: dict[str, float]) -> float:
    total = sum(wanted.values())
    return sum(wanted.get(word, 0.0) for word in words(text)) / total if total else 0.0


def _cut(text: str, start: int, end: int, wanted: dict[str, float], limit: int) -> tuple[int, int]:
    first = next((m.start() for m in _WORD.finditer(text, start, end) if m.group().lower() in wanted), start)
    begin = max(start, min(first - limit // 3, end - limit))
    if begin > start:
        space = text.find(" ", begin, first)
        begin = space + 1 if space >= 0 else begin
    stop = min(end, begin + limit)
    if stop < end:
        space = text.rfind(" ", begin, stop)
        stop = space if space > begin else stop
    return begin, stop


def fold(text: str) -> str:
    """White space folded into single blanks."""
    return " ".join(text.split())
