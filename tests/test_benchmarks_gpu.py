"""The GPU benchmarks, dry on a CPU: a tiny model and contexts, out of memory, time that is up."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).parent.parent / "benchmarks"))  # scripts import their neighbours
sys.path.append(str(Path(__file__).parent.parent / "benchmarks" / "gpu"))

import bench_methods
import bench_models
from bench_records import Records

FOLDER = Path(__file__).parent.parent / "benchmarks"


def _script():
    """The script under a name of its own: the one beside it is called the same."""
    spec = importlib.util.spec_from_file_location("gpu_bench", FOLDER / "gpu" / "bench.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


bench = _script()
TINY = ["--models", "tiny", "--device", "cpu", "--dtype", "float32", "--new-tokens", "3", "--repeats", "1"]
METHODS = ["full_prefill", "streaming", "sharedllm M=2", "prefix"]


@pytest.fixture(autouse=True)
def _nothing_is_brought(monkeypatch):
    monkeypatch.delenv("OUT", raising=False)


def run(out, *more):
    return bench.main([*TINY, "--out", str(out), "--budget", "1024", *map(str, more)])


def rows(out):
    return [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]


def test_a_dry_run_measures_every_method_and_prints_the_table_last(tmp_path, capsys):
    assert run(tmp_path, "--sizes", "1K,3K") == 0
    found = {(row["size"], row["peer"]): row["result"] for row in rows(tmp_path)}
    assert list(found) == [(size, peer) for size in (1000, 3000) for peer in METHODS]
    for (size, _peer), result in found.items():
        assert result["tokens"] == size
        assert result["read_tokens_per_second"] > 0
        assert result["first_token_seconds"] > 0
        assert result["decode_tokens_per_second"] > 0
    assert found[3000, "full_prefill"]["context"] == 3000
    assert found[3000, "streaming"]["context"] == 2048
    assert found[3000, "prefix"]["context"] == 1024  # one chunk: the budget has room for no more
    assert found[3000, "sharedllm M=2"]["context"] == 3000 // 4  # every chunk at grain 4
    assert 2.9 < found[3000, "prefix"]["stored_bytes"] / found[1000, "prefix"]["stored_bytes"] < 3.1
    table = (tmp_path / "results.md").read_text()
    assert "| tiny sdpa | 3K | `sharedllm M=2` |" in table
    assert capsys.readouterr().out == table


def test_out_of_memory_is_a_result_and_the_call_goes_on(tmp_path, monkeypatch):
    def failing(self, work):
        if len(work.context) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")
        return original(self, work)

    original = bench_methods.FullPrefill.read
    monkeypatch.setattr(bench_methods.FullPrefill, "read", failing)
    assert run(tmp_path, "--sizes", "100,200,300") == 0
    prefill = [row["result"] for row in rows(tmp_path) if row["peer"] == "full_prefill"]
    assert "read_seconds" in prefill[0]
    assert prefill[1] == {"out_of_memory": "CUDA out of memory. Tried to allocate 9 GiB."}
    assert prefill[2] == {"out_of_memory": "already at 200"}
    assert len(rows(tmp_path)) == 3 * len(METHODS)
    assert "| tiny sdpa | 300 | `full_prefill` | out of memory | - |" in (tmp_path / "results.md").read_text()


def test_a_call_goes_on_from_what_came_back(tmp_path, capsys):
    assert run(tmp_path / "one", "--sizes", "100", "--max-minutes", "0") == bench.UNFINISHED
    assert run(tmp_path / "one", "--sizes", "100") == 0
    assert run(tmp_path / "two", "--sizes", "100,200", "--start", tmp_path / "one") == 0
    assert rows(tmp_path / "two")[: len(METHODS)] == rows(tmp_path / "one")
    assert [row["size"] for row in rows(tmp_path / "two")] == [100] * 4 + [200] * 4
    assert run(tmp_path / "two", "--sizes", "100", "--budget", "7") == 2
    assert "budget 1024, now 7" in capsys.readouterr().err
    assert run(tmp_path / "two", "--repeats", "0") == 2
    assert run(tmp_path / "three", "--device", "nowhere") == 2


def test_what_is_slow_is_left_to_the_next_call(tmp_path, capsys):
    records = Records(tmp_path, bench._config(bench.parser().parse_args([*TINY, "--budget", "1024"]), _cpu()))
    records.add(bench.Measurement("tiny sdpa", "full_prefill", "", 1000, "all", 0), {"wall_seconds": 100.0})
    assert run(tmp_path, "--sizes", "2K", "--max-minutes", "6") == bench.UNFINISHED  # twice as long: four times
    assert "which takes about 400 s" in capsys.readouterr().err


def _cpu():
    return torch.device("cpu")


def test_injected_rows_are_those_of_the_library(tmp_path):
    """While the budget takes all of a context of one chunk, the answer is the full prefill's own."""
    model = bench_models.load("tiny", "sdpa", _cpu(), torch.float64, None)
    context, question = list(range(20, 220)), [7, 8, 9]
    work = bench_methods.Work([*context], question, 2, 1024, 1, lambda: None)
    method = bench_methods.methods(model)["prefix"]()
    assert method.read(work) == 2 * 200 * 4 * 2 * 8 * 8  # keys and values, tokens, layers, heads, dimensions, bytes
    injection = method._injection()
    decoder = bench_methods.InjectedDecoder(
        method.arch, method.profile, [injection], front=method._front, capacity=len(question)
    )
    with decoder, torch.inference_mode():
        got = decoder.feed([question])[0]
        expected = model(torch.tensor([[*bench_methods.FRONT, *context, *question]])).logits[0, -1]
    assert torch.allclose(got, expected, atol=1e-9)


def test_shapes_are_those_of_the_models_they_are_named_after():
    sizes = {}
    for name in ("1b", "7b"):
        with torch.device("meta"):
            config = bench_models.LlamaConfig(**bench_models.SHAPES[name])
            model = bench_models.AutoModelForCausalLM.from_config(config)
        sizes[name] = sum(parameter.numel() for parameter in model.parameters()) / 1e9
    assert sizes["1b"] == pytest.approx(1.236, abs=0.01)
    assert sizes["7b"] == pytest.approx(6.738, abs=0.01)


# what the machine with the accelerator may lack
ABSENT = (
    *("typer", "bm25s", "platformdirs", "gguf", "pypdf", "pypdfium2", "bs4", "diskcache", "matplotlib"),
    *("llama_index", "langchain_core", "sentence_transformers"),
)
_BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, {folder!r})
import bench
sys.exit(bench.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_the_script_needs_little(tmp_path):
    """On a machine without what only reading, looking up and the command line need."""
    code = _BARE.format(absent=ABSENT, folder=str(FOLDER / "gpu"))
    done = subprocess.run(
        [sys.executable, "-c", code, *TINY, "--out", str(tmp_path), "--sizes", "300"],
        cwd=FOLDER.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| tiny sdpa | 300 | `prefix` |" in done.stdout.splitlines()[-1]
