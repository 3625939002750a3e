"""`ask` from the shell: `python benchmarks/from_the_shell.py INDEX [--question Q] [--repeats 5] [--processes 3]`.

The same question to an index, each time by a new command, up to the first piece of the answer and to its end:

- `without`: no process stays, as in scripts;
- `starting`: none runs, and one is started that stays;
- `warm`: one runs.

Beside them `python -c pass`, the command's libraries alone, and a process that only imports torch and builds the model.
Interleaved; medians of wall and CPU seconds (of the command's own process: what it costs before and after the one that
stays), and their ratios. Then `--processes` of them are started for different settings, and their memory is told: what
each holds (RSS), and what all of them hold together when shared pages count once (PSS). It uses a folder of its own for
sockets and leaves no process behind.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from cold_start import _cpu_seconds

QUESTION = "Which function draws a histogram?"
LIBRARIES = "import typer.main, rich.console, rich.table, rich.text"
BARE = """
import sys, torch
from transformers import AutoModelForCausalLM
AutoModelForCausalLM.from_pretrained(sys.argv[1], dtype=torch.bfloat16)
"""


class Sides:
    """Runs the commands.

    Args:
        options: of the benchmark.
        runtime: folder for sockets.
    """

    def __init__(self, options: argparse.Namespace, runtime: str) -> None:
        self.options = options
        self.environment = {**os.environ, "XDG_RUNTIME_DIR": runtime}

    def program(self, *arguments: str, **environment: str) -> dict[str, float]:
        """Seconds of a command of the program."""
        return self.timed([sys.executable, "-m", "sharedllm_docs", *arguments], environment)

    def ask(self, stay: str, **environment: str) -> dict[str, float]:
        """Seconds of a question."""
        given = ("--index", self.options.index, "--stream", "--max-tokens", str(self.options.max_tokens))
        return self.program("ask", self.options.question, *given, SHAREDLLM_DOCS_STAY=stay, **environment)

    def timed(self, command: list[str], environment: dict[str, str]) -> dict[str, float]:
        """Wall seconds to the first byte of output and to the end, and CPU seconds at the end."""
        begun = time.perf_counter()
        with subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**self.environment, **environment},
        ) as process:
            assert process.stdout is not None
            process.stdout.read(1)
            first, cpu = time.perf_counter() - begun, _cpu_seconds(process.pid)
            process.stdout.read()
        if process.returncode:
            raise RuntimeError(f"{command} failed ({process.returncode}).")
        return {"first": first, "cpu to the first": cpu, "end": time.perf_counter() - begun}

    def stop(self) -> None:
        """End all processes that stay, and wait for it."""
        self.program("stop")
        while json.loads(self.said("status", "--json"))["processes"]:
            time.sleep(0.1)

    def said(self, *arguments: str) -> str:
        """What a command prints."""
        command = [sys.executable, "-m", "sharedllm_docs", *arguments]
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True).stdout


def memory(sides: Sides, count: int) -> dict[str, Any]:
    """Megabytes that ``count`` processes hold, each and together."""
    for number in range(count):
        sides.ask("10m", SHAREDLLM_DOCS_NUMBER=str(number))  # other settings, and so another process
    found = []
    for one in json.loads(sides.said("status", "--json"))["processes"]:
        lines = Path(f"/proc/{one['pid']}/smaps_rollup").read_text(encoding="ascii").splitlines()
        values = {line.split()[0].rstrip(":"): int(line.split()[1]) // 1024 for line in lines[1:]}
        found.append({name: values[name] for name in ("Rss", "Pss", "Pss_Anon", "Pss_File")})
    return {"each": found, "together": sum(one["Pss"] for one in found), "apart": sum(one["Rss"] for one in found)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("index")
    parser.add_argument("--question", default=QUESTION)
    parser.add_argument("--max-tokens", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--processes", type=int, default=3)
    options = parser.parse_args()
    options.index = str(Path(options.index).resolve())
    with tempfile.TemporaryDirectory(prefix="shell-") as runtime:
        sides = Sides(options, runtime)
        try:
            print(json.dumps(measured(sides, options), indent=2))
        finally:
            sides.stop()


def measured(sides: Sides, options: argparse.Namespace) -> dict[str, Any]:
    """All that is told."""
    from sharedllm_docs.model.zoo import EMBEDDED, model_folder

    recorded = json.loads((Path(options.index) / "index.json").read_text(encoding="utf-8"))
    name = recorded.get("settings", recorded.get("payload", {}).get("settings", {})).get("model", "")
    folder = str(model_folder(EMBEDDED[name])) if name in EMBEDDED else name
    runs: dict[str, list[dict[str, float]]] = {}
    for repeat in range(options.repeats + 1):  # the first round warms caches and is not counted
        found = {
            "python -c pass": sides.timed([sys.executable, "-c", "pass"], {}),
            "typer and rich": sides.timed([sys.executable, "-c", LIBRARIES], {}),
            "torch and the model": sides.timed([sys.executable, "-c", BARE, folder], {}),
            "without": sides.ask("0"),
            "starting": sides.ask("10m"),
            "warm": sides.ask("10m"),
        }
        sides.stop()
        for side, seconds in found.items():
            if repeat:
                runs.setdefault(side, []).append(seconds)
    medians = {
        side: {name: round(statistics.median(one[name] for one in seconds), 3) for name in seconds[0]}
        for side, seconds in runs.items()
    }
    ratios = {
        "warm / without": medians["warm"]["first"] / medians["without"]["first"],
        "starting / without": medians["starting"]["first"] / medians["without"]["first"],
        "without / torch and the model": medians["without"]["first"] / medians["torch and the model"]["first"],
    }
    spread = {
        side: [min(one["first"] for one in all_), max(one["first"] for one in all_)] for side, all_ in runs.items()
    }
    result = {"medians": medians, "spread of first": spread, "ratios of first": ratios}
    return {**result, "memory, MB": memory(sides, options.processes)} if options.processes else result


if __name__ == "__main__":
    main()
