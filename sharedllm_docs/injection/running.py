"""Decoding steps of a batch that questions join and leave between two steps.

The prompt of each question is processed alone, by an ``InjectedDecoder`` of its own, so its rows and first token are
the same as if it were asked alone. Then its keys and values are copied into the batch, and each step feeds one token of
every question.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

from sharedllm_docs.architectures.base import Architecture, Mask
from sharedllm_docs.architectures.masks import for_attention, visible
from sharedllm_docs.config import Profile
from sharedllm_docs.injection.cross_attention import CrossAttention, CrossRows, cross_attending
from sharedllm_docs.injection.decoder import Fed, InjectedDecoder

SLACK = 64
"""Number of steps for which buffers have room before they are reallocated."""


@dataclass
class _Member:
    """A question in the batch.

    Attributes:
        front: number of tokens of the prompt's start.
        rows: number of injected rows, in the layers that have any.
        fed: number of tokens fed so far.
        first: rotary position of its first token.
        cross: its rows for cross-attention, or None.
    """

    front: int
    rows: int
    fed: int
    first: int
    cross: CrossRows | None


class RunningBatch:
    """The batch. Members are numbered; a member that leaves gives its number to the last one.

    Keys and values of all members end in the same column, so a step writes one column; shorter ones have padding at
    the left, which is masked and takes no position.

    Args:
        steps: the model that decodes single tokens.
        profile: resolved.
        blocks: cross-attention blocks by layer (``separate`` only).
        lock: held while the model computes.
    """

    def __init__(
        self,
        steps: Architecture,
        profile: Profile,
        *,
        blocks: Mapping[int, CrossAttention] | None = None,
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        self.arch = steps
        self._injected = set(profile.injection_layers) if profile.fusion == "joint" else set()
        self._blocks = blocks or {}
        self._lock = lock or nullcontext()
        self._members: list[_Member] = []
        self._cache = _Columns(steps)
        self._cross: CrossRows | None = None

    def __len__(self) -> int:
        return len(self._members)

    @torch.inference_mode()
    def join(self, decoder: InjectedDecoder) -> None:
        """Take over a question that its own decoder, for it alone, has been fed; it becomes the last member."""
        taken = decoder.fed()
        with self._lock:
            self._members.append(_Member(taken.front, taken.rows, taken.tokens, taken.first_position, taken.cross))
            self._cache.put(taken, [self._held(layer) for layer in range(self.arch.num_layers)])
            self._cross = _joined([member.cross for member in self._members])

    @torch.inference_mode()
    def leave(self, number: int) -> None:
        """Drop a member; the last one takes its number."""
        with self._lock:
            last = self._members.pop()
            if number < len(self._members):
                self._members[number] = last
                self._cache.move(len(self._members), number)
            if self._members:
                self._cache.members = len(self._members)
            else:
                self._cache = _Columns(self.arch)
            self._cross = _joined([member.cross for member in self._members])

    @torch.inference_mode()
    def feed(self, tokens: Sequence[int]) -> torch.Tensor:
        """Feed one token of each member; returns the logits [B, V]."""
        arch = self.arch
        with self._lock, cross_attending(arch, self._blocks, self._cross) if self._cross else nullcontext():
            self._cache.make_room([self._held(layer) for layer in range(arch.num_layers)])
            positions = torch.tensor([[m.first + m.fed] for m in self._members], device=arch.device)
            ids = torch.tensor([[token] for token in tokens], device=arch.device)
            mask_for = self._masks()
            hidden = arch.run_layers(
                arch.embed(ids), range(arch.num_layers), positions=positions, mask_for=mask_for, cache=self._cache
            )
            for member in self._members:
                member.fed += 1
            return arch.logits(hidden[:, -1])

    def _held(self, layer: int) -> list[int]:
        """Number of entries of each member in a layer."""
        injected = layer in self._injected
        return [member.front + (member.rows if injected else 0) + member.fed for member in self._members]

    def _masks(self) -> Any:
        """Masks by layer for the next token; layers that contain the same and see as far share one."""
        made: dict[tuple[bool, int, int | None], Mask] = {}
        longest = max(member.front + member.rows + member.fed for member in self._members)

        def mask_for(layer: int) -> Mask:
            window = self.arch.sliding_window(layer)
            window = window if window is not None and window <= longest else None
            # the cache's end has moved on once the layer has taken the new token; masks are made before
            key = (layer in self._injected, self._cache.ends[layer], window)
            if key not in made:
                made[key] = self._mask(self._held(layer), self._cache.ends[layer], window, injected=key[0])
            return made[key]

        return mask_for

    def _mask(self, held: Sequence[int], end: int, window: int | None, *, injected: bool) -> Mask:
        if window is None and all(count == end for count in held):
            return None
        places = torch.zeros(len(held), end + 1, dtype=torch.long)
        exists = torch.zeros(len(held), end + 1, dtype=torch.bool)
        queries = torch.zeros(len(held), 1, dtype=torch.long)
        for number, (member, count) in enumerate(zip(self._members, held, strict=True)):
            own = torch.arange(count + 1)
            if not injected:  # the rows of other layers stand between the front and the tokens in these, too
                own[member.front :] += member.rows
            places[number, end - count :] = own
            exists[number, end - count :] = True
            queries[number] = own[-1]
        seen = visible(queries, places, key_exists=exists, window=window).to(self.arch.device)
        # of a mask for one token only the padding counts: no query stands in it
        return for_attention(seen & exists[:, None, None].to(seen.device), self._implementation, self.arch.dtype)

    @property
    def _implementation(self) -> str:
        return str(self.arch.config._attn_implementation)


class _Columns:
    """Keys and values of every layer [slots, KV, columns, D]; the entries of all members end in the same column.

    Attributes:
        members: number of slots in use, the first ones.
        ends: the column after the last entry, by layer.
    """

    def __init__(self, arch: Architecture) -> None:
        self._arch = arch
        self.members = 0
        self.ends = [0] * arch.num_layers
        self._keys: list[torch.Tensor] = []
        self._values: list[torch.Tensor] = []

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append one entry [B, KV, 1, D] of each member and return all so far (the interface of transformers')."""
        end = self.ends[layer_idx]
        self._keys[layer_idx][: self.members, :, end : end + 1] = keys
        self._values[layer_idx][: self.members, :, end : end + 1] = values
        self.ends[layer_idx] = end + 1
        return (
            self._keys[layer_idx][: self.members, :, : end + 1],
            self._values[layer_idx][: self.members, :, : end + 1],
        )

    def put(self, taken: Fed, held: Sequence[Sequence[int]]) -> None:
        """Add a member with its entries; ``held`` are the numbers of entries by layer and member, it included."""
        self.members += 1
        slots = len(self._keys[0]) if self._keys else 0
        fits = all(counts[-1] <= end for counts, end in zip(held, self.ends, strict=True))
        if self.members > slots or not fits:
            self._lay_out([counts[:-1] for counts in held], [max(counts) for counts in held], self.members)
        for layer, (keys, values) in enumerate(zip(taken.keys, taken.values, strict=True)):
            end = self.ends[layer]
            place = slice(end - held[layer][-1], end)
            self._keys[layer][self.members - 1, :, place] = keys
            self._values[layer][self.members - 1, :, place] = values

    def move(self, source: int, target: int) -> None:
        """Copy a member's entries to another slot."""
        for buffer in (*self._keys, *self._values):
            buffer[target] = buffer[source]

    def make_room(self, held: Sequence[Sequence[int]]) -> None:
        """Reallocate everything if a layer has no column left."""
        if any(end >= buffer.shape[2] for end, buffer in zip(self.ends, self._keys, strict=True)):
            self._lay_out(held, [max(counts) for counts in held], len(self._keys[0]))

    def _lay_out(self, held: Sequence[Sequence[int]], ends: Sequence[int], slots: int) -> None:
        """Move the members' entries into buffers in which the longest begin in the first column."""
        for buffers in (self._keys, self._values):
            made = []
            for layer, end in enumerate(ends):
                shape = (slots, self._arch.kv_heads, end + SLACK, self._arch.head_dim)
                buffer = torch.zeros(shape, dtype=self._arch.dtype, device=self._arch.device)
                old = self.ends[layer]
                for number, count in enumerate(held[layer]):
                    buffer[number, :, end - count : end] = buffers[layer][number, :, old - count : old]
                made.append(buffer)
            buffers[:] = made
        self.ends = list(ends)


def _joined(rows: Sequence[CrossRows | None]) -> CrossRows | None:
    """Rows for cross-attention of several questions as one batch, the shorter ones padded; of one question its own."""
    present = [one for one in rows if one is not None]
    if len(present) < 2:
        return present[0] if present else None
    counts = [next(iter(one.layers.values()))[0].shape[2] for one in present]
    most = max(counts)

    def padded(tensor: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(tensor, (0, 0, 0, most - tensor.shape[2]))

    layers = {
        layer: (
            torch.cat([padded(one.layers[layer][0]) for one in present]),
            torch.cat([padded(one.layers[layer][1]) for one in present]),
        )
        for layer in present[0].layers
    }
    cos, sin = torch.cat([one.cos for one in present]), torch.cat([one.sin for one in present])
    exists = torch.arange(most, device=cos.device)[None] < torch.tensor(counts, device=cos.device)[:, None]
    return CrossRows(layers, cos, sin, None if bool(exists.all()) else exists[:, None, None])
