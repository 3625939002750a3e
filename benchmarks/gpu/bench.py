"""Time and memory on an accelerator: this project against full prefill and streaming, in windows of ten minutes.

``python benchmarks/gpu/bench.py --out DIR --max-minutes 9`` measures what DIR does not hold yet, writes
``DIR/results.md`` and prints the table last. Out of memory is a result, and the call goes on.
"""

from __future__ import annotations

import argparse
import gc
import os
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

sys.path.append(str(Path(__file__).resolve().parent.parent))  # what the benchmarks share lies one folder up

import bench_models
from bench_methods import TimeIsUpError, Work, measure, methods
from bench_plan import names, parse_size, size_label
from bench_records import CONFIG, RECORDS, Measurement, Record, Records
from bench_summary import Spread
from bench_table import cell

from sharedllm_docs.architectures.devices import device_of
from sharedllm_docs.errors import ConfigError, SharedLLMError

SIZES = "8K,32K,128K,512K,1M"
LONG = 200_000
"""From here on there is one repeat."""
QUESTION_TOKENS, WARM_UP_TOKENS = 32, 2048
UNFINISHED = 75
OUT_OF_MEMORY = "out_of_memory"


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    top = argparse.ArgumentParser(description="Measure time and memory on an accelerator.")
    top.add_argument("--out", type=Path, default=Path(os.environ.get("OUT") or "bench-gpu"), help="default: $OUT")
    top.add_argument("--start", type=Path, default=None, help="an earlier call's folder to go on from, copied to --out")
    top.add_argument("--models", default="default,1b,7b", help=f"some of {','.join(bench_models.NAMES)}")
    top.add_argument("--default-model", type=Path, default=None, help="folder of the default model")
    top.add_argument("--sizes", default=SIZES, help=f"tokens of the context (default: {SIZES})")
    top.add_argument("--repeats", type=int, default=3, help=f"of contexts below {size_label(LONG)} (default: 3)")
    top.add_argument("--new-tokens", type=int, default=64, help="generated (default: 64)")
    top.add_argument("--budget", type=int, default=8192, help="rows injected a layer (default: 8192)")
    top.add_argument("--max-minutes", type=float, default=9.0, help="of this call (default: 9)")
    top.add_argument("--device", default="auto", help="auto, cpu or cuda")
    top.add_argument("--dtype", default="bfloat16", choices=["bfloat16", "float16", "float32"])
    return top


@dataclass
class Call:
    """One call of the script.

    Attributes:
        given: the options.
        device: to measure on.
        records: what there is.
        deadline: of the monotonic clock.
    """

    given: argparse.Namespace
    device: torch.device
    records: Records
    deadline: float

    def run(self) -> bool:
        """Measure model by model; False when the time was up."""
        sizes = sorted(map(parse_size, self.given.sizes.split(",")))
        for name in names(self.given.models, bench_models.NAMES, "model"):
            for attention in bench_models.attentions(self.device):
                if not self._model(name, attention, sizes):
                    return False
        return True

    def _model(self, name: str, attention: str, sizes: Sequence[int]) -> bool:
        table = f"{name} {attention}"
        if self._left() <= 0:
            return False
        dtype = getattr(torch, self.given.dtype)
        try:
            model = bench_models.load(name, attention, self.device, dtype, self.given.default_model)
        except torch.OutOfMemoryError as error:
            _say(f"{table}: its weights do not fit: {str(error).splitlines()[0]}")
            return True
        makers = methods(model)
        due = [one for one in _plan(table, list(makers), sizes, self.given.repeats) if not self.records.done(one)]
        try:
            for one in due:
                if not self._fits(one):
                    return False
                self.records.add(one, self._one(one, makers[one.peer], model))
        except TimeIsUpError:
            return False
        finally:
            del model, makers
            self._free()
        return True

    def _one(self, one: Measurement, make: Any, model: Any) -> Record:
        smaller = [other for other, record in self.records.items() if OUT_OF_MEMORY in record and _alike(other, one)]
        if smaller:  # longer ones need more
            return {OUT_OF_MEMORY: f"already at {size_label(min(other.size for other in smaller))}"}
        try:
            if one.repeat == 0:  # kernels are chosen and compiled before the clock runs
                measure(make(), self._work(min(one.size, WARM_UP_TOKENS), model), self.device)
            begun = time.monotonic()
            record = measure(make(), self._work(one.size, model), self.device)
            record["wall_seconds"] = time.monotonic() - begun
            _say(f"{one}: {record['read_tokens_per_second']:.0f} tokens/s")
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if not isinstance(error, torch.OutOfMemoryError) and "allocate memory" not in str(error):
                raise
            record = {OUT_OF_MEMORY: str(error).splitlines()[0]}
            _say(f"{one}: out of memory")
        self._free()
        return record

    def _work(self, tokens: int, model: Any) -> Work:
        generator = torch.Generator().manual_seed(tokens)
        ids = torch.randint(3, model.config.vocab_size, (tokens + QUESTION_TOKENS,), generator=generator).tolist()
        batch = 1 if self.device.type == "cpu" else 8
        given = self.given
        return Work(ids[:tokens], ids[tokens:], given.new_tokens, given.budget, batch, self._check)

    def _fits(self, one: Measurement) -> bool:
        """Whether there is time for it, by smaller contexts: quadratic for full prefill, linear for the others."""
        known = [
            (other.size, float(record["wall_seconds"]))
            for other, record in self.records.items()
            if "wall_seconds" in record and _alike(other, one)
        ]
        size, seconds = max(known, default=(one.size, 0.0))
        power = 2 if one.peer == "full_prefill" else 1
        wanted = seconds * max(1.0, one.size / size) ** power
        if wanted > self._left():
            _say(f"Time is up before {one}, which takes about {wanted:.0f} s")
        return wanted <= self._left()

    def _left(self) -> float:
        return self.deadline - time.monotonic()

    def _check(self) -> None:
        if self._left() <= 0:
            raise TimeIsUpError

    def _free(self) -> None:
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def _alike(other: Measurement, one: Measurement) -> bool:
    """The same method on the same model, with a context that is no longer."""
    return (other.table, other.peer) == (one.table, one.peer) and other.size <= one.size


