"""Encoding of chunks by the lower layers (paper, sections 3.1 and 3.2).

Turns the token ids of chunks into unrotated keys and values of the kept tokens, for the injection layers, and one
hidden-state vector per tree node for the paper's branch selection. Knows neither documents nor files.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from sharedllm_docs.architectures.base import Architecture, Mask, MaskFor
from sharedllm_docs.architectures.masks import for_attention, visible
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree, RowLayout, ranks_of
from sharedllm_docs.injection.row_scores import Scorer


@dataclass(frozen=True)
class EncodedChunk:
    """The rows of one chunk.

    Attributes:
        keys: [G, Ls, KV, D], unrotated.
        values: [G, Ls, KV, D].
        node_vectors: [nodes, E], one per node of ``ContextTree.nodes``: the hidden state of the node's last token after
            the first layer and the final norm. Branch selection compares it with the question's.
        ranks: of the chunk's tokens, where its rows are chosen by the attention they receive (``ContextTree.ranks``).
    """

    keys: torch.Tensor
    values: torch.Tensor
    node_vectors: torch.Tensor
    ranks: tuple[int, ...] | None = None


@dataclass(frozen=True)
class _Rows:
    """Unrotated keys and values [B, S, KV, D] of each injection layer."""

    keys: Sequence[torch.Tensor]
    values: Sequence[torch.Tensor]

    def kept(self, element: int, places: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [G, Ls, KV, D] of one batch element's tokens at ``places``, in one copy."""
        contiguous = len(places) > 0 and places[-1] - places[0] + 1 == len(places)
        chosen = slice(places[0], places[-1] + 1) if contiguous else list(places)
        keys = torch.stack([layer[element, chosen] for layer in self.keys], dim=1)
        return keys, torch.stack([layer[element, chosen] for layer in self.values], dim=1)


def causal_masks(arch: Architecture, length: int) -> MaskFor:
    """Causal masks for a sequence of ``length`` tokens, with the layer's sliding window where it has one."""
    implementation = arch.config._attn_implementation
    made: dict[int | None, Mask] = {}

    def mask_for(layer: int) -> Mask:
        window = arch.sliding_window(layer)
        window = window if window is not None and window < length else None
        if window is None and implementation != "eager":
            return None  # the attention kernels' own causal path is the fastest
        if implementation.startswith("flash"):
            return None  # the attention module hands its window to the kernel itself
        if window not in made:
            place = torch.arange(length, device=arch.device)[None]
            made[window] = for_attention(visible(place, place, window=window), implementation, arch.dtype)
        return made[window]

    return mask_for


