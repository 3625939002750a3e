"""``serve`` as a user runs it: a process that says where it is, answers, and ends when told; and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest

pytest.importorskip("fastapi")

from sharedllm_docs import Index
from sharedllm_docs.cli import serve_command
from tests.cli_run import run
from tests.tiny_text import PAGES, tiny_document

QUESTION = "What does the heron wait for?"
CODES = [(signal.SIGINT, 130), (signal.SIGTERM, 0)]
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def serving(index):
    """The process of a server of an index, on a free port."""
    command = [sys.executable, "-m", "sharedllm_docs", "serve", "--index", str(index.url), "--port", "0", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)


@pytest.fixture(scope="module")
def made(tmp_path_factory, saved):
    """An index on disk that names its model and embedder."""
    index = Index.open_or_create(
        tmp_path_factory.mktemp("served") / "handbook",
        name_or_path=saved / "model",
        embedder=str(saved / "embedder"),
        adapter="none",
        dtype="float32",
    )
    index.add(tiny_document(*PAGES, name="pages.txt"))
    return index


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "code"), CODES)
def test_it_answers_until_it_is_told_to_end(made, ending, code):
    with serving(made) as process:
        try:
            address = json.loads(process.stdout.readline())["address"]
            assert address.startswith("http://127.0.0.1:")
            body = {"model": "handbook", "messages": [{"role": "user", "content": QUESTION}], "max_tokens": 6}
            answer = httpx.post(f"{address}/v1/chat/completions", json=body, timeout=120).json()
            alone = made.ask(QUESTION, max_new_tokens=6)
            assert answer["choices"][0]["message"]["content"] == alone.text
            assert httpx.get(f"{address}/ready", timeout=60).status_code == 200
        finally:
            process.send_signal(ending)
            _rest, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors
    assert "DEBUG" not in errors


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "code"), CODES)
def test_it_ends_while_it_begins(made, ending, code):
    """As soon as its address is known, before its model is loaded."""
    with serving(made) as process:
        process.stdout.readline()
        process.send_signal(ending)
        _rest, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors


STUCK = """
import asyncio, signal, threading
from contextlib import asynccontextmanager
from sharedllm_docs.serving.http import server
from sharedllm_docs.serving.http.settings import Settings

@asynccontextmanager
async def lifespan(app):
    yield
    print("stuck", flush=True)
    threading.Event().wait()  # as a model that is being loaded, or a chunk that is encoded

from fastapi import FastAPI
app = FastAPI(lifespan=lifespan)
server.create_app = lambda settings, salt: app
server.LEAVING.update(dict.fromkeys(server.LEAVING, SECONDS))
server.serve(Settings.load(indexes={"a": "b"}, port=0), print)
"""


@pytest.mark.parametrize(("ending", "code"), CODES)
@pytest.mark.parametrize("seconds", ["0.2", "1000"], ids=["in time", "at a second signal"])
def test_it_ends_though_something_cannot_be_waited_for(ending, code, seconds):
    command = [sys.executable, "-uc", STUCK.replace("SECONDS", seconds)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        process.send_signal(ending)
        if seconds == "1000":
            process.stdout.readline()
            process.send_signal(ending)
        _rest, errors = process.communicate(timeout=60)
    assert process.returncode == code
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "70000"), "port=70000 is above the most, 65535. Give at most 65535."),
        (("--api-key", "short"), "5 characters; 16 are the least"),
        (("--config", "nope.toml"), "There is no settings file nope.toml"),
        (("--index", "plain=x"), "'plain' cannot name an index"),
        (("--index", "a=x", "--index", "a=y"), "Two indexes are named 'a'"),
        (("--index", "nowhere-at-all"), "nowhere-at-all"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("serve", *arguments)
    assert result.exit_code != 0
    assert says in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("command", ["serve", "mcp"])
def test_without_the_extra_it_says_what_to_install(command, monkeypatch):
    monkeypatch.setattr(serve_command, "_NEEDED", ("fastapi", "no_such_package"))
    result = run(command)
    assert result.exit_code == 3
    assert "not installed (no_such_package). Install them: pip install 'sharedllm-docs[serve]'" in result.stderr


def test_the_index_is_named_by_the_environment(monkeypatch):
    monkeypatch.setenv("SHAREDLLM_DOCS_INDEX", "/data/my reports")
    assert serve_command.settings_of(["a=x"], None).indexes == {"a": "x"}
    with pytest.raises(Exception, match="'my reports' cannot name an index"):
        serve_command.settings_of(None, None)
    monkeypatch.setenv("SHAREDLLM_DOCS_INDEX", "/data/reports")
    assert serve_command.settings_of(None, None).indexes == {"reports": "/data/reports"}


def test_a_settings_file_need_not_name_an_index(monkeypatch, tmp_path):
    monkeypatch.delenv("SHAREDLLM_DOCS_INDEX", raising=False)
    file = tmp_path / "serve.toml"
    file.write_text("port = 1234\n")
    assert serve_command.settings_of(None, file).indexes == {"sharedllm-docs": ".sharedllm-docs"}
    assert serve_command.settings_of(None, file).port == 1234
    assert serve_command.settings_of(["a=x"], file).indexes == {"a": "x"}
    monkeypatch.setenv("SHAREDLLM_DOCS_INDEX", "/data/reports")
    assert serve_command.settings_of(None, file).indexes == {"reports": "/data/reports"}
    file.write_text("[indexes]\ndocs = 'y'\n")
    assert serve_command.settings_of(None, file).indexes == {"docs": "y"}
    assert serve_command.settings_of(["a=x"], file).indexes == {"a": "x"}, "an option goes before the file"
    monkeypatch.setenv("SHAREDLLM_DOCS_SERVE_INDEXES", '{"e": "z"}')
    assert serve_command.settings_of(None, None).indexes == {"e": "z"}
