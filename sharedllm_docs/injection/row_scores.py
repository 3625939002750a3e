"""How much attention each token of a chunk receives when the chunk is read: the keep policies that choose rows.

Input: unrotated queries and keys of some layers. Output: one score per token, for ``documents/tree.ranked``. The score
of a token is the highest attention weight that any query of any head gives it, averaged over the layers, as in KVzip
(arXiv 2505.23416). The policies differ in which queries they use:

- ``repeat``: those of a second pass, in which the model repeats the passage after its own keys and values (KVzip).
- ``reread``: those of the single pass that encodes the chunk, rotated to positions after its end, so that each sees the
  whole chunk: what a second reading would attend to, without running the model again.
- ``following``: the same queries at their own positions, so that each sees the tokens before it (SnapKV, arXiv
  2404.14469).
- ``expected``: the mean and the covariance of these queries, rotated to positions after the end (Expected Attention,
  arXiv 2510.00636).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.architectures.masks import for_attention, visible
from sharedllm_docs.architectures.rope import rotate
from sharedllm_docs.config import Keep, Profile

QUERY_BLOCK = 256
"""Queries compared with all keys at once: bounds the memory of the weights."""
NEAREST = 8
"""Tokens directly after a token that do not count for ``following``: every token attends to those just before it."""


@dataclass(frozen=True)
class Seen:
    """What one layer contains of the front and the chunk, S tokens, not rotated.

    Attributes:
        queries: [S, H, D].
        keys: [S, KV, D].
        values: [S, KV, D].
    """

    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor


LayerScores = Callable[[Architecture, int, Seen, int], torch.Tensor]
"""Scores [N] of a chunk's tokens by one layer: of the model, its number, what it holds, and the front's length."""


def scoring_layers(injection: range) -> tuple[int, ...]:
    """The layers whose attention counts: those whose rows are stored and that run while a chunk is encoded.

    The last of them does not run: only its keys and values are computed. Where no other is left, the first layer
    counts.
    """
    return tuple(range(injection.start, injection.stop - 1)) or (0,)


def rotated(arch: Architecture, tensor: torch.Tensor, start: int) -> torch.Tensor:
    """``tensor`` [S, heads, D] rotated to the positions from ``start`` on."""
    positions = torch.arange(start, start + len(tensor), device=tensor.device)[None]
    cos, sin = arch.rotary(positions)
    return rotate(tensor, cos[0][:, None], sin[0][:, None])


def received(queries: torch.Tensor, keys: torch.Tensor, scale: float, seen: torch.Tensor | None = None) -> torch.Tensor:
    """The highest attention weight [N] that each key receives from any query of any head.

    Args:
        queries: [S, H, D], rotated.
        keys: [N, KV, D], rotated; the softmax runs over all of them.
        scale: factor of the scores before the softmax.
        seen: [S, N], whether a query sees a key; None for all.
    """
    turned = keys.permute(1, 2, 0)
    best = torch.full((len(keys),), -torch.inf, dtype=torch.float32, device=keys.device)
    for start in range(0, len(queries), QUERY_BLOCK):
        block = queries[start : start + QUERY_BLOCK]
        by_head = block.view(len(block), keys.shape[1], -1, keys.shape[2]).permute(1, 2, 0, 3)
        logits = (by_head.flatten(1, 2) @ turned).float().mul_(scale).view(*by_head.shape[:3], -1)
        if seen is not None:
            logits.masked_fill_(~seen[start : start + QUERY_BLOCK], -torch.inf)
        logits.sub_(logits.logsumexp(-1, keepdim=True))
        best = torch.maximum(best, logits.amax((0, 1, 2)))
    return best.exp()


def reread(arch: Architecture, layer: int, one: Seen, front: int) -> torch.Tensor:
    """Scores [N] by the chunk's own queries, rotated to positions after its end."""
    queries = rotated(arch, one.queries[front:], len(one.keys))
    return received(queries, rotated(arch, one.keys, 0), arch.scaling(layer))[front:]


def following(arch: Architecture, layer: int, one: Seen, front: int) -> torch.Tensor:
    """Scores [N] by the queries of the tokens after each token, at their own positions."""
    places = torch.arange(len(one.keys), device=one.keys.device)
    asking = places[front:]
    distance = asking[:, None] - places[None]
    seen = (distance >= NEAREST) | ((places < front) & (distance > 0))
    some = seen.any(1)  # without a front the first tokens have nothing before them
    queries = rotated(arch, one.queries, 0)[asking[some]]
    return received(queries, rotated(arch, one.keys, 0), arch.scaling(layer), seen[some])[front:]


