"""An example to learn from, and a batch of examples as index tensors.

Knows no model and no objective. Letters: ``C`` chunks, ``R`` rows, ``T`` tokens, ``N`` predicted tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree, Node, RowPlace
from sharedllm_docs.injection.decoder import positions_of


@dataclass(frozen=True)
class PlacedNode:
    """A node of chunk ``chunk`` of an example, injected at ``grain``."""

    chunk: int
    node: Node
    grain: int


@dataclass(frozen=True)
class Example:
    """One example.

    Attributes:
        objective: name of its objective in the log.
        profile: the profile that cuts its chunks into trees; the layers are the same in a batch.
        chunks: token ids of each chunk, at most ``profile.chunk_tokens``.
        nodes: the injected nodes, in the order of the rows.
        before: token ids fed after the rows, which need not be predicted.
        target: token ids to predict, fed after ``before``.
    """

    objective: str
    profile: Profile
    chunks: tuple[tuple[int, ...], ...]
    nodes: tuple[PlacedNode, ...]
    before: tuple[int, ...]
    target: tuple[int, ...]

    def rows(self) -> list[tuple[int, int]]:
        """(chunk, offset of the token in it) of every injected row."""
        return [(n.chunk, offset) for n in self.nodes for offset in self._kept(n)]

    def places(self) -> list[RowPlace]:
        """Place of every row; chunks are counted among those injected."""
        order: dict[int, int] = {}
        placed: list[RowPlace] = []
        for node in self.nodes:
            chunk = order.setdefault(node.chunk, len(order))
            placed.extend(RowPlace(chunk, offset - node.node.start) for offset in self._kept(node))
        return placed

    def _kept(self, placed: PlacedNode) -> Sequence[int]:
        tree = ContextTree(self.profile, len(self.chunks[placed.chunk]))
        return tree.kept(placed.node, placed.grain)

    def without_rows(self) -> Example:
        """This example with nothing injected."""
        return replace(self, chunks=(), nodes=())

    def with_rows_of(self, other: Example) -> Example:
        """This example with another's chunks injected, to measure the cost of reading the wrong ones."""
        return replace(self, chunks=other.chunks, nodes=other.nodes, profile=other.profile)

    def whole(self, profile: Profile) -> Example:
        """This example with every leaf of every chunk injected at the profile's finest grain."""
        nodes = tuple(
            PlacedNode(index, leaf, profile.stored_grain)
            for index, chunk in enumerate(self.chunks)
            for leaf in ContextTree(profile, len(chunk)).leaves
        )
        return replace(self, profile=profile, nodes=nodes)


@dataclass(frozen=True)
class Batch:
    """Examples as tensors, padded at the right.

    Attributes:
        chunks: token ids of every chunk of every example, in order, each chunk once.
        row_chunk: [B, R] index among ``chunks`` of each row's chunk.
        row_offset: [B, R] offset in that chunk of each row's token.
        row_exists: [B, R] False for padding.
        positions: [B, R] rotary positions of the rows' keys.
        query_position: [B] position of the first token after the rows.
        ids: [B, T] tokens fed.
        lengths: [B] number of tokens fed that are not padding.
        target_at: [N] flat places in ``ids`` whose next token is predicted.
        targets: [N] the tokens to predict there.
        target_example: [N] the example that each target belongs to.
        objectives: objective of each example.
    """

    chunks: tuple[tuple[int, ...], ...]
    row_chunk: torch.Tensor
    row_offset: torch.Tensor
    row_exists: torch.Tensor
    positions: torch.Tensor
    query_position: torch.Tensor
    ids: torch.Tensor
    lengths: torch.Tensor
    target_at: torch.Tensor
    targets: torch.Tensor
    target_example: torch.Tensor
    objectives: tuple[str, ...]

    @property
    def num_tokens(self) -> int:
        """Tokens read: those of the chunks and those fed."""
        return sum(map(len, self.chunks)) + int(self.ids.numel())


def collate(examples: Sequence[Example], start_ids: Sequence[int]) -> Batch:
    """Make a batch.

    Args:
        examples: examples whose profiles differ in their grains at most.
        start_ids: the prompt's start, which precedes the rows (``joint``) or the tokens (``separate``).
    """
    profile = examples[0].profile
    fed_start = tuple(start_ids) if profile.fusion == "separate" else ()
    rows: list[list[tuple[int, int]]] = []
    places: list[tuple[list[int], int]] = []
    # a chunk that several examples read is encoded once
    chunks: dict[tuple[int, ...], int] = {}
    for example in examples:
        # once a chunk: looking it up reads all its tokens
        numbers = [chunks.setdefault(chunk, len(chunks)) for chunk in example.chunks]
        rows.append([(numbers[chunk], offset) for chunk, offset in example.rows()])
        places.append(positions_of(profile, example.places(), len(start_ids)))
    sequences = [(*fed_start, *e.before, *e.target) for e in examples]
    ids = _padded([list(s) for s in sequences])
    at: list[int] = []
    owner: list[int] = []
    for index, (example, sequence) in enumerate(zip(examples, sequences, strict=True)):
        first = len(sequence) - len(example.target)
        at.extend(index * ids.shape[1] + place - 1 for place in range(first, len(sequence)))
        owner.extend([index] * len(example.target))
    return Batch(
        chunks=tuple(chunks),
        row_chunk=_padded([[chunk for chunk, _ in r] for r in rows]),
        row_offset=_padded([[offset for _, offset in r] for r in rows]),
        row_exists=_padded([[1] * len(r) for r in rows]).bool(),
        positions=_padded([p for p, _ in places]),
        query_position=torch.tensor([query for _, query in places]),
        ids=ids,
        lengths=torch.tensor(list(map(len, sequences))),
        target_at=torch.tensor(at),
        targets=torch.tensor([token for e in examples for token in e.target]),
        target_example=torch.tensor(owner),
        objectives=tuple(e.objective for e in examples),
    )


def prefilled(examples: Sequence[Example], start_ids: Sequence[int]) -> Batch:
    """The batch that reads the chunks as ordinary text before the question, with nothing injected."""
    read = [replace(e.without_rows(), before=(*(t for chunk in e.chunks for t in chunk), *e.before)) for e in examples]
    return collate(read, start_ids)


def _padded(lists: Sequence[Sequence[int]]) -> torch.Tensor:
    made = torch.zeros(len(lists), max(map(len, lists), default=0), dtype=torch.long)
    for row, values in enumerate(lists):
        made[row, : len(values)] = torch.tensor(values, dtype=torch.long)
    return made
