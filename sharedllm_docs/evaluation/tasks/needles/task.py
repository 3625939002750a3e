"""Needles by length and kind: sentences hidden in real text. The score is the share of wanted texts in the answer."""

from __future__ import annotations

from sharedllm_docs.evaluation.metrics import share_contained
from sharedllm_docs.evaluation.tasks.base import COST_COLUMNS, Column, Example, score_column
from sharedllm_docs.evaluation.tasks.needles.kinds import KINDS
from sharedllm_docs.evaluation.tasks.synthetic import HiddenSentences


class Needles(HiddenSentences):
    """See the folder's README."""

    name = "needles"
    title = "facts hidden in real text, in the manner of RULER, by length"
    main = "recall"
    max_new_tokens = 64
    lengths = tuple(4096 << power for power in range(6))
    default_limit = 20
    kinds = KINDS
    deepest = 0.8  # several sentences may share a page

    def score(self, example: Example, text: str) -> dict[str, float]:
        recall = share_contained(text, example.answers)
        return {"recall": recall, "all": float(recall == 1.0), example.kind: recall}

    @property
    def columns(self) -> tuple[Column, ...]:
        return (
            score_column("recall", "recall"),
            score_column("all found", "all"),
            *(score_column(kind, kind) for kind in KINDS),
            *COST_COLUMNS,
        )
