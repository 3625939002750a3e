"""The GPU runs, dry: every plan is valid, token files are made from a data build, a tiny budget goes through on a CPU,
and what comes back comes in few small parts."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.errors import DataError, TrainingError
from sharedllm_docs.model.adapter import Adapter
from sharedllm_docs.training.dataset import write_rows
from sharedllm_docs.training.logs import read_log
from tests.tiny_text import save_model
from tests.training_helpers import question_rows, text_rows

FOLDER = Path(__file__).parent.parent / "benchmarks" / "gpu"
PLANS = sorted(path for path in (FOLDER / "plan").glob("*.toml") if path.stem != "common")
TINY = [
    *("run.steps=4", "run.batch=2", "run.log_every=1", "run.save_every=2", "run.probe_every=2", "run.probe_examples=2"),
    *(
        "run.precision=no",
        "model.dtype=float32",
        "profile.chunk_tokens=128",
        "profile.layers=[1,3]",
        "trained.upper_rank=2",
    ),
    *(
        "objectives.target_tokens=8",
        "objectives.distractors=1",
        "objectives.group=2",
        "objectives.kinds={}",
        "objectives.max_fed=0",
    ),
]


_OUT_OF_MEMORY = TrainingError("Out of memory.", remedy="Take smaller batches.")


def script(name):
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


sys.path.append(str(FOLDER))  # scripts import their neighbours
train, tokenize_data, carry, bring = (script(name) for name in ("train", "tokenize_data", "carry", "bring"))


@pytest.fixture(autouse=True)
def _nothing_is_brought(monkeypatch):
    monkeypatch.delenv("OUT", raising=False)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny model, a data build of made-up rows, and its token files."""
    folder = tmp_path_factory.mktemp("gpu")
    save_model(folder / "model")
    write_rows(folder / "data" / "long" / "made.jsonl.gz", text_rows())
    write_rows(folder / "data" / "generated" / "key.jsonl.gz", question_rows())
    status = tokenize_data.main(
        [str(folder / "data"), "--out", str(folder / "tokens"), "--model", str(folder / "model")]
    )
    assert status == 0
    return folder


def run(made, out, *plans, options=(), changes=()):
    sets = [f"--set=model.name={made / 'model'}", *(f"--set={change}" for change in (*TINY, *changes))]
    named = [str(FOLDER / "plan" / f"{plan}.toml") for plan in plans]
    return train.main([*named, "--token-files", str(made), "--out", str(out), "--device", "cpu", *options, *sets])


def test_the_plan_is_there():
    assert len(PLANS) == 12


@pytest.mark.parametrize("plan", PLANS, ids=lambda path: path.stem)
def test_every_plan_is_a_valid_configuration(plan):
    config = train.settings_of(plan, [], Path("here"))
    assert config.token_files == ("here/tokens/text.npz", "here/tokens/questions.npz")
    assert config.objectives.group == 8
    for stage in config.stages:
        for profile in config.variants(stage):
            assert profile.resolve(30).layers[1] <= 25


