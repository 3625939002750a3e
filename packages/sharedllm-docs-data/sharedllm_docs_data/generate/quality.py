"""Checks that every generated question must pass."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from sharedllm_docs.training.dataset import QuestionRow
from sharedllm_docs_data.reserved import refuse_training

_FREE = frozenset(("absent", "yes-no"))
# Wordings that name the possible answers, or both things that are compared.
_CHOICES = re.compile(r"definitions\.part|facts\.kind|carried\.type|twostep\.(more|less)")
_JOINED = re.compile(r"needles\.(all|both)")
_QUESTION, _CONTEXT, _ANSWER = (8, 700), (40, 12_000), (1, 700)


def fault(row: QuestionRow) -> str:
    """Why a row is not fit for training, in one or two words; empty if it is fit."""
    return _length_fault(row) or _form_fault(row) or _answer_fault(row)


def _length_fault(row: QuestionRow) -> str:
    for name, text, (least, most) in (
        ("question", row.question, _QUESTION),
        ("context", row.context, _CONTEXT),
        ("answer", row.answer, _ANSWER),
    ):
        if not least <= len(text) <= most:
            return f"{name}-{'short' if len(text) < least else 'long'}"
    return ""


def _form_fault(row: QuestionRow) -> str:
    text = row.question + row.answer
    if re.search(r"[\ufffd\x00-\x08\x0b-\x1f\x7f]", text + row.context):
        return "broken-characters"
    if re.search(r"\{\w*\}", re.sub(r"\$?\{[^}]*\}", "", row.question)) or re.search(
        r"\b(\w{2,}) \1\b(?! \1)", row.question, re.IGNORECASE
    ):
        return "broken-question"
    if not re.search(r"\w", row.answer) or re.match(r"[,;:!?)]|\.(?!\w)", row.answer):
        return "broken-answer"
    return ""


def _answer_fault(row: QuestionRow) -> str:
    if row.kind in _FREE:
        return ""
    context = _plain(row.context)
    parts = re.split(r", | and ", row.answer) if _JOINED.search(row.template) else [row.answer]
    if not all(_plain(part) in context for part in parts):
        return "answer-not-in-context"
    if not _CHOICES.search(row.template) and _stands_in(row.answer, row.question):
        return "answer-in-question"
    return ""


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip().lower()


def _stands_in(answer: str, question: str) -> bool:
    bare = re.sub(r"^(?:the|a|an) ", "", _plain(answer)).rstrip(".")
    return bool(re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", _plain(question)))


def checked(rows: Iterable[QuestionRow], dropped: Counter[str]) -> Iterator[QuestionRow]:
    """The rows without faults or duplicates; ``dropped`` counts the others by reason.

    Raises:
        ReservedDataError: a row is kept for judging.
    """
    seen: set[str] = set()
    for row in rows:
        reason = "duplicate" if row.id in seen else fault(row)
        if reason:
            dropped[reason] += 1
            continue
        refuse_training(asdict(row))
        seen.add(row.id)
        yield row
