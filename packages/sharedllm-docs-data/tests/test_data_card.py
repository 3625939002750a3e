"""The data card: every source with its licence, the counts of a whole build, and refusal of half of one."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from sharedllm_docs_data import card
from sharedllm_docs_data.build import QUESTION_SETS, REPORT
from sharedllm_docs_data.fetch import Package
from sharedllm_docs_data.generate.kinds import KINDS
from sharedllm_docs_data.report import FileReport, PackageReport, Report
from sharedllm_docs_data.sources import TEXT_SOURCES, tables

from sharedllm_docs.errors import DataError

PAGE = Path(__file__).parents[3] / "docs" / "data.md"
NAMES = [
    *(f"long/{source.name}" for source in TEXT_SOURCES),
    *(f"questions/{name}" for name in QUESTION_SETS),
    *(f"generated/{kind}" for kind in KINDS),
]


def report() -> Report:
    files = [FileReport(f"{name}.jsonl.gz", 7, {"train": 7}, 1_500_000, 9, "0" * 64) for name in NAMES]
    packages = [PackageReport(s.package.name, s.package.origin, "1.2-3", "0" * 64, 9, False) for s in TEXT_SOURCES]
    return Report(0, None, packages, files, {kind: {"train": 5, "heldout": 2} for kind in KINDS})


def test_the_card_names_every_source_with_its_licence_and_count():
    text = card.page(report())
    for source in TEXT_SOURCES:
        row = f"| {source.name} | {source.what} | {source.package.name} 1.2-3 | {source.licence} | 7 | 1.5 |"
        assert row in text
    assert all(f"| {kind} | 7 | 1.5 | 5 | 2 |" in text for kind in KINDS)
    assert f"{7 * len(KINDS):,} distinct questions" in text


def test_every_question_set_and_table_has_a_licence():
    assert {source.partition("/")[0] for source in card.QUESTION_LICENCES} == set(QUESTION_SETS)
    assert set(card.TABLE_LICENCES) == {one.name for one in vars(tables).values() if isinstance(one, Package)}


def test_half_a_build_is_refused():
    with pytest.raises(DataError, match=r"not of a whole build: generated/"):
        card.page(replace(report(), files=report().files[:-1]))
    with pytest.raises(DataError, match=r"not of a whole build: limit 3"):
        card.page(replace(report(), limit=3))


def test_the_card_is_written(tmp_path, capsys):
    (tmp_path / REPORT).write_text(json.dumps(asdict(report())), encoding="utf-8")
    assert card.main([str(tmp_path), str(tmp_path / "data.md")]) == 0
    assert (tmp_path / "data.md").read_text(encoding="utf-8") == card.page(report())
    assert card.main([str(tmp_path / "none")]) == DataError.exit_code
    assert "holds no report of a build" in capsys.readouterr().err
    assert card.main([]) == 2


@pytest.mark.skipif(not PAGE.is_file(), reason="the card is in the repository only")
def test_the_card_in_the_repository_has_every_source():
    text = PAGE.read_text(encoding="utf-8")
    assert all(f"| {s.name} | {s.what} | " in text and f" | {s.licence} | " in text for s in TEXT_SOURCES)
    assert all(f"\n| {kind} | " in text for kind in KINDS)
    assert all(f"\n| {name} | {card.question_licence(name)} | " in text for name in QUESTION_SETS)
    assert card.page(report()).partition("## Long text")[0] == text.partition("## Long text")[0]
