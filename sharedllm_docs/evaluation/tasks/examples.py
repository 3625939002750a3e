"""Examples of a task as JSON lines: what is asked and wanted, to look at or to use elsewhere.

``python -m sharedllm_docs.evaluation.tasks.examples passkey --lengths 8K --limit 2``
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import ModelUnavailableError, SharedLLMError
from sharedllm_docs.evaluation.tasks.base import Example
from sharedllm_docs.evaluation.tasks.options import TaskOptions, parse_lengths
from sharedllm_docs.evaluation.tasks.registry import QUESTION_TASKS, make_task
from sharedllm_docs.model.zoo import DEFAULT_MODEL, ensure


def record(example: Example, *, text: bool = False) -> dict[str, Any]:
    """JSON-ready fields of an example; with ``text`` also the pages of its documents."""
    fields: dict[str, Any] = {
        "id": example.id,
        "kind": example.kind,
        "length": example.length,
        "question": example.question,
        "answers": list(example.answers),
        "page_groups": [list(group) for group in example.page_groups],
        "evidence": list(example.evidence),
    }
    if text:
        fields["documents"] = [[page.text for page in document.pages] for document in example.documents]
    return fields


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the examples of a task; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m sharedllm_docs.evaluation.tasks.examples",
        description="Write examples of a task as JSON lines to stdout.",
    )
    parser.add_argument("task", choices=QUESTION_TASKS, help="name of the task")
    parser.add_argument("--lengths", default="", help="tokens of the documents: 1K,8K (the task's)")
    parser.add_argument(
        "--limit", type=int, default=None, help="maximum number of examples, for each length (and kind)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--model", default=None, help="folder or hub name whose tokenizer counts (embedded default)")
    parser.add_argument("--text", type=Path, action="append", default=[], help="file that fills the documents")
    parser.add_argument("--pages", action="store_true", help="write the text of the pages as well")
    chosen = parser.parse_args(arguments)
    try:
        options = TaskOptions(
            _tokenizer(chosen.model),
            lengths=parse_lengths(chosen.lengths),
            pdf_dirs=(Path("examples"),),
            texts=tuple(chosen.text),
            report=lambda text: print(text, file=sys.stderr),
        )
        for example in make_task(chosen.task, options).examples(chosen.limit, chosen.seed):
            print(json.dumps(record(example, text=chosen.pages), ensure_ascii=False))
    except SharedLLMError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    return 0


def _tokenizer(name: str | None) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name or str(ensure(DEFAULT_MODEL)))
    except (OSError, ValueError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ModelUnavailableError(
            f"The tokenizer of {name!r} could not be loaded: {reason}.", remedy="Give a model's folder or hub name."
        ) from error


if __name__ == "__main__":
    sys.exit(main())
