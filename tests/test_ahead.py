"""A file that is read while a model is loaded: the same document, warnings and errors, whatever happens meanwhile."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers import ReadOptions, ahead, read, read_document
from sharedllm_docs.documents.readers.ahead import Ahead, begin, forget, taken
from sharedllm_docs.errors import (
    ConfigError,
    DocumentNotFoundError,
    DocumentWarning,
    EmptyDocumentError,
    EncryptedDocumentError,
    ModelUnavailableError,
    SharedLLMError,
)
from sharedllm_docs.serving.stay.client import StayedIndex
from sharedllm_docs.serving.stay.wire import GoneError, receive, send
from tests.cli_run import run
from tests.documents import encrypt, make_pdf, prose
from tests.test_stay import LOOSE, QUESTION, folder, fresh, model, none_left, plain, pristine
from tests.waiting import PATIENCE, until

__all__ = ["folder", "fresh", "model", "none_left", "pristine"]
OPTIONS = ReadOptions()


@pytest.fixture(autouse=True)
def separate(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process of its own reads, and nothing that was begun is left."""
    monkeypatch.setenv("SHAREDLLM_DOCS_PROCESS", "separate")
    yield
    assert not ahead._begun


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads in which files are read, in order."""
    threads: list[str] = []
    quietly = read.read_quietly

    def noted(*given: Any, **named: Any) -> Document:
        threads.append(threading.current_thread().name)
        return quietly(*given, **named)

    monkeypatch.setattr(read, "read_quietly", noted)
    return threads


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.txt"
    path.write_text("The heron stands in the river.")
    return path


def no_thread_is_left() -> bool:
    return not [one for one in threading.enumerate() if one.name == "sharedllm-docs-ahead"]


def held(reached: threading.Event, go_on: threading.Event, pages: int = 3) -> Callable[..., Document]:
    """Reads so many pages, and waits within the first."""

    def reads(path: str, options: ReadOptions, tell: Callable[[int, int], None]) -> Document:
        reached.set()
        assert go_on.wait(PATIENCE)
        for page in range(1, pages + 1):
            tell(page, pages)
        return read_document(b"some words", name="a.txt")

    return reads


# -- what was begun is what is asked for


def test_it_is_read_once_and_is_the_same_document(file: Path, readings: list[str]) -> None:
    expected = read_document(file)
    readings.clear()
    assert begin(str(file), OPTIONS) is not None
    assert read_document(file, options=OPTIONS) == expected
    assert readings == ["sharedllm-docs-ahead"]
    assert read_document(file, options=OPTIONS) == expected
    assert len(readings) == 2


def test_a_warning_is_given_once_and_where_the_document_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "latin.txt"
    path.write_bytes("Die Größe des Würfels ist fünf Fuß. ".encode("latin-1") * 20)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        begin(str(path), OPTIONS)
        until(no_thread_is_left)
        assert not caught
        read_document(path, options=OPTIONS)
    assert [one.category for one in caught] == [DocumentWarning]


def test_progress_is_told_in_the_thread_that_asks_to_the_end() -> None:
    reached, go_on, seen = threading.Event(), threading.Event(), list[tuple[int, int, str]]()
    made = Ahead("nowhere", OPTIONS, held(reached, go_on))
    go_on.set()
    made.result(lambda done, total: seen.append((done, total, threading.current_thread().name)))
    assert seen[-1][:2] == (3, 3)
    assert seen == sorted(seen)
    assert {thread for _done, _total, thread in seen} == {threading.current_thread().name}


def test_what_was_done_before_is_told_as_one_step() -> None:
    """A progress bar that was told page by page within a moment would show some 40,000 pages a second."""
    reached, go_on, seen = threading.Event(), threading.Event(), list[tuple[int, int]]()
    go_on.set()
    made = Ahead("nowhere", OPTIONS, held(reached, go_on))
    until(no_thread_is_left)
    made.result(lambda done, total: seen.append((done, total)))
    assert seen == [(3, 3)]


def test_what_progress_raises_ends_the_reading() -> None:
    reached, go_on = threading.Event(), threading.Event()
    made = Ahead("nowhere", OPTIONS, held(reached, go_on, pages=100_000))
    go_on.set()

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.result(stop)
    until(no_thread_is_left)


@pytest.mark.parametrize(
    ("data", "error"),
    [(b"", EmptyDocumentError), (b"...", EmptyDocumentError), (None, EncryptedDocumentError)],
    ids=["empty", "no words", "encrypted"],
)
def test_errors_are_raised_where_the_document_is_asked_for(
    tmp_path: Path, data: bytes | None, error: type[SharedLLMError]
) -> None:
    path = tmp_path / ("a.pdf" if data is None else "a.txt")
    path.write_bytes(encrypt(make_pdf([prose(1)]), "secret") if data is None else data)
    begin(str(path), OPTIONS)
    until(no_thread_is_left)
    with pytest.raises(error) as raised:
        read_document(path, options=OPTIONS)
    with pytest.raises(error) as again:
        read_document(path, options=OPTIONS)
    assert str(raised.value) == str(again.value)


# -- what is begun and not wanted


def test_a_file_that_changes_meanwhile_is_read_anew(file: Path, readings: list[str]) -> None:
    begun = begin(str(file), OPTIONS)
    assert begun is not None
    until(no_thread_is_left)
    file.write_text("The otter stands in the river, today.")
    assert "otter" in read_document(file, options=OPTIONS).text
    assert len(readings) == 2
    assert begun._left.is_set()


def test_a_file_put_in_its_place_is_read_anew(file: Path) -> None:
    """Of the same size and age."""
    begin(str(file), OPTIONS)
    until(no_thread_is_left)
    other, state = file.with_name("b.txt"), file.stat()
    other.write_text("The otter stands in the river.")
    os.utime(other, ns=(state.st_atime_ns, state.st_mtime_ns))
    os.replace(other, file)
    assert "otter" in read_document(file, options=OPTIONS).text


def test_a_file_that_vanishes_is_not_there(file: Path) -> None:
    begin(str(file), OPTIONS)
    file.unlink()
    with pytest.raises(DocumentNotFoundError):
        read_document(file, options=OPTIONS)


def test_other_options_and_other_names_read_for_themselves(file: Path) -> None:
    begun = begin(str(file), OPTIONS)
    assert begun is not None
    assert taken(file, ReadOptions(encoding="ascii")) is None
    assert taken(b"bytes", OPTIONS) is None
    assert read_document(file, name="b.txt", options=OPTIONS).name == "b.txt"
    assert taken(str(file), OPTIONS) is begun


@pytest.mark.parametrize("path", [".", "missing.txt", "s3://bucket/a.txt", "https://example.org/a.pdf", "", "a\0b"])
def test_what_is_no_file_is_left_to_the_reader(path: str) -> None:
    assert begin(path, OPTIONS) is None


def test_what_this_process_reads_itself_is_not_begun(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread inside of PDFium would bring down an interpreter that ends."""
    assert begin(str(file), ReadOptions(process="own")) is None
    monkeypatch.setenv("SHAREDLLM_DOCS_PROCESS", "own")
    assert begin(str(file), OPTIONS) is None
    monkeypatch.setenv("SHAREDLLM_DOCS_PROCESS", "none")
    with pytest.raises(ConfigError, match="SHAREDLLM_DOCS_PROCESS is 'none'"):
        begin(str(file), OPTIONS)


