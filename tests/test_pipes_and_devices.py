"""What is named but is no regular file is refused at once: pipes, sockets, devices; sizes before a byte is read."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from sharedllm_docs import Index
from sharedllm_docs.documents.readers import ReadOptions, read_document
from sharedllm_docs.documents.readers.collect import collect
from sharedllm_docs.documents.readers.collected import Skipped
from sharedllm_docs.documents.readers.embedded import embedded_files
from sharedllm_docs.errors import DocumentError, DocumentTooLargeError
from sharedllm_docs.index import folders
from tests.cli_run import process
from tests.tiny_text import save_embedder, save_model, tiny_llm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no named pipes in folders")

KINDS = {"pipe": "a named pipe", "link": "a named pipe", "socket": "a socket", "device": "a device"}


@pytest.fixture(params=KINDS)
def special(request, tmp_path: Path):
    path = tmp_path / f"{request.param}.txt"
    if request.param == "pipe":
        os.mkfifo(path)
    elif request.param == "link":
        os.mkfifo(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    elif request.param == "device":
        path.symlink_to("/dev/zero")
    else:
        here = os.getcwd()
        os.chdir(tmp_path)  # an address of a socket has few characters
        try:
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(path.name)
        finally:
            os.chdir(here)
    return path, KINDS[request.param]


def test_every_way_in_refuses_at_once_what_is_no_file(special, tmp_path):
    path, kind = special
    index = Index.create(tmp_path / "index", tiny_llm())
    ways = [
        lambda: read_document(path),
        lambda: read_document(str(path), options=ReadOptions(process="own")),
        lambda: embedded_files(path, name=None, options=ReadOptions()),
        lambda: index.add(path),
        lambda: index.estimate(path),
        lambda: index.add(path, encode="when-asked"),
    ]
    for way in ways:
        with pytest.raises(DocumentError) as refused:
            way()
        assert refused.value.message == f"{path} is {kind}, not a file."
        assert refused.value.remedy == "Save what it gives as a file, and name that."
    added = index.add_all([path])
    assert [(name, type(error)) for name, error in added.failed] == [(path.name, DocumentError)]
    found = list(collect([tmp_path], recursive=True))
    assert Skipped(f"{tmp_path.name}/{path.name}", "it is no file") in found
    assert list(collect([str(tmp_path / f"{path.name[:2]}*.txt")])) == [Skipped(path.name, "it is no file")]
    assert index.documents() == []


@pytest.mark.parametrize("words", [("add",), ("add", "--estimate"), ("ask", "What is it?", "--file")])
def test_the_command_line_refuses_a_pipe(tmp_path, words):
    pipe = tmp_path / "pipe.txt"
    os.mkfifo(pipe)
    model, embedder = save_model(tmp_path / "model"), save_embedder(tmp_path / "embedder")
    where = ["--index", str(tmp_path / "made"), "--model", str(model), "--embedder", str(embedder)]
    done = process("-m", "sharedllm_docs", *words, str(pipe), *where)
    assert (done.returncode, done.stdout) == (DocumentError.exit_code, "")
    assert f"Error: {pipe} is a named pipe, not a file. Save what it gives as a file, and name that." in done.stderr


def test_the_size_is_looked_at_before_any_byte_is_hashed(tmp_path, monkeypatch):
    large, small = tmp_path / "large.txt", tmp_path / "small.txt"
    large.write_text("word " * 1000)
    small.write_text("word " * 10)
    opened = list[str]()
    real = Path.open

    def watched(path: Path, *arguments, **keywords):
        opened.append(path.name)
        return real(path, *arguments, **keywords)

    monkeypatch.setattr(Path, "open", watched)
    found = list(folders.found_files([large, small], recursive=False, ignored=False, max_bytes=100))
    assert [one.name for one in found] == ["large.txt", "small.txt"]
    assert opened.count("large.txt") == 1, "its first bytes alone, to tell archives"
    opened.clear()
    with pytest.raises(DocumentTooLargeError, match=r"large\.txt has 5,000 bytes or more, the limit is 100"):
        read_document(large, options=ReadOptions(max_bytes=100))
    assert opened == []


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc")
def test_a_file_without_a_size_is_read_up_to_the_limit():
    with pytest.raises(DocumentTooLargeError, match="the limit is 10"):
        read_document("/proc/self/status", options=ReadOptions(max_bytes=10))
