"""Cold start: `python benchmarks/cold_start.py FILE INDEX [--pages 1-16] [--repeats 5]`.

How long `ask` takes in a new process to its first piece of answer, on an index that holds FILE already, against a new
process that only imports torch, builds the transformers model and loads its weights. Interleaved; medians of wall and
CPU seconds up to that moment, and their ratio. The first round warms the page cache and is not counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field

from sharedllm_docs.architectures.devices import has_bfloat16_units
from sharedllm_docs.model.zoo import SMOLLM_135M, model_folder

QUESTION = "How do I quit R?"
WEIGHTS = """
import torch
from safetensors.torch import load_file
weights = load_file("{folder}/model.safetensors")
total = sum(int(tensor.view(-1).view(torch.uint8)[::4096].sum()) for tensor in weights.values())  # every page read
print("ready", flush=True)
"""
MODEL = """
import torch
from transformers import LlamaForCausalLM
model = LlamaForCausalLM.from_pretrained("{folder}", dtype=torch.{dtype}).eval()
print("ready", flush=True)
"""
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Side:
    """One of the processes compared.

    Attributes:
        command: its arguments.
        expects: part of its first line.
        wall: seconds to its first output, one a repeat.
        cpu: likewise, of all its threads.
    """

    command: list[str]
    expects: bytes
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def run(self, *, counted: bool) -> None:
        """Start the process, wait for its first output, let it end."""
        begun = time.perf_counter()
        alone = {**os.environ, "SHAREDLLM_DOCS_STAY": "0"}
        with subprocess.Popen(self.command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=alone) as process:
            line = process.stdout.readline() if process.stdout else b""
            wall, cpu = time.perf_counter() - begun, _cpu_seconds(process.pid)
            if process.stdout:
                process.stdout.read()
        if process.returncode or self.expects not in line:
            raise RuntimeError(f"{self.command} said {line!r} (exit code {process.returncode}).")
        if counted:
            self.wall.append(wall)
            self.cpu.append(cpu)


def _cpu_seconds(pid: int) -> float:
    """User and system time of a running process so far."""
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", help="a document that the index holds")
    parser.add_argument("index")
    parser.add_argument("--pages", help="as the document was added")
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    python = [sys.executable, "-c"]
    folder = model_folder(SMOLLM_135M)
    dtype = "bfloat16" if has_bfloat16_units("cpu") else "float32"  # as ask chooses
    ask = [sys.executable, "-m", "sharedllm_docs", "ask", QUESTION, "--file", options.file, "--index", options.index]
    pages = ["--pages", options.pages] if options.pages else []
    sides = {
        "ask, to the first piece": Side([*ask, *pages, "--json", "--stream", "--max-tokens", "8"], b'"piece"'),
        "import torch, build the model": Side([*python, MODEL.format(folder=folder, dtype=dtype)], b"ready"),
        "import torch, read the weights": Side([*python, WEIGHTS.format(folder=folder)], b"ready"),
    }
    for repeat in range(options.repeats + 1):
        for side in sides.values():
            side.run(counted=repeat > 0)
    ours, model, weights = sides.values()
    result = {
        "seconds (wall, CPU)": {
            name: [statistics.median(side.wall), statistics.median(side.cpu)] for name, side in sides.items()
        },
        "spread of wall": {name: [min(side.wall), max(side.wall)] for name, side in sides.items()},
        "ask / model (wall, CPU)": _ratios(ours, model),
        "ask / weights (wall, CPU)": _ratios(ours, weights),
    }
    print(json.dumps(result, indent=2))


def _ratios(ours: Side, bare: Side) -> list[float]:
    return [
        statistics.median(ours.wall) / statistics.median(bare.wall),
        statistics.median(ours.cpu) / statistics.median(bare.cpu),
    ]


if __name__ == "__main__":
    main()
