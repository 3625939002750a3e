"""The differentiable path: chunks through the lower model, kept rows into the upper one, logits of what is predicted.

The counterpart of ``injection.encoder`` and ``injection.decoder`` for training: the same pieces, batched over examples,
in tensors that carry gradients instead of buffers written in place. A test compares its logits with those of
``InjectedDecoder``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

import torch

from sharedllm_docs.architectures.base import Architecture, Mask, MaskFor
from sharedllm_docs.architectures.masks import for_attention, visible
from sharedllm_docs.config import Profile
from sharedllm_docs.injection.cross_attention import CrossAttention, CrossRows, cross_attending
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.injection.prompt_prefix import run_front
from sharedllm_docs.training.examples import Batch
from sharedllm_docs.training.injected_rows import InjectedRows, encoded_rows
from sharedllm_docs.training.packing import PackedBlock, PrefixCache, Segments, packed_attention, segments_of


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
    packing: bool = False,
) -> torch.Tensor:
    """Logits [N, V] of the batch's predicted tokens.

    Args:
        batch: on any device.
        profile: resolved; its layers are the batch's injection layers.
        lower: the model that encodes the chunks.
        upper: the model that decodes.
        blocks: cross-attention of the injection layers (``separate`` only).
        start_ids: token ids of the prompt's start.
        front_ids: token ids that precede each chunk while it is encoded.
        train_lower: whether gradients are wanted through the lower model.
        packing: compute no padding if there is enough of it; the logits are the same.
    """
    with nullcontext() if train_lower else torch.no_grad():
        rows = encoded_rows(batch, LowerEncoder(lower, profile, front_ids), packing=packing)
    segments = segments_of(batch.lengths.tolist(), upper, wanted=packing)
    run = _joint if profile.fusion == "joint" else _separate
    hidden = run(batch, profile, upper, blocks, rows, start_ids, segments)
    target_at = batch.target_at if segments is None else segments.packed_places(batch.target_at)
    picked = hidden.flatten(0, 1).index_select(0, target_at.to(upper.device))
    return upper.logits(picked)


def _joint(
    batch: Batch,
    profile: Profile,
    upper: Architecture,
    _blocks: Mapping[int, CrossAttention],
    rows: InjectedRows | None,
    start_ids: Sequence[int],
    segments: Segments | None,
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
    positions = batch.query_position[:, None] + torch.arange(batch.ids.shape[1])
    masks = _joint_masks(batch, profile, upper, len(start_ids), 0 if rows is None else rows.keys.shape[3])
    return _run(upper, batch.ids, positions, masks, PrefixCache(prefix, segments))


def _run(
    upper: Architecture, ids: torch.Tensor, positions: torch.Tensor, masks: MaskFor, cache: PrefixCache
) -> torch.Tensor:
    """Hidden states of tokens [B, T], or [1, N, E] of them packed, after all layers."""
    segments = cache.segments
    if segments is not None:
        ids, positions = segments.pack(ids), segments.pack(positions)
    with packed_attention(upper, segments):
        return upper.run_layers(
            upper.embed(ids.to(upper.device)),
            range(upper.num_layers),
            positions=positions.to(upper.device),
            mask_for=masks,
            cache=cache,
        )


def _joint_masks(batch: Batch, profile: Profile, upper: Architecture, front: int, rows: int) -> MaskFor:
    """Front, then rows, then tokens; in layers without injection the rows still take their places."""
    size, length = batch.ids.shape
    counts = batch.row_exists.sum(1, keepdim=True)
    own = front + counts + torch.arange(length)
    # a padding row has no place: a query must not meet it at its own
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
    rows: InjectedRows | None,
    _start_ids: Sequence[int],
    segments: Segments | None,
) -> torch.Tensor:
    size, length = batch.ids.shape
    steps = torch.arange(length)[None].expand(size, -1)
    if segments is not None:
        blocks = {layer: PackedBlock(block, segments) for layer, block in blocks.items()}  # type: ignore[misc]
    attending = (
        nullcontext() if rows is None else cross_attending(upper, blocks, _cross_rows(batch, profile, upper, rows))
    )
    with attending:
        masks = _token_masks(upper, steps.to(upper.device))
        return _run(upper, batch.ids, steps, masks, PrefixCache({}, segments))


def _token_masks(upper: Architecture, steps: torch.Tensor) -> MaskFor:
    """Explicit causal masks of the tokens alone: padding stands at the right, so no target sees it."""
    made: dict[int | None, Mask] = {}

    def mask_for(layer: int) -> Mask:
        window = upper.sliding_window(layer)
        if window not in made:
            seen = visible(steps, steps, window=window)
            made[window] = for_attention(seen, upper.config._attn_implementation, upper.dtype)
        return made[window]

    return mask_for


def _cross_rows(batch: Batch, profile: Profile, upper: Architecture, rows: InjectedRows) -> CrossRows:
    exists = batch.row_exists.to(upper.device)[:, None, None]
    # an example without any row would have an empty softmax: it sees one zero row, whose value adds nothing
    exists = torch.cat((torch.ones_like(exists[..., :1]), exists[..., 1:]), dim=-1)
    cos, sin = upper.rotary(batch.query_position[:, None].to(upper.device))
    by_layer = {layer: (rows.keys[slot], rows.values[slot]) for slot, layer in enumerate(profile.injection_layers)}
    return CrossRows(by_layer, cos[:, None], sin[:, None], exists)
