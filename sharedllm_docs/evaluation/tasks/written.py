"""Examples of a synthetic task as JSON Lines: what is hidden, asked and wanted, to be looked at or used elsewhere."""

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
from sharedllm_docs.model.zoo import DEFAULT_MODEL, ensure


def record(example: Example, *, text: bool = False) -> dict[str, Any]:
    """JSON-ready fields of an example; with ``text`` the pages of its documents too."""
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


def write_examples(task: Any, arguments: Sequence[str] | None = None) -> int:
    """Print a task's examples; 0 when all are written.

    Args:
        task: class of the task, made from options.
        arguments: of the command line.
    """
    parser = argparse.ArgumentParser(description=f"Write examples of {task.name} as JSON Lines to stdout.")
    parser.add_argument("--lengths", default="", help="tokens of the documents: 1K,8K (the task's)")
    parser.add_argument("--limit", type=int, default=None, help="examples, a length (and kind)")
    parser.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    parser.add_argument("--model", default=None, help="folder or hub name whose tokenizer counts (embedded default)")
    parser.add_argument("--text", type=Path, action="append", default=[], help="file that fills the documents")
    parser.add_argument("--pages", action="store_true", help="write the pages' text as well")
    chosen = parser.parse_args(arguments)
    try:
        options = TaskOptions(
            _tokenizer(chosen.model),
            lengths=parse_lengths(chosen.lengths),
            pdf_dirs=(Path("examples"),),
            texts=tuple(chosen.text),
            report=lambda text: print(text, file=sys.stderr),
        )
        for example in task(options).examples(chosen.limit, chosen.seed):
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
