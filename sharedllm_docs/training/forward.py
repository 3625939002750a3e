"""The differentiable path: chunks through the lower model, kept rows into the upper one, logits of what is predicted.

The counterpart of ``lower`` and ``inject`` for training: the same pieces, batched over examples, in tensors that
carry gradients instead of buffers written in place. A test holds its logits to those of ``InjectedDecoder``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from sharedllm_docs.architectures import Architecture, Mask, MaskFor, rotate
from sharedllm_docs.config import Profile
from sharedllm_docs.cross_attention import CrossAttention, CrossRows, cross_attending
from sharedllm_docs.inject import run_front
from sharedllm_docs.lower import LowerEncoder
from sharedllm_docs.masks import for_attention, visible
from sharedllm_docs.training.examples import Batch


@dataclass(frozen=True)
class Rows:
    """Rows of a batch: keys [Ls, B, KV, R, D], rotated, and values likewise."""

    keys: torch.Tensor
    values: torch.Tensor


class PrefixCache:
    """What a layer's attention sees in front of the tokens; hands tensors on instead of writing into buffers.

    Args:
        prefix: layer -> (rotated keys, values), each [B, KV, P, D]; layers without one see the tokens alone.
    """

    def __init__(self, prefix: Mapping[int, tuple[torch.Tensor, torch.Tensor]]) -> None:
        self.prefix = prefix

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Prefix and the tokens' own keys/values (the interface of transformers' caches)."""
        if layer_idx not in self.prefix:
            return keys, values
        front_keys, front_values = self.prefix[layer_idx]
        return (
            torch.cat((front_keys.to(keys.dtype), keys), dim=2),
            torch.cat((front_values.to(values.dtype), values), dim=2),
        )


def predict(
    batch: Batch,
    profile: Profile,
    *,
    lower: Architecture,
    upper: Architecture,
    blocks: Mapping[int, CrossAttention],
    start_ids: Sequence[int],
    front_ids: Sequence[int],
    train_lower: bool = True,
) -> torch.Tensor:
    """Logits [N, V] of the batch's predicted tokens.

    Args:
        batch: on any device.
        profile: resolved; its layers are the batch's injection layers.
        lower: encodes the chunks.
        upper: decodes.
        blocks: cross-attention of the injection layers (``separate`` only).
        start_ids: the prompt's start.
        front_ids: what stands before each chunk while it is encoded.
        train_lower: whether gradients are wanted through the lower model.
    """
    with nullcontext() if train_lower else torch.no_grad():
        rows = encoded_rows(batch, LowerEncoder(lower, profile, front_ids))
    run = _joint if profile.fusion == "joint" else _separate
    hidden = run(batch, profile, upper, blocks, rows, start_ids)
    picked = hidden.flatten(0, 1).index_select(0, batch.target_at.to(upper.device))
    return upper.logits(picked)


def encoded_rows(batch: Batch, encoder: LowerEncoder) -> Rows | None:
    """Rows of the whole batch in one pass of the lower model; None when nothing is injected."""
    if not batch.row_exists.any():
        return None
    arch = encoder.arch
    front = len(encoder.front_ids)
    keys, values, _ = encoder.forward([(*encoder.front_ids, *ids) for ids in batch.chunks])
    place = (batch.row_chunk * keys.shape[1] + batch.row_offset + front).to(arch.device)
    exists = batch.row_exists.to(arch.device)[:, :, None, None, None]

    def gathered(states: torch.Tensor) -> torch.Tensor:
        flat = states.flatten(0, 1).index_select(0, place.flatten())
        # padding is zero, so that an example without rows adds nothing
        kept = flat.view(*place.shape, *states.shape[2:]) * exists
        return kept.permute(2, 0, 3, 1, 4)

    cos, sin = arch.rotary(batch.positions.to(arch.device))
    return Rows(rotate(gathered(keys), cos[:, None], sin[:, None]), gathered(values))


