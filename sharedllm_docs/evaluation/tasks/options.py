"""Options that tasks are made from, besides their own data."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import EvaluationError

_LENGTH = re.compile(r"(\d+)([kK]?)")


def _silent(_text: str) -> None:
    """Nobody listens."""


@dataclass(frozen=True)
class TaskOptions:
    """Options of all tasks; each takes what it needs.

    Attributes:
        tokenizer: tokenizer of the model, which lengths are counted by.
        chunk_tokens: tokens of a chunk, and of a page of synthetic documents.
        lengths: tokens of the documents, for tasks of lengths; empty: the task's own choice.
        pdf_dirs: folders searched for PDFs before anything is fetched.
        texts: files whose text fills synthetic documents; empty: the task's own choice.
        report: called with a sentence before each slow step.
    """

    tokenizer: Any
    chunk_tokens: int = 1024
    lengths: tuple[int, ...] = ()
    pdf_dirs: tuple[Path, ...] = ()
    texts: tuple[Path, ...] = ()
    report: Callable[[str], None] = field(default=_silent, compare=False)


def parse_lengths(text: str) -> tuple[int, ...]:
    """Numbers of tokens from a text such as ``1K,8K,500``, ascending, each once.

    Raises:
        EvaluationError: a part is not a length.
    """
    lengths = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _LENGTH.fullmatch(part)
        if match is None or int(match[1]) == 0:
            raise EvaluationError(f"{part!r} is not a length in tokens.", remedy="Write 1K,8K,32K or plain numbers.")
        lengths.append(int(match[1]) * (1024 if match[2] else 1))
    return tuple(sorted(set(lengths)))


def length_label(tokens: int) -> str:
    """``8K`` for 8192; the number itself if it is not a multiple of 1,024."""
    return f"{tokens // 1024}K" if tokens >= 1024 and tokens % 1024 == 0 else str(tokens)


def chosen_lengths(options: TaskOptions, default: Sequence[int]) -> tuple[int, ...]:
    """The lengths asked for, or the task's own.

    Raises:
        EvaluationError: a length is below one page of synthetic text.
    """
    lengths = options.lengths or tuple(default)
    if min(lengths) < options.chunk_tokens:
        raise EvaluationError(
            f"length {min(lengths)} is below one page of {options.chunk_tokens} tokens.",
            remedy=f"Ask for at least {options.chunk_tokens}.",
        )
    return lengths
