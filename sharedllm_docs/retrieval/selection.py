"""Branch selection: which nodes of which trees are injected (paper, section 3.2; docs/architecture.md).

Chooses nodes and their grains from the trees, a score for every node and a budget of rows. Pure: no torch, no files,
no models.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sharedllm_docs.documents.tree import ContextTree, Node
from sharedllm_docs.errors import ConfigError

NodeScore = Callable[[Node], float]
LeansBack = Callable[[int], bool]
FOLLOW_AFTER = 3
"""After this many leaves, the neighbour is taken into which the sentence at the border of the best leaf continues.
Measured: docs/log.md (leaves that go on; sentences that the grid cuts)."""


def _never(_leaf: int) -> bool:
    return False


@dataclass(frozen=True)
class Branch:
    """The result of one descent from the root.

    Attributes:
        taken: the leaves at the end, left to right, injected at the finest grain.
        rejected: the halves left behind, from the deepest level to the top, each injected at its level's grain.
        path: the nodes chosen on the way down; the last is the parent of the leaf pair.
    """

    taken: tuple[Node, ...]
    rejected: tuple[Node, ...]
    path: tuple[Node, ...]


def descend(tree: ContextTree, score: NodeScore) -> Branch:
    """Split and search: at each level, descend into the half with the higher score (the left one if equal).

    Both leaves under the last chosen node are taken, as in the paper (figure 2): the deepest level is not split by
    the question. With ``depth`` 1 both halves of the chunk are leaves and are taken.
    """
    path: list[Node] = []
    rejected: list[Node] = []
    current: Node | None = None
    for _level in range(1, tree.depth):
        halves = tree.children(current)
        chosen = max(halves, key=lambda half: (score(half), -half.index))
        rejected.extend(half for half in halves if half is not chosen)
        path.append(chosen)
        current = chosen
    return Branch(tree.children(current), tuple(reversed(rejected)), tuple(path))


def right_half(node: Node) -> float:
    """The paper's query-agnostic policy: always the right half."""
    return float(node.index)


def nodes_of(branch: Branch) -> tuple[Node, ...]:
    """All nodes of a branch in the authors' order: leaves left to right, then rejected halves from deep to shallow."""
    return (*branch.taken, *branch.rejected)


@dataclass(frozen=True)
class CandidateChunk:
    """A chunk that may be injected.

    Attributes:
        document: index of its document among those searched.
        chunk: index of the chunk in its document.
        tree: its context tree.
        node_score: relevance of a node to the question; higher is more relevant.
        leaf_scores: relevance of each leaf, used to rank chunks and to extend a selection.
        leans_back: whether the sentence that matters in a leaf begins in the leaf before it, rather than continuing in
            the next one.
    """

    document: int
    chunk: int
    tree: ContextTree
    node_score: NodeScore
    leaf_scores: Sequence[float]
    leans_back: LeansBack = _never

    @property
    def score(self) -> float:
        """Score of the chunk's best leaf."""
        return max(self.leaf_scores)


@dataclass(frozen=True)
class SelectedNode:
    """A node that is injected.

    Attributes:
        document: index of its document among those searched.
        chunk: index of its chunk in the document.
        node: its place in the chunk's tree.
        grain: the grain at which it is injected.
        score: relevance of its best leaf.
    """

    document: int
    chunk: int
    node: Node
    grain: int
    score: float


def select(candidates: Sequence[CandidateChunk], budget: int, *, searched: int) -> list[SelectedNode]:
    """Choose nodes for a budget of rows.

    If everything fits, everything is injected: all leaves where only leaves have a grain (``prefix``), else every
    chunk's branch with its coarser siblings (``sharedllm``). Otherwise the best ``searched`` chunks, in order of their
    best leaf, are descended. ``sharedllm`` takes branch after branch, then the remaining chunks at the coarsest grain
    while there is budget. ``prefix`` takes single leaves, best first; the leaf at the end of a chunk's branch counts
    as that chunk's best (docs/log.md, leaves: pairs of siblings found fewer of the right pages). After every third
    leaf comes a neighbour, of the best leaf first, then of the next best: the following leaf, or the one before if
    ``leans_back`` says so.

    Args:
        candidates: all chunks of the chosen documents.
        budget: maximum number of rows.
        searched: maximum number of chunks to descend into when not everything fits.

    Returns:
        nodes in document order (document, chunk, first token, level), without overlap; none only if no leaf fits.
    """
    leaves_only = bool(candidates) and not any(candidates[0].tree.profile.grains[:-1])
    chosen = Budgeted(budget)
    if leaves_only and _fits(budget, ((c.tree, leaf) for c in candidates for leaf in c.tree.leaves)):
        for candidate in candidates:
            chosen.add_all(candidate, candidate.tree.leaves)
        return chosen.in_order()
    ranked = sorted(candidates, key=lambda c: (-c.score, c.document, c.chunk))
    branches = _Branches()
    if leaves_only:
        best = _leaves_best_first(ranked[:searched], branches)
        smallest = min(candidate.tree.num_kept(candidate.tree.leaves[-1]) for candidate in candidates)
        for candidate, leaf in _followed(best, candidates):
            chosen.add(candidate, leaf)
            if chosen.left < smallest:  # looking for the other leaves' neighbours takes longer than all the rest
                break
        return chosen.in_order() or best_fitting(_by_score(candidates), budget)
    if _fits(budget, ((c.tree, node) for c in ranked for node in nodes_of(branches.of(c)))):
        searched = len(ranked)
    for candidate in ranked[:searched]:
        branch = branches.of(candidate)
        chosen.add_all(candidate, _best_first(candidate, branch.taken))
        chosen.add_all(candidate, branch.rejected)
    for candidate in ranked[searched:]:
        if not chosen.left:
            break
        chosen.add_all(candidate, candidate.tree.level(1))
    return chosen.in_order() or best_fitting(_by_score(candidates), budget)


