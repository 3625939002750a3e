"""Why answers are wrong: the misses of a run by cause, counted and listed with examples in a Markdown report.

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
from sharedllm_docs.evaluation.run_file import read_lines

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
        result: as measured.
        cause: one of ``CAUSES``.
    """

    result: Mapping[str, Any]
    cause: str


def cause_of(result: Mapping[str, Any]) -> str | None:
    """Why a result is a miss; None for a right answer or one that was not measured."""
    if "skipped" in result or "context" not in result:
        return None
    if not result["answerable"]:
        return None if result["abstained"] else "invented"
    scores = result["scores"]
    if scores.get("f1", scores.get("recall", 0.0)) >= MISS_BELOW:
        return None
    context = result["context"]
    if result["abstained"] and not result["rows"] and not result["prompt_tokens"]:
        return "floor"
    if not context["page"]:
        return "selection" if not scores.get("contains") else "worded"
    if scores.get("contains"):
        return "worded"
    if context["evidence"] < WHOLE_EVIDENCE:
        return "cut"
    return "abstained" if result["abstained"] else "misread"


def misses(results: Sequence[Mapping[str, Any]]) -> list[Miss]:
    """All misses among results, in their order."""
    found = ((result, cause_of(result)) for result in results)
    return [Miss(result, cause) for result, cause in found if cause is not None]


def report(results: Sequence[Mapping[str, Any]], *, examples: int = 3) -> str:
    """Counts by system and cause, and examples of each, as Markdown.

    Raises:
        EvaluationError: there are no results of questions.
    """
    if not any("context" in result for result in results):
        raise EvaluationError("the run holds no answered questions.", remedy="Analyse a run of a question task.")
    systems = list(dict.fromkeys(result["system"] for result in results))
    found = misses(results)
    head = ["system", "answers", "misses", *CAUSES]
    table = [head, ["---"] * len(head)]
    for system in systems:
        counts = Counter(miss.cause for miss in found if miss.result["system"] == system)
        answered = sum(one["system"] == system and "skipped" not in one for one in results)
        cells = [f"`{system}`", str(answered), str(counts.total()), *(str(counts[cause]) for cause in CAUSES)]
        table.append(cells)
    parts = ["\n".join("| " + " | ".join(cells) + " |" for cells in table)]
    parts.append("\n".join(f"- **{cause}**: {meaning}." for cause, meaning in CAUSES.items()))
    for system in systems:
        for cause in CAUSES:
            chosen = [miss for miss in found if miss.result["system"] == system and miss.cause == cause][:examples]
            if chosen:
                listed = "\n".join(map(_listed, chosen))
                parts.append(f"### `{system}`, {cause}\n\n{listed}")
    return "\n\n".join(parts) + "\n"


def _listed(miss: Miss) -> str:
    result = miss.result
    said, wanted = _short(result["text"]), _short(" / ".join(result["answers"][:3]))
    pages = f"pages {result['page_groups']}, cited {result['pages'][:5]}"
    return f"- {result['id']}: {result['question']}\n  said: {said}\n  wanted: {wanted} ({pages})"


def _short(text: str, longest: int = 160) -> str:
    folded = " ".join(text.split())
    return folded if len(folded) <= longest else folded[:longest] + " ..."


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m sharedllm_docs.evaluation.misses RUN.jsonl [--system SPEC]``; prints the report."""
    parser = argparse.ArgumentParser(prog="python -m sharedllm_docs.evaluation.misses", description=main.__doc__)
    parser.add_argument("run", type=Path, help="JSONL of a run")
    parser.add_argument("--system", action="append", help="only this system (may be repeated)")
    parser.add_argument("--examples", type=int, default=3, help="examples listed per cause")
    options = parser.parse_args(arguments)
    try:
        results = [r for r in read_lines(options.run)[1:] if not options.system or r["system"] in options.system]
        print(report(results, examples=options.examples), end="")
    except SharedLLMError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
