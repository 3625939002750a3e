"""Evidence: text of the best injected leaves, quoted in the prompt.

Leaves end after a fixed number of tokens. If a leaf cuts the sentence that contains the question's words, the quoted
span is moved so that the sentence is complete. Table rows are found one by one: a leaf contains several, of which a
question needs one, and all of them share the words of the headers.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sharedllm_docs.documents.folding import fold_forms
from sharedllm_docs.documents.sentences import cut_by
from sharedllm_docs.documents.terms import terms
from sharedllm_docs.retrieval.prepared import PreparedDocument
from sharedllm_docs.retrieval.searcher import Selection
from sharedllm_docs.retrieval.selection import SelectedNode


@dataclass(frozen=True)
class Quoted:
    """A quoted span of a document.

    Attributes:
        document: index of the document in the selection.
        start: first token, counted in the document.
        end: one past the last token.
        char_start: first character in the canonical text.
        char_end: one past the last character.
    """

    document: int
    start: int
    end: int
    char_start: int
    char_end: int


def quoted(selection: Selection, question: str, tokens: int) -> list[Quoted]:
    """Spans of the selected nodes to quote, best first, up to ``tokens`` tokens in all.

    The table row that contains most of the question's words comes first, if there is one. The span of the best node is
    moved to complete sentences, by at most half its length; no token is quoted twice.
    """
    if tokens < 1:
        return []
    row = _best_row(selection, frozenset(terms(question)), tokens)
    found = [row] if row is not None else []
    for node in sorted(selection.nodes, key=lambda one: -one.score):
        left = tokens - sum(one.end - one.start for one in found)
        if left <= 0:
            break
        document = selection.documents[node.document]
        start, end = _tokens_of(document, node)
        if len(found) == (row is not None):
            start, end = _moved(document, start, min(end, start + left), question)
        for one in found:
            if one.document == node.document and one.start < end and start < one.end:
                start, end = (one.end, end) if one.start <= start else (start, one.start)
        if start < end:
            end = min(end, start + left)
            found.append(Quoted(node.document, start, end, *document.tokens.char_span(start, end)))
    return found


def quoted_row(selection: Selection, question: str, tokens: int) -> list[Quoted]:
    """The table row that fits the question's words best, if any does; at most so many tokens of it.

    To a model that reads keys and values, the numbers of a table look alike; with the text of the row it finds the
    right one (docs/log.md, questions about cells).
    """
    row = _best_row(selection, frozenset(terms(question)), tokens)
    return [row] if row is not None else []


def evidence_text(selection: Selection, quotes: Sequence[Quoted]) -> str:
    """The text of the quoted spans as the model reads it, separated by empty lines."""
    texts = (
        fold_forms(selection.documents[one.document].document.text[one.char_start : one.char_end]) for one in quotes
    )
    return "\n\n".join(text.strip() for text in texts)


_HELD = 0.5
"""Share of the question's words, weighted by rarity, that a row must contain to be quoted by itself."""


def _best_row(selection: Selection, wanted: frozenset[str], tokens: int) -> Quoted | None:
    """The table row in the selected nodes that fits the question's words best, with at least one of them in its label.

    Words are weighted by their rarity among the lines of the nodes, because the headers of a table are in every row.
    """
    lines = [(node, start, end) for node in selection.nodes for start, end in _lines_of(selection, node)]
    held = [wanted & set(terms(_titled(selection, node, start, end))) for node, start, end in lines]
    counts = Counter(word for words in held for word in words)
    weight = {word: math.log(1 + len(lines) / count) for word, count in counts.items()}
    best, most = None, _HELD * sum(weight.values())
    for (node, start, end), words in zip(lines, held, strict=True):
        value = sum(weight[word] for word in words)
        if value <= most or len(words) < 2:
            continue
        document = selection.documents[node.document].document
        label = document.printed(start, end).partition(" | ")[0]
        if document.text[start:end] != document.printed(start, end) and wanted & set(terms(label)):
            best, most = (node.document, start, end), value
    return _as_tokens(selection, *best, tokens) if best else None


def _lines_of(selection: Selection, node: SelectedNode) -> Iterator[tuple[int, int]]:
    """Spans of the complete lines that overlap a node."""
    document = selection.documents[node.document]
    start, end = document.chars(node.chunk, node.node)
    text = document.document.text
    begin = text.rfind("\n", 0, start) + 1
    while begin < end:
        stop = text.find("\n", begin)
        stop = len(text) if stop < 0 else stop
        if stop > begin:
            yield begin, stop
        begin = stop + 1


def _titled(selection: Selection, node: SelectedNode, start: int, end: int) -> str:
    """A line after the title of its table."""
    document = selection.documents[node.document].document
    return f"{document.table_title(start)}\n{document.text[start:end]}"


def _as_tokens(selection: Selection, document: int, start: int, end: int, tokens: int) -> Quoted:
    """The span as tokens, at most so many."""
    places = selection.documents[document].tokens
    first = int(np.searchsorted(places.char_end, start, side="right"))
    last = min(int(np.searchsorted(places.char_start, end, side="left")), first + tokens)
    return Quoted(document, first, last, *places.char_span(first, last))


def _tokens_of(document: PreparedDocument, node: SelectedNode) -> tuple[int, int]:
    start = document.trees[node.chunk].chunk.start
    return start + node.node.start, start + node.node.end


def _moved(document: PreparedDocument, start: int, end: int, question: str) -> tuple[int, int]:
    """The span, of the same length, moved to the beginning or the end of the sentence it cuts."""
    first, last = document.tokens.char_span(start, end)
    cut = cut_by(document.document.text, first, last, frozenset(terms(question)))
    limit = (end - start) // 2
    if cut.start is not None:
        begin = int(np.searchsorted(document.tokens.char_start, cut.start, side="right")) - 1
        back = min(start - begin, limit)
        return start - back, end - back
    if cut.end is not None:
        stop = int(np.searchsorted(document.tokens.char_start, cut.end, side="left"))
        on = min(stop - end, limit)
        return start + on, end + on
    return start, end
