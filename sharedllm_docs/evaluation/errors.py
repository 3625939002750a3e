"""Why answers are wrong: misses of a run by cause. In: rows of a run. Out: counts, a Markdown report with examples.

The causes follow the data path: the pages were not selected, the selected node was cut before the evidence ended, the
model had the evidence and abstained, or had it and said something else.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import EvaluationError, SharedLLMError
from sharedllm_docs.evaluation.rows import read_lines

MISS_BELOW = 0.5
WHOLE_EVIDENCE = 0.9
CAUSES = {
    "floor": "the relevance floor declined an answerable question before the model was asked",
    "selection": "the selection missed the page",
    "cut": "the page was selected, but not all of the evidence",
    "abstained": "the evidence was there, the model said that the document does not say",
    "worded": "the answer is right but buried in other words",
    "misread": "the evidence was there, the model said something else",
    "invented": "the document does not say, the model answered all the same",
}


@dataclass(frozen=True)
class Miss:
    """A wrong answer.

    Attributes:
        row: as measured.
        cause: one of ``CAUSES``.
    """

    row: Mapping[str, Any]
    cause: str


def cause_of(row: Mapping[str, Any]) -> str | None:
    """Why a row is a miss; None for a right answer or one that was not measured."""
    if "skipped" in row or "context" not in row:
        return None
    if not row["answerable"]:
        return None if row["abstained"] else "invented"
    scores = row["scores"]
    if scores.get("f1", scores.get("recall", 0.0)) >= MISS_BELOW:
        return None
    context = row["context"]
    if row["abstained"] and not row["rows"] and not row["prompt_tokens"]:
        return "floor"
    if not context["page"]:
        return "selection" if not scores.get("contains") else "worded"
    if scores.get("contains"):
        return "worded"
    if context["evidence"] < WHOLE_EVIDENCE:
        return "cut"
    return "abstained" if row["abstained"] else "misread"


def misses(rows: Sequence[Mapping[str, Any]]) -> list[Miss]:
    """All misses among rows, in their order."""
    found = ((row, cause_of(row)) for row in rows)
    return [Miss(row, cause) for row, cause in found if cause is not None]


def report(rows: Sequence[Mapping[str, Any]], *, examples: int = 3) -> str:
    """Counts by system and cause, and examples of each, as Markdown.

    Raises:
        EvaluationError: there are no rows of questions.
    """
    if not any("context" in row for row in rows):
        raise EvaluationError("the run holds no answered questions.", remedy="Analyse a run of a question task.")
    systems = list(dict.fromkeys(row["system"] for row in rows))
    found = misses(rows)
    head = ["system", "answers", "misses", *CAUSES]
    table = [head, ["---"] * len(head)]
    for system in systems:
        counts = Counter(miss.cause for miss in found if miss.row["system"] == system)
        answered = sum(row["system"] == system and "skipped" not in row for row in rows)
        cells = [f"`{system}`", str(answered), str(counts.total()), *(str(counts[cause]) for cause in CAUSES)]
        table.append(cells)
    parts = ["\n".join("| " + " | ".join(cells) + " |" for cells in table)]
    parts.append("\n".join(f"- **{cause}**: {meaning}." for cause, meaning in CAUSES.items()))
    for system in systems:
        for cause in CAUSES:
            chosen = [miss for miss in found if miss.row["system"] == system and miss.cause == cause][:examples]
            if chosen:
                listed = "\n".join(map(_listed, chosen))
                parts.append(f"### `{system}`, {cause}\n\n{listed}")
    return "\n\n".join(parts) + "\n"


def _listed(miss: Miss) -> str:
    row = miss.row
    said, wanted = _short(row["text"]), _short(" / ".join(row["answers"][:3]))
    pages = f"pages {row['page_groups']}, cited {row['pages'][:5]}"
    return f"- {row['id']}: {row['question']}\n  said: {said}\n  wanted: {wanted} ({pages})"


def _short(text: str, most: int = 160) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= most else folded[:most] + " ..."


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m sharedllm_docs.evaluation.errors RUN.jsonl [--system SPEC]``; prints the report."""
    parser = argparse.ArgumentParser(prog="python -m sharedllm_docs.evaluation.errors", description=main.__doc__)
    parser.add_argument("run", type=Path, help="JSONL of a run")
    parser.add_argument("--system", action="append", help="only this system (may be repeated)")
    parser.add_argument("--examples", type=int, default=3, help="examples listed a cause")
    options = parser.parse_args(arguments)
    try:
        rows = [r for r in read_lines(options.run)[1:] if not options.system or r["system"] in options.system]
        print(report(rows, examples=options.examples), end="")
    except SharedLLMError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