@pytest.mark.parametrize(
    ("plan", "changes"),
    [("2-separate-25", []), ("5-joint-25-grain-4", ["trained.lower_rank=2"])],
)
def test_a_tiny_budget_goes_through_and_goes_on(made, tmp_path, capsys, plan, changes):
    """A window that ends at once, then another one elsewhere that starts from what came back."""
    assert run(made, tmp_path / "one", plan, options=["--max-minutes", "1e-9"], changes=changes) == 0
    first = read_log(tmp_path / "one" / plan / "log.csv")
    assert [row["step"] for row in first] == ["1"]
    assert run(made, tmp_path / "two", plan, options=["--start", str(tmp_path / "one")], changes=changes) == 0
    rows = read_log(tmp_path / "two" / plan / "log.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    adapter = Adapter.load(tmp_path / "two" / plan / "checkpoint" / "adapter")
    assert adapter.notes["step"] == 4
    table = (tmp_path / "two" / "summary.md").read_text()
    assert f"| {plan} | 4 | " in table
    assert capsys.readouterr().out.endswith(table)


def test_several_runs_share_a_window(made, tmp_path, capsys):
    assert run(made, tmp_path, "1-joint-25", "8-distil", options=["--max-minutes", "0"]) == 0
    assert capsys.readouterr().out.count("no time left") == 2


def test_a_run_that_fails_leaves_the_others_theirs(made, tmp_path, capsys, monkeypatch):
    from sharedllm_docs.training import start

    original = start.start

    def failing(config, folder, **options):
        if folder.name == "1-joint-25":
            raise _OUT_OF_MEMORY
        return original(config, folder, **options)

    monkeypatch.setattr(start, "start", failing)
    status = run(made, tmp_path / "runs", "1-joint-25", "8-distil", changes=["run.steps=1"])
    printed = capsys.readouterr()
    assert status == _OUT_OF_MEMORY.exit_code
    assert "error: 1-joint-25: Out of memory. Take smaller batches.\n" in printed.err
    assert "| 8-distil | 1 | " in printed.out.splitlines()[-1]


# -- what is carried there and back -------------------------------------------------------------------------------


def test_what_a_window_leaves_comes_back_and_goes_on(made, tmp_path, monkeypatch):
    """Brought in parts from one machine, unpacked and taken to another."""
    back = tmp_path / "back"
    monkeypatch.setenv("OUT", str(back))
    assert run(made, tmp_path / "one", "1-joint-25", options=["--max-minutes", "1e-9"]) == 0
    parts = sorted(back.iterdir())
    assert [part.name.partition(".zip.")[0] for part in parts] == ["logs", "runs"]
    assert bring.main(["unbundle", *map(str, parts), "--out", str(tmp_path / "here")]) == 0
    assert (tmp_path / "here" / "summary.md").is_file()
    assert run(made, tmp_path / "here", "1-joint-25") == 0
    assert [row["step"] for row in read_log(tmp_path / "here" / "1-joint-25" / "log.csv")] == ["1", "2", "3", "4"]


def runs_folder(folder, **sizes):
    """Runs with a log, a state of so many bytes and an adapter of as many; those called done are finished."""
    for name, size in sizes.items():
        kept = folder / name / "checkpoint"
        for part in ("adapter", "state"):
            (kept / part).mkdir(parents=True)
        noise = torch.randn(size // 4, generator=torch.Generator().manual_seed(size))
        save_file({"a": noise}, kept / "adapter" / "adapter.safetensors")
        save_file({"a": noise}, kept / "state" / "state.safetensors")
        step = 9 if name.startswith("done") else 5
        notes = {"notes": {"step": step, "training": {"run": {"steps": 9}}}}
        (kept / "adapter" / "adapter_config.json").write_text(json.dumps(notes))
        (folder / name / "log.csv").write_text(name)
    (folder / "summary.md").write_text("table")
    return folder


def test_what_is_needed_comes_first_and_the_rest_is_named(tmp_path):
    runs = runs_folder(tmp_path / "runs", done_small=1000, going=4000, done_large=9 * carry.MIB)
    left_out = bring.bundle(runs, tmp_path / "back", part_bytes=carry.MIB, parts=2)
    assert left_out == ["done_large/adapter (4.5 MiB): --only done_large/adapter"]
    here = tmp_path / "here"
    assert bring.unbundle(sorted((tmp_path / "back").iterdir()), here) == [
        here / name for name in ("done_large", "done_small", "going")
    ]
    assert sorted(str(file.relative_to(here)) for file in here.rglob("*") if file.is_file()) == [
        *("done_large/log.csv", "done_small/checkpoint/adapter/adapter.safetensors"),
        *("done_small/checkpoint/adapter/adapter_config.json", "done_small/log.csv"),
        *("going/checkpoint/adapter/adapter.safetensors", "going/checkpoint/adapter/adapter_config.json"),
        *("going/checkpoint/state/state.safetensors", "going/log.csv", "summary.md"),
    ]
    state, adapter = (
        load_file(here / "going" / "checkpoint" / part / f"{part}.safetensors")["a"] for part in ("state", "adapter")
    )
    assert adapter.dtype == torch.bfloat16
    assert torch.equal(state.bfloat16(), adapter)


def test_more_than_one_call_brings_what_is_large(tmp_path):
    runs = runs_folder(tmp_path / "runs", going=3 * carry.MIB, other=10)
    options = {"only": ["going/state"], "part_bytes": carry.MIB, "parts": 2}
    assert bring.bundle(runs, tmp_path / "back", **options) == ["1 parts of going/state: --first 3"]
    first = sorted((tmp_path / "back").iterdir())
    assert [part.name.rpartition(".")[2] for part in first] == ["part-1-of-1", "part-1-of-3", "part-2-of-3"]
    assert bring.bundle(runs, tmp_path / "more", first=3, **options) == []
    bring.unbundle([*first, *(tmp_path / "more").glob("runs.zip*")], tmp_path / "here")
    kept = Path("going", "checkpoint", "state", "state.safetensors")
    assert (tmp_path / "here" / kept).read_bytes() == (runs / kept).read_bytes()


def test_parts_are_small_few_and_plainly_named(tmp_path):
    runs = runs_folder(tmp_path / "runs", going=3 * carry.MIB)
    assert bring.bundle(runs, tmp_path / "back", part_bytes=2 * carry.MIB, parts=4) == []
    parts = sorted((tmp_path / "back").iterdir())
    assert len(parts) == 1 + 2
    assert all(part.stat().st_size <= 2 * carry.MIB for part in parts)
    assert all(part.name.replace(".", "").replace("-", "").isalnum() for part in parts)
    assert 1 + bring.PARTS <= 8
    assert bring.PART_MIB < 16


def test_sizes_of_parts_are_options(tmp_path, capsys):
    runs = runs_folder(tmp_path / "runs", going=3 * carry.MIB)
    arguments = ["bundle", str(runs), "--out", str(tmp_path / "back"), "--part-size", "1", "--parts", "2"]
    assert bring.main([*arguments, "--only", "going/state"]) == 0
    assert "--first 3" in capsys.readouterr().out
    parts = sorted((tmp_path / "back").glob("runs.zip*"))
    assert [part.stat().st_size for part in parts] == 2 * [carry.MIB]
    assert carry.main(["split", str(parts[0]), "--out", str(tmp_path / "parts"), "--part-size", "1"]) == 0
    with pytest.raises(SystemExit):
        carry.main(["split", str(parts[0]), "--out", str(tmp_path / "parts"), "--part-size", "0"])
    assert "0 is below 1" in capsys.readouterr().err


def test_a_file_is_split_and_joined(tmp_path, capsys):
    whole = tmp_path / "model.whl"
    whole.write_bytes(bytes(range(256)) * 5)
    carry.split(whole, tmp_path / "parts", 300)  # replaced by the next
    parts = carry.split(whole, tmp_path / "parts", 500)
    assert sorted((tmp_path / "parts").iterdir()) == sorted(parts)
    assert [part.stat().st_size for part in parts] == [500, 500, 280]
    assert carry.main(["join", *map(str, reversed(parts)), "--out", str(tmp_path / "there")]) == 0
    assert (tmp_path / "there" / "model.whl").read_bytes() == whole.read_bytes()
    with pytest.raises(DataError, match=r"Part 2 of 3 of model\.whl is missing"):
        carry.join([parts[0], parts[2]], tmp_path / "there")
    parts[1].write_bytes(bytes(500))
    with pytest.raises(DataError, match=r"model\.whl has the SHA-256 .*Carry its parts again"):
        carry.join(parts, tmp_path / "there")
    assert not list((tmp_path / "there").glob("*.partial"))
    capsys.readouterr()
    assert carry.main(["join", str(whole), "--out", str(tmp_path)]) == DataError.exit_code
    assert capsys.readouterr().err.startswith("error: ")
    assert carry.main(["split", str(tmp_path / "none"), "--out", str(tmp_path)]) == DataError.exit_code
    assert bring.main(["bundle", str(tmp_path), "--out", str(tmp_path)]) == DataError.exit_code
    runs = runs_folder(tmp_path / "runs", going=10)
    assert bring.main(["bundle", str(runs), "--out", str(tmp_path), "--only", "going/plan"]) == DataError.exit_code
    assert "holds no going/plan (known: logs, going/adapter, going/state)" in capsys.readouterr().err


# what the machine with the accelerator may lack
ABSENT = (
    "typer",
    "bm25s",
    "platformdirs",
    "gguf",
    "pypdf",
    "pypdfium2",
    "bs4",
    "diskcache",
    "llama_index",
    "langchain_core",
)
_BARE = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {absent!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
sys.path.insert(0, {folder!r})
import tokenize_data, bring, carry, train
sys.exit(train.main(sys.argv[1:]))
"""


@pytest.mark.slow
def test_the_scripts_need_little(made, tmp_path):
    """A whole step on a machine without what only reading, asking and the command line need."""
    code = _BARE.format(absent=ABSENT, folder=str(FOLDER))
    sets = [f"--set={change}" for change in (f"model.name={made / 'model'}", *TINY, "run.steps=1")]
    plan, folders = (
        str(FOLDER / "plan" / "1-joint-25.toml"),
        ["--token-files", str(made), "--out", str(tmp_path / "runs")],
    )
    done = subprocess.run(
        [sys.executable, "-c", code, plan, *folders, "--device", "cpu", *sets],
        cwd=FOLDER.parent.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "| 1-joint-25 | 1 | " in done.stdout.splitlines()[-1]


def test_errors_are_one_line(made, tmp_path, capsys):
    assert run(made, tmp_path, "1-joint-25", changes=["run.steps=0"]) == 2
    assert capsys.readouterr().err.startswith("error: Invalid [run]: steps=0 must be at least 1.")
    assert run(made, tmp_path, "1-joint-25", changes=["steps"]) == 2
    assert "'steps' is not a setting. Write --set TABLE.KEY=VALUE." in capsys.readouterr().err
    assert tokenize_data.main([str(tmp_path), "--out", str(tmp_path), "--model", str(made / "model")]) == 2
    assert "holds no files of text. Build the data first." in capsys.readouterr().err
    assert tokenize_data.main([str(tmp_path), "--model", str(tmp_path / "nothing")]) == 4
    assert "could not be loaded" in capsys.readouterr().err
