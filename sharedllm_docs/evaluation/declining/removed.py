"""Unanswerable questions made from answerable ones: the pages that contain the answer are hidden from the search."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.retrieval.candidates import LeafScores
from sharedllm_docs.retrieval.prepared import Leaf, PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.searcher import Searcher, Selection
from sharedllm_docs.retrieval.selection import SelectedNode


class WithoutPages(Searcher):
    """A searcher that neither finds nor injects a leaf that touches one of the pages.

    Args:
        searcher: searches the chosen documents.
        profile: profile of the index, resolved.
        pages: page numbers, from 1, of every document.
    """

    def __init__(self, searcher: Searcher, profile: Profile, pages: Collection[int]) -> None:
        super().__init__(searcher.documents, profile, searcher.leaf_index)
        self._pages = frozenset(pages)
        self._hidden = np.array([self._hides(d, leaf) for d in self.documents for leaf in d.leaves], dtype=np.bool_)

    def scores(self, question: str, vector: NDArray[np.float32]) -> LeafScores:
        """Scores as if the hidden leaves held nothing of the question."""
        found = super().scores(question, vector)
        fused, dense, lexical = (np.where(self._hidden, 0.0, one) for one in (found.fused, found.dense, found.lexical))
        # the best of what is left ranks as high as the best of all would
        top = float(fused.max(initial=0.0)) or 1.0
        ranked, dense, lexical = (one.astype(np.float32) for one in (fused / top, dense, lexical))
        return replace(found, fused=ranked, dense=dense, lexical=lexical)

    def select(
        self, query: Query, vector: NDArray[np.float32], budget: int, hidden: NDArray[np.float32] | None = None
    ) -> Selection:
        """Select, and leave out hidden leaves that were taken as neighbours."""
        found = super().select(query, vector, budget, hidden)
        return replace(found, nodes=tuple(node for node in found.nodes if not self._touches(found, node)))

    def _touches(self, selection: Selection, node: SelectedNode) -> bool:
        document = selection.documents[node.document]
        first = document.first_leaf[node.chunk]
        inside = document.trees[node.chunk].tree.leaves_of(node.node)
        return any(self._hides(document, document.leaves[first + number]) for number in inside)

    def _hides(self, document: PreparedDocument, leaf: Leaf) -> bool:
        last = max(leaf.char_start, leaf.char_end - 1)
        first, end = (document.document.page_at(place).number for place in (leaf.char_start, last))
        return any(first <= page <= end for page in self._pages)
