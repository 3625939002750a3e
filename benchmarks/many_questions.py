"""Questions a second, together and one after another: `python benchmarks/many_questions.py INDEX [--count 32]`.

The same questions to one index by `Index.ask_many`, which decodes eight at a time, and by `Index.ask`; `--repeats`
rounds after one that is not counted. With one thread CPU seconds are counted, which other work on the machine does not
change, with several it is wall time. Prints the medians, and how many answers differ: a product over eight questions
may round other bits than one over one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

SUBJECTS = ("hist", "tapply", "lapply", "solve", "outer", "paste", "seq", "read.table", "apply", "optim", "glm", "c")
FORMS = ("What does the function {} do?", "Which arguments does {} take?", "What is the result of {}?")


def questions(count: int) -> list[str]:
    """So many different questions about R."""
    return [form.format(subject) for form in FORMS for subject in SUBJECTS][:count]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--model", help="an embedded model, folder or hub name; default: as the index says")
    parser.add_argument("--count", type=int, default=32, help="number of questions, at most 36")
    parser.add_argument("--new-tokens", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    import torch

    from sharedllm_docs import Index, SharedLLM

    index = Index.open(options.index, SharedLLM.from_pretrained(options.model)) if options.model else None
    index = index or Index.open(options.index)
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    asked = questions(options.count)
    wanted: dict[str, Any] = {"max_new_tokens": options.new_tokens, "min_confidence": 0, "relevance_floor": 0}
    seconds: dict[str, list[float]] = {"together": [], "in turn": []}
    for turn in range(options.repeats + 1):
        begun = clock()
        together = index.ask_many(asked, **wanted)
        between = clock()
        alone = [index.ask(question, **wanted) for question in asked]
        if turn:
            seconds["together"].append(between - begun)
            seconds["in turn"].append(clock() - between)
    rates = {name: round(len(asked) / statistics.median(spent), 2) for name, spent in seconds.items()}
    differing = sum(a.text != b.text for a, b in zip(together, alone, strict=True))
    print(json.dumps({"questions a second": rates, "seconds": seconds, "differing answers": differing}, indent=2))


if __name__ == "__main__":
    main()
