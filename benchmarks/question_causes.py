"""Where the first token of a warm question goes: `python benchmarks/question_causes.py INDEX [--evidence 0,128]`.

INDEX is a folder that `sharedllm-docs add` made; its model answers. Each question is asked `--repeats` times after it
was asked once, with the evidence tokens of each column in turn. Functions are timed by wrapping them, each without
what it calls, so the causes add up to the whole. One thread unless OMP_NUM_THREADS says otherwise; with one thread CPU
milliseconds are counted, which other work on the machine does not change, with several it is wall time. Medians.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

QUESTIONS = (
    "Which function draws a histogram?",
    "How are matrices multiplied in R?",
    "What does the function tapply compute for the groups of a factor?",
    "How can the working directory be changed?",
)
REST = "the rest"
LAYERS = "norms, rotation, Python of the layers"
WITHIN = {"matrix products": LAYERS, "attention": LAYERS}
"""Causes that count only within another one."""


class Clock:
    """Milliseconds by cause, each without those of the causes inside it."""

    def __init__(self) -> None:
        import torch

        self.now = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
        self.spent: dict[str, float] = defaultdict(float)
        self._inside: list[str] = []
        self._since = 0.0

    def _book(self) -> None:
        now = self.now()
        if self._inside:
            self.spent[self._inside[-1]] += (now - self._since) * 1e3
        self._since = now

    @contextmanager
    def during(self, cause: str) -> Iterator[None]:
        """What is computed in the block counts for ``cause``."""
        self._book()
        self._inside.append(cause)
        try:
            yield
        finally:
            self._book()
            self._inside.pop()

    def wrapped(self, function: Callable[..., Any], cause: str, only_in: str = "") -> Callable[..., Any]:
        """The function, timed; where ``only_in`` is another cause, only if that calls it."""

        def timed(*args: Any, **kwargs: Any) -> Any:
            if not self._inside or (only_in and self._inside[-1] != only_in):
                return function(*args, **kwargs)
            with self.during(cause):
                return function(*args, **kwargs)

        return timed


def places() -> list[tuple[Any, str, str]]:
    """Functions, as owner and name, and their causes."""
    import torch

    from sharedllm_docs import Index
    from sharedllm_docs.architectures.base import Architecture
    from sharedllm_docs.index import engine
    from sharedllm_docs.index.reading import StoredRows
    from sharedllm_docs.injection.decoder import InjectedDecoder
    from sharedllm_docs.injection.generate import Writer
    from sharedllm_docs.model.embedder import Embedder
    from sharedllm_docs.retrieval.candidates import LeafIndex
    from sharedllm_docs.retrieval.searcher import Searcher
    from sharedllm_docs.store import reader

    return [
        (Index, "engine", "list of documents"),
        (Embedder, "encode", "embedding the question"),
        (LeafIndex, "search", "scores of the leaves"),
        (Searcher, "select", "choosing leaves"),
        (engine.Engine, "_quotes", "evidence and signs"),
        (engine, "evidence_text", "evidence and signs"),
        (engine, "injected_texts", "evidence and signs"),
        (engine, "signs_before", "evidence and signs"),
        (engine.Engine, "_question_ids", "tokenising"),
        (StoredRows, "encode", "opening and checking rows"),
        (StoredRows, "rows", "opening and checking rows"),
        (reader, "_fill", "dequantising rows"),
        (InjectedDecoder, "__init__", "placing rows"),
        (InjectedDecoder, "__enter__", "placing rows"),
        (InjectedDecoder, "_mask", "masks"),
        (Architecture, "run_layers", LAYERS),
        (torch.nn.Linear, "forward", "matrix products"),
        (torch.nn.functional, "scaled_dot_product_attention", "attention"),
        (Architecture, "logits", "logits"),
        (Writer, "take", "drawing the token"),
    ]


@contextmanager
def timing(clock: Clock) -> Iterator[None]:
    """Time the functions of ``places`` in the block."""
    before = [(owner, name, vars(owner)[name]) for owner, name, _cause in places()]
    try:
        for owner, name, cause in places():
            setattr(owner, name, clock.wrapped(vars(owner)[name], cause, WITHIN.get(cause, "")))
        yield
    finally:
        for owner, name, function in before:
            setattr(owner, name, function)


def first_token(index: Any, question: str, evidence: int) -> dict[str, float]:
    """Milliseconds by cause from the call to the first piece of the answer."""
    clock = Clock()
    with timing(clock):
        with clock.during(REST):
            stream = index.stream(question, evidence_tokens=evidence, max_new_tokens=2, min_confidence=0)
            next(stream)
        begun, spent = clock.now(), dict(clock.spent)
        _answer = stream.result
    return {**spent, "after it: a second token, citations": (clock.now() - begun) * 1e3}


def table(index: Any, evidences: list[int], questions: list[str], repeats: int) -> dict[str, dict[str, float]]:
    """Medians by cause, for each number of evidence tokens; evidences take turns."""
    seen: dict[int, list[dict[str, float]]] = {evidence: [] for evidence in evidences}
    for turn in range(repeats + 1):
        for question in questions:
            for evidence in evidences:
                spent = first_token(index, question, evidence)
                if turn:
                    seen[evidence].append(spent)
    made = {}
    for evidence, runs in seen.items():
        causes = list(dict.fromkeys(cause for run in runs for cause in run))
        made[str(evidence)] = {c: round(statistics.median(r.get(c, 0.0) for r in runs), 2) for c in causes}
        whole = [sum(v for c, v in run.items() if not c.startswith("after")) for run in runs]
        made[str(evidence)]["first token"] = round(statistics.median(whole), 1)
        made[str(evidence)]["fastest"] = round(min(whole), 1)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--model", help="an embedded model, folder or hub name; default: as the index says")
    parser.add_argument("--evidence", default="0,128", help="numbers of evidence tokens, separated by commas")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--question", action="append", help="instead of the four about R; may be repeated")
    options = parser.parse_args()
    from sharedllm_docs import Index, SharedLLM

    evidences = [int(one) for one in options.evidence.split(",")]
    index = Index.open(options.index, SharedLLM.from_pretrained(options.model)) if options.model else None
    made = table(index or Index.open(options.index), evidences, options.question or list(QUESTIONS), options.repeats)
    print(json.dumps(made, indent=2))
    causes = sorted(next(iter(made.values())), key=lambda c: -max(column.get(c, 0.0) for column in made.values()))
    lines = [["cause, ms", *(f"{evidence} evidence tokens" for evidence in made)], ["---"] * (len(made) + 1)]
    lines += [[cause, *(f"{column.get(cause, 0):.1f}" for column in made.values())] for cause in causes]
    for line in lines:
        print("| " + " | ".join(line) + " |", file=sys.stderr)


if __name__ == "__main__":
    main()
