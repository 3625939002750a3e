"""A tiny random model learns to read a secret from injected rows; the command line of training."""

from __future__ import annotations

import random
import re

import pytest

pytest.importorskip("accelerate")
pytest.importorskip("peft")

from sharedllm_docs.training.__main__ import main
from sharedllm_docs.training.config import TrainingConfig
from sharedllm_docs.training.data.rows import write_rows
from sharedllm_docs.training.packs import Pool
from sharedllm_docs.training.passkey import ASK, DEFAULTS, MARK, PasskeySource, train_tiny
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
def test_a_tiny_model_learns_passkey_retrieval(capsys):
    assert main(["tiny"]) == 0
    *_, closed, last = capsys.readouterr().out.splitlines()
    assert float(re.fullmatch(r"passkey accuracy: (\d\.\d+)", last)[1]) > 0.95
    assert float(re.fullmatch(r"without injected rows: (\d\.\d+)", closed)[1]) < 0.1


def test_pack_and_run_from_the_command_line(tmp_path, capsys):
    save_model(tmp_path / "model")
    write_rows(tmp_path / "rows.jsonl.gz", [*question_rows()])
    write_rows(tmp_path / "text.jsonl.gz", [*text_rows()])
    rows = [str(tmp_path / name) for name in ("rows.jsonl.gz", "text.jsonl.gz")]
    assert main(["pack", *rows, "--out", str(tmp_path / "all.npz"), "--model", str(tmp_path / "model")]) == 0
    assert "all.npz: 6 texts, 250 questions" in capsys.readouterr().out
    assert Pool.read([str(tmp_path / "all.npz")], tiny_tokenizer()).num_questions == 250
    (tmp_path / "run.toml").write_text(
        "run = {steps = 9, batch = 2, probe_every = 0}\n"
        f'model = {{name = "{tmp_path / "model"}", dtype = "float32"}}\n'
        'profile = {chunk_tokens = 64, grains = [4, 2, 1]}\ndata = {packs = ["all.npz"]}\ntrained = {upper_rank = 2}\n'
        "objectives = {target_tokens = 8}\n"
    )
    assert main(["run", str(tmp_path / "run.toml"), "--out", str(tmp_path / "out"), "--steps", "2"]) == 0
    assert capsys.readouterr().out.startswith("finished after step 2; adapter: ")


def test_errors_are_one_line(tmp_path, capsys):
    assert main(["run", str(tmp_path / "none.toml"), "--out", str(tmp_path)]) == 2
    assert "cannot be read" in capsys.readouterr().err
    (tmp_path / "run.toml").write_text("")
    assert main(["run", str(tmp_path / "run.toml"), "--out", str(tmp_path)]) == 2
    assert "The configuration names no packs." in capsys.readouterr().err
    assert main(["pack", str(tmp_path / "none.gz"), "--out", str(tmp_path / "x.npz")]) == 2
    assert "There is no file" in capsys.readouterr().err
