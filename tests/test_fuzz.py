"""The programs that look for faults find those that are there, keep them, and find none here in a small sample."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs.documents.readers import read_document
from sharedllm_docs.documents.readers.ocr import engines
from sharedllm_docs.documents.readers.separate import process
from sharedllm_docs.documents.readers.separate.pool import POOL
from sharedllm_docs.errors import DocumentTooLargeError
from tools import faults, fuzz

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork servers and SIGKILL")

FORMATS = ["csv", "docx", "eml", "epub", "html", "markdown", "pdf", "picture", "pptx", "rtf", "svg", "text", "xlsx"]


@pytest.fixture
def pretending(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A stand-in recognises pictures; afterwards all is as before."""
    POOL.end()
    monkeypatch.setattr(process, "_START", process._START)
    monkeypatch.setattr(engines, "engine_name", lambda: "fake-1")
    monkeypatch.setattr(engines, "_only", engines._only)
    fuzz.recognise_nothing()
    yield
    POOL.end()


def test_every_format_has_seeds_and_the_same_seed_makes_the_same_files() -> None:
    found = fuzz.seeds([], None)
    assert sorted(found) == FORMATS
    import random

    for kind, given in found.items():
        made = [fuzz.mutate(given[0], kind, given, random.Random(f"{kind} 3 {n}")) for n in range(4)]
        assert made == [fuzz.mutate(given[0], kind, given, random.Random(f"{kind} 3 {n}")) for n in range(4)]
        assert any(data != given[0] for data in made)


def test_a_sample_of_mutated_files_ends_in_documents_and_typed_errors(pretending: None, tmp_path: Path) -> None:
    outcomes = fuzz.run([], count=8, seconds=1e9, seed=5, out=tmp_path)
    assert {kind: outcome.failures for kind, outcome in outcomes.items()} == {kind: [] for kind in FORMATS}
    for outcome in outcomes.values():
        assert outcome.files == 8 == outcome.documents + sum(outcome.errors.values())
    assert sum(outcome.documents for outcome in outcomes.values()) > 30
    json.dumps({kind: outcome.to_json() for kind, outcome in outcomes.items()})


def test_a_failure_is_kept_and_can_be_replayed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def failing(*given: Any, **named: Any) -> None:
        raise RuntimeError("not an error of a document")

    monkeypatch.setattr(fuzz, "read_document", failing)
    outcomes = fuzz.run(["text"], count=2, seconds=1e9, seed=1, out=tmp_path)
    assert outcomes["text"].failures == ["text-1-0.txt", "text-1-1.txt"]
    assert not fuzz.replay([tmp_path / "text-1-0.txt"])
    assert "RuntimeError: not an error of a document" in capsys.readouterr().out
    monkeypatch.setattr(fuzz, "read_document", read_document)
    assert fuzz.replay([tmp_path / "text-1-0.txt"])


def test_an_error_that_no_reader_foresaw_is_counted_and_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def failing(*given: Any, **named: Any) -> None:
        raise DocumentTooLargeError("a.txt cannot be read: the text reader failed (KeyError: 'x7').")

    monkeypatch.setattr(fuzz, "read_document", failing)
    outcome = fuzz.run(["text"], count=3, seconds=1e9, seed=1, out=tmp_path)["text"]
    assert (outcome.unforeseen, outcome.failures) == ({"KeyError: 'xN'": 3}, [])
    assert [path.name for path in tmp_path.iterdir()] == ["text-1-0.txt"]


def test_kills_and_flips_find_nothing_in_a_sample(tmp_path: Path) -> None:
    """The whole of it was run once (docs/log.md): every byte, and a thousand kills."""
    (tmp_path / "kills").mkdir()
    (tmp_path / "flips").mkdir()
    killed = faults.run_kills(tmp_path / "kills", 3, 1, print)
    assert killed["kills"] == 3
    flipped = faults.run_flips(tmp_path / "flips", 1, 1, print, every=701)
    assert flipped["flips"] == flipped["named"] > 30


def test_what_is_lost_or_answered_wrongly_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults, "_named", lambda url, llm: set())
    with pytest.raises(faults.Wrong, match="verify does not name the file"):
        faults.run_flips(tmp_path, 1, 1, print)
    monkeypatch.undo()
    monkeypatch.setattr(faults, "_check_flip", lambda url, *_given: _damage(url))
    with pytest.raises(faults.Wrong):
        faults.run_flips(tmp_path / "again", 1, 1, print, every=100_000)


def _damage(url: Path) -> None:
    raise faults.Wrong(f"{url} is damaged")


def test_the_program_tells_in_json(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "tools/fuzz.py", "--formats", "text", "--count", "2", "--out", str(tmp_path)],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["text"]["files"] == 2
