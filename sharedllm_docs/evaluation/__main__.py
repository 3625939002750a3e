"""``python -m sharedllm_docs.evaluation TASK --systems ... --limit N --seed S --out DIR``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from sharedllm_docs.errors import SharedLLMError

PDF_DIR_VARIABLE = "SHAREDLLM_DOCS_PDF_DIR"
DEFAULT_SYSTEMS = "closed_book,first_8k,rag,rag-tuned,prefix,prefix+evidence"
TASK_NAMES = ("pdfqa", "squad-haystack", "passkey", "needles", "perplexity")


def parser() -> argparse.ArgumentParser:
    """Of the command line."""
    made = argparse.ArgumentParser(
        prog="python -m sharedllm_docs.evaluation", description="Measure systems on a task and print the table."
    )
    made.add_argument("task", choices=TASK_NAMES, metavar="TASK", help=", ".join(TASK_NAMES))
    which = made.add_mutually_exclusive_group()
    which.add_argument(
        "--systems", default=DEFAULT_SYSTEMS, help=f"NAME[+evidence[=N]][:KEY=VALUE,...] ({DEFAULT_SYSTEMS})"
    )
    which.add_argument("--ablation", help="layers, place, grain, depth, policy, positions, budget or evidence")
    made.add_argument("--of", default="prefix", choices=("prefix", "sharedllm"), help="system of the ablation")
    made.add_argument("--limit", type=int, help="most examples, a length where the task has lengths")
    made.add_argument("--seed", type=int, default=0, help="of the sample (0)")
    made.add_argument("--out", type=Path, default=Path("evaluation-results"), help="folder (evaluation-results)")
    made.add_argument("--indexes", type=Path, help="folder of the indexes (OUT/indexes)")
    made.add_argument("--lengths", default="", help="document lengths in tokens: 1K,8K,32K")
    made.add_argument("--text", type=Path, action="append", default=[], help="file that fills synthetic documents")
    made.add_argument("--pdf-dir", type=Path, action="append", default=[], help="folder with PDFs of a task")
    made.add_argument("--model", help="name or folder (the embedded default)")
    made.add_argument("--adapter", type=Path, help="folder of a trained adapter, for sharedllm")
    made.add_argument("--device", default="auto", help="auto, cpu, cuda")
    made.add_argument("--dtype", default="auto", help="auto, float32, bfloat16, float16")
    made.add_argument("--max-minutes", type=float, help="stop cleanly after this long; the same command goes on")
    made.add_argument("--no-plots", action="store_true", help="do not draw PNG files")
    return made


def run(options: argparse.Namespace) -> int:
    """Measure and print the table; 0 when complete, 3 when the time ran out first."""
    from sharedllm_docs.adapter import Adapter
    from sharedllm_docs.evaluation.ablations import ablation
    from sharedllm_docs.evaluation.run import Settings, evaluate
    from sharedllm_docs.evaluation.systems.spec import parse_systems
    from sharedllm_docs.evaluation.tasks.options import TaskOptions, parse_lengths
    from sharedllm_docs.evaluation.tasks.registry import make_task
    from sharedllm_docs.model import SharedLLM

    settings = Settings(
        options.out, options.limit, options.seed, options.indexes, options.max_minutes, not options.no_plots
    )
    specs = parse_systems(options.systems)
    lengths = parse_lengths(options.lengths)
    adapter = Adapter.load(options.adapter) if options.adapter else None
    llm = SharedLLM.from_pretrained(
        options.model, profile="prefix", device=options.device, dtype=options.dtype, report=_say
    )
    if options.ablation:
        specs = ablation(options.ablation, options.of, llm.upper.num_layers)
    texts, folders = tuple(options.text), (*options.pdf_dir, *_usual_folders())
    task_options = TaskOptions(llm.tokenizer, llm.profile.chunk_tokens, lengths, folders, texts, _say)
    task = make_task(options.task, task_options)
    outcome = evaluate(task, specs, llm, settings, adapter=adapter, report=_say)
    print(outcome.table, end="")
    _say(f"Rows in {outcome.rows}, table and plots beside it.")
    return 0 if outcome.complete else 3


def _usual_folders() -> tuple[Path, ...]:
    named = os.environ.get(PDF_DIR_VARIABLE)
    return (*((Path(named),) if named else ()), Path("examples"))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The program; errors become one line and their exit code."""
    options = parser().parse_args(arguments)
    try:
        return run(options)
    except SharedLLMError as error:
        _say(f"Error: {error}")
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main())
