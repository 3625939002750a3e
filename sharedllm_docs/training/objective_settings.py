"""``[objectives]``: the mix of objectives and what their examples look like. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from sharedllm_docs.training.checks import below, not_shares, not_whole, raise_if

Teacher = Literal["none", "prefill", "injection"]


@dataclass(frozen=True)
class ObjectiveSettings:
    """The mix of objectives and what their examples look like.

    Attributes:
        continuation, reconstruction, questions: shares of the examples (they need not sum to 1).
        past_chunks: most chunks of past in a continuation.
        target_tokens: most tokens predicted in continuation and reconstruction.
        distractors: most chunks beside the gold one in a question.
        group: questions that are drawn over the same chunks, which are then encoded once; 1 draws each alone.
        siblings: most questions of a group over one and the same context.
        fill: tokens to which a group's chunks are filled with contexts (0 = ``chunk_tokens``).
        max_fed: most tokens of a group's question and its answer together (0 = any): a batch is as wide as its longest.
        leaves: most leaves injected of a group's question, as a question's selection takes the nearest ones.
        kinds: kind of question -> weight with which it is drawn in groups; empty: every question alike.
        full_chunks: share of questions whose chunks are filled up with contexts of other documents.
        evidence: share of questions that quote the best leaf in the prompt.
        max_rows: most rows injected in one example.
        teacher: whose predictions are imitated on the target tokens: the base model reading the chunks as text
            (``prefill``), or injected at grain 1 into all its layers (``injection``).
        kl_weight: of the divergence from the teacher, beside the loss.
        loss_weight: of the loss itself.
    """

    continuation: float = 0.3
    reconstruction: float = 0.1
    questions: float = 0.6
    past_chunks: int = 2
    target_tokens: int = 64
    distractors: int = 2
    group: int = 1
    siblings: int = 3
    fill: int = 0
    max_fed: int = 0
    leaves: int = 4
    kinds: Mapping[str, float] = field(default_factory=dict)
    full_chunks: float = 0.5
    evidence: float = 0.1
    max_rows: int = 2048
    teacher: Teacher = "none"
    kl_weight: float = 1.0
    loss_weight: float = 1.0

    def __post_init__(self) -> None:
        mix = ("continuation", "reconstruction", "questions")
        problems = below(self, 0, *mix, "kl_weight", "loss_weight") + not_shares(self, "evidence", "full_chunks")
        at_least = {"past_chunks": 1, "max_rows": 1, "distractors": 0, "target_tokens": 2}
        at_least |= {"group": 1, "siblings": 1, "fill": 0, "max_fed": 0, "leaves": 1}
        problems += not_whole(self, *at_least) or [
            problem for name, least in at_least.items() for problem in below(self, least, name)
        ]
        problems += self._kinds_problems()
        if not problems and not sum(getattr(self, name) for name in mix):
            problems.append("all objectives have the share 0.")
        if not problems and not self.loss_weight and (self.teacher == "none" or not self.kl_weight):
            problems.append("loss_weight=0 leaves nothing to learn from without a teacher.")
        if self.teacher not in get_args(Teacher):
            problems.append(f"teacher={self.teacher!r} is not one of {', '.join(get_args(Teacher))}.")
        raise_if(problems, "objectives")

    def _kinds_problems(self) -> list[str]:
        wrong = [name for name, weight in self.kinds.items() if not isinstance(weight, (int, float)) or weight < 0]
        if wrong:
            return [f"kinds: the weight {self.kinds[wrong[0]]!r} of {wrong[0]!r} must be a number of at least 0."]
        if self.kinds and not sum(self.kinds.values()):
            return ["kinds: all weights are 0."]
        return []

    @property
    def mix(self) -> dict[str, float]:
        """Objective -> share, those in use."""
        names = ("continuation", "reconstruction", "questions")
        return {name: getattr(self, name) for name in names if getattr(self, name)}