def test_only_the_own_reading_is_forgotten(file: Path) -> None:
    """Two clients of one process begin the same file."""
    first = begin(str(file), OPTIONS)
    second = begin(str(file), OPTIONS)
    assert first is not None
    assert second is not None
    assert first._left.is_set()
    forget(first)
    assert taken(file, OPTIONS) is second
    forget(second)
    assert not second._left.is_set(), "somebody waits for it"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_wait_for_a_thread_of_its_parent(file: Path) -> None:
    begun = begin(str(file), OPTIONS)
    assert begun is not None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads and fork
        child = os.fork()
    if not child:
        os._exit(1 if ahead._begun else 0)
    assert os.waitpid(child, 0)[1] == 0
    forget(begun)


# -- through the command line and a process that stays


BAD = ["locked.pdf", "empty.txt", "missing.md", "."]


@pytest.mark.parametrize("name", ["new.md", "latin.txt", *BAD])
def test_a_new_index_prints_the_same_either_way(fresh: Any, folder: Path, model: Any, name: str) -> None:
    """Read ahead in the command, in a process that stays, and not ahead at all: warnings and errors are the same."""
    (folder / "locked.pdf").write_bytes(encrypt(make_pdf([prose(1)]), "secret"))
    results = []
    for number, env in enumerate(
        (
            {"SHAREDLLM_DOCS_STAY": "0"},
            {"SHAREDLLM_DOCS_STAY": "2m"},
            {"SHAREDLLM_DOCS_STAY": "0", "SHAREDLLM_DOCS_PROCESS": "own"},
        )
    ):
        shutil.rmtree(folder / "made", ignore_errors=True)
        command = ("ask", QUESTION, "--file", name, "--index", "made", *model, *LOOSE, "--no-read-on")
        result = run(*command, env=env)
        results.append((number, result.exit_code, plain(result.stdout), plain(result.stderr)))
    assert results[0][1:] == results[1][1:] == results[2][1:]
    assert (results[0][1] != 0) == (name in BAD)
    assert results[0][3].count("Warning: ") == (name == "latin.txt")