def _joint(
    batch: Batch,
    profile: Profile,
    upper: Architecture,
    _blocks: Mapping[int, CrossAttention],
    rows: Rows | None,
    start_ids: Sequence[int],
) -> torch.Tensor:
    front = run_front(upper, start_ids)
    size = batch.ids.shape[0]
    prefix = {}
    for layer in range(upper.num_layers):
        keys = front.keys[layer][None].expand(size, -1, -1, -1)
        values = front.values[layer][None].expand(size, -1, -1, -1)
        if rows is not None and layer in profile.injection_layers:
            slot = layer - profile.injection_layers.start
            keys = torch.cat((keys, rows.keys[slot].to(keys.dtype)), dim=2)
            values = torch.cat((values, rows.values[slot].to(values.dtype)), dim=2)
        prefix[layer] = (keys, values)
    steps = torch.arange(batch.ids.shape[1])
    return upper.run_layers(
        upper.embed(batch.ids.to(upper.device)),
        range(upper.num_layers),
        positions=(batch.query_position[:, None] + steps).to(upper.device),
        mask_for=_joint_masks(batch, profile, upper, len(start_ids), 0 if rows is None else rows.keys.shape[3]),
        cache=PrefixCache(prefix),
    )


def _joint_masks(batch: Batch, profile: Profile, upper: Architecture, front: int, rows: int) -> MaskFor:
    """Front, then rows, then tokens; in layers without injection the rows still take their places."""
    size, length = batch.ids.shape
    counts = batch.row_exists.sum(1, keepdim=True)
    own = front + counts + torch.arange(length)
    # a padding row stands nowhere: a query must not meet it at its own place
    row_places = (front + torch.arange(rows)).expand(size, -1).masked_fill(~batch.row_exists[:, :rows], -1)
    places = torch.cat((torch.arange(front).expand(size, -1), row_places, own), dim=1)
    exists = torch.cat(
        (torch.ones(size, front, dtype=torch.bool), batch.row_exists[:, :rows], torch.ones(size, length).bool()), dim=1
    )
    without = torch.cat((torch.arange(front), torch.arange(front + rows, places.shape[1])))
    made: dict[tuple[bool, int | None], Mask] = {}

    def mask_for(layer: int) -> Mask:
        key = (layer in profile.injection_layers, upper.sliding_window(layer))
        if key not in made:
            seen_places, seen_exists = (places, exists) if key[0] else (places[:, without], exists[:, without])
            seen = visible(own, seen_places, key_exists=seen_exists, window=key[1])
            made[key] = for_attention(seen.to(upper.device), upper.config._attn_implementation, upper.dtype)
        return made[key]

    return mask_for


def _separate(
    batch: Batch,
    profile: Profile,
    upper: Architecture,
    blocks: Mapping[int, CrossAttention],
    rows: Rows | None,
    _start_ids: Sequence[int],
) -> torch.Tensor:
    size, length = batch.ids.shape
    steps = torch.arange(length, device=upper.device)[None].expand(size, -1)
    attending = (
        nullcontext() if rows is None else cross_attending(upper, blocks, _cross_rows(batch, profile, upper, rows))
    )
    with attending:
        return upper.run_layers(
            upper.embed(batch.ids.to(upper.device)),
            range(upper.num_layers),
            positions=steps,
            mask_for=_token_masks(upper, steps),
        )


def _token_masks(upper: Architecture, steps: torch.Tensor) -> MaskFor:
    """Causal masks of the tokens alone, made explicit: padding stands at the right and is seen by nobody's target."""
    made: dict[int | None, Mask] = {}

    def mask_for(layer: int) -> Mask:
        window = upper.sliding_window(layer)
        if window not in made:
            seen = visible(steps, steps, window=window)
            made[window] = for_attention(seen, upper.config._attn_implementation, upper.dtype)
        return made[window]

    return mask_for


def _cross_rows(batch: Batch, profile: Profile, upper: Architecture, rows: Rows) -> CrossRows:
    exists = batch.row_exists.to(upper.device)[:, None, None]
    # an example without any row would have an empty softmax: it sees one zero row, whose value adds nothing
    exists = torch.cat((torch.ones_like(exists[..., :1]), exists[..., 1:]), dim=-1)
    cos, sin = upper.rotary(batch.query_position[:, None].to(upper.device))
    by_layer = {layer: (rows.keys[slot], rows.values[slot]) for slot, layer in enumerate(profile.injection_layers)}
    return CrossRows(by_layer, cos[:, None], sin[:, None], exists)
