"""The command line over the real engine, with a tiny random model in a folder: from a file to a cited answer."""

from __future__ import annotations

import json
import shutil

import pytest

from tests.cli_run import good, json_of, run

TEXT = """# Birds

The heron stands in the river and waits for fish.

## Metals

Copper melts at a higher temperature than tin does.
"""
QUESTION = "Where does the heron stand?"
ASK = ("ask", QUESTION, "--floor", "0", "--max-tokens", "6")


@pytest.fixture(scope="module")
def home(saved, tmp_path_factory):
    """A folder with a model, an embedder and a document whose name has a blank."""
    folder = tmp_path_factory.mktemp("home of a user")
    shutil.copytree(saved, folder, dirs_exist_ok=True)
    (folder / "two things.md").write_text(TEXT, encoding="utf-8")
    return folder


@pytest.fixture
def here(home, monkeypatch, tmp_path):
    """A working directory without an index; the document and the model lie elsewhere."""
    monkeypatch.chdir(tmp_path)
    return home


def _model(home):
    return ("--model", str(home / "model"), "--embedder", str(home / "embedder"), "--device", "cpu")


def _file(home):
    return str(home / "two things.md")


def test_from_a_file_to_a_cited_answer_and_back_to_nothing(here, tmp_path):
    assert "Added two things.md: 1 page" in good("add", _file(here), *_model(here)).stdout
    assert "Already there" in good("add", _file(here)).stdout
    assert (tmp_path / ".sharedllm-docs").is_dir()
    answer = json_of(*ASK)
    assert (answer["citations"][0]["document"], answer["citations"][0]["page"]) == ("two things.md", 1)
    assert "heron" in answer["citations"][0]["quote"]
    lines = [json.loads(line) for line in good(*ASK, "--json", "--stream").stdout.splitlines()]
    assert "".join(line["piece"] for line in lines[:-1]) == lines[-1]["text"] == answer["text"]
    assert "[1] two things.md, Birds: " in good(*ASK).stdout  # a format without pages: the section is the place
    assert "taken" in good("show", "two things.md", "--question", QUESTION).stdout
    assert good("verify").stdout.endswith("all sound.\n")
    good("remove", "two things.md")
    assert json_of("prune")["freed_bytes"] > 0
    assert json_of("list")["documents"] == []
    assert run(*ASK).exit_code == 3


def test_one_command_from_a_file_to_an_answer(here):
    result = good(*ASK, "--file", _file(here), *_model(here), "--index", "my index")
    assert "two things.md, Birds: " in result.stdout
    assert [info["name"] for info in json_of("list", "--index", "my index")["documents"]] == ["two things.md"]


def test_damage_is_named_refused_and_repaired(here, tmp_path):
    good("add", _file(here), *_model(here))
    (shard,) = (tmp_path / ".sharedllm-docs" / "shards").rglob("*.safetensors")
    data = bytearray(shard.read_bytes())
    data[-100] ^= 1
    shard.write_bytes(data)
    report = json_of("verify", exit_code=5)
    assert report["damaged"] == [f"shards/{shard.parent.name}/{shard.name}: its checksum does not match"]
    assert json_of(*ASK, exit_code=5)["error"]["type"] == "DamagedIndexError"
    assert json_of("verify", "--repair")["repaired"] == 1
    assert json_of(*ASK)["found"]


def test_an_estimate_is_close_and_leaves_nothing(here, tmp_path):
    (estimate,) = json_of("add", _file(here), *_model(here), "--estimate")["estimates"]
    assert not list(tmp_path.iterdir())
    (added,) = json_of("add", _file(here), *_model(here))["added"]
    assert added["document"]["tokens"] == estimate["tokens"]
    assert estimate["total_bytes"] == pytest.approx(added["document"]["bytes"], rel=0.2)


def test_an_index_of_other_settings_names_them(here):
    good("add", _file(here), *_model(here))
    error = json_of(*ASK, "--store-dtype", "float16", exit_code=5)["error"]
    assert error["type"] == "FingerprintMismatchError"
    assert "--store-dtype is 'int8' in the index, 'float16' now" in error["message"]


def test_the_disk_budget_holds(here):
    error = json_of("add", _file(here), *_model(here), "--max-disk", "5KB", exit_code=5)["error"]
    assert error["type"] == "DiskBudgetError"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("add", "nowhere.pdf"), 3, "There is no file nowhere.pdf."),
        (("list",), 5, "no index"),
        (("verify", "--index", "nowhere"), 5, "no index"),
    ],
)
def test_what_is_not_there(here, arguments, code, message):
    model = _model(here) if arguments[0] == "add" else ()
    result = run(*arguments, *model)
    assert result.exit_code == code
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
