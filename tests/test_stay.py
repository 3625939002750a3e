"""A process that stays, run for real: what commands print with it is what they print without it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import pytest

from sharedllm_docs.serving.stay import overview
from tests.cli_run import ROOT, good, run
from tests.waiting import PATIENCE

WORDS = ("heron", "copper", "sonnet", "lighthouse", "barley", "glacier", "saddle", "violin")
TEXT = "\n\n".join(
    f"# Part {part}\n\n" + "".join(f"Page {part} tells of the {word} in line {line}. " for line in range(6))
    for part, word in enumerate(WORDS)
)
QUESTION = "Which page tells of the heron?"
LOOSE = ("--floor", "0", "--min-confidence", "0", "--max-tokens", "12")
_TIMES = re.compile(r"\d+(\.\d+)? (s|min|h)\b|\d+ tokens/s")


@pytest.fixture(scope="module")
def folder():
    """A folder with an index, files and a place for sockets, in which the commands run."""
    with tempfile.TemporaryDirectory(prefix="stay-") as name:
        yield Path(name)


@pytest.fixture(scope="module")
def model(saved):
    return ("--model", str(saved / "model"), "--embedder", str(saved / "embedder"), "--adapter", "none")


@pytest.fixture(scope="module")
def pristine(folder, model):
    """The index before any command: one document wholly read, one not yet."""
    (folder / "a.md").write_text(TEXT, encoding="utf-8")
    (folder / "lazy.md").write_text(TEXT.replace("heron", "otter"), encoding="utf-8")
    (folder / "new.md").write_text(TEXT.replace("Page", "Leaf"), encoding="utf-8")
    (folder / "latin.txt").write_bytes("Die Größe des Würfels ist fünf Fuß. ".encode("latin-1") * 20)
    (folder / "empty.txt").write_text("")
    index = str(folder / "pristine")
    good("add", str(folder / "a.md"), "--index", index, *model)
    good("add", str(folder / "lazy.md"), "--index", index, "--lazy", *model)
    return folder / "pristine"


@pytest.fixture
def fresh(folder, pristine, monkeypatch):
    """Puts the index ``ix`` back as it was before any command; commands run beside it."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))

    def put():
        shutil.rmtree(folder / "ix", ignore_errors=True)
        shutil.copytree(pristine, folder / "ix")

    put()
    return put


@pytest.fixture(scope="module", autouse=True)
def none_left(folder):
    """No process stays behind."""
    yield
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))
        for one in running_here():
            os.kill(one.pid, signal.SIGTERM)
        wait_for(lambda: not running_here())


def running_here():
    """The processes of these tests: the user may have others."""
    return [one for one in overview.running() if Path(os.environ["XDG_RUNTIME_DIR"]) in one.folder.parents]


def wait_for(there):
    until = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)


def plain(text):
    """Output without what differs from one run to the next: times."""
    lines = []
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            lines.append(_TIMES.sub("TIME", line))
            continue
        if isinstance(values, dict):
            for name in ("timings", "created"):
                values.pop(name, None)
            for one in values.get("documents", ()):
                if isinstance(one, dict):  # of a list; an answer has their names
                    one.pop("created", None)
        lines.append(json.dumps(values))
    return "\n".join(lines)


def both(fresh, *arguments, **options):
    """(exit code, stdout, stderr) of a command without a process and with one."""
    results = []
    for stay in ("0", "2m"):
        fresh()
        result = run(*arguments, env={"SHAREDLLM_DOCS_STAY": stay}, **options)
        results.append((result.exit_code, plain(result.stdout), plain(result.stderr)))
    return results


ASKED = [
    (QUESTION,),
    (QUESTION, "--json"),
    (QUESTION, "--stream"),
    (QUESTION, "--stream", "--json"),
    (QUESTION, "-q"),
    (QUESTION, "--style", "sentence"),
    (QUESTION, "--style", "full", "--stream"),
    (QUESTION, "--style", "full", "--json"),
    (QUESTION, "--instructions", "Answer in French.", "--temperature", "0.8", "--seed", "3"),
    (QUESTION, "--doc", "a.md", "--citations", "1", "--evidence", "16"),
    (QUESTION, "--selector", "hidden-state", "--doc", "a.md"),
    (QUESTION, "--doc", "lazy.md"),
    (QUESTION, "--doc", "lazy.md", "--json", "--stream"),
    (QUESTION, "--floor", "1"),
    (QUESTION, "--floor", "1", "--stream", "--json"),
    (QUESTION, "--min-confidence", "1"),
    (QUESTION, "--min-confidence", "1", "--stream"),
    (QUESTION, "--min-confidence", "1", "--json"),
    ("  ",),
    ("  ", "--json"),
    (QUESTION * 400,),
    (QUESTION, "--doc", "other.md"),
    (QUESTION, "--doc", "other.md", "--stream", "--json"),
    (QUESTION, "--where", "year=2024"),
    (QUESTION, "--budget", "1"),
    (QUESTION, "--budget", "100000"),
    (QUESTION, "--temperature", "-1"),
    (QUESTION, "--pages", "1-2"),
    (QUESTION, "--profile", "sharedllm"),
    # each of these has a process of its own
    pytest.param((QUESTION, "--dtype", "float99"), marks=pytest.mark.slow),
    pytest.param((QUESTION, "--store-dtype", "int8"), marks=pytest.mark.slow),
    ("caf\udce9 \U0001f9a9?",),
]


