"""add over folders, patterns and archives, and what it says of versions; watch, over a fake index."""

from __future__ import annotations

import zipfile

import pytest

from sharedllm_docs.documents.readers import ReadOptions
from sharedllm_docs.errors import DamagedDocumentError, UnknownFormatError
from sharedllm_docs.index.views import AddedDocument
from tests.cli_fakes import document, installed
from tests.cli_run import good, json_of, run

INDEX = ".sharedllm-docs"


@pytest.fixture
def world(monkeypatch):
    return installed(monkeypatch)


@pytest.fixture
def reports(tmp_path, monkeypatch):
    folder = tmp_path / "reports"
    (folder / "2024").mkdir(parents=True)
    for name in ("a.txt", "2024/b.txt", "secret.log"):
        (folder / name).write_text(f"text of {name}")
    (folder / ".gitignore").write_text("*.log\n")
    monkeypatch.chdir(tmp_path)
    return folder


def added_names(world):
    return [call[1].get("name") for call in world.calls if call[0] == "add"]


def test_a_folder_is_added_file_by_file_and_the_rest_is_told(world, reports):
    result = good("add", "reports/")
    assert added_names(world) == ["reports/a.txt"]
    assert result.stdout.startswith("Added reports/a.txt: ")
    assert "Skipped 3:" in result.stderr
    assert "reports/2024: it is a folder; --recursive reads it too" in result.stderr
    assert "reports/secret.log: a .gitignore names it" in result.stderr


def test_recursive_and_ignored_files_on_request(world, reports):
    good("add", "reports", "-r", "--no-gitignore")
    assert added_names(world) == ["reports/2024/b.txt", "reports/a.txt", "reports/secret.log"]


def test_json_lists_what_was_skipped(world, reports):
    told = json_of("add", "reports", "--recursive")
    assert [one["source"] for one in told["added"]] == ["reports/2024/b.txt", "reports/a.txt"]
    assert {"source": "reports/secret.log", "reason": "a .gitignore names it"} in told["skipped"]
    assert told["failed"] == []


def test_members_of_an_archive_are_added_by_name(world, reports):
    with zipfile.ZipFile("bundle.zip", "w") as archive:
        archive.writestr("x/inside.txt", "words")
        archive.writestr("../out.txt", "words out")
    told = json_of("add", "bundle.zip")
    assert [one["source"] for one in told["added"]] == ["bundle.zip/x/inside.txt"]
    assert told["skipped"] == [{"source": "bundle.zip/../out.txt", "reason": "its name leads out of the archive"}]


def failing(index, errors):
    real = index.add

    def add(source, **options):
        for part, error in errors.items():
            if str(source).endswith(part):
                raise error
        return real(source, **options)

    index.add = add


def test_in_a_folder_a_file_of_no_format_is_skipped_and_a_bad_one_fails(world, reports):
    world.put(INDEX)
    failing(
        world.indexes[INDEX],
        {
            "a.txt": UnknownFormatError("a.txt: no reader takes this file."),
            "b.txt": DamagedDocumentError("b is cut off."),
        },
    )
    (reports / "c.txt").write_text("c")
    told = json_of("add", "reports", "--recursive", exit_code=3)
    assert [one["source"] for one in told["added"]] == ["reports/c.txt"]
    assert [one["source"] for one in told["failed"]] == ["reports/2024/b.txt"]
    assert {"source": "reports/a.txt", "reason": "a.txt: no reader takes this file."} in told["skipped"]


def test_a_pattern_that_finds_nothing_is_an_error(world, reports):
    result = run("add", "reports/*.pdf")
    assert (result.exit_code, result.stderr) == (3, "Error: No file matches reports/*.pdf. Check the pattern.\n")


def test_a_name_fits_no_folder(world, reports):
    result = run("add", "reports", "--name", "x")
    assert (result.exit_code, result.stderr) == (
        2,
        "Error: --name fits one file, a folder was given. Add them one by one.\n",
    )


def test_versions_and_new_names_are_told(world):
    world.put(INDEX)
    info = document("fares.txt")
    world.indexes[INDEX].add = lambda *_a, **_k: AddedDocument(
        info, False, 0, 1, 0.0, 0.0, {}, replaced=("ab" * 32,), renamed_from="old.txt"
    )
    line = good("add", "fares.txt").stdout
    assert line.endswith("; it was old.txt before; it replaces 1 older version of that name.\n")
    told = json_of("add", "fares.txt")["added"][0]
    assert (told["replaced"], told["renamed_from"]) == (["ab" * 32], "old.txt")


def test_both_versions_are_kept_on_request(world):
    good("add", "a.txt", "--keep-both")
    assert world.arguments("add")["replace"] is False


def test_recognition_and_attachments_reach_the_reader(world):
    good("add", "a.pdf", "--ocr", "force", "--attachments")
    assert world.arguments("add")["options"] == ReadOptions(ocr="force", attachments=True)
    result = run("add", "a.pdf", "--ocr", "always")
    assert result.exit_code == 2
    assert "ocr is 'always', not one of ('auto', 'off', 'force')" in result.stderr


def test_attached_documents_are_told_after_theirs(world):
    world.put(INDEX)
    inner = AddedDocument(document("a.eml/x.txt"), True, 1, 0, 1.0, 1.0, {})
    outer = AddedDocument(
        document("a.eml"), True, 1, 0, 1.0, 1.0, {}, attachments=(inner,), unread=(("a.eml/y.bin", "no text"),)
    )
    world.indexes[INDEX].add = lambda *_a, **_k: outer
    result = good("add", "a.eml", "--attachments")
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == ["Added a.eml", "Added a.eml/x.txt"]
    assert "a.eml/y.bin: no text" in result.stderr


def test_watch_wants_a_folder(world, reports):
    world.put(INDEX)
    result = run("watch", "reports/a.txt")
    assert (result.exit_code, result.stderr) == (2, "Error: reports/a.txt is not a folder. Name a folder to watch.\n")
