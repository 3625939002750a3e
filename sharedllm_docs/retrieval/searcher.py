"""From a question to the nodes that are injected: candidates, branch selection, budget (docs/architecture.md)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile, SelectorName
from sharedllm_docs.documents.sentences import cut_by
from sharedllm_docs.documents.terms import terms
from sharedllm_docs.documents.tree import ContextTree, Node, RowPlace
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.retrieval.candidates import Embed, LeafIndex, LeafScores
from sharedllm_docs.retrieval.prepared import EMBEDDINGS, Leaf, PreparedDocument
from sharedllm_docs.retrieval.query import Query
from sharedllm_docs.retrieval.selection import (
    CandidateChunk,
    LeansBack,
    NodeScore,
    SelectedNode,
    right_half,
    select,
    too_small,
)
from sharedllm_docs.retrieval.spending import Section, spend
from sharedllm_docs.retrieval.spread import centrality, section_span, spread_leaves, unknown_section

UNBOUNDED = 8
"""Where ``candidates`` does not limit the choice among many documents, the limit is this many times as many chunks."""


@dataclass(frozen=True)
class InjectedLeaf:
    """A leaf of an injected node.

    Attributes:
        node: the injected node.
        document: the document of both.
        leaf: its place and title.
        score: its relevance to the question, 0 to 1.
    """

    node: SelectedNode
    document: PreparedDocument
    leaf: Leaf
    score: float

    def text(self, around: int = 0) -> str:
        """Its text after the title of its section, with this many more characters on either side."""
        start, end = max(0, self.leaf.char_start - around), self.leaf.char_end + around
        return f"{self.leaf.title}\n{self.document.document.text[start:end]}"


@dataclass(frozen=True)
class Selection:
    """The nodes that are injected for a question.

    Attributes:
        documents: the documents searched; ``SelectedNode.document`` is an index into them.
        nodes: the chosen nodes, in document order.
        candidates: all chunks with their scores.
        relevance: relevance of the best leaf, 0 to 1.
        scores: of all leaves, document after document; None if there was no question (a summary).
        grains: among which the budget was divided; None for the profile's own.
        searched: number of documents that were searched, if ``documents`` are only those nearest to the question; 0 if
            they are all.
    """

    documents: tuple[PreparedDocument, ...]
    nodes: tuple[SelectedNode, ...]
    candidates: tuple[CandidateChunk, ...]
    relevance: float
    scores: LeafScores | None = None
    grains: tuple[int, ...] | None = None
    searched: int = 0

    @property
    def num_rows(self) -> int:
        """Number of rows of all nodes."""
        return sum(self._tree(n).num_kept(n.node, n.grain) for n in self.nodes)

    def rows_by_grain(self) -> dict[int, int]:
        """Grain -> number of rows of all nodes at that grain, the finest first."""
        rows: Counter[int] = Counter()
        for node in self.nodes:
            rows[node.grain] += self._tree(node).num_kept(node.node, node.grain)
        return dict(sorted(rows.items()))

    def of_document(self, key: str, others: Sequence[PreparedDocument] = ()) -> Selection:
        """The part of the selection that belongs to one document; ``relevance`` stays that of all documents.

        Args:
            key: of the document.
            others: further documents that were searched, but from which nothing was selected.

        Raises:
            ConfigError: the document was not searched.
        """
        keys = [document.key for document in self.documents]
        left = [document for document in others if document.key == key]
        if key not in keys and left:
            return Selection((left[0],), (), (), self.relevance)
        if key not in keys:
            raise ConfigError(
                f"The document {key!r} is not among those searched.", remedy="Name it in documents=[...]."
            )
        number = keys.index(key)
        return Selection(
            (self.documents[number],),
            tuple(replace(node, document=0) for node in self.nodes if node.document == number),
            tuple(replace(chunk, document=0) for chunk in self.candidates if chunk.document == number),
            self.relevance,
        )

    def _tree(self, node: SelectedNode) -> ContextTree:
        return self.documents[node.document].trees[node.chunk].tree

    def leaves(self) -> Iterator[InjectedLeaf]:
        """The leaves of the nodes, in the order of ``nodes``."""
        scores = {(candidate.document, candidate.chunk): candidate.leaf_scores for candidate in self.candidates}
        for node in self.nodes:
            document, own = self.documents[node.document], scores[node.document, node.chunk]
            for number in document.trees[node.chunk].tree.leaves_of(node.node):
                yield InjectedLeaf(
                    node, document, document.leaves[document.first_leaf[node.chunk] + number], own[number]
                )

    def chunks(self) -> list[tuple[int, int]]:
        """(document, chunk) of the nodes, each once, in the order of ``nodes``."""
        return list(dict.fromkeys((node.document, node.chunk) for node in self.nodes))

    def row_numbers(self) -> list[tuple[int, int, list[int]]]:
        """(document, chunk, row numbers in the chunk's shard), nodes of a chunk together, in the order of ``nodes``."""
        parts: list[tuple[int, int, list[int]]] = []
        for node in self.nodes:
            rows = self.documents[node.document].trees[node.chunk].layout.rows_of(node.node, node.grain)
            if parts and parts[-1][:2] == (node.document, node.chunk):
                parts[-1][2].extend(rows)
            else:
                parts.append((node.document, node.chunk, list(rows)))
        return parts

    def places(self) -> list[RowPlace]:
        """Place of every row, in the same order; rotary positions are computed from it."""
        order: dict[tuple[int, int], int] = {}
        places: list[RowPlace] = []
        for node in self.nodes:
            chunk = order.setdefault((node.document, node.chunk), len(order))
            kept = self._tree(node).kept(node.node, node.grain)
            places.extend(RowPlace(chunk, offset - node.node.start) for offset in kept)
        return places


class Searches(Protocol):
    """Scores all leaves for a question, as ``LeafIndex`` does."""

    def search(self, question: str, vector: NDArray[np.float32]) -> LeafScores:
        """Scores of all leaves."""
        ...


class Searcher:
    """Search over a fixed set of documents; keeps what all questions share (BM25, stacked vectors).

    Args:
        documents: the documents to search.
        profile: the index's profile, resolved.
        leaf_index: index of these documents' leaves, if another searcher has made it already.
        embed: makes vectors of passages where a document has none yet; None where all have theirs.
    """

    def __init__(
        self,
        documents: Sequence[PreparedDocument],
        profile: Profile,
        leaf_index: Searches | None = None,
        embed: Embed | None = None,
    ) -> None:
        self.documents = tuple(documents)
        self.profile = profile
        self.embed = embed
        self.leaf_index: Searches = leaf_index or _leaf_index(self.documents, embed)

    def near(self, question: str, vector: NDArray[np.float32], chunks: int) -> Searcher:
        """The search among the documents that can be relevant to a question: here all of them.

        Args:
            question: in words.
            vector: [E] embedding of the question.
            chunks: number of the best chunks whose documents must be included.
        """
        return self

    def reach(self, query: Query) -> int:
        """Maximum number of the best chunks from which the nodes for a question are chosen.

        If the budget is divided by grain, or by the paper's branches, the rest of the budget goes to more and more
        chunks.
        """
        bounded = query.retrieval.grains is None and not any(self.profile.grains[:-1])
        return query.retrieval.candidates * (1 if bounded else UNBOUNDED)

    def scores(self, question: str, vector: NDArray[np.float32]) -> LeafScores:
        """Scores of all leaves, document after document."""
        return self.leaf_index.search(question, vector)

    def select(
        self,
        query: Query,
        vector: NDArray[np.float32],
        budget: int,
        hidden: NDArray[np.float32] | None = None,
    ) -> Selection:
        """Choose the nodes for a question.

        Args:
            query: the question, with selector and number of candidates.
            vector: [E] embedding of the question.
            budget: maximum number of rows.
            hidden: [H] the question's hidden-state vector (``hidden-state`` selector only).

        Raises:
            ValueError: the ``hidden-state`` selector without ``hidden``.
        """
        scores = self.scores(query.question, vector)
        wanted = frozenset(terms(query.question))
        candidates = tuple(self._candidates(scores, query.retrieval.selector, hidden, wanted))
        nodes = self.choose(candidates, query, budget)
        grains = query.retrieval.grains
        return Selection(self.documents, tuple(nodes), candidates, scores.relevance, scores, grains)

    def choose(self, candidates: Sequence[CandidateChunk], query: Query, budget: int) -> list[SelectedNode]:
        """The nodes to inject, by the scores of the candidates."""
        grains = query.retrieval.grains
        if grains is None:
            return select(candidates, budget, searched=query.retrieval.candidates)
        return spend(candidates, self._sections, budget, grains)

    @cached_property
    def _sections(self) -> list[Section]:
        """The section of every leaf, document after document."""
        found = []
        for number, document in enumerate(self.documents):
            order = {id(section): place for place, section in enumerate(document.document.sections)}
            for leaf in document.leaves:
                section = document.document.section_at((leaf.char_start + leaf.char_end) // 2)
                found.append((number, -1 if section is None else order[id(section)]))
        return found

    def spread(self, query: Query, budget: int) -> Selection:
        """Choose leaves spread over the documents, or over one section of each, for a summary.

        The text is divided into as many parts as leaves fit the budget. From each part, the leaf is taken whose vector
        is nearest to the mean of its part and of the whole; from the first part the first leaf, which contains title
        and abstract. With ``grains``, all leaves have the same grain: the finest at which everything fits, else the
        coarsest.

        Raises:
            DocumentNotFoundError: no document has a section of this title; names those it has.
            ConfigError: no leaf fits the budget; says how many rows the smallest takes.
        """
        sections = [section_span(document.document, query.section) for document in self.documents]
        if not any(sections):
            raise unknown_section(query.section or "", [one.document for one in self.documents])
        if self.embed is not None:
            for document in self.documents:
                document.embed_missing(self.embed)
        candidates, offered = [], []
        for number, (document, span) in enumerate(zip(self.documents, sections, strict=True)):
            central = centrality(document.vectors[EMBEDDINGS])
            for chunk, tree in enumerate(document.trees):
                first = document.first_leaf[chunk]
                scores = central[first : first + len(tree.tree.leaves)].tolist()
                candidates.append(CandidateChunk(number, chunk, tree.tree, right_half, scores))
                for leaf in tree.tree.leaves:
                    place = document.leaves[first + leaf.index]
                    if span and place.char_end > span[0] and place.char_start < span[1]:
                        offered.append((candidates[-1], leaf, document.vectors[EMBEDDINGS][first + leaf.index]))
        grains = query.retrieval.grains
        nodes = spread_leaves(offered, budget, grains)
        if offered and not nodes:
            leaves = ((candidate.tree, leaf) for candidate, leaf, _vector in offered)
            raise too_small(leaves, max(grains) if grains else None)
        return Selection(self.documents, tuple(nodes), tuple(candidates), 1.0, grains=grains)

    def _candidates(
        self,
        scores: LeafScores,
        selector: SelectorName,
        hidden: NDArray[np.float32] | None,
        wanted: frozenset[str],
    ) -> list[CandidateChunk]:
        found = []
        before = 0
        for number, document in enumerate(self.documents):
            for chunk, tree in enumerate(document.trees):
                first = before + document.first_leaf[chunk]
                leaf_scores = scores.fused[first : first + len(tree.tree.leaves)]
                scorer = _node_score(selector, document, chunk, leaf_scores, hidden)
                leans_back = _leans_back(document, document.first_leaf[chunk], wanted)
                found.append(CandidateChunk(number, chunk, tree.tree, scorer, leaf_scores.tolist(), leans_back))
            before += len(document.leaves)
        return found


def _leaf_index(documents: Sequence[PreparedDocument], embed: Embed | None) -> LeafIndex:
    texts = [text for document in documents for text in document.leaf_texts]
    titles = [leaf.title for document in documents for leaf in document.leaves]
    return LeafIndex(texts, titles, np.concatenate([document.vectors[EMBEDDINGS] for document in documents]), embed)


def _leans_back(document: PreparedDocument, first: int, wanted: frozenset[str]) -> LeansBack:
    def leans_back(index: int) -> bool:
        leaf = document.leaves[first + index]
        return cut_by(document.document.text, leaf.char_start, leaf.char_end, wanted).start is not None

    return leans_back


def _node_score(
    selector: SelectorName,
    document: PreparedDocument,
    chunk: int,
    leaf_scores: NDArray[np.float32],
    hidden: NDArray[np.float32] | None,
) -> NodeScore:
    if selector == "right-half":
        return right_half
    tree = document.trees[chunk].tree
    if selector == "embedding":
        return lambda node: float(leaf_scores[list(tree.leaves_of(node))].max())
    if hidden is None:
        raise ValueError("selector='hidden-state' compares with the question's hidden-state vector: give hidden.")
    asked = hidden

    def cosine(node: Node) -> float:
        """Paper, section 3.2: similarity of the node's and the question's last hidden state."""
        vector = document.node_vector(chunk, node)
        norm = float(np.linalg.norm(vector) * np.linalg.norm(asked))
        return float(vector @ asked) / norm if norm else 0.0

    return cosine
