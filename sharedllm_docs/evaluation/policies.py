"""Branch policies for ablations: ways to score the nodes of a tree other than nearness to the question.

A policy replaces the scores that selection works with and leaves the selection itself alone. ``query-aware`` and
``right-half`` need none: they are the engine's own selectors.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.document import PAGE_SEPARATOR
from sharedllm_docs.documents.tree import Node
from sharedllm_docs.retrieval.prepared import PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher, Selection
from sharedllm_docs.retrieval.selection import CandidateChunk


class Policy(ABC):
    """Scores every leaf of a document for a question; a node counts as much as its best leaf."""

    @abstractmethod
    def leaf_scores(self, question: str, document: PreparedDocument) -> list[float]:
        """One score per leaf, 0 .. 1, in the order of ``document.leaves``."""


class RandomPolicy(Policy):
    """Random scores; the same question, leaf and seed give the same score."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def leaf_scores(self, question: str, document: PreparedDocument) -> list[float]:
        name = f"{self.seed}\n{question}\n{document.document.source_sha256}".encode()
        start = int.from_bytes(hashlib.sha256(name).digest()[:8], "big")
        return [float(x) for x in np.random.default_rng(start).random(len(document.leaves))]


@dataclass(frozen=True)
class Gold:
    """Where the answer to a question is.

    Attributes:
        evidence: verbatim quotes.
        pages: from 1.
    """

    evidence: tuple[str, ...]
    pages: frozenset[int]


GoldByQuestion = Mapping[tuple[str, str], Gold]
"""(question, SHA-256 of the document's source) -> where its answer is."""


class OraclePolicy(Policy):
    """Scores leaves with evidence highest, then leaves of the right pages, then the rest in reading order."""

    def __init__(self, gold: GoldByQuestion) -> None:
        self.gold = gold

    def leaf_scores(self, question: str, document: PreparedDocument) -> list[float]:
        gold = self.gold.get((question, document.document.source_sha256), Gold((), frozenset()))
        spans = [span for quote in gold.evidence for span in _spans_of(quote, document.document.text)]
        scores = []
        for number, leaf in enumerate(document.leaves):
            overlap = sum(max(0, min(b, leaf.char_end) - max(a, leaf.char_start)) for a, b in spans)
            first, last = (document.document.page_at(c).number for c in (leaf.char_start, leaf.char_end - 1))
            right_page = bool(gold.pages & set(range(first, last + 1)))
            order = 1.0 - number / (len(document.leaves) + 1)
            scores.append(0.5 + 0.5 * min(1.0, overlap / 200) if overlap else 0.1 * order + 0.3 * right_page)
        return scores


def _spans_of(quote: str, text: str) -> list[tuple[int, int]]:
    """Where a quote is in a text; white space and line ends may differ."""
    words = [re.escape(word) for word in quote.replace(PAGE_SEPARATOR, " ").split()]
    return [match.span() for match in re.finditer(r"\s+".join(words), text)] if words else []


class PolicySearcher(Searcher):
    """A searcher that selects by a policy's scores; relevance (for the floor) stays the engine's own.

    Args:
        searcher: searches the chosen documents.
        profile: profile of the index, resolved.
        policy: scores the leaves.
    """

    def __init__(self, searcher: Searcher, profile: Profile, policy: Policy) -> None:
        super().__init__(searcher.documents, profile, searcher.leaf_index)
        self._policy = policy

    def select(
        self,
        query: Query,
        vector: NDArray[np.float32],
        budget: int,
        hidden: NDArray[np.float32] | None = None,
    ) -> Selection:
        """Select as the engine does, with the scores of the policy."""
        found = super().select(query, vector, budget, hidden)
        scores = [self._policy.leaf_scores(query.question, document) for document in self.documents]
        candidates = tuple(self._rescored(c, scores[c.document]) for c in found.candidates)
        nodes = self.choose(candidates, query, budget)
        return Selection(found.documents, tuple(nodes), candidates, found.relevance, grains=found.grains)

    def _rescored(self, candidate: CandidateChunk, scores: Sequence[float]) -> CandidateChunk:
        first = self.documents[candidate.document].first_leaf[candidate.chunk]
        own = scores[first : first + len(candidate.tree.leaves)]

        def node_score(node: Node) -> float:
            return max(own[leaf] for leaf in candidate.tree.leaves_of(node))

        return replace(candidate, leaf_scores=own, node_score=node_score)
