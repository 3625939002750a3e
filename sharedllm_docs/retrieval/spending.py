"""Divides a budget of rows among grains: many rows for the most relevant leaves, a few for many around them. Pure.

Every leaf may be injected at one of several grains. A coarser grain costs fewer rows and has less value: ``WORTH``
gives the share of the benefit that remains. The probability that a leaf contains the answer comes from its score. The
choice is then a knapsack problem with at most one grain per leaf. Each further row of a leaf has less value than the
one before, so taking the step with the highest expected value per row first solves it, except for what no longer fits
at the end.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import Node
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.retrieval.selection import CandidateChunk, SelectedNode, best_fitting, in_document_order

WORTH: Mapping[int, float] = {1: 1.0, 2: 0.92, 4: 0.8, 8: 0.62, 16: 0.36}
"""Value of a leaf at a grain: the share of the improvement in answer loss that its rows still give
(docs/results.md)."""
SHARPNESS = 0.07
"""Difference of scores that makes one leaf e times as likely to contain the answer as another. Fitted, as are the next
two (docs/log.md, probabilities of leaves)."""
TO_NEIGHBOURS, TO_SECTION = 0.1, 0.1
"""Shares of a leaf's probability that are given to its neighbours, and to all leaves of its section."""

Section = tuple[int, int]
"""Document and number of a section, or -1."""


def check_grains(profile: Profile, grains: Sequence[int]) -> None:
    """Raise ConfigError unless the rows of an index with this profile can be injected at these grains."""
    stored = profile.stored_grain
    if profile.encoding == "per_node":
        raise ConfigError(
            "An index with encoding='per_node' has the rows of each node at its own grain and no others.",
            remedy="Leave grains out.",
        )
    wrong = [grain for grain in grains if grain < stored or (not profile.ranked and grain % stored)]
    if wrong:
        raise ConfigError(
            f"grains={tuple(grains)}: the index keeps one row in {stored}, and none at grain {wrong[0]}.",
            remedy=f"Use grains from {stored} up" + ("." if profile.ranked else ", multiples of it."),
        )


def worth(grain: int) -> float:
    """Value of a leaf at a grain, 0 to 1; interpolated between the measured grains in the logarithm."""
    known = sorted(WORTH)
    if grain > known[-1]:  # in proportion to the number of rows
        return WORTH[known[-1]] * known[-1] / grain
    return float(np.interp(np.log2(grain), np.log2(known), [WORTH[one] for one in known]))


def chances(scores: Sequence[float], sections: Sequence[Section]) -> NDArray[np.float64]:
    """The probability of each leaf to contain the answer; the sum is 1.

    Args:
        scores: of all leaves, document after document, in order.
        sections: the section of each.
    """
    values = np.asarray(scores, dtype=np.float64)
    own = np.exp((values - values.max()) / SHARPNESS)
    own /= own.sum()
    _names, place = np.unique([f"{document} {number}" for document, number in sections], return_inverse=True)
    together = np.bincount(place, own)[place] / np.bincount(place)[place]
    documents = np.array([document for document, _number in sections])
    same = np.concatenate(([False], documents[1:] == documents[:-1], [False]))
    # at the ends of a document the half without a neighbour stays with the leaf
    beside = (np.where(same[:-1], np.roll(own, 1), own) + np.where(same[1:], np.roll(own, -1), own)) / 2
    mixed = (1 - TO_NEIGHBOURS - TO_SECTION) * own + TO_NEIGHBOURS * beside + TO_SECTION * together
    likely: NDArray[np.float64] = mixed / mixed.sum()
    return likely


def spend(
    candidates: Sequence[CandidateChunk], sections: Sequence[Section], budget: int, grains: Sequence[int]
) -> list[SelectedNode]:
    """Choose leaves and a grain for each, so that the sum of probability times value is highest.

    Args:
        candidates: all chunks of the chosen documents, in order.
        sections: of each of their leaves, in order.
        budget: maximum number of rows.
        grains: that a leaf may have, in any order.

    Returns:
        nodes in document order.
    """
    leaves = [(candidate, leaf) for candidate in candidates for leaf in candidate.tree.leaves]
    likely = chances([candidate.leaf_scores[leaf.index] for candidate, leaf in leaves], sections)
    steps = [_steps(candidate, leaf, grains) for candidate, leaf in leaves]
    taken: dict[int, int] = {}
    waiting = [(-likely[number] * _gain(steps[number], 0), number, 0) for number in range(len(leaves))]
    heapq.heapify(waiting)
    left = budget
    while waiting:
        _gain_a_row, number, step = heapq.heappop(waiting)
        more = steps[number][step + 1][0] - steps[number][step][0]
        if more > left:
            continue
        left -= more
        taken[number] = step + 1
        if step + 2 < len(steps[number]):
            heapq.heappush(waiting, (-likely[number] * _gain(steps[number], step + 1), number, step + 1))
    if not taken:  # steps with less value per row than the next were dropped, but one of them may be all that fits
        best = sorted(range(len(leaves)), key=lambda number: -likely[number])
        return best_fitting((leaves[number] for number in best), budget, max(grains))
    return in_document_order(_selected(*leaves[number], steps[number][step][2]) for number, step in taken.items())


Step = tuple[int, float, int]
"""Rows, value and grain of a leaf; the first step injects nothing of it."""


def _steps(candidate: CandidateChunk, leaf: Node, grains: Sequence[int]) -> list[Step]:
    """The steps at which a leaf may be injected, from nothing to most, with decreasing value per row."""
    options: dict[int, Step] = {}
    for grain in sorted(set(grains)):  # of several grains with the same number of rows, the finest
        rows = candidate.tree.num_kept(leaf, grain)
        options.setdefault(rows, (rows, worth(grain), grain))
    hull: list[Step] = [(0, 0.0, 0)]
    for option in sorted(options.values()):
        while len(hull) > 1 and _slope(hull[-2], hull[-1]) <= _slope(hull[-2], option):
            hull.pop()
        hull.append(option)
    return [hull[0], *(after for before, after in pairwise(hull) if after[1] > before[1])]


def _slope(before: Step, after: Step) -> float:
    return (after[1] - before[1]) / (after[0] - before[0])


def _gain(steps: Sequence[Step], step: int) -> float:
    """Value per row of the next step of a leaf."""
    return _slope(steps[step], steps[step + 1])


def _selected(candidate: CandidateChunk, leaf: Node, grain: int) -> SelectedNode:
    score = float(candidate.leaf_scores[leaf.index])
    return SelectedNode(candidate.document, candidate.chunk, leaf, grain, score)
