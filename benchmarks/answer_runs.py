"""How good answers are, by model and length: `python benchmarks/answer_runs.py OUT [--minutes M] [--only NAME ...]`.

The runs of docs/results.md that take hours on two cores, the most telling first. Each is one `sharedllm-docs evaluate`
with `--lazy`, so only chunks that questions need are encoded; documents are shared by all runs. Stopped at any time, or
after M minutes, the same command goes on where it was; what is finished counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

SMALL, DEFAULT, LARGE = "smollm2-135m-instruct", "qwen2.5-coder-0.5b-instruct", "qwen2.5-coder-1.5b-instruct"
UNFINISHED = 75
"""Exit code of an evaluation whose time ran out."""


@dataclass(frozen=True)
class Run:
    """One evaluation.

    Attributes:
        name: of its folder.
        task: as ``evaluate`` takes it.
        limit: number of examples, for each length (and kind).
        systems: what is measured.
        model: that answers.
        lengths: of the documents, or "".
        adapter: ``none``, or ``auto`` for the model's own.
    """

    name: str
    task: str
    limit: int
    systems: str
    model: str = DEFAULT
    lengths: str = ""
    adapter: str = "auto"

    def arguments(self, out: Path, minutes: float | None) -> list[str]:
        """Arguments of ``sharedllm-docs``."""
        made = ["evaluate", self.task, "--limit", str(self.limit), "--systems", self.systems, "--model", self.model]
        made += ["--adapter", self.adapter, "--lazy", "--no-plots"]
        made += ["--out", str(out / self.name), "--indexes", str(out / "indexes")]
        made += ["--lengths", self.lengths] if self.lengths else []
        return made + (["--max-minutes", f"{minutes:.2f}"] if minutes is not None else [])


RUNS = (
    Run("squad-32k-default", "squad-haystack", 48, "ask", lengths="32K"),
    Run("squad-32k-small", "squad-haystack", 48, "ask", SMALL, "32K"),
    Run("squad-32k-large", "squad-haystack", 48, "ask", LARGE, "32K"),
    Run("first-token-32k", "squad-haystack", 16, "ask,rag", lengths="32K"),
    Run("squad-128k-default", "squad-haystack", 48, "ask", lengths="128K"),
    Run("needles-128k-default", "needles", 10, "ask", lengths="128K"),
    Run("passkey-256k-default", "passkey", 10, "ask", lengths="256K"),
    Run("pdfqa-default", "pdfqa", 170, "ask"),
    Run("pdfqa-large", "pdfqa", 170, "ask", LARGE),
    Run("layers", "pdfqa", 60, "prefix,prefix:layers=1-12,prefix:layers=7-24,prefix:layers=13-24", adapter="none"),
    Run("grains", "pdfqa", 60, "prefix,prefix:grains=0/0/2,prefix:grains=0/0/4", adapter="none"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the runs one after another; returns 0 when all are complete, 75 when the time ran out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder of results and indexes")
    parser.add_argument("--minutes", type=float, help="stop after this time")
    parser.add_argument("--only", nargs="+", choices=[run.name for run in RUNS], help="these runs")
    chosen = parser.parse_args(arguments)
    end = None if chosen.minutes is None else time.monotonic() + 60 * chosen.minutes
    for run in RUNS:
        if chosen.only and run.name not in chosen.only:
            continue
        left = None if end is None else (end - time.monotonic()) / 60
        if left is not None and left <= 0:
            return UNFINISHED
        print(f"== {run.name}", flush=True)
        code = subprocess.run([sys.executable, "-m", "sharedllm_docs", *run.arguments(chosen.out, left)]).returncode
        if code:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