def best_fitting(
    leaves: Iterable[tuple[CandidateChunk, Node]], budget: int, grain: int | None = None
) -> list[SelectedNode]:
    """The first of these leaves that fits the budget, alone: where it is so small that none that was wanted does."""
    for candidate, leaf in leaves:
        chosen = Budgeted(budget)
        chosen.add(candidate, leaf, grain)
        if chosen.nodes:
            return chosen.in_order()
    return []


def too_small(leaves: Iterable[tuple[ContextTree, Node]], grain: int | None) -> ConfigError:
    """The error for a budget of rows that none of these leaves fits.

    Args:
        leaves: that are offered, each with its tree.
        grain: the coarsest at which a leaf may be injected; None for its own.
    """
    least = min(tree.num_kept(leaf, grain) for tree, leaf in leaves)
    return ConfigError(
        f"The budget of rows is too small: the smallest leaf of these documents takes {least}.",
        remedy=f"Use a budget of at least {least}.",
    )


def _by_score(candidates: Sequence[CandidateChunk]) -> list[tuple[CandidateChunk, Node]]:
    """All leaves, best first."""
    leaves = [(candidate, leaf) for candidate in candidates for leaf in candidate.tree.leaves]
    return sorted(leaves, key=lambda one: (-one[0].leaf_scores[one[1].index], one[0].document, one[0].chunk))


def _fits(budget: int, nodes: Iterator[tuple[ContextTree, Node]]) -> bool:
    """Whether the nodes' rows fit the budget; stops counting as soon as they do not."""
    rows = 0
    for tree, node in nodes:
        rows += tree.num_kept(node)
        if rows > budget:
            return False
    return True


class _Branches:
    """Branches by chunk, descended when first needed: most chunks of a long index never are."""

    def __init__(self) -> None:
        self._found: dict[tuple[int, int], Branch] = {}

    def of(self, candidate: CandidateChunk) -> Branch:
        place = candidate.document, candidate.chunk
        if place not in self._found:
            self._found[place] = descend(candidate.tree, candidate.node_score)
        return self._found[place]


def _best_first(candidate: CandidateChunk, leaves: Sequence[Node]) -> list[Node]:
    return sorted(leaves, key=lambda leaf: (-candidate.leaf_scores[leaf.index], leaf.index))


def _leaves_best_first(candidates: Sequence[CandidateChunk], branches: _Branches) -> list[tuple[CandidateChunk, Node]]:
    ranked = []
    for candidate in candidates:
        end = _best_first(candidate, branches.of(candidate).taken)[0]
        for leaf in candidate.tree.leaves:
            score = candidate.score if leaf == end else candidate.leaf_scores[leaf.index]
            ranked.append((-score, candidate.document, candidate.chunk, leaf.index, candidate, leaf))
    return [(candidate, leaf) for *_order, candidate, leaf in sorted(ranked, key=lambda entry: entry[:4])]


def _followed(
    ranked: Sequence[tuple[CandidateChunk, Node]], candidates: Sequence[CandidateChunk]
) -> Iterator[tuple[CandidateChunk, Node]]:
    """Leaves, best first; after every ``FOLLOW_AFTER`` leaves comes a neighbour, of the best leaf first."""
    at = {(candidate.document, candidate.chunk): candidate for candidate in candidates}
    neighbours = (neighbour for entry in ranked if (neighbour := _neighbour(*entry, at)) is not None)
    for count, entry in enumerate(ranked, start=1):
        yield entry
        if count % FOLLOW_AFTER == 0 and (neighbour := next(neighbours, None)) is not None:
            yield neighbour


def _neighbour(
    candidate: CandidateChunk, leaf: Node, at: Mapping[tuple[int, int], CandidateChunk]
) -> tuple[CandidateChunk, Node] | None:
    """The leaf before or after, in the same chunk or the next one; None at the ends of the document."""
    step = -1 if candidate.leans_back(leaf.index) else 1
    leaves = candidate.tree.leaves
    if 0 <= leaf.index + step < len(leaves):
        return candidate, leaves[leaf.index + step]
    beside = at.get((candidate.document, candidate.chunk + step))
    return None if beside is None else (beside, beside.tree.leaves[0 if step > 0 else -1])


def in_document_order(nodes: Iterable[SelectedNode]) -> list[SelectedNode]:
    """Nodes by document, chunk, first token and level."""
    return sorted(nodes, key=lambda s: (s.document, s.chunk, s.node.start, s.node.level))


class Budgeted:
    """Collects nodes while their rows fit."""

    def __init__(self, budget: int) -> None:
        self.left = budget
        self.nodes: dict[tuple[int, int, Node], SelectedNode] = {}

    def add(self, candidate: CandidateChunk, node: Node, grain: int | None = None) -> None:
        """Take a node, at its level's grain or another, unless it is there or does not fit."""
        key = (candidate.document, candidate.chunk, node)
        grain = candidate.tree.grain(node) if grain is None else grain
        rows = candidate.tree.num_kept(node, grain)
        if key in self.nodes or not 0 < rows <= self.left:
            return
        self.left -= rows
        score = max(candidate.leaf_scores[leaf] for leaf in candidate.tree.leaves_of(node))
        self.nodes[key] = SelectedNode(candidate.document, candidate.chunk, node, grain, float(score))

    def add_all(self, candidate: CandidateChunk, nodes: Sequence[Node]) -> None:
        for node in nodes:
            self.add(candidate, node)

    def in_order(self) -> list[SelectedNode]:
        return in_document_order(self.nodes.values())
