"""The injected rows of a batch, with gradients: chunks through the lower model, keys and values of the kept tokens.

Chunks are padded to the longest, or packed into one row where that is worth it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from sharedllm_docs.architectures.rope import rotate
from sharedllm_docs.injection.encoder import LowerEncoder, causal_masks
from sharedllm_docs.training.examples import Batch
from sharedllm_docs.training.packing import PrefixCache, Segments, packed_attention, segments_of


@dataclass(frozen=True)
class InjectedRows:
    """Rows of a batch: rotated keys and values, both [Ls, B, KV, R, D]."""

    keys: torch.Tensor
    values: torch.Tensor


def encoded_rows(batch: Batch, encoder: LowerEncoder, *, packing: bool = False) -> InjectedRows | None:
    """Rows of the whole batch in one pass of the lower model; None if nothing is injected."""
    if not batch.row_exists.any():
        return None
    arch = encoder.arch
    sequences = [(*encoder.front_ids, *ids) for ids in batch.chunks]
    segments = segments_of(list(map(len, sequences)), arch, wanted=packing)
    keys, values, starts = _padded(encoder, sequences) if segments is None else _packed(encoder, sequences, segments)
    place = (starts[batch.row_chunk] + batch.row_offset + len(encoder.front_ids)).to(arch.device)
    exists = batch.row_exists.to(arch.device)[:, :, None, None, None]

    def gathered(states: torch.Tensor) -> torch.Tensor:
        flat = states.flatten(0, 1).index_select(0, place.flatten())
        # padding is zero, so that an example without rows adds nothing
        kept = flat.view(*place.shape, *states.shape[2:]) * exists
        return kept.permute(2, 0, 3, 1, 4)

    cos, sin = arch.rotary(batch.positions.to(arch.device))
    return InjectedRows(rotate(gathered(keys), cos[:, None], sin[:, None]), gathered(values))


def _padded(
    encoder: LowerEncoder, sequences: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Unrotated keys [C, S, Ls, KV, D], values, and where each chunk begins among the C * S tokens."""
    keys, values, _ = encoder.forward(sequences)
    return keys, values, torch.arange(len(sequences)) * keys.shape[1]


def _packed(
    encoder: LowerEncoder, sequences: Sequence[Sequence[int]], segments: Segments
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """The same from one packed row [1, N, Ls, KV, D]; the last injection layer computes keys and values only."""
    arch, layers = encoder.arch, encoder.profile.injection_layers
    ids = torch.tensor([[token for sequence in sequences for token in sequence]], device=arch.device)
    positions = torch.cat([torch.arange(size) for size in segments.lengths])[None].to(arch.device)
    whole, last = range(layers.start, layers.stop - 1), layers.stop - 1
    with packed_attention(arch, segments), arch.recording(whole) as records:
        hidden = arch.run_layers(
            arch.embed(ids),
            range(last),
            positions=positions,
            mask_for=causal_masks(arch, segments.longest),
            cache=PrefixCache({}, segments),
        )
    pairs = [*(records[layer] for layer in whole), arch.project(last, hidden)]
    keys, values = (torch.stack([pair[slot] for pair in pairs], dim=2) for slot in (0, 1))
    return keys, values, segments.starts
