"""Finds the layers in which a model reads its context, so that the others' rows need not be stored.

Sentences of a document are begun, and the loss of their endings is measured with the sentence's own leaf injected
into some layers only. Layers are left out from the bottom, then from the top, as long as the loss stays near that of
injecting into all (docs/log.md: found 6 to 25 of 30 for the embedded default).
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.sentences import sentence_spans
from sharedllm_docs.documents.tokens import tokenize
from sharedllm_docs.errors import ConfigError, EmptyDocumentError
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.model.shared_llm import SharedLLM

CONTEXT_TOKENS = 256
MIN_WORDS, MAX_WORDS = 10, 40


@dataclass(frozen=True)
class Calibration:
    """Result of ``calibrate_layers``.

    Attributes:
        layers: (first, last), counted from 1, both included.
        loss: mean loss a token with rows in these layers.
        loss_all: with rows in all layers.
        loss_none: without any rows.
        tried: (first, last) -> loss, in the order tried.
    """

    layers: tuple[int, int]
    loss: float
    loss_all: float
    loss_none: float
    tried: dict[tuple[int, int], float]


@dataclass(frozen=True)
class _Sample:
    """Rows of a passage in all layers, and a sentence out of it: its beginning and its ending, as ids."""

    keys: torch.Tensor
    values: torch.Tensor
    beginning: list[int]
    ending: list[int]


def calibrate_layers(
    llm: SharedLLM,
    document: Document,
    *,
    samples: int = 24,
    tolerance: float = 0.02,
    seed: int = 0,
    report: Callable[[tuple[int, int], float], None] | None = None,
) -> Calibration:
    """The smallest range of layers, found from both ends, whose loss is within ``tolerance`` of all layers'.

    Args:
        llm: the model, with the ``prefix`` profile (its ``layers`` do not matter).
        document: real text to try it on.
        samples: sentences tried.
        tolerance: most by which the loss may rise, as a share of what injection gains over no rows at all.
        seed: of the choice of sentences.
        report: told of every range tried and its loss.

    Raises:
        ConfigError: the profile does not inject by ``joint`` fusion.
        EmptyDocumentError: the document has no sentences of a usable length.
    """
    if llm.profile.fusion != "joint":
        raise ConfigError(f"Profile {llm.profile.name!r} cannot be calibrated.", remedy="Use the 'prefix' profile.")
    chosen = _samples(llm, document, samples, seed)
    last = llm.upper.num_layers
    tried: dict[tuple[int, int], float] = {}

    def loss_of(layers: tuple[int, int]) -> float:
        tried[layers] = _loss(llm, chosen, layers)
        if report is not None:
            report(layers, tried[layers])
        return tried[layers]

    loss_all = loss_of((1, last))
    loss_none = _loss(llm, [_without_rows(sample) for sample in chosen], (1, last))
    bound = loss_all + tolerance * max(loss_none - loss_all, 0.0)
    layers = _trim((1, last), loss_of, bound)
    return Calibration(layers, tried[layers], loss_all, loss_none, tried)


def _trim(layers: tuple[int, int], loss_of: Callable[[tuple[int, int]], float], bound: float) -> tuple[int, int]:
    first, last = layers
    while first < last and loss_of((first + 1, last)) <= bound:
        first += 1
    while last > first and loss_of((first, last - 1)) <= bound:
        last -= 1
    return first, last


def _samples(llm: SharedLLM, document: Document, count: int, seed: int) -> list[_Sample]:
    tokens = tokenize(document, llm.tokenizer)
    text = document.text
    spans = [(a, b) for a, b in sentence_spans(text) if MIN_WORDS <= len(text[a:b].split()) <= MAX_WORDS]
    if not spans:
        raise EmptyDocumentError(
            f"{document.name} has no sentence of {MIN_WORDS} to {MAX_WORDS} words.", remedy="Give a document of prose."
        )
    picked = random.Random(seed).sample(spans, min(count, len(spans)))
    encoder = LowerEncoder(llm.lower, _every_layer(llm), llm.front_ids)
    made = []
    for start, end in sorted(picked):
        middle = int(((tokens.char_start >= start) & (tokens.char_start < end)).nonzero()[0].mean())
        first = max(0, min(middle - CONTEXT_TOKENS // 2, len(tokens) - CONTEXT_TOKENS))
        with llm.lock:
            rows = encoder.encode([tokens.ids[first : first + CONTEXT_TOKENS].tolist()])[0]
        sentence = llm.tokenizer("\n\n" + text[start:end], add_special_tokens=False)["input_ids"]
        half = len(sentence) // 2
        keys, values = rows.keys.permute(1, 2, 0, 3), rows.values.permute(1, 2, 0, 3)
        made.append(_Sample(keys, values, sentence[:half], sentence[half:]))
    return made


def _every_layer(llm: SharedLLM) -> Profile:
    return replace(llm.profile, layers=(1, llm.upper.num_layers))


def _without_rows(sample: _Sample) -> _Sample:
    return replace(sample, keys=sample.keys[:, :, :0], values=sample.values[:, :, :0])


def _loss(llm: SharedLLM, samples: Sequence[_Sample], layers: tuple[int, int]) -> float:
    """Mean loss a token of the endings, with the rows injected into ``layers``."""
    profile = replace(llm.profile, layers=layers)
    wanted = profile.injection_layers
    front = len(llm.start_ids)
    total, count = 0.0, 0
    for sample in samples:
        keys, values = sample.keys[wanted.start : wanted.stop], sample.values[wanted.start : wanted.stop]
        rows = keys.shape[2]
        injection = Injection(keys, values, torch.arange(front, front + rows), front + rows)
        ids = [*sample.beginning, *sample.ending]
        with InjectedDecoder(
            llm.upper, profile, [injection], front=llm.front, capacity=len(ids), lock=llm.lock
        ) as decoder:
            logits = decoder.feed([ids], all_logits=True)[0].float()
        predicted = logits[len(sample.beginning) - 1 : -1]
        target = torch.tensor(sample.ending, device=predicted.device)
        total += float(torch.nn.functional.cross_entropy(predicted, target, reduction="sum"))
        count += len(sample.ending)
    return total / count
