"""Passages: leaves of documents with their text and place, as a retriever returns them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.box import Box
from sharedllm_docs.documents.tree import Node
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.retrieval.answer import Citation
from sharedllm_docs.retrieval.prepared import PreparedDocument
from sharedllm_docs.retrieval.searcher import Searcher


@dataclass(frozen=True)
class Passage:
    """A leaf, or the injected node that a citation was taken from.

    Attributes:
        document: name of the document.
        document_key: its key in the index.
        text: the passage, as in the document's canonical text.
        page: 1-based page on which it begins.
        page_label: printed label of that page, or "".
        last_page: page on which it ends.
        char_start: first character in the canonical text.
        char_end: one past its last.
        section: title of the section in which it begins, or "".
        score: 0 to 1, relative to the leaves searched: the nearest leaf of every question is near 1.
        chunk: index of its chunk in the document.
        level: level of its node in the chunk's tree.
        node: index of the node in its level.
        metadata: the document's metadata, from the source and from the caller.
        relevance: cosine of question and passage, 0 to 1, comparable between questions; None for a citation's.
        boxes: where the passage stands, as ``Citation.boxes``.
    """

    document: str
    document_key: str
    text: str
    page: int
    page_label: str
    last_page: int
    char_start: int
    char_end: int
    section: str
    score: float
    chunk: int
    level: int
    node: int
    metadata: Mapping[str, str] = field(hash=False)
    relevance: float | None = None
    boxes: tuple[Box, ...] = ()

    def __str__(self) -> str:
        return f"{self.document}, page {self.page}: {' '.join(self.text.split())}"


_BLANK = 8
"""Number of chunks of blank leaves that may be among the best of very many."""


def check_count(k: int) -> None:
    """Raise ConfigError unless ``k`` is a whole number of at least 1."""
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise ConfigError(f"k={k!r} must be a whole number of at least 1.", remedy="Ask for one passage or more.")


def best_passages(searcher: Searcher, question: str, vector: NDArray[np.float32], k: int) -> tuple[Passage, ...]:
    """The ``k`` best leaves of all documents, best first, equal ones in document order, without blank ones.

    Args:
        searcher: search over the documents.
        question: in words.
        vector: [E] embedding of the question.
        k: maximum number of passages.
    """
    searcher = searcher.near(question, vector, k + _BLANK)
    scores = searcher.scores(question, vector)
    owners = [(document, leaf) for document in searcher.documents for leaf in document.leaves]
    found: list[Passage] = []
    for place in np.argsort(-scores.fused, kind="stable").tolist():
        document, leaf = owners[place]
        node = document.trees[leaf.chunk].tree.leaves[leaf.index]
        if document.text(leaf.chunk, node).strip():
            relevance = float(np.clip(scores.dense[place], 0.0, 1.0))
            found.append(_passage(document, leaf.chunk, node, float(scores.fused[place]), relevance))
        if len(found) == k:
            break
    return tuple(found)


def cited_passages(documents: Mapping[str, PreparedDocument], citations: Sequence[Citation]) -> tuple[Passage, ...]:
    """The injected nodes that citations were taken from, each once, in the citations' order.

    Args:
        documents: by key.
        citations: of an answer.
    """
    found: dict[tuple[str, int, int, int], Passage] = {}
    for citation in citations:
        document = documents[citation.document_key]
        tree = document.trees[citation.chunk].tree
        node = tree.level(citation.level)[citation.node]
        place = (citation.document_key, citation.chunk, citation.level, citation.node)
        if place not in found:
            found[place] = _passage(document, citation.chunk, node, citation.score)
    return tuple(found.values())


def _passage(
    prepared: PreparedDocument, chunk: int, node: Node, score: float, relevance: float | None = None
) -> Passage:
    document = prepared.document
    start, end = _trimmed(document.text, *prepared.chars(chunk, node))
    page = document.page_at(start)
    section = document.section_at(start)
    return Passage(
        document=document.name,
        document_key=prepared.key,
        text=document.text[start:end],
        page=page.number,
        page_label=page.label,
        last_page=document.page_at(max(start, end - 1)).number,
        char_start=start,
        char_end=end,
        section=section.title if section else "",
        score=round(min(max(score, 0.0), 1.0), 6),
        chunk=chunk,
        level=node.level,
        node=node.index,
        metadata=document.metadata,
        relevance=None if relevance is None else round(relevance, 6),
        boxes=prepared.boxes(start, end),
    )


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """The span without the white space at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
