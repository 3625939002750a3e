"""Perplexity of held-out text by length of its past, the paper's language-modelling tables.

Examples are continuations, which only systems that can give a loss measure.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.metrics import Interval, bootstrap_interval
from sharedllm_docs.evaluation.tasks.base import Column, Result, Task, check_limit, median_column, peak_column
from sharedllm_docs.evaluation.tasks.options import TaskOptions, chosen_lengths, length_label
from sharedllm_docs.evaluation.tasks.synthetic import cut_pages, document_of, names_of, real_text

if TYPE_CHECKING:
    from sharedllm_docs.evaluation.systems.base import System

LENGTHS = tuple(1024 << power for power in range(8))
RUNNING_SHARE = 0.25
MAX_PAST = 0.75
"""Share of the text that a past may take when no lengths are asked for."""
MANUALS = ("R-intro.pdf", "R-lang.pdf", "R-data.pdf")
"""One after another about 110K tokens of the default model: a past of 64K, and pages to predict after it."""


@dataclass(frozen=True)
class Continuation:
    """A past, the text between, and what is to be predicted.

    Attributes:
        id: unique and stable.
        past: pages of text.
        running: text after the past, always seen as text.
        target: predicted.
        length: tokens of the past.
        kind: always ``continuation``.
    """

    id: str
    past: Document
    running: str
    target: str
    length: int
    kind: str = "continuation"

    @property
    def documents(self) -> tuple[Document, ...]:
        """The past, as systems prepare it."""
        return (self.past,)


class Perplexity(Task):
    """See the folder's README.

    Args:
        options: tokenizer, lengths of the past (1K to 128K tokens by default, as far as the text goes), text.
    """

    name = "perplexity"
    title = "perplexity of held-out text, by length of its past"
    main = "perplexity"

    def __init__(self, options: TaskOptions) -> None:
        self._options = options
        self._lengths = chosen_lengths(options, LENGTHS)

    def options(self) -> dict[str, Any]:
        return {"page_tokens": self._options.chunk_tokens, "texts": names_of(self._options, MANUALS)}

    def examples(self, limit: int | None, seed: int) -> list[Continuation]:
        check_limit(limit)
        lengths = self._served()
        longest = max(lengths) // self._options.chunk_tokens
        targets = list(range(longest, len(self._pages)))  # the same targets at every length
        if not targets:
            raise EvaluationError(
                f"the text has {len(self._pages)} pages of {self._options.chunk_tokens} tokens, too few for a past of "
                f"{max(lengths)}.",
                remedy="Give longer texts with --text, or shorter --lengths.",
            )
        random.Random(f"perplexity {seed}").shuffle(targets)
        return [self._example(length, target) for length in lengths for target in targets[:limit]]

    def _served(self) -> tuple[int, ...]:
        """The lengths asked for; of the usual ones those for which the text leaves enough pages to predict."""
        if self._options.lengths:
            return self._lengths
        room = MAX_PAST * len(self._pages) * self._options.chunk_tokens
        served = tuple(length for length in self._lengths if length <= room) or self._lengths[:1]
        if left_out := [length_label(length) for length in self._lengths if length not in served]:
            self._options.report(f"The text is too short for a past of {', '.join(left_out)}: give more with --text.")
        return served

    def measure(self, system: System, example: Continuation) -> dict[str, Any]:
        prepared = system.prepare(example.documents)
        loss = system.continuation(example.past, example.running, example.target)
        return {
            "nats": loss.nats,
            "tokens": loss.tokens,
            "scores": {"nats": loss.nats / loss.tokens},
            "total_seconds": loss.seconds,
            "prepare_seconds": prepared,
            "bytes_read": loss.bytes_read,
            "rows": loss.rows,
            "prompt_tokens": loss.prompt_tokens,
        }

    @property
    def columns(self) -> tuple[Column, ...]:
        return (
            Column("perplexity", _perplexity, 3),
            median_column("total s", "total_seconds"),
            median_column("rows", "rows", digits=0),
            median_column("prompt tokens", "prompt_tokens", digits=0),
            median_column("MiB read", "bytes_read", scale=1 / 2**20),
            peak_column("peak MiB", "peak_bytes"),
        )

    @cached_property
    def _pages(self) -> list[str]:
        return cut_pages(real_text(self._options, MANUALS), self._options.tokenizer, self._options.chunk_tokens)

    def _example(self, length: int, target: int) -> Continuation:
        count = length // self._options.chunk_tokens
        words = self._pages[target].split(" ")
        cut = max(1, int(RUNNING_SHARE * len(words)))
        name = f"page-{target:04d}-{length_label(length)}"
        return Continuation(
            id=name,
            past=document_of(f"{name}.txt", self._pages[target - count : target]),
            running=" ".join(words[:cut]),
            target=" " + " ".join(words[cut:]),
            length=length,
        )


def _perplexity(results: Sequence[Result]) -> Interval | None:
    """Perplexity of all tokens together; the interval draws continuations."""
    if not results:
        return None
    return bootstrap_interval([[one["nats"], one["tokens"]] for one in results], statistic=_of_sums)


def _of_sums(losses: NDArray[np.float64]) -> float:
    return math.exp(float(losses[:, 0].sum() / losses[:, 1].sum()))