@pytest.mark.parametrize("asked", ASKED, ids=lambda asked: " ".join(asked)[-60:])
def test_ask_prints_the_same_with_a_process(fresh, model, asked):
    loose = () if {"--floor", "--min-confidence"} & set(asked) else LOOSE
    one, other = both(fresh, "ask", *asked, "--index", "ix", *model, *loose)
    assert one == other
    assert "Unexpected" not in one[2]


FILES = [
    ("new.md",),
    ("new.md", "--json"),
    ("./new.md", "--no-read-on", "--stream"),
    ("new.md", "--file", "a.md", "--file", "new.md"),
    ("a.md",),
    ("lazy.md", "--no-read-on"),
    ("latin.txt",),
    ("latin.txt", "--encoding", "ascii", "--json"),
    ("./missing.md",),
    ("it's missing.md", "--json"),
    ("empty.txt",),
    ("new.md", "--max-bytes", "10"),
    ("new.md", "--password", "x"),
    (".",),
]


@pytest.mark.parametrize("files", FILES, ids=" ".join)
def test_ask_of_a_file_prints_the_same_with_a_process(fresh, model, files):
    one, other = both(fresh, "ask", QUESTION, "--file", *files, "--index", "ix", *model, *LOOSE)
    assert one == other


def test_a_new_index_is_made_by_the_process_as_without(fresh, folder, model):
    made = []
    for stay in ("0", "2m"):
        shutil.rmtree(folder / "made", ignore_errors=True)
        command = ("ask", QUESTION, "--file", "new.md", "--index", "made", *model, *LOOSE)
        good(*command, env={"SHAREDLLM_DOCS_STAY": stay})
        made.append({one.relative_to(folder): one.read_bytes() for one in (folder / "made").rglob("*.safetensors")})
        made[-1] |= {"index.json": (folder / "made" / "index.json").read_bytes()}
    assert made[0] == made[1]
    assert len(made[0]) > 2


def test_an_index_that_is_not_there_starts_nothing(fresh, model):
    before = {one.pid for one in running_here()}
    one, other = both(fresh, "ask", QUESTION, "--index", "nowhere", *model)
    assert one == other
    assert "There is no index at nowhere." in one[2]
    assert {one.pid for one in running_here()} == before


@pytest.mark.parametrize("more", [(), ("--json",), ("--stream", "-q")], ids=" ".join)
def test_chat_prints_the_same_with_a_process(fresh, model, more):
    typed = f"{QUESTION}\n/sources\n/docs\n/what\n  \n{QUESTION * 400}\nWhat of the copper?\n/help\n/quit\n"
    one, other = both(fresh, "chat", "--index", "ix", *model, *LOOSE, *more, input=typed)
    assert one == other


@pytest.mark.parametrize(
    "more", [("a.md",), ("a.md", "--json"), ("a.md", "--section", "Part 3", "--stream"), ("a.md", "--section", "No")]
)
def test_summaries_are_the_same_with_a_process(fresh, model, more):
    one, other = both(fresh, "summarise", *more, "--max-tokens", "8", "--index", "ix", *model)
    assert one == other


def test_rows_that_cannot_be_stored_are_warned_of_every_time(fresh, folder, model):
    """The process has warned once; a fresh one would warn again."""
    from sharedllm_docs.store import IndexStore
    from sharedllm_docs.store.catalog import Catalog
    from sharedllm_docs.store.files import LocalFiles

    def full():
        fresh()
        catalog = Catalog(LocalFiles(folder / "ix"))
        catalog.save_head(replace(catalog.load_head(), max_bytes=IndexStore.open(folder / "ix").total_bytes() + 8))

    for _ in range(2):  # the second time the process has the rows in its memory, so fewer are encoded
        one, other = both(full, "ask", QUESTION, "--doc", "lazy.md", "--index", "ix", *model, *LOOSE, "-q")
        assert one == other
        one, other = both(full, "ask", QUESTION, "--doc", "lazy.md", "--index", "ix", *model, *LOOSE)
        assert one[2] == other[2]
        assert "stays in memory, since it cannot be stored" in one[2]


