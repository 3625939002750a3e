"""Lower encoding: chunks of tokens become the rows of their trees (paper, sections 3.1 and 3.2).

Comes in: token ids of chunks. Goes out: unrotated keys and values of the kept tokens for the injection layers, and
one hidden-state vector a node for the paper's branch selection. Does not know documents or files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sharedllm_docs.architectures import Architecture, Mask, MaskFor
from sharedllm_docs.config import Profile
from sharedllm_docs.masks import for_attention, visible
from sharedllm_docs.tree import ContextTree, Node, RowLayout


@dataclass(frozen=True)
class EncodedChunk:
    """What is kept of one chunk.

    Attributes:
        keys: [G, Ls, KV, D], unrotated.
        values: [G, Ls, KV, D].
        node_vectors: [nodes, E], one a node of ``ContextTree.nodes``: the hidden state of its last token after the
            first layer and the final norm, which branch selection compares with the question's.
    """

    keys: torch.Tensor
    values: torch.Tensor
    node_vectors: torch.Tensor


def causal_masks(arch: Architecture, length: int) -> MaskFor:
    """Plain causal masks for a sequence of ``length`` tokens, with each layer's sliding window where it has one."""
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
        front_ids: tokens that stand before every chunk; their own rows are not kept with the chunk.
    """

    def __init__(self, arch: Architecture, profile: Profile, front_ids: Sequence[int] = ()) -> None:
        self.arch = arch
        self.profile = profile
        self.front_ids = tuple(front_ids)

    @torch.inference_mode()
    def encode(self, chunks: Sequence[Sequence[int]]) -> list[EncodedChunk]:
        """Encode some chunks in one batch.

        Args:
            chunks: token ids of each chunk, at most ``profile.chunk_tokens``; all are padded to the longest.
        """
        trees = [ContextTree(self.profile, len(ids)) for ids in chunks]
        if self.profile.encoding == "per_node":
            return [self._encode_per_node(ids, tree) for ids, tree in zip(chunks, trees, strict=True)]
        return self._encode_one_pass(chunks, trees)

    def _encode_one_pass(self, chunks: Sequence[Sequence[int]], trees: list[ContextTree]) -> list[EncodedChunk]:
        front = len(self.front_ids)
        keys, values, hidden = self._forward([(*self.front_ids, *ids) for ids in chunks])
        encoded = []
        for row, tree in enumerate(trees):
            kept = torch.tensor(RowLayout(tree).offsets, device=keys.device) + front
            ends = torch.tensor([node.end - 1 for node in tree.nodes], device=keys.device) + front
            encoded.append(EncodedChunk(keys[row, kept], values[row, kept], hidden[row, ends]))
        return encoded

    def _encode_per_node(self, ids: Sequence[int], tree: ContextTree) -> EncodedChunk:
        """Every node runs alone, from rotary position 0, as in the authors' released code."""
        keys, values, vectors = [], [], []
        for level in range(1, tree.depth + 1):
            nodes = tree.level(level)
            level_keys, level_values, hidden = self._forward([ids[node.start : node.end] for node in nodes])
            for row, node in enumerate(nodes):
                kept = torch.tensor([offset - node.start for offset in tree.kept(node)], dtype=torch.long)
                keys.append(level_keys[row, kept])
                values.append(level_values[row, kept])
                vectors.append(hidden[row, len(node) - 1])
        return EncodedChunk(torch.cat(keys), torch.cat(values), torch.stack(vectors))

    def _forward(self, sequences: Sequence[Sequence[int]]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Keys and values [B, S, Ls, KV, D] and selection vectors [B, S, E] of right-padded sequences.

        Padding stands behind the real tokens, so the causal mask already keeps them from seeing it.
        """
        length = max(map(len, sequences))
        ids = torch.zeros(len(sequences), length, dtype=torch.long, device=self.arch.device)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.as_tensor(sequence, device=self.arch.device)
        first: list[torch.Tensor] = []

        def after_layer(layer: int, hidden: torch.Tensor) -> None:
            if layer == 0:
                first.append(hidden)

        layers = self.profile.injection_layers
        with self.arch.recording(layers) as records:
            self.arch.run_layers(
                self.arch.embed(ids),
                range(layers.stop),
                positions=torch.arange(length, device=self.arch.device)[None].expand(len(sequences), -1),
                mask_for=causal_masks(self.arch, length),
                after_layer=after_layer,
            )
        keys = torch.stack([records[layer][0] for layer in layers], dim=2)
        values = torch.stack([records[layer][1] for layer in layers], dim=2)
        return keys, values, self.arch.norm(first[0])

    @torch.inference_mode()
    def question_vector(self, ids: Sequence[int]) -> torch.Tensor:
        """[E], the question's counterpart of ``node_vectors``: its last token after the first layer and final norm.

        Design, "About the golden tensors": the upper model's first layer, without injection.
        """
        tokens = torch.as_tensor(ids, device=self.arch.device)[None]
        hidden = self.arch.run_layers(
            self.arch.embed(tokens),
            range(1),
            positions=torch.arange(tokens.shape[1], device=self.arch.device)[None],
            mask_for=causal_masks(self.arch, tokens.shape[1]),
        )
        return self.arch.norm(hidden)[0, -1]

    def node_positions(self, tree: ContextTree, node: Node) -> range | tuple[int, ...]:
        """Offset of each kept token inside its node, the rotary position that ``per_node`` encoding gave it."""
        return tuple(offset - node.start for offset in tree.kept(node))