def test_a_file_is_read_beside_the_model_and_once(
    fresh: Any, folder: Path, model: Any, readings: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHAREDLLM_DOCS_STAY", "0")
    shutil.rmtree(folder / "made", ignore_errors=True)
    command = ("ask", QUESTION, "--file", "new.md", "--index", "made", *model, *LOOSE, "--no-read-on")
    assert run(*command).exit_code == 0
    assert readings == ["sharedllm-docs-ahead"]
    assert run(*command).exit_code == 0
    assert len(readings) == 1


def test_a_model_that_cannot_be_loaded_leaves_nothing_begun(
    fresh: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHAREDLLM_DOCS_STAY", "0")
    shutil.rmtree(folder / "made", ignore_errors=True)
    result = run("ask", QUESTION, "--file", "new.md", "--index", "made", "--model", str(folder / "none"))
    assert result.exit_code == ModelUnavailableError.exit_code
    assert not ahead._begun
    assert not (folder / "made").exists()
    until(no_thread_is_left)


def test_a_second_process_does_not_read_the_file_again() -> None:
    """The first one made the index and read the file; it ended, and another one is asked for the rest."""
    calls: list[dict[str, Any]] = []
    servers: list[socket.socket] = []

    def serve(connection: socket.socket) -> None:
        with contextlib.suppress(GoneError):
            while True:
                calls.append(receive(connection))
                send(connection, {"result": 7})

    def connect() -> socket.socket:
        ours, theirs = socket.socketpair()
        servers.append(theirs)
        threading.Thread(target=serve, args=(theirs,), daemon=True).start()
        return ours

    def alone() -> Any:
        raise AssertionError("opened here")

    index = StayedIndex("ix", connect, alone, create=True, keep_seconds=None, report=print, ahead=("a.txt", OPTIONS))
    assert index.size() == 7
    servers[0].shutdown(socket.SHUT_RDWR)
    assert index.size() == 7
    index.close()
    assert [call["call"] for call in calls] == ["open", "size", "open", "size"]
    begun = [call["arguments"].get("ahead") for call in calls if call["call"] == "open"]
    assert begun[0]["source"] == os.path.join(os.getcwd(), "a.txt")
    assert begun[1] is None
    for one in servers:
        one.close()
