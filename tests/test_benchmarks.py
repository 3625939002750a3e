"""The benchmarks, on a tiny model and offline: what is measured, what is written down, and what is gone on with."""

from __future__ import annotations

import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from sharedllm_docs.errors import ConfigError, EvaluationError
from tests.evaluation_helpers import prose
from tests.tiny_text import tiny_base, tiny_tokenizer

sys.path.insert(0, str(Path(__file__).parent.parent / "benchmarks"))  # scripts import their neighbours

import bench
import bench_child
import bench_run
from bench_plan import Job, estimate, growth_jobs, parse_size, peer_jobs, size_label, table_jobs, variants
from bench_plots import plot
from bench_records import Measurement, Records
from bench_summary import lines_of
from bench_table import markdown
from bench_texts import Cutter, pages_of, write_work
from peers import BY_NAME, PEERS
from peers.base import Asked, CannotTakeError, NotAvailableError, PeerSettings, Work
from peers.environments import is_ready, python_of
from peers.streaming import SinkWindow

OWN = "flat_cache,prefix"
TEXT_PEERS = "full_prefill,streaming,rag"


@pytest.fixture(scope="module")
def made(saved, tmp_path_factory):
    """A tiny model and embedder, and a text, in folders."""
    folder = tmp_path_factory.mktemp("bench")
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    (folder / "prose.txt").write_text(prose(400), encoding="utf-8")
    return folder


def in_process(spec, _python, _timeout):
    """In place of a process of its own: quick, though memory is then this process's."""
    return bench_child.measure(spec)


def arguments(made, out, *more):
    fixed = ["--model", made / "model", "--embedder", made / "embedder", "--texts", made / "prose.txt"]
    return [
        str(one) for one in (*fixed, "--out", out, "--new-tokens", "3", "--questions", "2", "--threads", "1", *more)
    ]


def run(made, out, *more, measure=in_process):
    return bench.main(arguments(made, out, *more), measure)


def rows(out):
    return [json.loads(line) for line in (out / "records.jsonl").read_text().splitlines()]


# -- peers ----------------------------------------------------------------------------------------------------------


class LoadsLate:
    """Loads at its first question, for 20 seconds of a clock of its own, and does not count that itself."""

    now = 100.0

    def open(self, _work):
        pass

    def monotonic(self):
        return self.now

    def ask(self, _question):
        self.now += 20
        return Asked(first_token_seconds=0.01, decode_seconds=0.05, decoded=5, context=1)


def test_what_is_loaded_at_the_first_question_is_part_of_a_cold_start(monkeypatch):
    peer = LoadsLate()
    monkeypatch.setattr(bench_child, "time", peer)
    work = SimpleNamespace(questions=["first", "second"])
    result = bench_child.ask(peer, work, 99.0, persists=True)
    assert result["cold_seconds"] == pytest.approx(1 + 20 - 0.05)
    assert result["warm_seconds"] == [0.01]


@pytest.mark.parametrize("peers", [OWN, TEXT_PEERS])
def test_quick_measures_every_peer_and_draws(made, tmp_path, peers):
    assert run(made, tmp_path, "--quick", "--sizes", "300,1200", "--peers", peers) == 0
    for row in rows(tmp_path):
        result = row["result"]
        if row["phase"] == "ingest":
            assert row["size"] - 5 < result["tokens"] <= row["size"]
            assert result["tokens_per_second"] > 0
            assert result["disk_bytes"] > 0
        else:
            # which of them is faster is the machine's matter
            assert min(result["cold_seconds"], *result["warm_seconds"]) > 0
            assert result["decode_tokens_per_second"][0] > 0
            assert result["context"] > 0
    table = (tmp_path / "results.md").read_text()
    for name in peers.split(","):
        assert table.count(f"| `{name}` |") == 3  # two lengths and the growth between them
    assert "300 to 1200 (x4)" in table
    assert (tmp_path / "peers-cold.png").stat().st_size > 1000
    assert not any((tmp_path / "stores").iterdir())


def test_a_document_beyond_the_window_is_a_result(made, tmp_path):
    assert run(made, tmp_path, "--quick", "--sizes", "5K", "--peers", "full_prefill") == 0
    [row] = rows(tmp_path)
    assert "the model's window has 4096" in row["result"]["cannot"]
    assert "`full_prefill` at 5K: cannot: prompt and answer take" in (tmp_path / "results.md").read_text()


def test_what_is_not_there_is_named(made, tmp_path):
    """No GGUF file of this model, no adapter that comes with the package for it: lines with a reason, and no crash."""
    assert run(made, tmp_path, "--quick", "--sizes", "300", "--peers", "llama_cpp,sharedllm") == 0
    table = (tmp_path / "results.md").read_text()
    assert "`llama_cpp` at 300: not available: only the embedded default is there as a GGUF file." in table
    assert "`sharedllm` at 300: not available: no adapter comes with the package for this model." in table
    assert all("unavailable" in row["result"] for row in rows(tmp_path))


