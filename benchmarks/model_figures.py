"""What the embedded models cost: `python benchmarks/model_figures.py [MODEL ...] [--pages 7-26] [--questions 12]`.

For each model, in a process of its own: reading speed over pages of the example PDF (after one chunk to warm up), time
to the first token of warm questions with the model's own defaults (median), the process's peak memory without the files
it maps, and bytes on disk a token. The figures of docs/models.md and ``sharedllm-docs models`` are from here.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PDF = Path(__file__).parents[1] / "examples" / "R-intro.pdf"
QUESTIONS = (
    "How do I quit R?",
    "Which operators are used for assignment?",
    "Which function sorts a vector?",
    "Which value stands for missing data?",
    "What does the function tapply do?",
    "How is a matrix made?",
)


def measure(name: str, pages: str, count: int) -> dict[str, float | str]:
    """The figures of one model, in this process."""
    from sharedllm_docs import Index, SharedLLM

    llm = SharedLLM.from_pretrained(name)
    with tempfile.TemporaryDirectory() as folder:
        index = Index.create(folder, llm)
        index.add(PDF, pages="3-4", name="warm")  # buffers, lazily loaded libraries
        begun = time.perf_counter()
        added = index.add(PDF, pages=pages)
        seconds = time.perf_counter() - begun
        scope = {"documents": [added.document.key], "max_new_tokens": 8}
        index.ask_many(list(QUESTIONS), **scope)
        asked = [index.ask(QUESTIONS[number % len(QUESTIONS)], **scope) for number in range(count)]
        return {
            "model": name,
            "adapter": "yes" if llm.adapter else "no",
            "tokens": added.document.tokens,
            "tokens_per_second": added.document.tokens / seconds,
            "first_token_seconds": statistics.median(answer.timings.first_token for answer in asked),
            "whole_answer_seconds": statistics.median(answer.timings.total for answer in asked),
            "bytes_per_token": added.document.bytes / added.document.tokens,
            "peak_gigabytes": _peak_bytes() / 1e9,
        }


def _peak_bytes() -> int:
    """Highest resident memory less what is mapped from files now."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    kilobytes = {name: int(re.search(rf"{name}:\s+(\d+)", status)[1]) for name in ("VmHWM", "RssFile")}  # type: ignore[index]
    return 1024 * (kilobytes["VmHWM"] - kilobytes["RssFile"])


def main() -> int:
    """Measure each model in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="embedded models or folders (default: all embedded language models)")
    parser.add_argument("--pages", default="7-26", help="pages of the example to read (default: 7-26)")
    parser.add_argument("--questions", type=int, default=12, help="number of warm questions (default: 12)")
    parser.add_argument("--in-process", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.in_process:
        print(json.dumps(measure(chosen.models[0], chosen.pages, chosen.questions)))
        return 0
    from sharedllm_docs.model.zoo import EMBEDDED

    print("| model | adapter | reading, tokens/s | first token, s | short answer, s | memory, GB | bytes a token |")
    print("| --- " * 7 + "|")
    for name in chosen.models or [one.name for one in EMBEDDED.values() if one.gguf]:
        options = ["--pages", chosen.pages, "--questions", str(chosen.questions), "--in-process"]
        made = subprocess.run([sys.executable, __file__, name, *options], check=True, capture_output=True, text=True)
        row = json.loads(made.stdout.splitlines()[-1])
        print(
            f"| {Path(row['model']).name} | {row['adapter']} | {row['tokens_per_second']:,.0f} "
            f"| {row['first_token_seconds']:.2f} | {row['whole_answer_seconds']:.2f} | {row['peak_gigabytes']:.1f} "
            f"| {row['bytes_per_token']:,.0f} |",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
