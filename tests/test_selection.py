"""Branch selection: the budget holds, nothing is taken twice, the same question takes the same nodes."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree, Node
from sharedllm_docs.retrieval.selection import CandidateChunk, descend, nodes_of, right_half, select
from tests.strategies import candidate_lists, trees

budgets = st.integers(1, 400)
searches = st.integers(1, 8)


def rows(candidates, selected):
    tree = {(c.document, c.chunk): c.tree for c in candidates}
    return sum(tree[s.document, s.chunk].num_kept(s.node, s.grain) for s in selected)


def candidate(tree, leaf_scores, chunk=0, document=0):
    """A chunk whose nodes score as their best leaf."""
    return CandidateChunk(
        document, chunk, tree, lambda node: max(leaf_scores[i] for i in tree.leaves_of(node)), leaf_scores
    )


# -- one branch ---------------------------------------------------------------------------------------------------


@given(trees(), st.randoms(use_true_random=False))
def test_a_branch_covers_the_chunk_once(tree, chance):
    scored = {node: chance.choice([0.0, 1.0, chance.random()]) for node in tree.nodes}
    branch = descend(tree, scored.__getitem__)
    spans = sorted((node.start, node.end) for node in nodes_of(branch))
    assert [offset for start, end in spans for offset in range(start, end)] == list(range(tree.num_tokens))
    assert all(node.level == tree.depth for node in branch.taken)
    assert [node.level for node in branch.path] == list(range(1, tree.depth))
    levels = [node.level for node in branch.rejected]
    assert levels == sorted(levels, reverse=True)
    for node in branch.rejected:
        sibling = branch.path[node.level - 1]
        assert sibling.index ^ 1 == node.index
        assert (scored[sibling], -sibling.index) > (scored[node], -node.index)
    if branch.path:
        assert branch.taken == tree.children(branch.path[-1])


def test_equal_halves_go_left():
    tree = ContextTree(Profile.prefix(chunk_tokens=64), 64)
    branch = descend(tree, lambda _node: 0.5)
    assert branch.path == (Node(1, 0, 0, 32), Node(2, 0, 0, 16))
    assert branch.taken == (Node(3, 0, 0, 8), Node(3, 1, 8, 16))
    assert branch.rejected == (Node(2, 1, 16, 32), Node(1, 1, 32, 64))


def test_the_query_agnostic_policy_goes_right():
    tree = ContextTree(Profile.prefix(chunk_tokens=64), 64)
    assert descend(tree, right_half).taken == (Node(3, 6, 48, 56), Node(3, 7, 56, 64))
    short = ContextTree(Profile.prefix(chunk_tokens=64), 35)
    assert descend(short, right_half).taken == (Node(3, 4, 32, 35),)


def test_the_higher_half_is_taken_at_each_level():
    """The best top half need not hold the best quarter: split and search looks at one level at a time."""
    tree = ContextTree(Profile.prefix(chunk_tokens=64, depth=2, grains=(0, 1)), 64)
    branch = descend(tree, {tree.nodes[0]: 0.1, tree.nodes[1]: 0.2}.__getitem__)
    assert branch.path == (Node(1, 1, 32, 64),)
    assert branch.rejected == (Node(1, 0, 0, 32),)


def test_depth_one_takes_both_halves():
    tree = ContextTree(Profile.prefix(chunk_tokens=8, depth=1, grains=(1,)), 8)
    assert nodes_of(descend(tree, right_half)) == tree.leaves


# -- many chunks and a budget --------------------------------------------------------------------------------------


@given(candidate_lists(), budgets, searches)
def test_the_budget_is_never_exceeded(candidates, budget, searched):
    selected = select(candidates, budget, searched=searched)
    assert rows(candidates, selected) <= budget
    assert all(s.grain > 0 for s in selected)


@given(candidate_lists(), budgets, searches)
def test_no_token_is_taken_twice(candidates, budget, searched):
    taken = set()
    for s in select(candidates, budget, searched=searched):
        tokens = {(s.document, s.chunk, offset) for offset in range(s.node.start, s.node.end)}
        assert not tokens & taken
        taken |= tokens


@given(candidate_lists(), budgets, searches, st.randoms(use_true_random=False))
def test_the_same_nodes_whatever_the_order_of_candidates(candidates, budget, searched, chance):
    shuffled = list(candidates)
    chance.shuffle(shuffled)
    assert select(candidates, budget, searched=searched) == select(shuffled, budget, searched=searched)


@given(candidate_lists(), budgets, searches)
def test_nodes_come_in_document_order(candidates, budget, searched):
    selected = select(candidates, budget, searched=searched)
    places = [(s.document, s.chunk, s.node.start) for s in selected]
    assert places == sorted(places)


@given(candidate_lists(), budgets, searches)
def test_nodes_carry_their_grain_and_best_leaf(candidates, budget, searched):
    by_chunk = {(c.document, c.chunk): c for c in candidates}
    for s in select(candidates, budget, searched=searched):
        chunk = by_chunk[s.document, s.chunk]
        assert s.grain == chunk.tree.grain(s.node)
        assert s.score == max(chunk.leaf_scores[leaf] for leaf in chunk.tree.leaves_of(s.node))


@given(candidate_lists(leaves_only=True), searches)
def test_the_whole_document_where_it_fits(candidates, searched):
    whole = sum(c.tree.num_kept(leaf) for c in candidates for leaf in c.tree.leaves)
    selected = select(candidates, whole, searched=searched)
    assert [(s.document, s.chunk, s.node) for s in selected] == [
        (c.document, c.chunk, leaf) for c in candidates for leaf in c.tree.leaves
    ]


@given(candidate_lists(leaves_only=False), searches)
def test_every_token_at_some_grain_where_all_branches_fit(candidates, searched):
    """The paper's profile: every chunk takes part, its branch fine and the rest coarse."""
    if candidates[0].tree.depth == 1:
        return  # one level only: nothing is coarser
    branches = [descend(c.tree, c.node_score) for c in candidates]
    everything = sum(c.tree.num_kept(n) for c, b in zip(candidates, branches, strict=True) for n in nodes_of(b))
    selected = select(candidates, everything, searched=searched)
    assert rows(candidates, selected) == everything
    chosen = {(s.document, s.chunk, s.node) for s in selected}
    for c, branch in zip(candidates, branches, strict=True):
        assert chosen >= {(c.document, c.chunk, node) for node in nodes_of(branch)}


