"""Evidence: text of the best injected leaves, quoted in the prompt.

Leaves are cut at fixed numbers of tokens. Where a leaf cuts the sentence that holds the question's words, the quoted
span is moved so that the sentence is whole.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    The span of the best node is moved to whole sentences, by at most half its length; no token is quoted twice.
    """
    found: list[Quoted] = []
    for node in sorted(selection.nodes, key=lambda one: -one.score):
        left = tokens - sum(one.end - one.start for one in found)
        if left <= 0:
            break
        document = selection.documents[node.document]
        start, end = _tokens_of(document, node)
        if not found:
            start, end = _moved(document, start, min(end, start + left), question)
        for one in found:
            if one.document == node.document and one.start < end and start < one.end:
                start, end = (one.end, end) if one.start <= start else (start, one.start)
        if start < end:
            end = min(end, start + left)
            found.append(Quoted(node.document, start, end, *document.tokens.char_span(start, end)))
    return found


def evidence_text(selection: Selection, quotes: Sequence[Quoted]) -> str:
    """The text of the quoted spans as the model reads it, separated by empty lines."""
    texts = (
        fold_forms(selection.documents[one.document].document.text[one.char_start : one.char_end]) for one in quotes
    )
    return "\n\n".join(text.strip() for text in texts)


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