def test_tables_and_growth_of_the_untrained_profile(made, tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "GROWTH_PART", 150)
    monkeypatch.setattr("bench_plan.MS", (1, 99))
    monkeypatch.setattr(bench, "growth_jobs", lambda sizes, _part, repeats: growth_jobs(sizes, 150, repeats))
    assert run(made, tmp_path, "--quick", "--tables", "m", "--table-size", "300") == 0
    assert run(made, tmp_path, "--quick", "--growth", "--growth-sizes", "300,600") == 0
    table = (tmp_path / "results.md").read_text()
    assert "| `M=1` |" in table
    assert "| `M=99` |" in table  # clipped to the model's four layers
    assert "300 to 600 (x2)" in table
    grown = [row["result"] for row in rows(tmp_path) if row["table"] == "growth" and row["phase"] == "ingest"]
    assert [round(one["tokens"] / 300) for one in grown] == [1, 1]  # the second stage adds to the first
    assert [one["documents"] for one in grown] == [2, 4]
    assert grown[1]["disk_bytes"] > 1.7 * grown[0]["disk_bytes"]


@pytest.mark.slow
def test_a_process_of_its_own(made, tmp_path):
    """The real thing once: another process tells what it took, and its memory is its own."""
    assert bench.main(arguments(made, tmp_path, "--quick", "--sizes", "300", "--peers", "streaming")) == 0
    [row] = rows(tmp_path)
    result = row["result"]
    assert result["wall_seconds"] >= result["cold_seconds"] > 0  # one lies within the other
    assert result["peak_bytes"] >= result["rss_bytes"] > 10e6


def test_a_process_that_fails_is_told(tmp_path):
    spec = {"settings": {"threads": 1}, "folder": str(tmp_path / "store")}  # and no module
    record = bench_run.spawn(spec, sys.executable, None)
    assert "KeyError" in record["failed"]
    stuck = tmp_path / "python"
    stuck.write_text("#!/bin/sh\nexec sleep 600\n")
    stuck.chmod(0o755)
    with pytest.raises(bench_run.TimeIsUpError):
        bench_run.spawn(spec, str(stuck), 0.1)


def test_the_sliding_window_reads_like_the_model_and_stays_small():
    """While nothing is dropped it is an ordinary prefill; afterwards keys stand where a fresh cache would have them."""
    model = tiny_base(dtype=torch.float64)
    ids = [int(i) for i in torch.randint(3, 300, (64,), generator=torch.Generator().manual_seed(0))]
    whole = SinkWindow(model, sinks=2, window=100)
    whole.read(ids, chunk=16)
    with torch.inference_mode():
        expected = model(torch.tensor([[*ids, 7]])).logits[0, -1]
    assert torch.allclose(whole.feed([7]), expected, atol=1e-9)
    small = SinkWindow(model, sinks=2, window=10)
    small.read(ids, chunk=16)
    assert len(small) == 12
    unmoved = SinkWindow(model, sinks=2, window=10)
    unmoved.feed(ids[:12])  # the first layer's keys depend on tokens and places alone
    unmoved_last = SinkWindow(model, sinks=2, window=10)
    unmoved_last.feed([*ids[:2], *ids[-10:]])
    assert torch.allclose(small.cache.layers[0].keys, unmoved_last.cache.layers[0].keys, atol=1e-9)
    assert not torch.allclose(small.cache.layers[0].keys, unmoved.cache.layers[0].keys, atol=1e-3)
    state = small.state()
    first = small.feed([5, 6])
    small.restore(state)
    assert torch.equal(small.feed([5, 6]), first)


# -- records --------------------------------------------------------------------------------------------------------


def measurement(**changes):
    return replace(Measurement("peers", "prefix", "", 8000, "ingest", 0), **changes)


def test_records_are_kept_and_bound_to_their_configuration(tmp_path):
    records = Records(tmp_path, {"threads": 2})
    records.add(measurement(), {"tokens": 8000})
    records.add(measurement(repeat=1), {"failed": "once"})
    again = Records(tmp_path, {"threads": 2})
    assert again.done(measurement())
    assert not again.done(measurement(repeat=1))  # measured again
    assert not again.done(measurement(repeat=2))
    with pytest.raises(ConfigError, match=r"threads 2, now 4\. Give another folder"):
        Records(tmp_path, {"threads": 4})