@given(candidate_lists(), searches)
def test_any_budget_that_holds_a_leaf_takes_one(candidates, searched):
    largest = max(c.tree.num_kept(leaf) for c in candidates for leaf in c.tree.leaves)
    assert select(candidates, largest, searched=searched)


def leaf_places(selected):
    return [(s.chunk, s.node.index) for s in selected]


def test_prefix_takes_single_leaves_best_first():
    """Two chunks of four leaves of 8 rows: no leaf is taken because its sibling is."""
    tree = ContextTree(Profile.prefix(chunk_tokens=32, depth=2, grains=(0, 1)), 32)
    candidates = [candidate(tree, [0.1, 0.2, 0.3, 0.4]), candidate(tree, [0.9, 0.0, 0.8, 0.7], chunk=1)]
    assert leaf_places(select(candidates, 7, searched=2)) == []
    assert leaf_places(select(candidates, 8, searched=2)) == [(1, 0)]
    assert leaf_places(select(candidates, 16, searched=2)) == [(1, 0), (1, 2)]
    assert leaf_places(select(candidates, 24, searched=2)) == [(1, 0), (1, 2), (1, 3)]
    assert leaf_places(select(candidates, 56, searched=2)) == [
        *((0, i) for i in range(1, 4)),
        *((1, i) for i in range(4)),
    ]
    assert leaf_places(select(candidates, 40, searched=1)) == [(1, i) for i in range(4)]


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [
        ([0.1, 0.2, 0.3, 0.4], [0.9, 0.0, 0.8, 0.7], [(1, 0), (1, 1), (1, 2), (1, 3)]),  # in the same chunk
        ([0.1, 0.2, 0.3, 0.9], [0.0, 0.5, 0.6, 0.8], [(0, 3), (1, 0), (1, 2), (1, 3)]),  # in the next chunk
        ([0.4, 0.3, 0.2, 0.1], [0.7, 0.6, 0.0, 0.9], [(0, 0), (1, 0), (1, 1), (1, 3)]),  # at the document's end
        ([0.1, 0.2, 0.3, 0.4], [0.9, 0.8, 0.7, 0.0], [(0, 3), (1, 0), (1, 1), (1, 2)]),  # is taken already
    ],
)
def test_prefix_takes_the_leaf_that_goes_on_after_the_third_best(first, second, expected):
    tree = ContextTree(Profile.prefix(chunk_tokens=32, depth=2, grains=(0, 1)), 32)
    candidates = [candidate(tree, first), candidate(tree, second, chunk=1)]
    assert leaf_places(select(candidates, 32, searched=2)) == expected


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (Profile.prefix(chunk_tokens=64), {0, 1}),
        (Profile.sharedllm(chunk_tokens=64), {0, 1, 2, 3}),  # three fit, and one more tells that not everything does
    ],
)
def test_chunks_that_are_not_searched_are_not_descended(profile, expected):
    """Of a long index most chunks must cost nothing but their rank."""
    tree = ContextTree(profile, 64)
    descended = set()

    def scoring(chunk):
        return lambda node: descended.add(chunk) or 0.0

    candidates = [CandidateChunk(0, chunk, tree, scoring(chunk), [1.0 - chunk / 100] * 8) for chunk in range(100)]
    select(candidates, 24, searched=2)
    assert descended == expected


