"""Names of files that no line can show: escaped wherever they appear, and found as they are shown; near names."""

from __future__ import annotations

import json
import os
import sys

import pytest

from sharedllm_docs import Document, Index
from sharedllm_docs.cli import screen
from sharedllm_docs.documents.names import document_name, shown_name
from sharedllm_docs.errors import DocumentNotFoundError
from tests.cli_fakes import document, installed
from tests.cli_run import good, json_of
from tests.tiny_text import tiny_llm

ODD = {
    b"b\xffd.txt": "b\\xffd.txt",
    b"two\nlines.txt": "two\\nlines.txt",
    b"tab\tand\rcr.txt": "tab\\tand\\rcr.txt",
    b"red\x1b[31m.txt": "red\\x1b[31m.txt",
    "line\u2028end \u0085.txt".encode(): "line\\u2028end \\x85.txt",
    "ü plain.txt".encode(): "ü plain.txt",
}
on_posix = pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="the system refuses such names")


@on_posix
@pytest.mark.parametrize(("raw", "shown"), ODD.items(), ids=ODD.values())
@pytest.mark.parametrize("way", ["file", "folder"])
def test_a_file_of_any_name_is_added_shown_and_found(tmp_path, raw, shown, way):
    folder = tmp_path / "in"
    folder.mkdir()
    path = os.path.join(os.fsencode(folder), raw)
    with open(path, "wb") as file:
        file.write(b"The heron stands in the river.")
    index = Index.create(tmp_path / "index", tiny_llm())
    added = index.add_all([folder] if way == "folder" else [os.fsdecode(path)])
    expected = f"in/{shown}" if way == "folder" else shown
    assert added.failed == ()
    assert [one.name for one in index.documents()] == [expected]
    assert not index.add(os.fsdecode(path), name=expected).new
    prefix = "in/" if way == "folder" else ""
    for reference in (expected, prefix + os.fsdecode(raw)):
        assert index.document(reference).name == expected
    assert index.remove(expected).name == expected


@pytest.mark.parametrize("name", [os.fsdecode(raw) for raw in ODD])
def test_names_in_older_indexes_are_found_as_they_are_shown(tmp_path, name):
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(Document.from_text("The heron stands in the river.", name=name))
    assert index.document(shown_name(name)).name == name
    assert index.remove(document_name(name)).name == name


@pytest.mark.parametrize(("raw", "shown"), ODD.items(), ids=ODD.values())
def test_every_command_shows_a_name_on_one_line(monkeypatch, raw, shown):
    name = os.fsdecode(raw)
    world = installed(monkeypatch)
    world.put(".sharedllm-docs", document(name, key="ab" * 32))
    for columns in ("40", "200"):
        listed = good("list", env={"COLUMNS": columns}).stdout
        assert shown in listed.replace("\n", "") or shown.split()[0] in listed
        assert not set(listed) & set("\x1b\r\t\x85\u2028\udcff")
    head, row, *_ = good("list", env={"COLUMNS": "200"}).stdout.splitlines()
    assert row.index("abababab") == head.index("Key"), "the columns stand below one another"
    assert shown in good("remove", name).stdout
    assert json.loads(json.dumps(json_of("list")))["documents"] == []


def test_messages_hold_no_half_characters():
    assert screen.one_line("There is no b\udcffd.txt") == "There is no b\\xffd.txt"


NAMES = ["two/contract-a.txt", "two/contract-b.txt", "one/contract-b.txt", "Annual Report.pdf", "notes.md"]


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("contract-a.txt", "'two/contract-a.txt'"),
        ("three/contract-b.txt", "'one/contract-b.txt' or 'two/contract-b.txt'"),
        ("contract-b", "'one/contract-b.txt' or 'two/contract-b.txt'"),
        ("annual report.pdf", "'Annual Report.pdf'"),
        ("Anual Report.pdf", "'Annual Report.pdf'"),
        ("notes.txt", "'notes.md'"),
        ("Notes", "'notes.md'"),
        ("something else", None),
        ("/", None),
    ],
)
def test_the_nearest_names_are_told(named, asked, near):
    for way in (
        lambda: named.document(asked),
        lambda: named.ask("Why?", documents=[asked]),
        lambda: named.remove(asked),
    ):
        with pytest.raises(DocumentNotFoundError) as refused:
            way()
        assert refused.value.message == f"The index contains no document {asked!r}."
        remedy = "List the documents to see what it holds, or add it."
        if near is None:
            assert refused.value.remedy == remedy
        else:
            assert refused.value.remedy.startswith(f"Did you mean {near}")
            assert refused.value.remedy.endswith(remedy)


@pytest.fixture(scope="module")
def named(tmp_path_factory):
    index = Index.create(tmp_path_factory.mktemp("named"), tiny_llm())
    for number, name in enumerate(NAMES):
        index.add(Document.from_text(f"The heron stands in river {number}.", name=name))
    return index
