"""Chunks and trees: nothing is dropped, nothing twice, and every row is where the layout says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.chunks import Chunk, split_into_chunks
from sharedllm_docs.documents.tree import ContextTree, Node, RowLayout, kept_offsets
from sharedllm_docs.errors import ConfigError
from tests.strategies import trees

# -- chunks -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 5000), st.integers(1, 700))
def test_chunks_partition_the_tokens(num_tokens, chunk_tokens):
    chunks = split_into_chunks(num_tokens, chunk_tokens)
    assert [token for chunk in chunks for token in range(chunk.start, chunk.end)] == list(range(num_tokens))
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert all(len(chunk) == chunk_tokens for chunk in chunks[:-1])
    assert all(0 < len(chunk) <= chunk_tokens for chunk in chunks)


@given(st.integers(1, 300), st.integers(0, 300))
def test_the_grid_does_not_move(num_tokens, more):
    """Chunks before the end are the same whatever is appended."""
    short, long = split_into_chunks(num_tokens, 32), split_into_chunks(num_tokens + more, 32)
    assert short[:-1] == long[: len(short) - 1]


@pytest.mark.parametrize("size", [0, -1])
def test_chunk_size_is_checked(size):
    with pytest.raises(ConfigError, match=f"chunk_tokens={size} must be at least 1. Use 1024"):
        split_into_chunks(10, size)


def test_no_tokens_no_chunks():
    assert split_into_chunks(0, 8) == ()
    assert split_into_chunks(9, 8) == (Chunk(0, 0, 8), Chunk(1, 8, 9))


# -- trees --------------------------------------------------------------------------------------------------------


@given(trees())
def test_every_level_partitions_the_chunk(tree):
    for level in range(1, tree.depth + 1):
        nodes = tree.level(level)
        assert [offset for node in nodes for offset in range(node.start, node.end)] == list(range(tree.num_tokens))
        assert [node.index for node in nodes] == list(range(len(nodes)))
    assert tree.leaves == tree.level(tree.depth)
    assert tree.nodes == tuple(n for level in range(1, tree.depth + 1) for n in tree.level(level))


@given(trees())
def test_children_partition_their_parent(tree):
    for node in (None, *tree.nodes):
        start, end, level = (node.start, node.end, node.level) if node else (0, tree.num_tokens, 0)
        children = tree.children(node)
        if level == tree.depth:
            assert children == ()
            continue
        assert [o for child in children for o in range(child.start, child.end)] == list(range(start, end))
        assert all(child.level == level + 1 for child in children)


@given(trees())
def test_leaves_of_a_node_are_those_inside_it(tree):
    for node in tree.nodes:
        inside = [leaf.index for leaf in tree.leaves if node.start <= leaf.start < node.end]
        assert list(tree.leaves_of(node)) == inside


@given(trees())
def test_the_tree_of_a_short_chunk_is_the_left_part_of_the_full_one(tree):
    full = ContextTree(tree.profile, tree.profile.chunk_tokens)
    for node in tree.nodes:
        whole = full.node(node.level, node.index)
        assert (whole.start, min(whole.end, tree.num_tokens)) == (node.start, node.end)
    assert len(full.leaves) == 2**tree.depth


@pytest.mark.parametrize(("level", "index"), [(1, -1), (1, 2), (3, 8), (2, 2), (3, 5)])
def test_no_node_outside_the_grid_or_the_tokens(level, index):
    assert ContextTree(Profile.prefix(chunk_tokens=64), 20).node(level, index) is None


# -- kept rows ----------------------------------------------------------------------------------------------------


@given(trees())
def test_counts_equal_what_is_kept(tree):
    for node in tree.nodes:
        for grain in {0, tree.grain(node), tree.profile.stored_grain}:
            kept = list(tree.kept(node, grain))
            assert len(kept) == tree.num_kept(node, grain)
            assert kept == sorted(set(kept))
            assert all(node.start <= offset < node.end for offset in kept)
        assert list(tree.kept(node)) == list(tree.kept(node, tree.grain(node)))


@given(st.integers(0, 50), st.integers(1, 60), st.integers(1, 16), st.sampled_from(["last", "first"]))
def test_one_row_a_group(start, length, grain, keep):
    """Every group of ``grain`` tokens, the short last one too, keeps its last (or first) token."""
    groups = [range(first, min(first + grain, start + length)) for first in range(start, start + length, grain)]
    wanted = [group[-1 if keep == "last" else 0] for group in groups]
    assert list(kept_offsets(start, start + length, grain, keep)) == wanted


@given(trees(encoding="one_pass"))
def test_coarser_rows_are_among_the_finest(tree):
    """Grains are nested, so only the finest is stored."""
    stored = {offset for leaf in tree.leaves for offset in tree.kept(leaf)}
    for node in tree.nodes:
        assert set(tree.kept(node)) <= stored


@given(trees())
def test_the_last_token_of_a_chunk_is_kept(tree):
    """With keep="last" the last token has seen all others: a short last group keeps it."""
    last_leaf = tree.leaves[-1]
    if tree.profile.keep == "last":
        assert list(tree.kept(last_leaf))[-1] == tree.num_tokens - 1
    assert tree.num_kept(last_leaf) > 0


# -- the layout of rows -------------------------------------------------------------------------------------------


@given(trees())
def test_blocks_are_contiguous_and_hold_all_rows(tree):
    layout = RowLayout(tree)
    rows = [row for start, end in layout.blocks for row in range(start, end)]
    assert rows == list(range(layout.num_rows))
    assert len(layout.blocks) == len(layout.block_nodes)
    assert len(layout.offsets) == layout.num_rows
    for node, (start, end) in zip(layout.block_nodes, layout.blocks, strict=True):
        assert list(layout.offsets[start:end]) == list(tree.kept(node))


@given(trees())
def test_rows_of_a_node_lead_to_its_tokens(tree):
    layout = RowLayout(tree)
    for node in tree.nodes:
        rows = layout.rows_of(node)
        assert [layout.offsets[row] for row in rows] == list(tree.kept(node))
        assert len(rows) == tree.num_kept(node)


@given(trees(encoding="one_pass"))
def test_one_pass_gives_any_node_at_any_stored_grain(tree):
    layout = RowLayout(tree)
    assert layout.block_nodes == tree.leaves
    for node in tree.nodes:
        finest = layout.rows_of(node, tree.profile.stored_grain)
        assert [layout.offsets[row] for row in finest] == list(tree.kept(node, tree.profile.stored_grain))
        assert set(layout.rows_of(node)) <= set(finest)
        assert layout.rows_of(node, 0) == ()


@given(trees(encoding="one_pass"))
def test_grain_one_stores_every_token(tree):
    if tree.profile.stored_grain == 1:
        assert RowLayout(tree).offsets == tuple(range(tree.num_tokens))


@given(trees(encoding="per_node"))
def test_per_node_stores_every_node_apart(tree):
    layout = RowLayout(tree)
    assert layout.block_nodes == tuple(node for node in tree.nodes if tree.grain(node))
    seen: list[int] = []
    for node in layout.block_nodes:
        rows = layout.rows_of(node)
        assert not set(rows) & set(seen)
        seen.extend(rows)
    assert seen == list(range(layout.num_rows))
    for node in tree.nodes:
        if not tree.grain(node):
            assert layout.rows_of(node) == ()


def test_per_node_refuses_a_grain_it_did_not_encode():
    profile = Profile.sharedllm(chunk_tokens=64, grains=(4, 2, 1), encoding="per_node")
    tree = ContextTree(profile, 64)
    with pytest.raises(ValueError, match="grain=1: the node was encoded alone, at grain 4 only"):
        RowLayout(tree).rows_of(tree.nodes[0], 1)


def test_a_short_chunk_by_hand():
    """50 tokens of 64, grains 16, 8, 4: a short last chunk, in small."""
    tree = ContextTree(Profile.sharedllm(chunk_tokens=64, grains=(16, 8, 4)), 50)
    assert tree.level(1) == (Node(1, 0, 0, 32), Node(1, 1, 32, 50))
    assert tree.level(2)[-1] == Node(2, 3, 48, 50)
    assert tree.leaves[-1] == Node(3, 6, 48, 50)
    assert tree.kept(tree.level(1)[1]) == (47, 49)
    layout = RowLayout(tree)
    assert layout.num_rows == 13
    assert layout.offsets[-2:] == (47, 49)
    assert layout.blocks[-1] == (12, 13)
    assert layout.rows_of(tree.level(1)[1]) == (11, 12)
    assert tree.children(tree.level(2)[3]) == (Node(3, 6, 48, 50),)