def _plan(table: str, peers: Sequence[str], sizes: Sequence[int], repeats: int) -> Iterator[Measurement]:
    """Shortest contexts first, repeats interleaved over the methods."""
    for size in sizes:
        for repeat in range(1 if size >= LONG else repeats):
            for peer in peers:
                yield Measurement(table, peer, "", size, "all", repeat)


COLUMNS = (
    ("read tokens/s", "read_tokens_per_second", 1.0, 0),
    ("peak GB, reading", "read_peak_bytes", 1e9, 2),
    ("first token ms", "first_token_seconds", 1e-3, 1),
    ("decode tokens/s", "decode_tokens_per_second", 1.0, 1),
    ("peak GB, question", "question_peak_bytes", 1e9, 2),
    ("rows or tokens", "context", 1.0, 0),
    ("stored GB", "stored_bytes", 1e9, 2),
)


def summary(records: Records) -> str:
    """The table of everything measured so far, as Markdown."""
    groups: dict[tuple[str, int, str], list[Record]] = {}
    for one, record in records.items():
        groups.setdefault((one.table, one.size, one.peer), []).append(record)
    head = ["model", "tokens", "method", *(title for title, *_rest in COLUMNS)]
    rows = [head, ["---"] * len(head)]
    for (table, size, peer), found in groups.items():
        rows.append([table, size_label(size), f"`{peer}`", *_cells(found)])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"


def _cells(found: Sequence[Record]) -> list[str]:
    if any(OUT_OF_MEMORY in record for record in found):
        return ["out of memory", *["-"] * (len(COLUMNS) - 1)]
    cells = []
    for _title, name, scale, digits in COLUMNS:
        values = [record[name] / scale for record in found if record.get(name) is not None]
        cells.append(cell(Spread.of(values), digits))
    return cells


def _config(given: argparse.Namespace, device: torch.device) -> dict[str, Any]:
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "dtype": given.dtype,
        "torch": torch.__version__,
        "budget": given.budget,
        "new_tokens": given.new_tokens,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure; returns the exit status: 75 where the time was up."""
    begun = time.monotonic()
    given = parser().parse_args(arguments)
    try:
        if given.repeats < 1 or given.new_tokens < 2 or given.budget < 1:
            raise ConfigError(
                f"--repeats={given.repeats}, --new-tokens={given.new_tokens} and --budget={given.budget} must be at "
                "least 1, 2 and 1.",
                remedy="Correct these options.",
            )
        if given.start is not None:
            _copy(given.start, given.out)
        device = device_of(given.device)
        records = Records(given.out, _config(given, device))
        try:
            whole = Call(given, device, records, begun + 60 * given.max_minutes).run()
        finally:
            text = summary(records)
            (given.out / "results.md").write_text(text, encoding="utf-8")
        print(text, end="")
        return 0 if whole else UNFINISHED
    except SharedLLMError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code


def _copy(start: Path, out: Path) -> None:
    """Take an earlier call's records along, unless there are some."""
    out.mkdir(parents=True, exist_ok=True)
    for name in (CONFIG, RECORDS):
        if (start / name).is_file() and not (out / name).exists():
            shutil.copyfile(start / name, out / name)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
