"""Checks of what somebody wrote: JSON that no reader can take, told in a sentence wherever it is read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from sharedllm_docs.checks import json_of, shown
from sharedllm_docs.errors import AdapterError, ConfigError, EvaluationError, QuestionError
from sharedllm_docs.evaluation.calibrate import read_questions
from sharedllm_docs.evaluation.run_file import read_lines
from sharedllm_docs.evaluation.tasks.own.rows import load_own_questions
from sharedllm_docs.evaluation.tasks.pdfqa.questions import load_questions
from sharedllm_docs.evaluation.tasks.synthetic import held_out
from sharedllm_docs.model.adapter import CONFIG_FILE, Adapter
from sharedllm_docs.retrieval.confidence import Confidence

DEEP, LONG = "[" * 200_000 + "]" * 200_000, f'{{"n": {"7" * 5000}}}'
READERS = {
    "questions": (load_own_questions, "mine.jsonl", EvaluationError),
    "questions of pdfqa": (load_questions, "questions.jsonl", EvaluationError),
    "questions of calibrate": (read_questions, "questions.jsonl", QuestionError),
    "results": (read_lines, "run.jsonl", EvaluationError),
    "confidence": (Confidence.load, "confidence.json", ConfigError),
    "text of a data build": (held_out, "long.jsonl.gz", EvaluationError),
    "adapter": (lambda path: Adapter.load(path.parent), CONFIG_FILE, AdapterError),
}


@pytest.mark.parametrize("text", [DEEP, LONG, "{"], ids=["deep", "long", "no JSON"])
@pytest.mark.parametrize("reader", READERS)
def test_json_that_cannot_be_read_is_bad_input_everywhere(tmp_path: Path, reader: str, text: str) -> None:
    read, name, error = READERS[reader]
    path = tmp_path / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else f"{text}\n".encode())
    (tmp_path / "adapter.safetensors").write_bytes(b"")
    with pytest.raises(error) as caught:
        read(path)
    assert caught.value.remedy
    assert len(str(caught.value)) < 1000


def test_what_is_wrong_with_json_is_told() -> None:
    with pytest.raises(ValueError, match=r"^it is nested too deeply$"):
        json_of(DEEP)
    with pytest.raises(ValueError, match=r"^it holds a whole number of more than 4,300 digits$"):
        json_of(LONG)
    with pytest.raises(json.JSONDecodeError):
        json_of("{")
    with pytest.raises(UnicodeDecodeError):
        json_of(b"\xff")
    assert json_of('{"a": [1, 2.5, "\u00e9"]}') == {"a": [1, 2.5, "\u00e9"]}


@pytest.mark.parametrize(
    "value", ["x" * 10**6, list(range(10**6)), json.loads("[" * 500 + "]" * 500), {"a": "b" * 500}]
)
def test_values_are_shown_in_short(value: object) -> None:
    assert len(shown(value)) < 200


def test_short_values_are_shown_as_they_are() -> None:
    for value in (7, "seven", [1, [2, "three"]], {"a": None}):
        assert shown(value) == repr(value)
