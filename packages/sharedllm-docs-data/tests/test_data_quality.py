"""The checks of generated rows, and the report."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
from made_packages import PROSE, text_row
from sharedllm_docs_data.fetch import Fetched, Package
from sharedllm_docs_data.generate.quality import checked, fault
from sharedllm_docs_data.report import Report, file_report, read_report

from sharedllm_docs.training.dataset import QuestionRow

GOOD = QuestionRow(
    "wh-1", "wh", "wiki", "wiki:a", PROSE, "How many steps does the tower have?", "214", ("214",), "wh.count.0", "train"
)


def test_a_good_row_has_no_fault() -> None:
    assert fault(GOOD) == ""


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"question": "Why?"}, "question-short"),
        ({"question": "Why " + "x" * 700 + "?"}, "question-long"),
        ({"context": "214 steps."}, "context-short"),
        ({"context": PROSE * 40}, "context-long"),
        ({"answer": ""}, "answer-short"),
        ({"answer": "x" * 701}, "answer-long"),
        ({"question": "How many steps has the \ufffd tower?"}, "broken-characters"),
        ({"context": PROSE + "\x07"}, "broken-characters"),
        ({"question": "How many many steps are there?"}, "broken-question"),
        ({"answer": ", 214"}, "broken-answer"),
        ({"answer": "--"}, "broken-answer"),
        ({"answer": "215"}, "answer-not-in-context"),
        ({"question": "Does the tower have 214 steps?"}, "answer-in-question"),
        ({"answer": "the tower", "question": "Is the Tower of Brennick high?"}, "answer-in-question"),
    ],
)
def test_each_fault_is_found(changes: dict[str, str], reason: str) -> None:
    assert fault(replace(GOOD, **changes)) == reason  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": "absent", "answer": "The document does not say."},
        {"kind": "yes-no", "answer": "Yes"},
        {"answer": "Tower has  214 steps"},
        {"template": "needles.all.0", "answer": "214, 1862"},
        {"template": "needles.magic.0+needles.both.1", "answer": "214 and Tomas Hale"},
        {"template": "twostep.more.1", "question": "Which is older, the tower or the lens?", "answer": "tower"},
    ],
)
def test_what_is_allowed(changes: dict[str, str]) -> None:
    assert fault(replace(GOOD, **changes)) == ""  # type: ignore[arg-type]


def test_part_of_a_word_is_not_the_answer() -> None:
    assert fault(replace(GOOD, question="What has the towering rock, a stone?", answer="tower")) == ""


def test_faulty_rows_and_repetitions_are_counted() -> None:
    dropped: Counter[str] = Counter()

    kept = list(checked([GOOD, GOOD, replace(GOOD, id="b", answer="215")], dropped))

    assert kept == [GOOD]
    assert dropped == {"duplicate": 1, "answer-not-in-context": 1}


def report(tmp_path: Path, seed: int = 0) -> Report:
    """A report with a file and a package."""
    path = tmp_path / "long" / "a.jsonl.gz"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"12345")
    made = Report(seed)
    made.files.append(
        file_report(path, tmp_path, [text_row(PROSE), text_row(PROSE, split="test")], "ab", Counter(short=3))
    )
    fetched = Fetched(Package("perl-doc"), path, "5.36", "cd", 5)
    made.add_package(fetched)
    made.add_package(fetched)
    return made


def test_a_report_counts_rows_characters_and_bytes(tmp_path: Path) -> None:
    made = report(tmp_path)

    (entry,) = made.files
    assert (entry.file, entry.rows, entry.splits) == ("long/a.jsonl.gz", 2, {"train": 1, "test": 1})
    assert (entry.characters, entry.bytes, entry.dropped) == (2 * len(PROSE), 5, {"short": 3})
    assert [package.version for package in made.packages] == ["5.36"]
    lines = made.table().splitlines()
    assert lines[0].split() == ["file", "rows", "train", "valid", "test", "heldout-template", "Mchars", "MB", "dropped"]
    assert lines[-1].split()[:5] == ["total", "2", "1", "0", "1"]


def test_a_report_is_written_and_taken_over_by_an_equal_build(tmp_path: Path) -> None:
    report(tmp_path).write(tmp_path / "report.json")
    again, other = Report(0), Report(1)

    again.keep(tmp_path / "report.json")
    other.keep(tmp_path / "report.json")

    assert again == read_report(tmp_path / "report.json") == report(tmp_path)
    assert other.files == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"seed": 0, "limit": null}'])
def test_something_else_under_the_reports_name_is_no_report(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)

    assert read_report(tmp_path / "report.json") is None
    assert read_report(tmp_path / "none.json") is None
