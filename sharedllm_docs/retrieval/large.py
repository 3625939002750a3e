"""Search over more documents than fit in memory: all leaves are scored, and only a few documents are loaded.

The nodes for a question come from the documents with its best leaves. Only these are loaded, and branch selection works
among them as it would among all; the decision about declining still uses the scores of all leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.retrieval.candidates import Embed, LeafScores
from sharedllm_docs.retrieval.prepared import PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher, Selection
from sharedllm_docs.retrieval.segments import SegmentedIndex

_NONE = np.zeros(0, dtype=np.float32)
NOTHING = LeafScores(_NONE, _NONE, _NONE)
"""Scores of no leaf."""


class LargeSearcher(Searcher):
    """Search over a choice of many documents.

    Args:
        count: number of documents.
        index: of all their leaves.
        prepare: loads the document at a place.
        profile: the index's profile, resolved.
        embed: makes vectors of passages where a document has none yet.
    """

    def __init__(
        self,
        count: int,
        index: SegmentedIndex,
        prepare: Callable[[int], PreparedDocument],
        profile: Profile,
        embed: Embed | None = None,
    ) -> None:
        super().__init__((), profile, _Known(NOTHING), embed)
        self._count, self._index, self.prepare = count, index, prepare

    def scores(self, question: str, vector: NDArray[np.float32]) -> LeafScores:
        """See ``Searcher.scores``."""
        return self._index.scores(question, vector, self._leaf)

    def _leaf(self, place: int, number: int) -> tuple[str, str]:
        document = self.prepare(place)
        return document.leaves[number].title, document.leaf_texts[number]

    def near(self, question: str, vector: NDArray[np.float32], chunks: int) -> Searcher:
        """The search among the documents of the best chunks."""
        scores = self.scores(question, vector)
        places = self._places(scores.fused, chunks)
        documents = [self.prepare(place) for place in places]
        spans = [slice(*self._index.first[place : place + 2].tolist()) for place in places]
        kinds = (scores.fused, scores.dense, scores.lexical)
        fused, dense, lexical = (np.concatenate([one[span] for span in spans]) for one in kinds)
        here = LeafScores(fused, dense, lexical, scores.named, scores.weights, scores.unknown)
        return _Near(documents, self.profile, here, scores, self._count)

    def _places(self, fused: NDArray[np.float32], chunks: int) -> list[int]:
        """Places of the documents of the best chunks, in order; a chunk is as good as its best leaf."""
        width = 2**self.profile.depth
        wanted = min(chunks * width, len(fused))
        least = np.partition(fused, len(fused) - wanted)[len(fused) - wanted]
        best = np.flatnonzero(fused >= least)
        found: set[tuple[int, int]] = set()
        for leaf in best[np.argsort(-fused[best], kind="stable")].tolist():
            place, number = self._index.place(leaf)
            found.add((place, number // width))
            if len(found) == chunks:
                break
        return sorted({place for place, _chunk in found})

    def select(
        self,
        query: Query,
        vector: NDArray[np.float32],
        budget: int,
        hidden: NDArray[np.float32] | None = None,
    ) -> Selection:
        """See ``Searcher.select``."""
        return self.near(query.question, vector, self.reach(query)).select(query, vector, budget, hidden)

    def spread(self, query: Query, budget: int) -> Selection:
        """See ``Searcher.spread``; every document is loaded."""
        documents = [self.prepare(place) for place in range(self._count)]
        return Searcher(documents, self.profile, _Known(NOTHING), self.embed).spread(query, budget)


class _Known:
    """Scores that are known already."""

    def __init__(self, scores: LeafScores) -> None:
        self._scores = scores

    def search(self, question: str, vector: NDArray[np.float32]) -> LeafScores:
        """The known scores of the one question that this object is for."""
        return self._scores


class _Near(Searcher):
    """Search among a few documents by scores that are known, for one question."""

    def __init__(
        self, documents: list[PreparedDocument], profile: Profile, here: LeafScores, everywhere: LeafScores, count: int
    ) -> None:
        super().__init__(documents, profile, _Known(here))
        self._everywhere, self._count = everywhere, count

    def select(
        self,
        query: Query,
        vector: NDArray[np.float32],
        budget: int,
        hidden: NDArray[np.float32] | None = None,
    ) -> Selection:
        found = super().select(query, vector, budget, hidden)
        everywhere = self._everywhere
        return replace(found, relevance=everywhere.relevance, scores=everywhere, searched=self._count)