def test_prefix_counts_the_end_of_the_branch_as_the_chunks_best():
    """Where another selector leads to other leaves, the nearer of the two at its end comes first."""
    tree = ContextTree(Profile.prefix(chunk_tokens=32, depth=2, grains=(0, 1)), 32)
    leaf_scores = [0.9, 0.8, 0.1, 0.2]
    right = CandidateChunk(0, 0, tree, right_half, leaf_scores)
    assert leaf_places(select([right], 8, searched=1)) == [(0, 0)]
    later = CandidateChunk(0, 1, tree, lambda _node: 0.0, [0.85] * 4)
    assert leaf_places(select([right, later], 16, searched=2)) == [(0, 0), (0, 3)]


def test_sharedllm_takes_branch_after_branch():
    """Chunks in order of their best leaf: the pair at the end of a branch, then its coarser siblings."""
    tree = ContextTree(Profile.sharedllm(chunk_tokens=32, depth=2, grains=(8, 4)), 32)
    candidates = [candidate(tree, [0.1, 0.2, 0.3, 0.4]), candidate(tree, [0.9, 0.0, 0.8, 0.7], chunk=1)]
    places = [
        [(s.chunk, s.node.level, s.node.index) for s in select(candidates, budget, searched=2)]
        for budget in (2, 4, 6, 8)
    ]
    first = [(1, 2, 0), (1, 2, 1), (1, 1, 1)]
    assert places == [first[:1], first[:2], first, [(0, 2, 3), *first]]


def test_unsearched_chunks_come_at_the_coarsest_grain():
    tree = ContextTree(Profile.sharedllm(chunk_tokens=64, grains=(16, 8, 4)), 64)
    candidates = [candidate(tree, [float(chunk == 1)] * 8, chunk=chunk) for chunk in range(3)]
    selected = select(candidates, 16, searched=1)
    assert [(s.chunk, s.node.level, s.grain) for s in selected] == [
        *((0, 1, 16), (0, 1, 16)),
        *((1, 3, 4), (1, 3, 4), (1, 2, 8), (1, 1, 16)),
        *((2, 1, 16), (2, 1, 16)),
    ]


def test_what_does_not_fit_makes_room_for_what_does():
    """A node that is too large is left out, a smaller one after it is still taken."""
    tree = ContextTree(Profile.prefix(chunk_tokens=32, depth=2, grains=(0, 1)), 19)
    selected = select([candidate(tree, [0.2, 0.1, 0.9])], 11, searched=1)
    assert leaf_places(selected) == [(0, 0), (0, 2)]
    assert [len(s.node) for s in selected] == [8, 3]


def test_no_neighbour_is_looked_for_once_the_budget_is_full():
    """Finding out where a sentence goes on reads text: only for what can still be taken."""
    asked = []
    tree = ContextTree(Profile.prefix(chunk_tokens=64), 64)
    scores = [[1 - 0.01 * (8 * chunk + leaf) for leaf in range(8)] for chunk in range(12)]
    candidates = [
        replace(candidate(tree, scores[chunk], chunk), leans_back=lambda leaf, chunk=chunk: asked.append((chunk, leaf)))
        for chunk in range(12)
    ]
    assert len(select(candidates, 4 * 8, searched=12)) == 4
    assert asked == [(0, 0)]
    asked.clear()
    assert len(select(candidates, 7 * 8, searched=12)) == 7
    assert len(asked) == 2


def test_nothing_to_choose_from():
    assert select([], 100, searched=4) == []


@pytest.mark.parametrize("seed", range(3))
def test_selection_repeats(seed):
    chance = random.Random(seed)
    tree = ContextTree(Profile.prefix(chunk_tokens=64), 64)
    candidates = [candidate(tree, [chance.random() for _ in range(8)], chunk=chunk) for chunk in range(20)]
    assert select(candidates, 200, searched=8) == select(candidates, 200, searched=8)
