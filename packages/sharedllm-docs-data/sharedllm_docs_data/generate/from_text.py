"""Questions over passages of long text: draws the passages, and makes every kind of question that needs real text."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from sharedllm_docs.training.dataset import QuestionRow, TextRow
from sharedllm_docs_data.generate import cloze, quote, wh, yesno
from sharedllm_docs_data.generate.base import Passage, question_row, seeded
from sharedllm_docs_data.generate.drafts import Draft
from sharedllm_docs_data.generate.english import Reader
from sharedllm_docs_data.generate.frames import framed
from sharedllm_docs_data.generate.passages import passages

# How many passages a source of weight 1 gives at most.
_PER_SOURCE = 3500
_QUOTED = 0.2
_WH_A_PASSAGE = 4


@dataclass
class Asked:
    """Questions over passages: rows by family, and one question of each passage for the absent ones."""

    rows: dict[str, list[QuestionRow]] = field(default_factory=dict)
    drafts: list[tuple[Passage, Draft]] = field(default_factory=list)
    fillers: list[Passage] = field(default_factory=list)

    def add(self, family: str, row: QuestionRow) -> None:
        """Keep a row under its family."""
        self.rows.setdefault(family, []).append(row)


def draw(
    documents: Mapping[str, Callable[[], Iterable[TextRow]]],
    weights: Mapping[str, float],
    seed: int,
    scale: float = 1.0,
) -> Iterator[Passage]:
    """Passages of all sources, in the order of their documents; each source has a share by its weight.

    Args:
        documents: by source, a function that reads them.
        weights: by source; 0 leaves a source out.
        seed: of the build.
        scale: shrinks the numbers for a trial.
    """
    for source, read in documents.items():
        most = round(_PER_SOURCE * weights[source] * scale)
        found = list(passages(read(), seed)) if most else []
        picked = seeded(seed, "draw", source).sample(range(len(found)), min(most, len(found)))
        yield from (found[index] for index in sorted(picked))


def ask(found: Iterable[Passage], reader: Reader, seed: int) -> Asked:
    """All questions over the passages."""
    asked = Asked()
    for passage in found:
        rng = seeded(seed, "ask", passage.doc, passage.text[:80])
        asked.fillers.append(passage)
        _ask_wh(asked, passage, reader, rng)
        for draft in cloze.drafts(passage, reader, rng, 2):
            asked.add("cloze." + draft.wording.id.split(".")[1], _row("cloze", passage, draft))
        if rng.random() < _QUOTED:
            for draft in quote.drafts(passage, rng):
                asked.add("quote." + draft.wording.id.split(".")[1], _row("quote", passage, draft))
        for draft in yesno.drafts(passage, reader, rng):
            asked.add("yes-no." + draft.answers[0].lower(), _row("yes-no", passage, draft))
    return asked


def _ask_wh(asked: Asked, passage: Passage, reader: Reader, rng: random.Random) -> None:
    found = list(wh.drafts(passage, reader, rng))
    rng.shuffle(found)
    # The sorts that come seldom go first, so that the many questions for the subject do not push them out.
    found.sort(key=lambda draft: draft.wording.id.startswith("wh.subject"))
    if found:
        asked.drafts.append((passage, found[0]))
    for draft in found[:_WH_A_PASSAGE]:
        question, frames = framed(draft.question, rng)
        family = draft.wording.id.split(".")[1].split("-")[0]
        asked.add(f"wh.{family}", question_row("wh", passage, question, draft.answers, [draft.wording, *frames]))


def _row(kind: str, passage: Passage, draft: Draft) -> QuestionRow:
    return question_row(kind, passage, draft.question, draft.answers, [draft.wording])


def capped(families: Mapping[str, list[QuestionRow]], caps: Mapping[str, int], seed: int) -> Iterator[QuestionRow]:
    """The rows of all families, or a sample of large ones, in the order in which they were asked."""
    for family, rows in families.items():
        most = caps.get(family, len(rows))
        picked = seeded(seed, "cap", family).sample(range(len(rows)), min(most, len(rows)))
        yield from (rows[index] for index in sorted(picked))
