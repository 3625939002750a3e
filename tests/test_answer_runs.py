"""The list of long evaluations: each is one that `evaluate` takes, and a run that is stopped goes on where it was."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from benchmarks import answer_runs
from sharedllm_docs.evaluation.run import Request
from sharedllm_docs.evaluation.systems.spec import parse_systems
from sharedllm_docs.evaluation.tasks.options import parse_lengths
from sharedllm_docs.model.zoo import EMBEDDED


@pytest.mark.parametrize("run", answer_runs.RUNS, ids=lambda run: run.name)
def test_every_run_is_one_that_evaluate_takes(run):
    Request(run.task, systems=run.systems, lengths=run.lengths)
    assert parse_systems(run.systems)
    assert bool(parse_lengths(run.lengths)) == (run.task != "pdfqa")
    assert run.model in EMBEDDED


def test_names_are_unique():
    assert len({run.name for run in answer_runs.RUNS}) == len(answer_runs.RUNS)


@pytest.mark.parametrize("code", [0, 3, answer_runs.UNFINISHED])
def test_a_run_that_fails_or_is_not_finished_ends_the_others(tmp_path, monkeypatch, code):
    made: list[list[str]] = []

    def started(command: list[str]) -> SimpleNamespace:
        made.append(command)
        return SimpleNamespace(returncode=code if len(made) == 2 else 0)

    monkeypatch.setattr(answer_runs, "subprocess", SimpleNamespace(run=started))
    assert answer_runs.main([str(tmp_path), "--minutes", "60"]) == code
    assert len(made) == (len(answer_runs.RUNS) if code == 0 else 2)
    assert all("--lazy" in command and "--max-minutes" in command for command in made)


def test_without_time_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.setattr(answer_runs, "subprocess", SimpleNamespace(run=None))
    assert answer_runs.main([str(tmp_path), "--minutes", "0"]) == answer_runs.UNFINISHED


def test_the_script_runs_by_its_path():
    script = Path(answer_runs.__file__)
    printed = subprocess.run([sys.executable, str(script), "--help"], capture_output=True, text=True, check=True)
    assert "squad-32k-default" in printed.stdout