def expected(arch: Architecture, layer: int, one: Seen, front: int) -> torch.Tensor:
    """Scores [N] by the mean and covariance of the chunk's queries, rotated to positions after its end, and the norm of
    the values."""
    queries = rotated(arch, one.queries[front:], len(one.keys)).float()
    keys, lengths = rotated(arch, one.keys, 0)[front:].float(), one.values[front:].float().norm(dim=-1)
    scale, groups = arch.scaling(layer), one.queries.shape[1] // one.keys.shape[1]
    best = torch.zeros(len(keys), device=keys.device)
    for head in range(queries.shape[1]):
        own, centred = keys[:, head // groups], queries[:, head] - queries[:, head].mean(0)
        spread = centred.T @ centred / len(queries)
        logits = own @ queries[:, head].mean(0) * scale + ((own @ spread) * own).sum(-1) * scale**2 / 2
        best = torch.maximum(best, logits.softmax(0) * lengths[:, head // groups])
    return best


BY_LAYER: Mapping[Keep, LayerScores] = {"reread": reread, "following": following, "expected": expected}


@dataclass
class Heard:
    """What the layers computed in one forward pass, by layer; B sequences of S tokens, not rotated.

    Attributes:
        queries: [B, S, H, D].
        rows: keys and values, each [B, S, KV, D].
    """

    queries: dict[int, torch.Tensor]
    rows: dict[int, list[torch.Tensor]]


class Scorer:
    """Scores the tokens of chunks by what their encoding computed.

    Args:
        arch: the lower model.
        profile: resolved, with a keep policy that chooses by attention.
        repeat_ids: tokens that ask the model to repeat the chunk (``repeat`` only).
    """

    def __init__(self, arch: Architecture, profile: Profile, repeat_ids: Sequence[int] = ()) -> None:
        self.arch = arch
        self.layers = scoring_layers(profile.injection_layers)
        self._keep = profile.keep
        self._repeat_ids = tuple(repeat_ids)

    @contextmanager
    def listening(self) -> Iterator[Heard]:
        """Record what the layers compute in the forward pass of this block, to be used after it."""
        repeats = self._keep == "repeat"
        with (
            self.arch.recording(range(self.layers[-1] + 1) if repeats else self.layers) as rows,
            self.arch.recording_queries(() if repeats else self.layers) as queries,
        ):
            yield Heard(queries, rows)

    def scores(self, heard: Heard, element: int, front: int, ids: Sequence[int]) -> torch.Tensor:
        """Scores [N] of the tokens of one chunk.

        Args:
            heard: from the pass that encoded it.
            element: its place in the batch.
            front: number of tokens before it.
            ids: its N tokens.
        """
        end = front + len(ids)
        if self._keep == "repeat":
            return self._by_repeating(heard, element, front, ids)
        score = BY_LAYER[self._keep]
        total = torch.zeros(len(ids), device=self.arch.device)
        for layer in self.layers:
            keys, values = (rows[element, :end] for rows in heard.rows[layer])
            total += score(self.arch, layer, Seen(heard.queries[layer][element, :end], keys, values), front)
        return total / len(self.layers)

    def _by_repeating(self, heard: Heard, element: int, front: int, ids: Sequence[int]) -> torch.Tensor:
        """KVzip, section 3: the model repeats the chunk after its keys and values; scores are the attention while it
        does."""
        arch, end, fed = self.arch, front + len(ids), [*self._repeat_ids, *ids]
        rows = {layer: [one[element, :end] for one in heard.rows[layer]] for layer in range(self.layers[-1] + 1)}
        behind = _Behind(
            {
                layer: (rotated(arch, keys, 0).transpose(0, 1)[None], values.transpose(0, 1)[None])
                for layer, (keys, values) in rows.items()
            }
        )
        places = torch.arange(end, end + len(fed), device=arch.device)[None]
        seen = visible(places, torch.arange(end + len(fed), device=arch.device)[None])
        mask = for_attention(seen, arch.config._attn_implementation, arch.dtype)
        with arch.recording_queries(self.layers) as queries:
            hidden = arch.embed(torch.as_tensor(fed, device=arch.device)[None])
            arch.run_layers(
                hidden, range(self.layers[-1] + 1), positions=places, mask_for=lambda _layer: mask, cache=behind
            )
        total = torch.zeros(len(ids), device=arch.device)
        for layer in self.layers:
            keys = behind.layers[layer][0][0].transpose(0, 1)
            asked = rotated(arch, queries[layer][0], end)
            total += received(asked, keys, arch.scaling(layer), seen[0, 0])[front:end]
        return total / len(self.layers)


class _Behind:
    """A cache whose layers contain the keys and values of a chunk, followed by those of the tokens fed after it."""

    def __init__(self, layers: dict[int, tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.layers = layers

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Keys and values [1, KV, S, D] after those of the chunk (the interface of transformers' caches)."""
        before = self.layers[layer_idx]
        self.layers[layer_idx] = torch.cat((before[0], keys), 2), torch.cat((before[1], values), 2)
        return self.layers[layer_idx]
