"""Load on the server: `python benchmarks/server_load.py [--clients 64] [--seconds 120 | --questions N] [--model NAME]`.

A server of its own, on a free port of this machine, over one document for each client. Every client asks its own
document one question after another, half of them streamed, through the OpenAI dialect. Each answer is compared with
the one that was found before by asking alone:

- `lost`: requests that got no answer (429 is not lost: the client waits as told, and asks again);
- `others`: answers or sources that belong to another client's question. Must be 0;
- `differ`: answers that are neither; a batch changes the last bits of a matrix product, and may tip the scales between
  two tokens that are nearly equal.

The model is a tiny random one unless another is named. Memory is that of the server's process, after the first tenth
of the questions and at the end. Prints a line of JSON; fails if anything was lost or mixed up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

SETTINGS = {"relevance_floor": 0.0, "min_confidence": 0.0}
TOKENS = 12
WORDS = ("copper", "river", "sonnet", "heron", "tin", "barley", "mirror", "glacier", "violin", "orchard", "compass")
QUESTIONS = ("What does number {n} keep?", "Where is the {word} of number {n}?", "Who counts the {other} in house {n}?")


@dataclass
class Seen:
    """What the clients have seen."""

    seconds: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    refused: int = 0
    lost: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    differ: int = 0
    memory: list[int] = field(default_factory=list)


def text_of(number: int) -> str:
    """The document of a client: sentences that no other has."""
    words = random.Random(number).sample(WORDS, 6)
    return " ".join(
        f"House {number} keeps {11 * number + i} {word}s behind the {words[i - 1]}." for i, word in enumerate(words)
    )


def questions_of(number: int) -> list[str]:
    """The questions of a client."""
    words = random.Random(number).sample(WORDS, 6)
    return [question.format(n=number, word=words[0], other=words[3]) for question in QUESTIONS]


def prepare(folder: Path, model: str | None, clients: int) -> dict[tuple[int, str], str]:
    """Make the index; returns the answer to each question when it is asked alone."""
    from sharedllm_docs import Index
    from tests.tiny_text import save_embedder, save_model, tiny_document, tiny_profile

    if model is None:
        tiny = {"name_or_path": save_model(folder / "model"), "embedder": str(save_embedder(folder / "embedder"))}
        index = Index.open_or_create(folder / "index", adapter="none", dtype="float32", profile=tiny_profile(), **tiny)
    else:
        index = Index.open_or_create(folder / "index", name_or_path=model)
    expected = {}
    for number in range(clients):
        key = index.add(tiny_document(text_of(number), name=f"house {number}.txt")).document.key
        for question in questions_of(number):
            answer = index.ask(question, documents=[key], max_new_tokens=TOKENS, **SETTINGS)
            expected[number, question] = answer.text
    index.close()
    return expected


async def client(number: int, address: str, expected: dict[tuple[int, str], str], seen: Seen, more: Any) -> None:
    """Ask until there is no more to ask."""
    async with httpx.AsyncClient(timeout=600, headers={"Authorization": f"Bearer client-{number}"}) as asking:
        for turn in range(10**9):
            if not more():
                return
            question = questions_of(number)[turn % len(QUESTIONS)]
            body = {
                "model": f"docs/house {number}.txt",
                "messages": [{"role": "user", "content": question}],
                "max_tokens": TOKENS,
                "stream": (turn + number) % 2 == 0,
                **SETTINGS,
            }
            begun = time.perf_counter()
            try:
                answer, sources = await asked(asking, address, body, seen, begun)
            except Exception as error:
                seen.lost.append(f"{number}: {type(error).__name__}: {error}")
                continue
            seen.seconds.append(time.perf_counter() - begun)
            judge(number, question, answer, sources, expected, seen)


async def asked(
    asking: httpx.AsyncClient, address: str, body: dict[str, Any], seen: Seen, begun: float
) -> tuple[str, list[str]]:
    """The answer and the documents that it cites."""
    while True:
        async with asking.stream("POST", f"{address}/v1/chat/completions", json=body) as response:
            if response.status_code == 429:
                seen.refused += 1
                await asyncio.sleep(int(response.headers["retry-after"]))
                continue
            if response.status_code != 200:
                raise RuntimeError(f"{response.status_code} {(await response.aread()).decode()}")
            if not body["stream"]:
                whole = json.loads(await response.aread())
                cited = [one["document"] for one in whole["citations"]]
                return whole["choices"][0]["message"]["content"], cited
            return await streamed(response, seen, begun)


async def streamed(response: httpx.Response, seen: Seen, begun: float) -> tuple[str, list[str]]:
    """The same of a stream."""
    text, cited, done = "", [], False
    async for line in response.aiter_lines():
        if not line.startswith("data: "):
            continue
        if line == "data: [DONE]":
            done = True
            continue
        chunk = json.loads(line[6:])
        if "error" in chunk:
            raise RuntimeError(chunk["error"]["message"])
        if not text:
            seen.first.append(time.perf_counter() - begun)
        text += chunk["choices"][0].get("delta", {}).get("content") or ""
        cited = [one["document"] for one in chunk.get("citations", [])] or cited
    if not done:
        raise RuntimeError("the stream ended early")
    return text.strip(), cited


def judge(
    number: int, question: str, answer: str, sources: list[str], expected: dict[tuple[int, str], str], seen: Seen
) -> None:
    """Note an answer that is not the one to this question."""
    if set(sources) - {f"house {number}.txt"}:
        seen.others.append(f"{number} was shown {sources}")
    if answer == expected[number, question]:
        return
    if any(answer == text for (other, _), text in expected.items() if other != number and answer):
        seen.others.append(f"{number} was told {answer!r}")
    seen.differ += 1


async def load(address: str, process: psutil.Process, arguments: argparse.Namespace, expected: Any) -> Seen:
    """Run the clients."""
    seen = Seen()
    begun, left = time.monotonic(), arguments.questions

    def more() -> bool:
        nonlocal left
        left -= 1
        return left >= 0 if arguments.questions else time.monotonic() - begun < arguments.seconds

    async def watch() -> None:
        while True:
            seen.memory.append(process.memory_info().rss)
            await asyncio.sleep(1)

    watching = asyncio.ensure_future(watch())
    await asyncio.gather(*(client(n, address, expected, seen, more) for n in range(arguments.clients)))
    watching.cancel()
    seen.memory.append(process.memory_info().rss)
    return seen


def quantile(values: list[float], share: float) -> float | None:
    """A quantile of the values, rounded."""
    return round(sorted(values)[min(len(values) - 1, int(share * len(values)))], 3) if values else None


def report(seen: Seen, seconds: float) -> dict[str, Any]:
    """The figures."""
    early = seen.memory[len(seen.memory) // 10]
    return {
        "answered": len(seen.seconds),
        "per_second": round(len(seen.seconds) / seconds, 2),
        "refused": seen.refused,
        "lost": len(seen.lost),
        "others": len(seen.others),
        "differ": seen.differ,
        "seconds": {"p50": quantile(seen.seconds, 0.5), "p99": quantile(seen.seconds, 0.99)},
        "first_words": {"p50": quantile(seen.first, 0.5), "p99": quantile(seen.first, 0.99)},
        "memory_mb": {"early": early // 10**6, "end": seen.memory[-1] // 10**6, "most": max(seen.memory) // 10**6},
    }


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--questions", type=int, default=0, help="stop after so many instead")
    parser.add_argument("--model", help="an embedded model, or a folder, in place of the tiny one")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        expected = prepare(Path(name), arguments.model, arguments.clients)
        command = [
            sys.executable,
            "-m",
            "sharedllm_docs",
            "serve",
            "--index",
            f"docs={name}/index",
            "--port",
            "0",
            "--json",
        ]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as server:
            assert server.stdout is not None
            try:
                address = json.loads(server.stdout.readline())["address"]
                while httpx.get(f"{address}/ready", timeout=600).status_code != 200:
                    time.sleep(0.2)
                begun = time.monotonic()
                seen = asyncio.run(load(address, psutil.Process(server.pid), arguments, expected))
                print(json.dumps(report(seen, time.monotonic() - begun)))
            finally:
                server.terminate()
    for problem in [*seen.lost, *seen.others][:10]:
        print(problem, file=sys.stderr)
    return 1 if seen.lost or seen.others else 0


if __name__ == "__main__":
    sys.exit(main())
