"""First token over S3 against a local folder: cold and warm, requests counted. Behind the figures of docs/scale.md.

    python benchmarks/scale.py --model smollm2-135m-instruct --pages 1-20

moto's server runs in a process of its own on the loopback and holds every answer back for ``--delay``. Each round asks
the same question of a local folder, of the bucket with an empty cache (cold) and with a full one (warm), in this order,
each time with an index opened anew; the model is loaded once. Printed are the medians, and the ratios to local.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sharedllm_docs import Index, SharedLLM
from sharedllm_docs.store.opening import open_files

ROOT = Path(__file__).parent.parent
QUESTION = "Which function draws a histogram?"
BUCKET = "documents"


def serve(delay: float, ready: Any) -> None:
    """Run the server, and tell where it is."""
    from tests.s3_server import S3Server

    server = S3Server()
    server.delay = delay
    ready.send(server.url)
    ready.recv()


def copy(source: str, target: str) -> None:
    """Put all files of an index to another place."""
    here, there = open_files(source), open_files(target)
    for folder in ("shards", "documents", "sources"):
        for path in here.sizes(folder):
            there.write(path, [here.read(path)])
    there.write("index.json", [here.read("index.json")])


def first_token(index: Index) -> float:
    """Seconds from the question to the first piece of the answer."""
    begun = time.perf_counter()
    for _piece in index.stream(QUESTION, max_new_tokens=4):
        break
    return time.perf_counter() - begun


def asked(url: str, llm: SharedLLM, requests: Callable[[], int]) -> tuple[float, float, int, int]:
    """First token of an index opened anew, of the next question, and the requests of both."""
    before = requests()
    begun = time.perf_counter()
    index = Index.open(url, llm)
    first = time.perf_counter() - begun + first_token(index)
    between = requests()
    second = first_token(index)
    counts = between - before, requests() - between
    index.close()
    return first, second, *counts


def main() -> None:
    """Measure and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="smollm2-135m-instruct")
    parser.add_argument("--pages", default="1-20")
    parser.add_argument("--delay", type=float, default=0.02, help="seconds that every answer is held back")
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(given.delay, there), daemon=True)
    server.start()
    os.environ |= {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}
    os.environ["AWS_ENDPOINT_URL"] = here.recv()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(measure(given, folder), indent=2))
    here.send("end")
    server.join(10)


def counted() -> int:
    """Requests that the server has had so far."""
    with urllib.request.urlopen(os.environ["AWS_ENDPOINT_URL"] + "/_requests") as answer:
        return int(answer.read())


def measure(given: argparse.Namespace, folder: str) -> dict[str, Any]:
    """The figures."""
    llm = SharedLLM.from_pretrained(given.model)
    local, remote = f"{folder}/index", f"s3://{BUCKET}/index"
    index = Index.create(local, llm)
    added = index.add(ROOT / "examples" / "R-intro.pdf", pages=given.pages)
    copy(local, remote)
    first_token(index)  # whatever is made once in a process
    runs: dict[str, list[tuple[float, float, int, int]]] = {"local": [], "cold": [], "warm": []}
    for number in range(given.rounds):
        runs["local"].append(asked(local, llm, lambda: 0))
        cache = f"{folder}/cache-{number}"
        runs["cold"].append(asked_with(cache, remote, llm))
        runs["warm"].append(asked_with(cache, remote, llm))
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in runs.items()}
    return {
        "model": given.model,
        "tokens": added.document.tokens,
        "delay": given.delay,
        "seconds": {name: [round(value, 4) for value in values[:2]] for name, values in medians.items()},
        "requests": {name: medians[name][2:] for name in ("cold", "warm")},
        "ratios": {
            "cold / local, first question": round(medians["cold"][0] / medians["local"][0], 2),
            "warm / local, first question": round(medians["warm"][0] / medians["local"][0], 2),
            "next question / local's": round(medians["warm"][1] / medians["local"][1], 2),
        },
    }


def asked_with(cache: str, url: str, llm: SharedLLM) -> tuple[float, float, int, int]:
    """``asked`` with the block cache in a folder of its own."""
    from unittest.mock import patch

    from sharedllm_docs.store.bytecache import ByteCache

    kept = ByteCache(cache)
    with patch("sharedllm_docs.index.opening.cache_for", lambda _url: lambda _salt: kept):
        found = asked(url, llm, counted)
    kept.close()
    return found


if __name__ == "__main__":
    main()
