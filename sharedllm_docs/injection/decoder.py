"""Injection of stored rows into the decoder (paper, section 3.3; docs/architecture.md).

Questions attend to the unrotated rows of the selected nodes, rotated here to the positions they take. ``joint`` puts
the rows in front of each layer's own keys and values; ``separate`` reads them by cross-attention blocks. The model is
never changed: rows are held by a cache object, blocks by hooks that are removed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import torch

from sharedllm_docs.architectures.base import Architecture, Mask
from sharedllm_docs.architectures.masks import for_attention, visible
from sharedllm_docs.architectures.rope import rotate
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import RowPlace
from sharedllm_docs.injection.cross_attention import CrossAttention, CrossRows, cross_attending
from sharedllm_docs.injection.grouped_heads import GROUPED_HEADS, grouped_mask
from sharedllm_docs.injection.prompt_prefix import FrontState, front_state


@dataclass(frozen=True)
class Injection:
    """The rows injected for one question.

    Attributes:
        keys: [Ls, KV, R, D], unrotated.
        values: [Ls, KV, R, D].
        positions: [R] rotary position of each key, the front's tokens counted (see ``positions_of``).
        query_position: rotary position of the question: of its first token (joint) or of all its tokens in
            cross-attention (separate).
    """

    keys: torch.Tensor
    values: torch.Tensor
    positions: torch.Tensor
    query_position: int

    @property
    def num_rows(self) -> int:
        return int(self.keys.shape[2])


def positions_of(profile: Profile, places: Sequence[RowPlace], front_tokens: int) -> tuple[list[int], int]:
    """Rotary positions of injected rows and of the question.

    ``token``: consecutive after the front. ``chunk``: the index of the chunk among the injected chunks, and the
    question after the last one (paper, section 3.3). ``chunk+token``: the offset inside the node is added to that.
    """
    chunks = 1 + max((place.chunk for place in places), default=-1)
    start = front_tokens if profile.fusion == "joint" else 0
    if profile.positions == "token":
        return list(range(start, start + len(places))), start + len(places)
    inside = profile.positions == "chunk+token"
    positions = [start + place.chunk + (place.offset if inside else 0) for place in places]
    return positions, start + chunks + profile.query_offset


class RowCache:
    """Keys and values of every layer in buffers of fixed capacity: injected rows first, then those of the tokens.

    Buffers are written in place, so a decoding step copies one token and not the whole cache. Only the injection
    layers contain injected rows, so layers may contain different numbers of rows.
    """

    def __init__(self, arch: Architecture, batch: int, prefix_lengths: Sequence[int], capacity: int) -> None:
        self.lengths = [0] * arch.num_layers
        shape = [(batch, arch.kv_heads, length + capacity, arch.head_dim) for length in prefix_lengths]
        self.keys = [torch.zeros(s, dtype=arch.dtype, device=arch.device) for s in shape]
        self.values = [torch.zeros(s, dtype=arch.dtype, device=arch.device) for s in shape]

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values [B, KV, S, D] and return all so far (the interface of transformers' caches)."""
        start = self.lengths[layer_idx]
        end = start + keys.shape[2]
        self.keys[layer_idx][:, :, start:end] = keys
        self.values[layer_idx][:, :, start:end] = values
        self.lengths[layer_idx] = end
        return self.keys[layer_idx][:, :, :end], self.values[layer_idx][:, :, :end]

    def forget(self, tokens: int) -> None:
        """Drop the last entries of every layer; the next ones are written over them."""
        self.lengths = [length - tokens for length in self.lengths]

    def clear(self) -> None:
        """Free the memory."""
        self.keys.clear()
        self.values.clear()

    def put(self, layer: int, element: int, start: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Write rotated rows [KV, R, D] of one batch element from ``start`` on; the layer's length stays."""
        end = start + keys.shape[1]
        self.keys[layer][element, :, start:end] = keys
        self.values[layer][element, :, start:end] = values


@dataclass(frozen=True)
class Fed:
    """What a decoder of one question holds after it was fed.

    Attributes:
        keys: by layer, rotated keys [KV, N, D]: of the front, the rows (in the layers that have any) and the tokens.
        values: by layer, [KV, N, D].
        front: number of tokens of the front.
        rows: number of injected rows.
        tokens: number of tokens fed.
        first_position: rotary position of the first of them.
        cross: the rows for cross-attention, or None.
    """

    keys: list[torch.Tensor]
    values: list[torch.Tensor]
    front: int
    rows: int
    tokens: int
    first_position: int
    cross: CrossRows | None


class InjectedDecoder:
    """The decoder for a batch of questions that attend to injected rows; a context manager.

    Args:
        arch: the upper model, or its twin for questions (``decode_step``).
        profile: resolved.
        injections: one per question; numbers of rows may differ (shorter ones are padded and masked).
        front: the prompt's start (``joint`` only, its tokens count in the injections' positions).
        blocks: cross-attention blocks by layer (``separate`` only).
        capacity: maximum number of tokens that will be fed (question and answer).
        lock: held while the model computes, so that questions in several threads can share it.
        steps: returns the model that decodes single tokens (``decode_step``), called at the first such step; None for
            the upper model itself.
        watch: layers, counted from 0, whose hidden states of the questions' last tokens are noted.

    Attributes:
        states: [B, W, E] float32: hidden states of the last token of what was fed first (the question), after each
            layer of ``watch``; None before that, and if there is none to watch.
    """

    def __init__(
        self,
        arch: Architecture,
        profile: Profile,
        injections: Sequence[Injection],
        *,
        front: FrontState | None = None,
        blocks: Mapping[int, CrossAttention] | None = None,
        capacity: int,
        lock: AbstractContextManager[Any] | None = None,
        steps: Callable[[], Architecture] | None = None,
        watch: Sequence[int] = (),
    ) -> None:
        self.arch = arch
        self.states: torch.Tensor | None = None
        self._watch = tuple(watch)
        self._steps = steps or (lambda: arch)
        self._lock = lock or nullcontext()
        self.profile = profile
        self.injections = list(injections)
        self._joint = profile.fusion == "joint"
        self._blocks = blocks or {}
        self._front = front if front is not None else front_state(arch, ())
        self._front_tokens = self._front.num_tokens
        self._rows = max((i.num_rows for i in self.injections), default=0) if self._joint else 0
        self._cache = RowCache(arch, len(self.injections), [self._prefix(i) for i in range(arch.num_layers)], capacity)
        self._fed = torch.zeros(len(self.injections), dtype=torch.long)
        self._padding = torch.zeros(len(self.injections), dtype=torch.long)
        self._cross: CrossRows | None = None

    def __enter__(self) -> InjectedDecoder:
        with self._lock, torch.inference_mode():
            if self._joint:
                self._place_rows()
            elif self._blocks and any(i.num_rows for i in self.injections):
                self._cross = self._cross_rows()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cross = None
        self._cache.clear()

    # -- rows -----------------------------------------------------------------------------------------------------

    def _prefix(self, layer: int) -> int:
        """Number of entries in front of the tokens in ``layer``."""
        injected = self._joint and layer in self.profile.injection_layers
        return self._front_tokens + (self._rows if injected else 0)

    def _place_rows(self) -> None:
        """Write the front at the left, each question's rows directly before its tokens, and padding between."""
        for element, injection in enumerate(self.injections):
            cos, sin = self.arch.rotary(injection.positions[None].to(self.arch.device))
            keys = rotate(injection.keys.to(self.arch.device, self.arch.dtype), cos, sin)
            values = injection.values.to(self.arch.device, self.arch.dtype)
            start = self._front_tokens + self._rows - injection.num_rows
            for slot, layer in enumerate(self.profile.injection_layers):
                self._cache.put(layer, element, start, keys[slot], values[slot])
            for layer in range(self.arch.num_layers):
                self._cache.put(layer, element, 0, self._front.keys[layer], self._front.values[layer])
        self._cache.lengths = [self._prefix(layer) for layer in range(self.arch.num_layers)]

    def _cross_rows(self) -> CrossRows:
        rows = max(i.num_rows for i in self.injections)
        batch = len(self.injections)
        layers = self.profile.injection_layers
        shape = (len(layers), batch, self.arch.kv_heads, rows, self.arch.head_dim)
        keys = torch.zeros(shape, dtype=self.arch.dtype, device=self.arch.device)
        values = torch.zeros_like(keys)
        exists = torch.zeros(batch, 1, 1, rows, dtype=torch.bool, device=self.arch.device)
        for element, injection in enumerate(self.injections):
            count = injection.num_rows
            cos, sin = self.arch.rotary(injection.positions[None].to(self.arch.device))
            keys[:, element, :, :count] = rotate(injection.keys.to(self.arch.device, self.arch.dtype), cos, sin)
            values[:, element, :, :count] = injection.values.to(self.arch.device, self.arch.dtype)
            exists[element, ..., :count] = True
        # without any row the softmax would be empty: such a question sees one zero row, whose value adds nothing
        exists[..., 0] = True
        question = torch.tensor([[i.query_position] for i in self.injections], device=self.arch.device)
        cos, sin = self.arch.rotary(question)
        by_layer = {layer: (keys[slot], values[slot]) for slot, layer in enumerate(layers)}
        return CrossRows(by_layer, cos[:, None], sin[:, None], None if bool(exists.all()) else exists)

    # -- tokens ---------------------------------------------------------------------------------------------------

    @torch.inference_mode()
    def feed(self, sequences: Sequence[Sequence[int]], *, all_logits: bool = False) -> torch.Tensor:
        """Feed the next tokens of every question: the whole question first, then one token per step.

        Args:
            sequences: token ids per question; lengths may differ in the first call only (shorter ones are padded left).
            all_logits: return the logits of every token instead of the last.

        Returns:
            logits [B, V] of each question's last token; [B, S, V] with ``all_logits``, padding at the left.
        """
        # hooks exist only while tokens are fed: between two steps other threads may use the model
        arch = self._arch_for(sequences)
        with self._lock, self._attending(arch):
            hidden = self._run(arch, sequences)
            return arch.logits(hidden if all_logits else hidden[:, -1])

    def rewind(self, tokens: int) -> None:
        """Forget all but the first ``tokens`` that were fed, padding counted, so that others can be fed after them.

        Args:
            tokens: at least the length of the first call's longest sequence less one; at most what was fed.
        """
        fed = int(self._fed[0])
        self._cache.forget(fed - tokens)
        self._fed -= fed - tokens

    def fed(self) -> Fed:
        """What this decoder, of one question, contains: for a batch that goes on with it (``running``)."""
        cache, lengths = self._cache, self._cache.lengths
        return Fed(
            [keys[0, :, :length] for keys, length in zip(cache.keys, lengths, strict=True)],
            [values[0, :, :length] for values, length in zip(cache.values, lengths, strict=True)],
            self._front_tokens,
            self._rows,
            int(self._fed[0]),
            int(self._first_positions()[0]),
            self._cross,
        )

    def _attending(self, arch: Architecture) -> AbstractContextManager[None]:
        return cross_attending(arch, self._blocks, self._cross) if self._cross else nullcontext()

    def _arch_for(self, sequences: Sequence[Sequence[int]]) -> Architecture:
        """The model for single-token steps, whatever the batch size, so that an answer does not depend on its batch."""
        step = bool(self._fed.any()) and all(len(sequence) == 1 for sequence in sequences)
        return self._steps() if step else self.arch

    def _run(self, arch: Architecture, sequences: Sequence[Sequence[int]]) -> torch.Tensor:
        length = max(map(len, sequences))
        ids = torch.zeros(len(sequences), length, dtype=torch.long)
        for row, sequence in enumerate(sequences):
            ids[row, length - len(sequence) :] = torch.as_tensor(sequence)
        if not self._fed.any():
            self._padding = torch.tensor([length - len(sequence) for sequence in sequences])
        done = int(self._fed[0]) if self._fed.numel() else 0
        steps = torch.arange(done, done + length)[None] - self._padding[:, None]
        self._fed += length
        positions = (steps + self._first_positions()[:, None]).clamp(min=0).to(self.arch.device)
        seen: dict[int, torch.Tensor] = {}

        def note(layer: int, hidden: torch.Tensor) -> None:
            if layer in self._watch:
                seen[layer] = hidden[:, -1].float().cpu()

        result = arch.run_layers(
            arch.embed(ids.to(arch.device)),
            range(arch.num_layers),
            positions=positions,
            mask_for=self._mask_for(done, length),
            cache=self._cache,
            after_layer=note if self._watch and not done else None,
        )
        if seen:
            self.states = torch.stack([seen[layer] for layer in self._watch], dim=1)
        return result

    def _first_positions(self) -> torch.Tensor:
        """[B] rotary position of each question's first token in self-attention."""
        if self._joint:
            return torch.tensor([i.query_position for i in self.injections])
        return torch.zeros(len(self.injections), dtype=torch.long)

    def _mask_for(self, done: int, length: int) -> Any:
        """Masks per layer for ``length`` new tokens after ``done``; layers with the same prefix share one."""
        implementation = self.arch.config._attn_implementation
        made: dict[tuple[int, int | None], Mask] = {}

        def mask_for(layer: int) -> Mask:
            prefix = self._prefix(layer)
            window = self.arch.sliding_window(layer)
            window = window if window is not None and window < self._front_tokens + self._rows + done + length else None
            key = (prefix, window)
            if key not in made:
                made[key] = self._mask(prefix, window, done, length, implementation)
            return made[key]

        return mask_for

    def _mask(self, prefix: int, window: int | None, done: int, length: int, implementation: str) -> Mask:
        ragged = bool(self._padding.any()) or any(i.num_rows != self._rows for i in self.injections if self._joint)
        if not ragged and window is None and (length == 1 or implementation.startswith("flash")):
            return None  # one token sees everything; flash attention aligns its causal mask to the end by itself
        if not ragged and window is None and prefix + done == 0 and implementation != "eager":
            return None  # a plain causal sequence: the kernels' own path, bit for bit the model's
        seen = self._visible(prefix, window, done, length).to(self.arch.device)
        if implementation == GROUPED_HEADS and length > 1:
            return grouped_mask(seen, self.arch.num_heads // self.arch.kv_heads, self.arch.dtype)
        return for_attention(seen, implementation, self.arch.dtype)

    def _visible(self, prefix: int, window: int | None, done: int, length: int) -> torch.Tensor:
        injected = prefix - self._front_tokens
        total = self._front_tokens + self._rows
        own = torch.arange(done + length)
        queries = (own[done:] + total)[None].expand(len(self.injections), -1)
        places = torch.zeros(len(self.injections), prefix + done + length, dtype=torch.long)
        exists = torch.ones_like(places, dtype=torch.bool)
        for element, injection in enumerate(self.injections):
            # padding takes up no position: tokens before it move up to those after it
            padding = int(self._padding[element])
            row_padding = self._rows - injection.num_rows if self._joint else 0
            places[element, : self._front_tokens] = torch.arange(self._front_tokens) + padding + row_padding
            places[element, self._front_tokens : prefix] = torch.arange(injected) + self._front_tokens + padding
            places[element, prefix:] = own + total
            if injected:
                exists[element, self._front_tokens : self._front_tokens + row_padding] = False
            exists[element, prefix : prefix + padding] = False
        return visible(queries, places, key_exists=exists, window=window)
