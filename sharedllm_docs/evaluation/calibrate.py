"""Calibration: find the layers in which a model reads its context, so that the rows of the others need not be stored.

The model completes sentences of a document from their first half, with the rows of the passage around them injected
into some layers only; with questions about the document, it answers them. Layers are left out from the bottom, then
from the top, as long as the loss stays close to that of injecting into all layers. docs/log.md has the result for the
embedded default.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from sharedllm_docs.checks import json_of
from sharedllm_docs.config import Profile
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.sentences import sentence_spans
from sharedllm_docs.documents.tokens import DocumentTokens, tokenize
from sharedllm_docs.errors import ConfigError, EmptyDocumentError, QuestionError
from sharedllm_docs.injection.decoder import InjectedDecoder, Injection
from sharedllm_docs.injection.encoder import LowerEncoder
from sharedllm_docs.model.shared_llm import SharedLLM
from sharedllm_docs.store.estimate import estimate_bytes

CONTEXT_TOKENS = 256
MIN_WORDS, MAX_WORDS = 10, 40


@dataclass(frozen=True)
class Calibration:
    """Result of ``calibrate_layers``.

    Attributes:
        layers: the layers found, (first, last), counted from 1, both included.
        num_layers: number of layers of the model.
        loss: mean loss per token with rows in the layers found.
        loss_all: mean loss per token with rows in all layers.
        loss_none: mean loss per token without rows.
        tried: (first, last) -> loss, in the order tried.
        samples: number of sentences or questions measured.
        bytes_per_token: size of the rows in the layers found, in bytes per token of a document.
        bytes_per_token_all: size of the rows in all layers, in bytes per token of a document.
    """

    layers: tuple[int, int]
    num_layers: int
    loss: float
    loss_all: float
    loss_none: float
    tried: dict[tuple[int, int], float]
    samples: int
    bytes_per_token: float
    bytes_per_token_all: float

    @property
    def rows_help(self) -> bool:
        """Whether rows in all layers lower the loss; if they do not, the layers found mean nothing."""
        return self.loss_all < self.loss_none


@dataclass(frozen=True)
class OwnQuestion:
    """A question about the document, with its answer.

    Attributes:
        question: in the user's words.
        answer: as the model should word it.
        evidence: verbatim words of the document that answer the question; "" means the answer itself.
    """

    question: str
    answer: str
    evidence: str = ""


@dataclass(frozen=True)
class _Sample:
    """Rows of a passage in all layers, and the tokens fed after them.

    Attributes:
        keys, values: [layers, KV, R, D], keys not rotated.
        beginning: tokens given to the model.
        ending: tokens whose loss is measured.
    """

    keys: torch.Tensor
    values: torch.Tensor
    beginning: list[int]
    ending: list[int]


def calibrate_layers(
    llm: SharedLLM,
    document: Document,
    *,
    questions: Sequence[OwnQuestion] = (),
    samples: int = 24,
    tolerance: float = 0.02,
    seed: int = 0,
    report: Callable[[tuple[int, int], float], None] | None = None,
) -> Calibration:
    """Find the smallest range of layers whose loss is close to that of all layers, narrowed from both ends.

    Args:
        llm: the model, with the ``prefix`` profile (whose ``layers`` do not matter).
        document: prose to measure on.
        questions: questions about the document; without any, its own sentences are completed.
        samples: maximum number of sentences or questions measured.
        tolerance: maximum rise of the loss, as a share of what rows in all layers gain over no rows.
        seed: of the choice of sentences or questions.
        report: called with every range tried and its loss.

    Raises:
        ConfigError: the profile does not inject by ``joint`` fusion, or samples or tolerance are out of bounds.
        EmptyDocumentError: the document has no sentences of a usable length.
        QuestionError: the document does not contain the evidence of a question.
    """
    if llm.profile.fusion != "joint":
        raise ConfigError(f"Profile {llm.profile.name!r} cannot be calibrated.", remedy="Use the 'prefix' profile.")
    _check_bounds(samples, tolerance)
    chosen = _asked(llm, document, questions, samples, seed) if questions else _samples(llm, document, samples, seed)
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
    costs = [_bytes_per_token(llm, one) for one in (layers, (1, last))]
    return Calibration(layers, last, tried[layers], loss_all, loss_none, tried, len(chosen), *costs)


def read_questions(path: str | Path) -> list[OwnQuestion]:
    """Read questions from a file of JSON lines, each with ``question``, ``answer`` and perhaps ``evidence``.

    Raises:
        QuestionError: the file cannot be read, contains no question, or has a line that is none.
    """
    remedy = 'Write a line {"question": "…", "answer": "…", "evidence": "…"} for each.'
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise QuestionError(f"The questions in {path} cannot be read: {error}.", remedy="Check the file.") from error
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            fields = json_of(line)
            made = OwnQuestion(fields["question"], fields["answer"], fields.get("evidence", ""))
            usable = all(isinstance(text, str) for text in vars(made).values())
        except (ValueError, KeyError, TypeError, AttributeError):
            usable = False
        if not usable or not made.question.strip() or not made.answer.strip():
            raise QuestionError(f"Line {number} of {path} is not a question with an answer.", remedy=remedy)
        found.append(made)
    if not found:
        raise QuestionError(f"{path} contains no questions.", remedy=remedy)
    return found


def _check_bounds(samples: int, tolerance: float) -> None:
    problems = []
    if samples < 1:
        problems.append(f"samples={samples} must be at least 1.")
    if not 0 <= tolerance < 1:
        problems.append(f"tolerance={tolerance:g} must lie in 0 .. 1.")
    if problems:
        raise ConfigError(" ".join(problems), remedy="Correct it.")


def _bytes_per_token(llm: SharedLLM, layers: tuple[int, int]) -> float:
    """Size of the rows of a long document in these layers, per token."""
    profile, tokens = replace(llm.profile, layers=layers), 64 * llm.profile.chunk_tokens
    size = estimate_bytes(tokens, profile, kv_heads=llm.upper.kv_heads, head_dim=llm.upper.head_dim)
    return (size.rows + size.heads) / tokens


def _trim(layers: tuple[int, int], loss_of: Callable[[tuple[int, int]], float], bound: float) -> tuple[int, int]:
    """Leave out layers from the bottom, then from the top, while the loss stays within the bound."""
    first, last = layers
    while first < last and loss_of((first + 1, last)) <= bound:
        first += 1
    while last > first and loss_of((first, last - 1)) <= bound:
        last -= 1
    return first, last


def _samples(llm: SharedLLM, document: Document, count: int, seed: int) -> list[_Sample]:
    """Samples of sentences: the first half as the beginning, the second half as the ending."""
    tokens = tokenize(document, llm.tokenizer)
    text = document.text
    spans = [(a, b) for a, b in sentence_spans(text) if MIN_WORDS <= len(text[a:b].split()) <= MAX_WORDS]
    if not spans:
        raise EmptyDocumentError(
            f"{document.name} has no sentence of {MIN_WORDS} to {MAX_WORDS} words.", remedy="Give a document of prose."
        )
    picked = random.Random(seed).sample(spans, min(count, len(spans)))
    made = []
    for start, end in sorted(picked):
        sentence = llm.tokenizer("\n\n" + text[start:end], add_special_tokens=False)["input_ids"]
        half = len(sentence) // 2
        made.append(_Sample(*_rows(llm, tokens, start, end), sentence[:half], sentence[half:]))
    return made


def _asked(
    llm: SharedLLM, document: Document, questions: Sequence[OwnQuestion], count: int, seed: int
) -> list[_Sample]:
    """Samples of questions: the question after the passage that answers it, and the answer as its ending."""
    tokens, text = tokenize(document, llm.tokenizer), document.text
    made = []
    for asked in random.Random(seed).sample(questions, min(count, len(questions))):
        wanted = asked.evidence.strip() or asked.answer.strip()
        start = text.find(wanted)
        if start < 0:
            raise QuestionError(
                f"{document.name} does not contain {wanted[:60]!r}, which answers {asked.question[:60]!r}.",
                remedy="Give the words of the document as evidence.",
            )
        gap = "" if llm.template.after_question[-1:].isspace() else " "
        answer = llm.tokenizer(gap + asked.answer.strip(), add_special_tokens=False)["input_ids"]
        beginning = list(llm.template.question_ids(llm.tokenizer, asked.question))
        made.append(_Sample(*_rows(llm, tokens, start, start + len(wanted)), beginning, answer))
    return made


def _rows(llm: SharedLLM, tokens: DocumentTokens, start: int, end: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Keys and values [layers, KV, R, D], in all layers, of the passage around the characters ``start`` to ``end``."""
    middle = int(((tokens.char_end > start) & (tokens.char_start < end)).nonzero()[0].mean())
    first = max(0, min(middle - CONTEXT_TOKENS // 2, len(tokens) - CONTEXT_TOKENS))
    encoder = LowerEncoder(llm.lower, _every_layer(llm), llm.front_ids)
    with llm.lock:
        rows = encoder.encode([tokens.ids[first : first + CONTEXT_TOKENS].tolist()])[0]
    return rows.keys.permute(1, 2, 0, 3), rows.values.permute(1, 2, 0, 3)


def _every_layer(llm: SharedLLM) -> Profile:
    return replace(llm.profile, layers=(1, llm.upper.num_layers))


def _without_rows(sample: _Sample) -> _Sample:
    return replace(sample, keys=sample.keys[:, :, :0], values=sample.values[:, :, :0])


def _loss(llm: SharedLLM, samples: Sequence[_Sample], layers: tuple[int, int]) -> float:
    """Mean loss per token of the endings, with the rows injected into ``layers``."""
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
