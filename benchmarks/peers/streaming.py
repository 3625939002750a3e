"""A sliding window with attention sinks, in the manner of StreamingLLM (arXiv 2309.17453), on transformers' cache.

The first tokens and the latest ones are kept, everything between is dropped. Positions are those inside the cache:
what moves up is rotated back by as many places. The document is read in chunks, so memory does not grow with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from peers.base import Asked, NotAvailableError, Peer, Work, WorkQuestion
from peers.plain_model import answer, feed, load_model

SINKS, WINDOW, CHUNK = 4, 2044, 512
"""Numbers of tokens kept from the start and from the end (the paper's 4 + 2,044), and read at a time."""


class SinkWindow:
    """A model with a cache that keeps only sinks and window.

    Args:
        model: a causal LM with rotary positions.
        sinks: first tokens kept.
        window: latest tokens kept.
    """

    def __init__(self, model: Any, sinks: int = SINKS, window: int = WINDOW) -> None:
        from transformers import DynamicCache

        if getattr(model.model.rotary_emb, "attention_scaling", 1.0) != 1.0:
            raise NotAvailableError("keys whose rotation also scales them cannot be moved up")
        self.model, self.sinks, self.window = model, sinks, window
        self.cache = DynamicCache(config=model.config)

    def __len__(self) -> int:
        return int(self.cache.get_seq_length())

    def feed(self, ids: Sequence[int]) -> Any:
        """Logits [V] of the last of these tokens; the oldest beyond the window are dropped afterwards."""
        logits = feed(self.model, self.cache, ids)
        self._drop()
        return logits

    def read(self, ids: Sequence[int], chunk: int = CHUNK) -> None:
        """Feed a long text, ``chunk`` tokens at a time."""
        for start in range(0, len(ids), chunk):
            self.feed(ids[start : start + chunk])

    def state(self) -> list[tuple[Any, Any]]:
        """Current keys and values of each layer; feeding never changes these tensors."""
        return [(layer.keys, layer.values) for layer in self.cache.layers]

    def restore(self, state: list[tuple[Any, Any]]) -> None:
        """Go back to an earlier ``state``."""
        for layer, (keys, values) in zip(self.cache.layers, state, strict=True):
            layer.keys, layer.values = keys, values

    def _drop(self) -> None:
        import torch

        gone = len(self) - self.sinks - self.window
        if gone <= 0:
            return
        with torch.inference_mode():
            place = torch.tensor([[gone]], device=self.model.device)
            cos, sin = self.model.model.rotary_emb(self.cache.layers[0].keys, place)
            for layer in self.cache.layers:
                moved = _rotated_back(layer.keys[:, :, -self.window :], cos, sin)
                layer.keys = torch.cat([layer.keys[:, :, : self.sinks], moved], dim=2)
                layer.values = torch.cat([layer.values[:, :, : self.sinks], layer.values[:, :, -self.window :]], dim=2)


def _rotated_back(keys: Any, cos: Any, sin: Any) -> Any:
    """Keys [B, KV, S, D] rotated back by the angles of ``cos`` and ``sin`` [1, 1, D]."""
    from transformers.models.llama.modeling_llama import rotate_half

    return keys * cos[:, None] - rotate_half(keys) * sin[:, None]


class Streaming(Peer):
    """See the module."""

    _reader: Any = None
    _state: Any = None

    def load(self) -> None:
        self._reader = SinkWindow(load_model(self.settings))

    def prepare(self, work: Work) -> int:
        self._reader.read(work.prompt_ids)
        self._state = self._reader.state()
        return sum(document.tokens for document in work.documents)

    def ask(self, question: WorkQuestion) -> Asked:
        self._reader.restore(self._state)
        return answer(self._reader.feed, question.ids, self.settings.new_tokens, len(self._reader))
