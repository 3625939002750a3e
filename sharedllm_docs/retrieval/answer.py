"""The answer to a question: text, citations, timings and counts; and the choice of a quote."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any

from sharedllm_docs.documents.sentences import sentence_spans

NOT_SAID = "The document does not say."


@dataclass(frozen=True)
class Citation:
    """A quoted passage of an injected node.

    Attributes:
        document: name of the document.
        document_key: its key in the index.
        page: 1-based page on which the quote begins.
        page_label: printed label of that page, or "".
        char_start: first character of the quote in the document's canonical text.
        char_end: one past its last character.
        quote: the quoted text, white space folded.
        section: title of its section, or "".
        score: relevance of the passage to the question, 0 to 1.
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
    """Seconds since the call.

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
    """Amounts of work for one question.

    Attributes:
        documents: number of documents searched.
        chunks: number of their chunks.
        nodes: number of nodes injected.
        rows: number of rows injected per layer.
        bytes_read: bytes read from the store.
        question_tokens: tokens fed after the rows, evidence included.
        answer_tokens: tokens generated.
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
        citations: passages of the injected nodes, best first; empty when ``found`` is False.
        found: False if nothing in the documents was relevant enough to ask the model, or if the model answered that
            the document does not say.
        nearest: when ``found`` is False, the passages nearest to the question, best first, for a reader who wants to
            look for themselves. The answer does not rest on them.
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

    def __str__(self) -> str:
        return self.text

    @property
    def pages(self) -> tuple[int, ...]:
        """Numbers of the cited pages, best first, each once."""
        return tuple(dict.fromkeys(citation.page for citation in self.citations))

    def to_dict(self) -> dict[str, Any]:
        """The answer as JSON-ready values."""
        return asdict(self)


_WORD = re.compile(r"\w+")


def words(text: str) -> set[str]:
    """The set of lower-case words of a text."""
    return {word.lower() for word in _WORD.findall(text)}


def best_quote(text: str, question: str, answer: str, *, limit: int = 240) -> tuple[int, int, float]:
    """The part of ``text`` to quote: the sentence that shares the most words with question and answer.

    Words of the answer count twice.

    Args:
        text: text of an injected node.
        question: in words.
        answer: the generated text.
        limit: maximum number of characters; a longer sentence is cut at a word around its first shared word, a shorter
            one is extended by the sentences that follow.

    Returns:
        start and end in ``text``, and the share of the words of question and answer that the part holds (0 to 1).
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
    """The text with every run of white space replaced by one space."""
    return " ".join(text.split())
