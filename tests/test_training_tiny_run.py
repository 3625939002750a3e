"""A tiny random model learns to read a secret from injected rows; the command line of training."""

from __future__ import annotations

import random
import re
import sys
from pathlib import Path

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.cli import workshop
from sharedllm_docs.errors import CheckpointError, TrainingError
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.dataset import write_rows
from sharedllm_docs.training.tiny_run import ASK, DEFAULTS, MARK, PasskeySource, train_tiny
from sharedllm_docs.training.token_files import Pool
from sharedllm_docs.training.trainer import Outcome
from tests.cli_run import good, json_of, process, run
from tests.tiny_text import save_model, tiny_tokenizer
from tests.training_helpers import question_rows, text_rows


def test_an_example_hides_its_secret_in_one_chunk():
    profile = TrainingConfig.from_dict(DEFAULTS).profile
    for seed in range(30):
        example = PasskeySource(chunks=3).draw(random.Random(seed), profile)
        assert example.before == (ASK,)
        marked = [chunk for chunk in example.chunks if MARK in chunk]
        assert len(marked) == 1
        place = marked[0].index(MARK)
        assert marked[0][place + 1 : place + 4] == example.target
        assert len(example.rows()) == 32 * len(example.chunks)


@pytest.mark.parametrize("fusion", ["joint", "separate"])
def test_a_run_of_two_steps_is_measured(tmp_path, fusion):
    """The untrained model guesses: the number is a share, and nothing is learned yet."""
    changed = {"fusion": fusion, **({"front": "none"} if fusion == "separate" else {})}
    settings = {"profile": DEFAULTS["profile"] | changed, "run": {"steps": 2, "batch": 2}}
    result = train_tiny(tmp_path, settings=settings, tried=20)
    assert result.tried == 20
    assert 0 <= result.accuracy < 0.5
    assert (tmp_path / "checkpoint" / "adapter" / "adapter_config.json").is_file()


@pytest.mark.slow
def test_a_tiny_model_learns_passkey_retrieval():
    *_, closed, last = good("train-tiny").stdout.splitlines()
    assert float(re.fullmatch(r"passkey accuracy: (\d\.\d+)", last)[1]) > 0.95
    assert float(re.fullmatch(r"without injected rows: (\d\.\d+)", closed)[1]) < 0.1


def test_pack_and_run_from_the_command_line(tmp_path):
    save_model(tmp_path / "model")
    write_rows(tmp_path / "rows.jsonl.gz", [*question_rows()])
    write_rows(tmp_path / "text.jsonl.gz", [*text_rows()])
    rows = [str(tmp_path / name) for name in ("rows.jsonl.gz", "text.jsonl.gz")]
    written = good("data", "pack", *rows, "--out", str(tmp_path / "all.npz"), "--model", str(tmp_path / "model"))
    assert written.stdout.startswith("all.npz: 6 texts, 250 questions")
    assert Pool.read([str(tmp_path / "all.npz")], tiny_tokenizer()).num_questions == 250
    (tmp_path / "run.toml").write_text(
        "run = {steps = 9, batch = 2, probe_every = 0}\n"
        f'model = {{name = "{tmp_path / "model"}", dtype = "float32"}}\n'
        'profile = {chunk_tokens = 64, grains = [4, 2, 1]}\ndata = {token_files = ["all.npz"]}\n'
        "trained = {upper_rank = 2}\n"
        "objectives = {target_tokens = 8}\n"
    )
    begun = ("train", str(tmp_path / "run.toml"), "--out", str(tmp_path / "out"), "--steps", "2", "--device", "cpu")
    stopped = good(*begun, "--max-minutes", "1e-9")
    assert stopped.stdout.startswith("stopped after step 1; adapter: ")
    ended = json_of(*begun)
    assert (ended["step"], ended["finished"]) == (2, True)
    assert Path(ended["adapter"], "adapter_config.json").is_file()
    other = run(*begun, "--set", "run.batch=4")
    assert other.exit_code == CheckpointError.exit_code
    assert "holds a run of another configuration" in other.stderr


def test_one_process_of_several_tells_the_result(tmp_path, monkeypatch):
    monkeypatch.setattr(workshop, "train", lambda *a, **k: Outcome(1, True, tmp_path))
    monkeypatch.setenv("RANK", "1")
    assert good("train", "run.toml", "--out", str(tmp_path)).stdout == ""
    monkeypatch.setenv("RANK", "0")
    assert good("train", "run.toml", "--out", str(tmp_path)).stdout.startswith("finished after step 1")


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["train", "none.toml", "--out", "x"], 2, "The configuration none.toml cannot be read: "),
        (["train", "run.toml", "--out", "x"], 2, "The configuration names no token files."),
        (["train", "run.toml", "--out", "x", "--steps", "0"], 2, "Invalid [run]: steps=0 must be at least 1."),
        (["train", "run.toml", "--out", "x", "--set", "run.colour=1"], 2, "unknown setting 'colour'"),
        (["train", "run.toml", "--out", "x", "--set", "steps"], 2, "'steps' is not a setting. Write --set TABLE.KEY"),
        (["train", "run.toml"], 2, "Missing option '--out'."),
        (["data", "pack", "none.gz", "--out", "x.npz"], 2, "There is no file none.gz."),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, arguments, code, message):
    (tmp_path / "run.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert (result.exit_code, result.stderr.count("\n")) == (code, 1)
    assert message in result.stderr


@pytest.mark.parametrize("arguments", [["train", "run.toml", "--out", "x"], ["train-tiny"]])
def test_without_peft_the_line_names_what_to_install(tmp_path, monkeypatch, arguments):
    (tmp_path / "run.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    for name in ("trainee", "trainer", "start", "tiny_run"):
        monkeypatch.delitem(sys.modules, f"sharedllm_docs.training.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "peft", None)
    result = run(*arguments)
    assert result.exit_code == TrainingError.exit_code
    assert result.stderr == (
        "Error: Training needs peft, which is not installed. Install it: pip install 'sharedllm-docs[train]'.\n"
    )


@pytest.mark.parametrize(
    ("word", "usage"), [("run", "train"), ("pack", "data pack"), ("tiny", "train-tiny"), ("--help", "[OPTIONS]")]
)
def test_the_module_is_the_commands(word, usage):
    result = process("-m", "sharedllm_docs.training", word, "--help")
    assert result.stdout.startswith(f"Usage: sharedllm-docs {usage} ")
