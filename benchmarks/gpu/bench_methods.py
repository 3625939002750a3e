"""What is measured on an accelerator: reading a context of token ids, the first token, decoding, and memory.

Works through the library's lower, inject and architecture layers alone, on random token ids and, but for the default
model, random weights: speed depends on neither.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from peers.plain_model import answer, feed
from peers.streaming import WINDOW, SinkWindow
from transformers import DynamicCache

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.architectures.registry import architecture_for
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import RowPlace
from sharedllm_docs.evaluation.memory import PeakMemory
from sharedllm_docs.injection.cross_attention import CrossAttention
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection, positions_of
from sharedllm_docs.injection.encoder import EncodedChunk, LowerEncoder
from sharedllm_docs.injection.prompt_prefix import FrontState, front_state

Record = dict[str, Any]
Ids = Sequence[int]


class TimeIsUpError(Exception):
    """The call's minutes are over in the middle of a measurement."""


@dataclass(frozen=True)
class Work:
    """What every method is given.

    Attributes:
        context: token ids.
        question: token ids fed behind it.
        new_tokens: generated.
        budget: maximum number of rows injected.
        batch: chunks encoded together.
        check: raises TimeIsUpError when the time is up; called between chunks.
    """

    context: Ids
    question: Ids
    new_tokens: int
    budget: int
    batch: int
    check: Callable[[], None]


class Method(Protocol):
    """Reads a context, then answers a question about it."""

    def read(self, work: Work) -> int:
        """Read; returns the bytes that a store would hold."""

    def ask(self, work: Work) -> Any:
        """An ``peers.base.Asked``."""


def measure(method: Method, work: Work, device: torch.device) -> Record:
    """Time and peak memory of both steps, weights included."""
    with PeakMemory(device) as reading:
        begun = time.perf_counter()
        stored = method.read(work)
        _wait(device)
        seconds = time.perf_counter() - begun
    with PeakMemory(device) as asking:
        asked = method.ask(work)
    return {
        "tokens": len(work.context),
        "read_seconds": seconds,
        "read_tokens_per_second": len(work.context) / seconds,
        "read_peak_bytes": reading.bytes,
        "stored_bytes": stored,
        "first_token_seconds": asked.first_token_seconds,
        "decode_tokens_per_second": asked.decoded / asked.decode_seconds,
        "question_peak_bytes": asking.bytes,
        "context": asked.context,
    }


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class FullPrefill:
    """The whole context as prompt; the question is fed behind its cache, which stays on the accelerator."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._cache = DynamicCache(config=model.config)

    def read(self, work: Work) -> int:
        feed(self._model, self._cache, work.context)
        return 0

    def ask(self, work: Work) -> Any:
        return answer(
            lambda ids: feed(self._model, self._cache, ids), work.question, work.new_tokens, len(work.context)
        )


class Streaming:
    """A sliding window with attention sinks, a window's worth of tokens at a time."""

    def __init__(self, model: Any) -> None:
        self._reader = SinkWindow(model)

    def read(self, work: Work) -> int:
        for start in range(0, len(work.context), WINDOW):
            work.check()
            self._reader.feed(work.context[start : start + WINDOW])
        return 0

    def ask(self, work: Work) -> Any:
        return answer(self._reader.feed, work.question, work.new_tokens, len(self._reader))


@dataclass
class Injected:
    """This project: every chunk's rows go to the host's memory, those of some chunks come back for the question.

    The rows of the other chunks are dropped there, as a store on disk would take them: a host has no room for all
    rows of a long context. Chunks are taken evenly over the context, as many as the budget has room for.

    Attributes:
        arch: of the model.
        profile: resolved.
        front_ids: stand before every chunk and before the rows (joint fusion).
    """

    arch: Architecture
    profile: Profile
    front_ids: Ids = ()
    _kept: list[EncodedChunk] = field(default_factory=list)
    _front: FrontState | None = None
    _blocks: dict[int, CrossAttention] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.profile.fusion == "joint":
            self._front = front_state(self.arch, self.front_ids)
            return
        for layer in self.profile.injection_layers:
            self._blocks[layer] = CrossAttention(self.arch).to(self.arch.device, self.arch.dtype).eval()

    def read(self, work: Work) -> int:
        encoder = LowerEncoder(self.arch, self.profile, self.front_ids)
        chunks = list(_chunks(work.context, self.profile.chunk_tokens))
        wanted = self._chosen(len(chunks), work.budget)
        stored = 0
        for start in range(0, len(chunks), work.batch):
            work.check()
            for number, one in enumerate(encoder.encode(chunks[start : start + work.batch]), start=start):
                moved = EncodedChunk(one.keys.cpu(), one.values.cpu(), one.node_vectors.cpu())
                stored += moved.keys.nbytes + moved.values.nbytes
                if number in wanted:
                    self._kept.append(moved)
        return stored

    def ask(self, work: Work) -> Any:
        begun = time.perf_counter()
        injection = self._injection()
        prompt = list(work.question) if self._front else [*self.front_ids, *work.question]
        with InjectedDecoder(
            self.arch,
            self.profile,
            [injection],
            front=self._front,
            blocks=self._blocks,
            capacity=len(prompt) + work.new_tokens,
        ) as decoder:
            placed = time.perf_counter() - begun
            asked = answer(lambda ids: decoder.feed([list(ids)])[0], prompt, work.new_tokens, injection.num_rows)
        return type(asked)(placed + asked.first_token_seconds, asked.decode_seconds, asked.decoded, asked.context)

    def _chosen(self, chunks: int, budget: int) -> set[int]:
        rows = self.profile.chunk_tokens // self.profile.stored_grain
        count = max(1, min(chunks, budget // rows))
        return {number * chunks // count for number in range(count)}

    def _injection(self) -> Injection:
        keys, values = (
            torch.cat([getattr(one, name) for one in self._kept]).permute(1, 2, 0, 3) for name in ("keys", "values")
        )
        places = [
            RowPlace(number, offset) for number, one in enumerate(self._kept) for offset in range(one.keys.shape[0])
        ]
        front = len(self.front_ids) if self._front else 0
        positions, query_position = positions_of(self.profile, places, front)
        return Injection(keys, values, torch.tensor(positions, dtype=torch.long), query_position)


def _chunks(ids: Ids, size: int) -> Iterator[Ids]:
    return (ids[start : start + size] for start in range(0, len(ids), size))


FRONT = (1, 5, 9, 13)
"""Token ids in place of a prompt's start."""


def methods(model: Any) -> dict[str, Callable[[], Method]]:
    """Makers of fresh methods for a model, by name."""
    arch = architecture_for(model)
    half = max(1, arch.num_layers // 2)

    def paper(last: int) -> Method:
        return Injected(arch, Profile.sharedllm(layers=(1, last)).resolve(arch.num_layers))

    return {
        "full_prefill": lambda: FullPrefill(model),
        "streaming": lambda: Streaming(model),
        f"sharedllm M={min(4, half)}": lambda: paper(min(4, half)),
        f"sharedllm M={half}": lambda: paper(half),
        "prefix": lambda: Injected(arch, Profile.prefix(store_dtype="bfloat16").resolve(arch.num_layers), FRONT),
    }
