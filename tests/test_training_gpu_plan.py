"""The GPU runs, dry: every plan is valid, packs are made from a data build, and a tiny budget goes through on a CPU."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.adapter import Adapter
from sharedllm_docs.training.data.rows import write_rows
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
    *("objectives.target_tokens=8", "objectives.distractors=1"),
]


def script(name):
    spec = importlib.util.spec_from_file_location(f"gpu_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


train, pack_data = script("train"), script("pack_data")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny model, a data build of made-up rows, and its packs."""
    folder = tmp_path_factory.mktemp("gpu")
    save_model(folder / "model")
    write_rows(folder / "data" / "long" / "made.jsonl.gz", text_rows())
    write_rows(folder / "data" / "generated" / "key.jsonl.gz", question_rows())
    packed = pack_data.main([str(folder / "data"), "--out", str(folder / "packs"), "--model", str(folder / "model")])
    assert packed == 0
    return folder


def run(made, out, *plans, options=(), changes=()):
    sets = [f"--set=model.name={made / 'model'}", *(f"--set={change}" for change in (*TINY, *changes))]
    named = [str(FOLDER / "plan" / f"{plan}.toml") for plan in plans]
    return train.main([*named, "--packs", str(made), "--out", str(out), "--device", "cpu", *options, *sets])


def test_the_plan_is_there():
    assert len(PLANS) == 9


@pytest.mark.parametrize("plan", PLANS, ids=lambda path: path.stem)
def test_every_plan_is_a_valid_configuration(plan):
    config = train.settings_of(plan, [], Path("here"))
    assert config.packs == ("here/packs/text.npz", "here/packs/questions.npz")
    for stage in config.stages:
        for profile in config.variants(stage):
            assert profile.resolve(30).layers[1] <= 25


@pytest.mark.parametrize(
    ("plan", "changes"),
    [("2-separate-25", []), ("5-joint-25-grain-4", ["trained.lower_rank=2"])],
)
def test_a_tiny_budget_goes_through_and_goes_on(made, tmp_path, plan, changes):
    """A window that ends at once, then another one elsewhere that starts from what came back."""
    assert run(made, tmp_path / "one", plan, options=["--max-minutes", "0.0001"], changes=changes) == 0
    first = read_log(tmp_path / "one" / plan / "log.csv")
    assert [row["step"] for row in first] == ["1"]
    assert run(made, tmp_path / "two", plan, options=["--start", str(tmp_path / "one")], changes=changes) == 0
    rows = read_log(tmp_path / "two" / plan / "log.csv")
    assert [row["step"] for row in rows] == ["1", "2", "3", "4"]
    adapter = Adapter.load(tmp_path / "two" / plan / "checkpoint" / "adapter")
    assert adapter.notes["step"] == 4
    table = (tmp_path / "two" / "summary.md").read_text()
    assert f"| {plan} | 4 | " in table


def test_several_runs_share_a_window(made, tmp_path, capsys):
    assert run(made, tmp_path, "1-joint-25", "8-distil", options=["--max-minutes", "0"]) == 0
    assert capsys.readouterr().out.count("no time left") == 2


def test_errors_are_one_line(made, tmp_path, capsys):
    assert run(made, tmp_path, "1-joint-25", changes=["run.steps=0"]) == 2
    assert capsys.readouterr().err.startswith("error: Invalid [run]: steps=0 must be at least 1.")
    assert run(made, tmp_path, "1-joint-25", changes=["steps"]) == 2
    assert "'steps' is no setting. Write --set TABLE.KEY=VALUE." in capsys.readouterr().err
    assert pack_data.main([str(tmp_path), "--out", str(tmp_path), "--model", str(made / "model")]) == 2
    assert "holds no files of text. Build the data first." in capsys.readouterr().err
    assert pack_data.main([str(tmp_path), "--model", str(tmp_path / "nothing")]) == 4
    assert "could not be loaded" in capsys.readouterr().err