def test_a_line_cut_short_is_measured_again_and_a_damaged_one_is_told(tmp_path):
    records = Records(tmp_path, {})
    records.add(measurement(), {"tokens": 1})
    with records.path.open("a") as file:
        file.write('{"table": "pee')
    again = Records(tmp_path, {})
    assert len(again) == 1
    again.add(measurement(repeat=1), {"tokens": 2})
    assert len(Records(tmp_path, {})) == 2
    with records.path.open("a") as file:
        file.write("nonsense\n")
    with pytest.raises(ConfigError, match=r"Line 3 of .* is not a measurement"):
        Records(tmp_path, {})


def test_a_call_goes_on_where_the_one_before_stopped(made, tmp_path, capsys):
    def counting(spec, python, timeout):
        calls.append(spec["phase"])
        return in_process(spec, python, timeout)

    calls: list[str] = []
    options = ("--quick", "--sizes", "300", "--peers", "prefix")
    assert run(made, tmp_path, *options, "--max-minutes", "0", measure=counting) == bench.UNFINISHED
    assert not calls
    assert "Time is up before [peers] prefix, 300 tokens, ingest" in capsys.readouterr().out
    assert run(made, tmp_path, *options, measure=counting) == 0
    assert run(made, tmp_path, *options, measure=counting) == 0
    assert calls == ["ingest", "ask"]
    assert run(made, tmp_path, *options, "--repeats", "2", measure=counting) == 0
    assert calls == ["ingest", "ask"] * 2


def test_a_store_that_is_gone_is_prepared_again_unrecorded(made, tmp_path):
    def ingest_then_stop(spec, python, timeout):
        if spec["phase"] == "ask":
            raise bench_run.TimeIsUpError
        return in_process(spec, python, timeout)

    options = ("--quick", "--sizes", "300", "--peers", "prefix")
    assert run(made, tmp_path, *options, measure=ingest_then_stop) == bench.UNFINISHED
    [store] = [path for path in (tmp_path / "stores").iterdir() if path.is_dir()]
    store.rename(tmp_path / "elsewhere")
    before = rows(tmp_path)
    assert run(made, tmp_path, *options) == 0
    assert rows(tmp_path)[:-1] == before
    assert rows(tmp_path)[-1]["phase"] == "ask"


# -- plan -----------------------------------------------------------------------------------------------------------


def test_sizes():
    assert [parse_size(text) for text in ("300", "8k", "2M")] == [300, 8000, 2_000_000]
    assert [size_label(size) for size in (300, 8000, 1_024_000, 2_000_000)] == ["300", "8K", "1024K", "2M"]
    with pytest.raises(ConfigError, match="'8G' is not a size"):
        parse_size("8G")
    with pytest.raises(ConfigError, match="'0' is not a size"):
        parse_size("0")


def test_repeats_are_interleaved_and_long_documents_ingested_once():
    jobs = [job.measurement for job in peer_jobs(["streaming", "prefix"], [512_000, 8000], 2)]
    assert [(one.peer, one.phase, one.repeat) for one in jobs if one.size == 8000] == [
        ("streaming", "ask", 0),
        ("prefix", "ingest", 0),
        ("prefix", "ask", 0),
        ("streaming", "ask", 1),
        ("prefix", "ingest", 1),
        ("prefix", "ask", 1),
    ]
    long = [(one.peer, one.phase, one.repeat) for one in jobs if one.size == 512_000]
    assert long == [("streaming", "ask", 0), ("prefix", "ingest", 0), ("prefix", "ask", 0), ("prefix", "ask", 1)]
    assert jobs[-1].size == 512_000


def test_tables_hold_the_settings_of_the_paper():
    assert variants("m")["M=16"] == {"layers": 16, "grains": [16, 8, 4]}
    assert {name: one["grains"] for name, one in variants("beta").items()} == {
        "beta=4": [8, 4, 2],
        "beta=8": [16, 8, 4],
        "beta=16": [32, 16, 8],
    }
    assert [len(one["grains"]) for one in variants("depth").values()] == [1, 2, 3, 4]
    assert variants("depth")["depth=3"] == variants("beta")["beta=8"]
    assert len(list(table_jobs(("m", "depth"), 1000, 2))) == (5 + 4) * 2 * 2


