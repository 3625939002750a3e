"""Token files leave out what allows no commercial use unless it is asked for, and everybody is told."""

from __future__ import annotations

import gzip
import json
import re
from dataclasses import replace

import pytest

from sharedllm_docs.errors import DataError
from sharedllm_docs.training.dataset import QuestionRow, TextRow, read_question_rows, read_text_rows, write_rows
from sharedllm_docs.training.licences import QUESTION_LICENCES, allows_commercial_use, is_commercial
from sharedllm_docs.training.token_files import Pool, rows_of, write_token_file
from tests.cli_run import ROOT, good, run
from tests.tiny_text import save_model, tiny_tokenizer
from tests.training_helpers import question_rows as made_rows
from tests.training_helpers import text_rows


def test_a_row_that_does_not_say_is_judged_by_its_source():
    assert {source for source in QUESTION_LICENCES if not allows_commercial_use(source)} == {
        "coqa/mctest",
        "coqa/race",
        "sciq",
    }
    for source, allowed in (("made", True), ("iso-codes", True), ("coqa", False), ("coqa/x", False), ("sciq/1", False)):
        assert allows_commercial_use(source) is allowed, source
        text = TextRow("a", source, "g", "t", "text", "train")
        assert is_commercial(text) is allowed
        assert is_commercial(replace(text, commercial=not allowed)) is not allowed


def row(number, source, commercial):
    made = made_rows(number + 1)[number]
    return replace(made, source=source, commercial=commercial)


ROWS = [row(0, "made", True), row(1, "made", False), row(2, "sciq", None), row(3, "boolq", None), row(4, "made", None)]
"""A flag is believed; without one, as older builds wrote them, the source tells."""


def test_token_files_leave_them_out_and_count_them(tmp_path):
    said = []
    write_token_file([*text_rows(), *ROWS], tiny_tokenizer(), tmp_path / "some.npz", say=said.append)
    write_token_file(
        [*text_rows(), *ROWS], tiny_tokenizer(), tmp_path / "all.npz", say=said.append, include_non_commercial=True
    )
    assert Pool.read([str(tmp_path / "some.npz")]).num_questions == 3
    assert Pool.read([str(tmp_path / "all.npz")]).num_questions == 5
    assert said[0].endswith("; 2 rows left out that allow no commercial use")
    assert "commercial" not in said[1]


def test_rows_of_older_builds_are_read_and_judged_by_their_source(tmp_path):
    write_rows(tmp_path / "old.jsonl.gz", ROWS[2:])
    lines = [json.loads(line) for line in gzip.decompress((tmp_path / "old.jsonl.gz").read_bytes()).splitlines()]
    with gzip.open(tmp_path / "old.jsonl.gz", "wt") as out:
        for line in lines:
            del line["commercial"]
            out.write(json.dumps(line) + "\n")
    found = list(read_question_rows(tmp_path / "old.jsonl.gz"))
    assert [(one.source, one.commercial, is_commercial(one)) for one in found] == [
        ("sciq", None, False),
        ("boolq", None, True),
        ("made", None, True),
    ]
    assert [one.source for one in rows_of([tmp_path / "old.jsonl.gz"], "train")] == ["sciq", "boolq", "made"]


def test_rows_keep_their_flag(tmp_path):
    write_rows(tmp_path / "q.jsonl.gz", ROWS)
    assert [one.commercial for one in read_question_rows(tmp_path / "q.jsonl.gz")] == [True, False, None, None, None]


def test_a_token_file_of_nothing_else_says_what_to_do(tmp_path):
    with pytest.raises(
        DataError, match=r"None of the 1 rows for .* allows commercial use\. .* --include-non-commercial"
    ):
        write_token_file([ROWS[2]], tiny_tokenizer(), tmp_path / "none.npz")
    assert not (tmp_path / "none.npz").exists()


def test_the_command_takes_them_when_told(tmp_path):
    write_rows(tmp_path / "q.jsonl.gz", ROWS)
    model = save_model(tmp_path / "model")
    asked = ("data", "pack", str(tmp_path / "q.jsonl.gz"), "--out", str(tmp_path / "q.npz"), "--model", str(model))
    assert "3 questions" in good(*asked).stdout
    assert "5 questions" in good(*asked, "--include-non-commercial").stdout
    write_rows(tmp_path / "q.jsonl.gz", [ROWS[2]])
    refused = run(*asked)
    assert (refused.exit_code, refused.stderr.count("\n")) == (DataError.exit_code, 1)


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/data.md",
        *(str(p.relative_to(ROOT)) for p in ROOT.glob("sharedllm_docs/adapters/*/README.md")),
    ],
)
def test_everything_that_gives_out_an_adapter_names_what_it_was_trained_on(page):
    text = " ".join((ROOT / page).read_text(encoding="utf-8").split())
    assert "SciQ" in text
    assert "CoQA" in text
    assert re.search("(no|forbid) commercial use|may not be used commercially", text, re.IGNORECASE)


def test_rows_of_text_keep_their_flag_too(tmp_path):
    rows = [replace(row, commercial=flag) for row, flag in zip(text_rows(3), (True, False, None), strict=True)]
    write_rows(tmp_path / "t.jsonl.gz", rows)
    assert list(read_text_rows(tmp_path / "t.jsonl.gz")) == rows
    write_token_file(rows, tiny_tokenizer(), tmp_path / "t.npz")
    assert len(Pool.read([str(tmp_path / "t.npz")]).text_tokens) == 2


def test_a_row_is_a_row_without_a_flag():
    assert QuestionRow("i", "k", "sciq", "", "c", "q", "a", ("a",), "", "train").commercial is None
