"""Likelihoods that distinguish an answer read from the rows from an invented one, and the layers for a probe.

After an answer, the decoder is fed "The document does not say." in its place, and the answer once more without rows.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from sharedllm_docs.injection.decoder import InjectedDecoder, Injection
from sharedllm_docs.injection.generate import Generated
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.retrieval.answer import NOT_SAID

_WATCHED = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
"""Depths at which hidden states are collected for a probe; the fit chooses which one it uses."""


def watched_layers(layers: int) -> tuple[int, ...]:
    """Layers, counted from 0, whose hidden states may show whether a question is answered.

    Args:
        layers: number of layers of the model.
    """
    return tuple(sorted({min(layers - 1, round(depth * layers)) for depth in _WATCHED}))


def not_said_ids(llm: SharedLLM) -> tuple[int, ...]:
    """Token ids of "The document does not say." as an answer begins."""
    return tuple(llm.tokenizer(f" {NOT_SAID}" if _spaced(llm) else NOT_SAID, add_special_tokens=False)["input_ids"])


def declining(llm: SharedLLM, decoder: InjectedDecoder, fed: Sequence[Sequence[int]]) -> list[float]:
    """Mean log-likelihood per token of declining, for each question whose answer the decoder has just written.

    Args:
        llm: the model that answers.
        decoder: with the questions and answers in its cache; their answers are forgotten.
        fed: the token ids of each question, as the decoder was given them.
    """
    ids = not_said_ids(llm)
    decoder.rewind(max(map(len, fed)) - 1)
    logits = decoder.feed([[question[-1], *ids[:-1]] for question in fed], all_logits=True)
    return _means(logits, [ids] * len(fed))


def without_rows(
    llm: SharedLLM, injections: Sequence[Injection], fed: Sequence[Sequence[int]], results: Sequence[Generated]
) -> list[float]:
    """Mean log-likelihood per token of each answer to its question without rows.

    Args:
        llm: the model that answers.
        injections: the rows that were injected, which give the positions.
        fed: the token ids of each question, without evidence.
        results: the answers.
    """
    found = []
    for injection, question, result in zip(injections, fed, results, strict=True):
        sequence = [*question, *result.ids[:-1]]
        start = int(injection.query_position) - injection.num_rows if llm.profile.positions == "token" else 0
        nothing = Injection(injection.keys[:, :, :0], injection.values[:, :, :0], injection.positions[:0], start)
        with InjectedDecoder(
            llm.questions,
            llm.profile,
            [nothing],
            front=llm.front,
            blocks=llm.blocks,
            capacity=len(sequence),
            lock=llm.lock,
        ) as decoder:
            logits = decoder.feed([sequence], all_logits=True)[:, len(question) - 1 :]
        found += _means(logits, [result.ids])
    return found


def _means(logits: torch.Tensor, ids: Sequence[Sequence[int]]) -> list[float]:
    """Mean log-likelihood per token of ids [B][S] under logits [B, S, V]."""
    scores = logits.float()
    chosen = scores.gather(2, torch.tensor([list(one) for one in ids], device=scores.device)[..., None])[..., 0]
    return [float(x) for x in (chosen - scores.logsumexp(dim=2)).mean(dim=1).cpu()]


def _spaced(llm: SharedLLM) -> bool:
    """Whether an answer begins with a space, as after a plain prompt that ends in "Answer:"."""
    return llm.template.add_bos
