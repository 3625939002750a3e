"""Plain decoding as systems are measured: an answer with timings, or a loss, from a prompt of token ids."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.errors import NotMeasurableError
from sharedllm_docs.injection.generate import Generated, finished, generate
from sharedllm_docs.model.completion import PlainDecoder
from sharedllm_docs.model.shared_llm import SharedLLM


def check_window(llm: SharedLLM, tokens: int, what: str) -> None:
    """Raise NotMeasurableError unless ``tokens`` fit the model's window."""
    if tokens > llm.upper.window:
        raise NotMeasurableError(
            f"{what} takes {tokens} tokens, more than the model's window of {llm.upper.window}.",
            remedy="Use a model with a longer window, or a system that need not read everything.",
        )


def plain_answer(llm: SharedLLM, ids: Sequence[int], generation: GenerationConfig) -> Generated:
    """Generate after a prompt of ids.

    Raises:
        NotMeasurableError: prompt and answer exceed the window.
    """
    check_window(llm, len(ids) + generation.max_new_tokens, "The prompt with its answer")
    return finished(generate(PlainDecoder(llm.upper, llm.lock), [ids], llm.tokenizer, generation, llm.end_ids))[0]


def plain_loss(llm: SharedLLM, before: Sequence[int], target: Sequence[int]) -> float:
    """Summed negative log likelihood of ``target`` after ``before``, in nats.

    Raises:
        NotMeasurableError: both together exceed the window.
    """
    check_window(llm, len(before) + len(target), "The text with its continuation")
    decoder = PlainDecoder(llm.upper, llm.lock)
    last = decoder.feed([before])  # the past's logits but the last are never materialised
    rest = decoder.feed([target[:-1]], all_logits=True)[0] if len(target) > 1 else last[:0]
    return loss_of(torch.cat([last, rest]), target)


def loss_of(logits: torch.Tensor, target: Sequence[int]) -> float:
    """Summed cross entropy of logits [S, V], each predicting the token of its place in ``target``."""
    wanted = torch.tensor(list(target), device=logits.device)
    return float(torch.nn.functional.cross_entropy(logits.float(), wanted, reduction="sum"))
