"""The context tree of a chunk (paper, section 3.2): spans of nodes and which rows they keep. Pure, no torch.

A chunk of ``chunk_tokens`` is halved ``depth`` times. Node boundaries are those of a full chunk, clipped to
the tokens that exist, so a short last chunk has the left part of the same tree.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from sharedllm_docs.config import Keep, Profile


@dataclass(frozen=True, order=True)
class Node:
    """One node below the root.

    Attributes:
        level: 1 (two halves of the chunk) .. depth (leaves).
        index: 0-based from left within its level, on the full chunk's grid.
        start: first token, counted inside the chunk.
        end: one past its last token that exists.
    """

    level: int
    index: int
    start: int
    end: int

    def __len__(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class RowPlace:
    """Place of an injected row, from which its rotary position is computed.

    Attributes:
        chunk: index of its chunk among the injected chunks.
        offset: offset of its token inside its node.
    """

    chunk: int
    offset: int


def kept_offsets(start: int, end: int, grain: int, keep: Keep) -> range | tuple[int, ...]:
    """Offsets (inside the chunk) of the tokens that a node ``[start, end)`` keeps at ``grain``.

    Tokens are grouped by ``grain`` from ``start``; the last group may be short. ``keep="last"`` keeps the last token
    of each group (it has seen the others), ``"first"`` the first. Grain 0 keeps none.
    """
    if grain == 0 or end <= start:
        return range(0)
    if keep == "first":
        return range(start, end, grain)
    full = range(start + grain - 1, end, grain)
    return tuple(full) if (end - start) % grain == 0 else (*full, end - 1)


def ranks_of(scores: Sequence[float]) -> tuple[int, ...]:
    """The rank of each token, 0 for the one with the highest score; of equal scores the earlier token comes first."""
    ranks = [0] * len(scores)
    for rank, offset in enumerate(sorted(range(len(scores)), key=lambda offset: (-scores[offset], offset))):
        ranks[offset] = rank
    return tuple(ranks)


@dataclass(frozen=True)
class ContextTree:
    """The tree of one chunk.

    Attributes:
        profile: how it is halved, and which rows its nodes keep.
        num_tokens: number of the chunk's tokens, at most ``profile.chunk_tokens``.
        ranks: of each token, 0 for the best, for profiles whose rows are chosen by attention (``profile.ranked``). They
            are known once the chunk is encoded; before, the tree knows how many rows a node keeps, but not which.
    """

    profile: Profile
    num_tokens: int
    ranks: tuple[int, ...] | None = None

    @property
    def depth(self) -> int:
        return self.profile.depth

    def node(self, level: int, index: int) -> Node | None:
        """The node at ``level`` and ``index``, or None where the chunk has no tokens there."""
        span = self.profile.chunk_tokens >> level
        start = index * span
        if not 0 <= index < 2**level or start >= self.num_tokens:
            return None
        return Node(level, index, start, min(start + span, self.num_tokens))

    def level(self, level: int) -> tuple[Node, ...]:
        """All nodes of a level that contain tokens, left to right."""
        nodes = (self.node(level, index) for index in range(2**level))
        return tuple(node for node in nodes if node is not None)

    @cached_property
    def leaves(self) -> tuple[Node, ...]:
        """The nodes of the deepest level that contain tokens, left to right."""
        return self.level(self.depth)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes below the root, from the top level down, left to right."""
        return tuple(node for level in range(1, self.depth + 1) for node in self.level(level))

    def children(self, node: Node | None) -> tuple[Node, ...]:
        """The one or two halves of ``node`` (of the root for None); empty for a leaf."""
        level, index = (node.level, node.index) if node is not None else (0, 0)
        if level == self.depth:
            return ()
        halves = (self.node(level + 1, 2 * index), self.node(level + 1, 2 * index + 1))
        return tuple(half for half in halves if half is not None)

    def leaves_of(self, node: Node) -> range:
        """Indices of the leaves under ``node`` that contain tokens."""
        width = 1 << (self.depth - node.level)
        return range(node.index * width, min((node.index + 1) * width, len(self.leaves)))

    def grain(self, node: Node) -> int:
        """The grain of the node's level (0 = never injected)."""
        return self.profile.grains[node.level - 1]

    def kept(self, node: Node, grain: int | None = None) -> range | tuple[int, ...]:
        """Offsets inside the chunk of the tokens whose rows the node keeps (at its level's grain by default).

        With ranks, they are the best ranked of the node's stored rows, in token order. So the rows of a coarser grain
        are always among those of every finer one, as they are with ``last`` and ``first``.

        Raises:
            ValueError: rows are chosen by ranks, and the chunk is not encoded yet.
        """
        grain = self.grain(node) if grain is None else grain
        if not self.profile.ranked:
            return kept_offsets(node.start, node.end, grain, self.profile.keep)
        offsets = self._stored[bisect_left(self._stored, node.start) : bisect_left(self._stored, node.end)]
        return self._best(offsets, self.num_kept(node, grain))

    @cached_property
    def _stored(self) -> tuple[int, ...]:
        """Offsets of the tokens whose rows are stored: of each leaf the best ranked, at the finest grain."""
        grain = self.profile.stored_grain
        best = (self._best(range(leaf.start, leaf.end), self.num_kept(leaf, grain)) for leaf in self.leaves)
        return tuple(offset for offsets in best for offset in offsets)

    def _best(self, offsets: Sequence[int], count: int) -> tuple[int, ...]:
        """The best ranked of these offsets, in token order."""
        if self.ranks is None:
            raise ValueError("the chunk is not encoded: which of its rows a node keeps is not known yet.")
        return tuple(sorted(sorted(offsets, key=self.ranks.__getitem__)[:count]))

    def num_kept(self, node: Node, grain: int | None = None) -> int:
        """Number of rows that ``kept`` gives."""
        grain = self.grain(node) if grain is None else grain
        return -(-len(node) // grain) if grain else 0


@dataclass(frozen=True)
class RowLayout:
    """Which rows of a chunk are stored, in which order, and where a node's rows are among them.

    ``one_pass``: the leaves' rows at the finest grain, left to right; every coarser node keeps some of them.
    ``per_node``: the rows of every node (grain 0 excepted), from the top level down, as each was encoded alone.

    A *block* is a node whose stored rows are contiguous: it carries its own checksum and is read at once.
    """

    tree: ContextTree

    @cached_property
    def block_nodes(self) -> tuple[Node, ...]:
        """The nodes that own stored rows, in storage order."""
        if self.tree.profile.encoding == "one_pass":
            return self.tree.leaves
        return tuple(node for node in self.tree.nodes if self.tree.grain(node))

    @cached_property
    def blocks(self) -> tuple[tuple[int, int], ...]:
        """Row range (start, end) of each block, contiguous from 0."""
        ranges, row = [], 0
        for node in self.block_nodes:
            count = self.tree.num_kept(node)
            ranges.append((row, row + count))
            row += count
        return tuple(ranges)

    @property
    def num_rows(self) -> int:
        """Rows stored for the chunk."""
        return self.blocks[-1][1] if self.blocks else 0

    @cached_property
    def offsets(self) -> tuple[int, ...]:
        """Offset inside the chunk of the token of each stored row."""
        return tuple(offset for node in self.block_nodes for offset in self.tree.kept(node))

    def rows_of(self, node: Node, grain: int | None = None) -> tuple[int, ...]:
        """Stored row numbers of ``node`` at ``grain`` (its level's by default), in token order.

        In ``per_node`` a node has the rows of its own level's grain and no others: ValueError for another grain.
        """
        return tuple(self._rows(node, self.tree.grain(node) if grain is None else grain))

    def _rows(self, node: Node, grain: int) -> Iterator[int]:
        if self.tree.profile.encoding == "per_node":
            if grain != self.tree.grain(node):
                raise ValueError(f"grain={grain}: the node was encoded alone, at grain {self.tree.grain(node)} only.")
            if grain:
                yield from range(*self.blocks[self.block_nodes.index(node)])
            return
        row_at = self._row_at
        for offset in self.tree.kept(node, grain):
            yield row_at[offset]

    @cached_property
    def _row_at(self) -> dict[int, int]:
        return {offset: row for row, offset in enumerate(self.offsets)}