def test_estimates_follow_what_was_measured(tmp_path):
    records = Records(tmp_path, {})
    job = Job(measurement(size=32_000))
    assert estimate(job, records) == pytest.approx(12 + 32_000 / 250)
    records.add(measurement(), {"tokens": 8000, "wall_seconds": 10.0})
    assert estimate(job, records) == 40.0
    records.add(measurement(size=32_000), {"tokens": 32_000, "wall_seconds": 33.0})
    assert estimate(Job(measurement(size=32_000, repeat=1)), records) == 33.0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--peers", "nobody"], "'nobody' is not a peer (known: full_prefill,"),
        (["--tables", "width"], "'width' is not a table (known: m, beta, depth)."),
        (["--repeats", "0"], "--repeats=0 must lie in 1..100."),
        (["--questions", "1", "--threads", "0"], "--questions=1 must lie in 2..9. --threads=0 must lie in 1..1024."),
        (["--sizes", "long"], "'long' is not a size."),
    ],
)
def test_wrong_options_are_told_in_a_line(made, tmp_path, capsys, options, said):
    assert run(made, tmp_path, *options) == ConfigError.exit_code
    assert said in capsys.readouterr().err
    assert not (tmp_path / "records.jsonl").exists()


# -- documents, tables, environments --------------------------------------------------------------------------------


def test_documents_are_cut_to_tokens_and_no_text_is_lost(tmp_path):
    text = prose(120)
    tokenizer = tiny_tokenizer()
    cutter = Cutter(pages_of(text, 500), tokenizer)
    first, second = cutter.cut(400, "one"), cutter.cut(300, "two")
    folder = write_work(tmp_path / "work", iter([first, second]), tokenizer, 2)
    work = Work(folder)
    assert [size - len(one.ids) for size, one in zip((400, 300), work.documents, strict=True)] == pytest.approx(
        [2, 2], abs=3
    )
    read = "".join(page for one in work.documents for page in one.pages)
    assert read == text[: len(read)]
    assert len(Work(folder, 1).documents) == 1
    assert len(work.questions) == 2
    with pytest.raises(CannotTakeError, match="the model's window has 512"):
        work.check_window(512, 4)
    with pytest.raises(EvaluationError, match=r"The texts end \d+ tokens before a document of 100000"):
        cutter.cut(100_000, "three")


def test_the_table_shows_medians_spread_reasons_and_growth(tmp_path):
    records = Records(tmp_path, {"threads": 2})
    for size, seconds in ((1000, 1.0), (4000, 4.0)):
        for repeat, factor in enumerate((1, 3, 2)):
            result = {"tokens": size, "tokens_per_second": size / seconds, "disk_bytes": 7 * size, "peak_bytes": 5e6}
            records.add(measurement(size=size, repeat=repeat), result)
            asked = {"cold_seconds": seconds * factor, "warm_seconds": [0.5], "decode_tokens_per_second": [10.0]}
            rest = {"context": 512, "peak_bytes": 3e6}
            records.add(measurement(size=size, phase="ask", repeat=repeat), asked | rest)
    records.add(measurement(peer="llama_cpp"), {"unavailable": "no compiler"})
    text = markdown(records)
    assert "threads: 2" in text
    assert "| `prefix` | 1,000 | 5 | 0.0 | 7 | 4.00 [" not in text
    assert "| 8.00 [4.00, 12.00] | 0.500 | 10.0 | 3 | 512 |" in text
    assert "- `llama_cpp` at 8K: not available: no compiler." in text
    assert "| `prefix` | 1K to 4K (x4) | x1.00 | x1.00 | x4.00 | x4.00 | x1.00 | x1.00 | x1.00 |" in text
    drawn = plot(lines_of(records.items(), "peers"), "peers", tmp_path)
    assert {path.name for path in drawn} >= {"peers-ingestion.png", "peers-cold.png", "peers-disk.png"}
    assert all(path.stat().st_size > 1000 for path in drawn)


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_told(tmp_path, monkeypatch):
    monkeypatch.setenv("SHAREDLLM_DOCS_CACHE", str(tmp_path))
    assert python_of(PEERS["prefix"], print, build=True) == sys.executable
    peer = replace(PEERS["llama_cpp"], environment=(str(tmp_path / "no-such-file.whl"),))
    with pytest.raises(NotAvailableError, match="is not there yet; a run that is not quick makes it"):
        python_of(peer, print, build=False)
    said = []
    with pytest.raises(NotAvailableError, match="could not be built"):
        python_of(peer, said.append, build=True)
    assert "which may compile for half an hour" in said[0]
    folder = tmp_path / "benchmarks" / "environments" / "llama_cpp"
    assert not is_ready(folder, peer)
    (folder / "complete.txt").write_text(peer.environment[0])
    assert python_of(peer, print, build=False) == str(folder / "bin" / "python")


def test_every_peer_is_a_class_that_can_be_made(tmp_path):
    settings = PeerSettings("", "", "", "float32", 1, 4)
    for spec in BY_NAME.values():
        module = __import__(f"peers.{spec.module}", fromlist=[spec.cls])
        peer = getattr(module, spec.cls)(settings, tmp_path)
        assert peer.settings is settings
        assert spec.what