def test_documents_that_others_add_and_remove_are_noticed(fresh, folder, model):
    ask = ("ask", QUESTION, "--index", "ix", *model, *LOOSE, "--json")
    stay = {"SHAREDLLM_DOCS_STAY": "2m"}
    assert json.loads(good(*ask, env=stay).stdout)["counts"]["documents"] == 2
    good("add", "new.md", "--index", "ix", *model)
    assert json.loads(good(*ask, env=stay).stdout)["counts"]["documents"] == 3
    good("remove", "a.md", "--index", "ix")
    assert json.loads(good(*ask, env=stay).stdout)["counts"]["documents"] == 2
    shutil.rmtree(folder / "ix")
    assert run(*ask, env=stay).exit_code == 5
    fresh()
    assert json.loads(good(*ask, env=stay).stdout)["counts"]["documents"] == 2


def test_status_and_stop(fresh, folder, model):
    good("stop")
    wait_for(lambda: not running_here())
    good("ask", QUESTION, "--index", "ix", *model, *LOOSE, env={"SHAREDLLM_DOCS_STAY": "2m"})
    (one,) = json.loads(good("status", "--index", "ix", "--json").stdout)["processes"]
    assert one["url"] == os.path.realpath("ix")
    assert one["status"]["questions"] >= 1
    assert f"{one['pid']}: {one['url']}, for " in good("status").stdout
    assert good("stop", "--index", "another").stdout == (
        "No process stays for the index another. 1 process of other indexes: `sharedllm-docs status`.\n"
    )
    assert good("stop", "--index", "ix").stdout == f"Stopped {one['pid']}: {one['url']}\n"
    wait_for(lambda: not Path(f"/proc/{one['pid']}").exists() or not running_here())
    assert good("stop", "--index", "nothing").stdout == "No process stays for the index nothing.\n"
    wait_for(lambda: not files_of(one))


def files_of(one):
    """What a process has left in the folder of the user's processes."""
    return [file.name for file in Path(one["folder"]).iterdir() if file.name.startswith(one["key"])]


def alive(pid):
    """Whether any thread of a process lives: its first one may be dead while another still holds files and locks."""
    try:
        states = [task.read_text().rpartition(")")[2].split()[0] for task in Path(f"/proc/{pid}/task").glob("*/stat")]
    except OSError:  # a thread went away meanwhile
        return Path(f"/proc/{pid}").exists()
    return any(state not in "ZX" for state in states)


def test_a_killed_process_is_no_error(fresh, folder, model):
    ask = ("ask", QUESTION, "--index", "ix", *model, *LOOSE, "-q")
    stay = {"SHAREDLLM_DOCS_STAY": "2m"}
    before = good(*ask, env=stay).stdout
    killed = [one for one in running_here() if one.url == os.path.realpath("ix")]
    pids = {one.pid for one in killed}
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid))  # noqa: B023 - waited for here
    (left,) = {(one.folder, one.key) for one in killed}
    assert (left[0] / f"{left[1]}.lock").exists()
    good("status")
    assert not (left[0] / f"{left[1]}.lock").exists(), "what a dead one left is taken away"
    # without a terminal or --stay none is started: the stale socket is passed by
    assert good(*ask, env={"SHAREDLLM_DOCS_STAY": ""}).stdout == before
    assert good(*ask, env=stay).stdout == before
    assert {one.pid for one in running_here() if one.url == os.path.realpath("ix")}.isdisjoint(pids)


def test_ctrl_c_of_the_client_leaves_the_process_alive(fresh, folder, model):
    good("ask", QUESTION, "--index", "ix", *model, *LOOSE, env={"SHAREDLLM_DOCS_STAY": "2m"})
    (before,) = (one for one in running_here() if one.url == os.path.realpath("ix"))
    endless = ("ask", QUESTION, "--index", "ix", *model, *LOOSE[:4], "--max-tokens", "100000", "--budget", "64")
    window = json.loads((Path(model[1]) / "config.json").read_text())["max_position_embeddings"]
    endless = (*endless[:-3], str(window - 300), "--budget", "64", "--stream", "--stay", "2m")
    asking = subprocess.Popen(
        [sys.executable, "-m", "sharedllm_docs", *endless],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])},
    )
    asking.stdout.read(1)  # the first word is there
    asking.send_signal(signal.SIGINT)
    assert (asking.wait(PATIENCE), asking.stderr.read()) == (130, b"Error: Interrupted.\n")
    wait_for(lambda: all(not one.status["in_hand"] for one in running_here()))
    assert before.pid in {one.pid for one in running_here()}


@pytest.mark.e2e
def test_an_embedded_model_answers_the_same_bits(folder, fresh):
    """In the dtype of the machine, with its adapter merged from the cache and the codes of its steps."""
    (folder / "tower.txt").write_text(
        "The lighthouse of Skerryvore was built between 1838 and 1844 by Alan Stevenson. Its tower is 48 metres high."
    )
    good("add", str(folder / "tower.txt"), "--index", "real", "--model", "smollm2-135m-instruct")
    for asked in ("Who built the lighthouse of Skerryvore?", "Who is the king of Norway?"):
        one, other = both(lambda: None, "ask", asked, "--index", "real", "--json")
        assert one == other
    good("stop", "--index", "real")
