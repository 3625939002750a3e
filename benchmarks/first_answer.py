"""From a new file to its first answer: `python benchmarks/first_answer.py FILE [--model NAME] [--repeats 3]`.

Each side is a new process that loads the models, reads the file and answers, up to the first piece of the answer:

- `when-asked`: this project as `ask --file` does it: the file is read while the model is loaded, and the vectors and
  chunks that the question needs are made;
- `all`: this project, encoding the whole file first;
- `rag`: LlamaIndex's defaults with the same model and embedder, over the same text.

The further questions of the first two tell what a half-read document costs. Interleaved; medians of wall and CPU
seconds. CPU seconds are those of all threads, and less disturbed by what else runs on the machine.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cold_start import _cpu_seconds

QUESTIONS = (
    "Which function draws a histogram?",
    "Which function draws a histogram of x?",
    "How are matrices multiplied?",
)
"""The first; one that needs the same chunks; one that needs others."""
SIDES = ("when-asked", "rag", "all")
NEW_TOKENS = 16


def child(side: str, file: str, model: str, folder: str) -> None:
    """Read a new file and answer; prints a line at the first piece, and one with the further questions."""
    if side == "rag":
        _rag(file, model, folder)
        return
    from sharedllm_docs import Index, SharedLLM
    from sharedllm_docs.documents.readers import ReadOptions
    from sharedllm_docs.documents.readers.ahead import begin

    if side == "when-asked":
        begin(file, ReadOptions())
    index = Index.create(Path(folder) / "index", SharedLLM.from_pretrained(model or None))
    added = index.add(file, encode=side, embed=side)  # type: ignore[arg-type]
    stream = index.stream(QUESTIONS[0], max_new_tokens=NEW_TOKENS, relevance_floor=0)
    next(stream)
    print("first", flush=True)
    answers = [stream.result, *(index.ask(q, max_new_tokens=NEW_TOKENS, relevance_floor=0) for q in QUESTIONS[1:])]
    stages = {name: round(seconds, 2) for name, seconds in added.stage_seconds.items()}
    asked = [
        {"chunks_encoded": a.counts.chunks_encoded, "encode": a.timings.encode, "first_token": a.timings.first_token}
        for a in answers
    ]
    print(json.dumps({"stages": stages, "asked": asked, "chunks": added.document.chunks}), flush=True)


def _rag(file: str, model: str, folder: str) -> None:
    from peers.rag import PersistedRag

    from sharedllm_docs import GenerationConfig, SharedLLM
    from sharedllm_docs.documents.readers import read_document
    from sharedllm_docs.evaluation.systems.rag import RagSettings

    llm = SharedLLM.from_pretrained(model or None, adapter=None, profile="prefix")
    rag = PersistedRag("rag", llm, GenerationConfig(max_new_tokens=NEW_TOKENS), RagSettings())
    rag.build([read_document(file)], Path(folder) / "index")
    asked = rag.timed(rag.engine(Path(folder) / "index"), QUESTIONS[0])
    # the stock engine gives no piece before the whole answer: its first token is counted, not its end
    print(f"first {asked.decode_seconds}", flush=True)
    print(json.dumps({"prompt_tokens": asked.context}), flush=True)


def run(side: str, options: argparse.Namespace) -> dict[str, Any]:
    """Seconds of one process to its first piece, and what it printed afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            sys.executable,
            __file__,
            options.file,
            "--child",
            side,
            "--folder",
            folder,
            "--model",
            options.model,
        ]
        begun = time.perf_counter()
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            line = process.stdout.readline().decode()
            wall, cpu = time.perf_counter() - begun, _cpu_seconds(process.pid)
            rest = process.stdout.read()
        if process.returncode or not line.startswith("first"):
            raise RuntimeError(f"{command} said {line!r} (exit code {process.returncode}).")
        after = float(line.split()[1]) if len(line.split()) > 1 else 0.0
        return {"wall": wall - after, "cpu": cpu, **json.loads(rest)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file")
    parser.add_argument("--model", default="", help="an embedded model, folder or hub name; default: the embedded one")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--sides", default=",".join(SIDES), help="which, separated by commas")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.file, options.model, options.folder)
        return
    sides: dict[str, list[dict[str, Any]]] = {side: [] for side in options.sides.split(",")}
    for _repeat in range(options.repeats):
        for side, runs in sides.items():
            runs.append(run(side, options))
            print(side, json.dumps(runs[-1]), file=sys.stderr, flush=True)
    print(json.dumps(_summary(sides), indent=2))


def _summary(sides: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Medians, fastest and slowest; and each side by the first of them."""
    medians = {
        side: {kind: statistics.median(run[kind] for run in runs) for kind in ("wall", "cpu")}
        for side, runs in sides.items()
    }
    spread = {
        side: [min(run["wall"] for run in runs), max(run["wall"] for run in runs)] for side, runs in sides.items()
    }
    ours = next(iter(medians.values()))
    ratios = {side: {kind: median[kind] / ours[kind] for kind in median} for side, median in medians.items()}
    return {"seconds to the first piece": medians, "spread of wall": spread, "ratio to the first side": ratios}


if __name__ == "__main__":
    main()
