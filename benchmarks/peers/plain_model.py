"""A transformers model with a cache, as its own documentation uses it: shared by the peers that read text."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from peers.base import Asked, PeerSettings


def load_model(settings: PeerSettings) -> Any:
    """The causal LM, on the CPU, with torch's scaled_dot_product_attention."""
    import torch
    from transformers import AutoModelForCausalLM
    from transformers.utils import logging

    logging.disable_progress_bar()
    model = AutoModelForCausalLM.from_pretrained(
        settings.folder, dtype=getattr(torch, settings.dtype), attn_implementation="sdpa"
    )
    return model.eval()


def feed(model: Any, cache: Any, ids: Sequence[int]) -> Any:
    """Logits [V] of the last of these tokens, which are in the cache afterwards."""
    import torch

    with torch.inference_mode():
        tokens = torch.tensor([list(ids)], device=model.device)
        return model(tokens, past_key_values=cache, use_cache=True, logits_to_keep=1).logits[0, -1]


def answer(feed_next: Callable[[Sequence[int]], Any], ids: Sequence[int], new_tokens: int, context: int) -> Asked:
    """Greedy decoding of ``new_tokens`` tokens after a question.

    Args:
        feed_next: takes the next ids, gives logits [V].
        ids: of the question.
        new_tokens: how many; ending tokens do not end it, so that all peers decode equally much.
        context: for the record.
    """
    begun = time.perf_counter()
    token = int(feed_next(ids).argmax())
    first = time.perf_counter()
    for _step in range(new_tokens - 1):
        token = int(feed_next([token]).argmax())
    return Asked(first - begun, time.perf_counter() - first, new_tokens - 1, context)
