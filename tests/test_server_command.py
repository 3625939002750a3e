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
@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_answers_until_it_is_told_to_end(made, ending):
    command = [sys.executable, "-m", "sharedllm_docs", "serve", "--index", str(made.url), "--port", "0", "--json"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
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
    assert process.returncode in (0, 130, -ending)
    assert "Traceback" not in errors
    assert "DEBUG" not in errors


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