class LowerEncoder:
    """Encodes chunks with the layers up to the last injection layer.

    Args:
        arch: the base model.
        profile: resolved (``layers`` set).
        front_ids: tokens that precede every chunk; their own rows are not stored with the chunk.
        repeat_ids: tokens that ask the model to repeat the chunk (``keep="repeat"`` only).
    """

    def __init__(
        self,
        arch: Architecture,
        profile: Profile,
        front_ids: Sequence[int] = (),
        repeat_ids: Sequence[int] = (),
    ) -> None:
        self.arch = arch
        self.profile = profile
        self.front_ids = tuple(front_ids)
        self._scorer = Scorer(arch, profile, tuple(repeat_ids)) if profile.ranked else None

    @torch.inference_mode()
    def encode(self, chunks: Sequence[Sequence[int]]) -> list[EncodedChunk]:
        """Encode chunks in one batch.

        Args:
            chunks: token ids of each chunk, at most ``profile.chunk_tokens``; all are padded to the longest.
        """
        trees = [ContextTree(self.profile, len(ids)) for ids in chunks]
        if self.profile.encoding == "per_node":
            return [self._encode_per_node(ids, tree) for ids, tree in zip(chunks, trees, strict=True)]
        return self._encode_one_pass(chunks, trees)

    @torch.inference_mode()
    def node_vectors(self, ids: Sequence[int]) -> torch.Tensor:
        """Node vectors [nodes, E] as ``encode`` gives them, from the first layer alone, for chunks already stored."""
        tree = ContextTree(self.profile, len(ids))
        if self.profile.encoding == "one_pass":
            hidden = self._first_layer([(*self.front_ids, *ids)])[0]
            return hidden[[node.end - 1 + len(self.front_ids) for node in tree.nodes]]
        vectors: list[torch.Tensor] = []
        for level in range(1, tree.depth + 1):
            nodes = tree.level(level)
            hidden = self._first_layer([ids[node.start : node.end] for node in nodes])
            vectors.extend(hidden[row, len(node) - 1] for row, node in enumerate(nodes))
        return torch.stack(vectors)

    def _encode_one_pass(self, chunks: Sequence[Sequence[int]], trees: list[ContextTree]) -> list[EncodedChunk]:
        front = len(self.front_ids)
        if self._scorer is None:
            rows, hidden = self._forward([(*self.front_ids, *ids) for ids in chunks])
        else:
            with self._scorer.listening() as heard:
                rows, hidden = self._forward([(*self.front_ids, *ids) for ids in chunks])
            scores = [self._scorer.scores(heard, element, front, ids) for element, ids in enumerate(chunks)]
            trees = [replace(tree, ranks=ranks_of(own.tolist())) for tree, own in zip(trees, scores, strict=True)]
        encoded = []
        for element, tree in enumerate(trees):
            ends = [node.end - 1 + front for node in tree.nodes]
            keys, values = rows.kept(element, [offset + front for offset in RowLayout(tree).offsets])
            encoded.append(EncodedChunk(keys, values, hidden[element, ends], tree.ranks))
        return encoded

    def _encode_per_node(self, ids: Sequence[int], tree: ContextTree) -> EncodedChunk:
        """Every node runs alone, from rotary position 0, as in the authors' released code."""
        keys, values, vectors = [], [], []
        for level in range(1, tree.depth + 1):
            nodes = tree.level(level)
            rows, hidden = self._forward([ids[node.start : node.end] for node in nodes])
            for element, node in enumerate(nodes):
                node_keys, node_values = rows.kept(element, [offset - node.start for offset in tree.kept(node)])
                keys.append(node_keys)
                values.append(node_values)
                vectors.append(hidden[element, len(node) - 1])
        return EncodedChunk(torch.cat(keys), torch.cat(values), torch.stack(vectors))

    def forward(self, sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Keys and values [B, S, Ls, KV, D] and selection vectors [B, S, E] of right-padded sequences.

        Runs in the caller's gradient mode, since training differentiates through it.
        """
        rows, hidden = self._forward(sequences)
        return torch.stack(list(rows.keys), dim=2), torch.stack(list(rows.values), dim=2), hidden

    def _forward(self, sequences: Sequence[Sequence[int]]) -> tuple[_Rows, torch.Tensor]:
        """All rows, and the selection vectors [B, S, E]."""
        layers = self.profile.injection_layers
        first: list[torch.Tensor] = []

        def after_layer(layer: int, hidden: torch.Tensor) -> None:
            if layer == 0:
                first.append(hidden)

        # only keys and values of the last injection layer are needed: its attention and MLP are not computed
        whole, last = range(layers.start, layers.stop - 1), layers.stop - 1
        with self.arch.recording(whole) as records:
            hidden = self._run(self._padded(sequences), range(last), after_layer)
        pairs = [*(records[layer] for layer in whole), self.arch.project(last, hidden)]
        if not first:  # a single injection layer: the node vectors need its whole output
            first.append(self._run(self._padded(sequences), range(1)))
        return _Rows([pair[0] for pair in pairs], [pair[1] for pair in pairs]), self.arch.norm(first[0])

    def _first_layer(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """Selection vectors [B, S, E]."""
        return self.arch.norm(self._run(self._padded(sequences), range(1)))

    def _padded(self, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        """Ids [B, S]. Padding follows the tokens, so the causal mask already keeps them from seeing it."""
        ids = torch.zeros(len(sequences), max(map(len, sequences)), dtype=torch.long)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.as_tensor(sequence)
        return ids.to(self.arch.device)

    def _run(
        self, ids: torch.Tensor, layers: range, after_layer: Callable[[int, torch.Tensor], None] | None = None
    ) -> torch.Tensor:
        batch, length = ids.shape
        return self.arch.run_layers(
            self.arch.embed(ids),
            layers,
            positions=torch.arange(length, device=self.arch.device)[None].expand(batch, -1),
            mask_for=causal_masks(self.arch, length),
            after_layer=after_layer,
        )

    @torch.inference_mode()
    def question_vector(self, ids: Sequence[int]) -> torch.Tensor:
        """The question's counterpart [E] of ``node_vectors``: its last token after the first layer and the final norm.

        Follows the authors' released code (``tests/test_parity.py``): the upper model's first layer, without injection.
        """
        return self._first_layer([ids])[0, -1]
