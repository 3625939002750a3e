"""Processes that die while they read on, and processes that read the same document at once."""

from __future__ import annotations

import os
import queue
import random
import shutil
import signal

import pytest

from sharedllm_docs import Index
from sharedllm_docs.index import ingest
from tests.fault_worker import ALWAYS, QUESTION, SHORT, document, read_lazily
from tests.tiny_text import tiny_llm

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork servers and SIGKILL")


def ask(index, question=QUESTION):
    return index.ask(question, retrieval=ALWAYS, generation=SHORT).text


@pytest.fixture(params=["all", "when-asked"], ids=["embedded", "without vectors"])
def fresh(tmp_path, request, monkeypatch):
    """A folder with an index that has one document, not read at all, its passages embedded or not."""
    monkeypatch.setattr(ingest, "EMBEDDED_FIRST", 0)
    Index.create(tmp_path / "fresh", tiny_llm()).add(document(0), encode="when-asked", embed=request.param)
    return tmp_path / "fresh"


@pytest.fixture
def expected(tmp_path):
    """The answer from a document that was wholly read before it was asked."""
    index = Index.create(tmp_path / "expected", tiny_llm())
    index.add(document(0))
    return ask(index)


def run(processes, url, **options):
    process = processes.Process(target=read_lazily, args=(str(url), QUESTION), kwargs=options)
    process.start()
    return process


def said(results, *started):
    """What a process says; it takes as long as it takes, but one that has failed is not waited for."""
    while True:
        failed = [process.exitcode for process in started if process.exitcode]  # before the look at what it has said
        try:
            return results.get(timeout=0.5)
        except queue.Empty:
            assert not failed, failed


def calls_of_a_run(processes, fresh, folder, *, background):
    shutil.copytree(fresh, folder)
    counted = processes.Queue()
    process = run(processes, folder, background=background, counted=counted)
    calls = said(counted, process)
    process.join()
    assert process.exitcode == 0
    return calls


@pytest.mark.parametrize("runs", [4, pytest.param(40, marks=pytest.mark.slow)])
@pytest.mark.parametrize("background", [False, True], ids=["question", "background"])
def test_killed_at_any_instant_the_index_is_whole_and_read_on(processes, fresh, expected, tmp_path, background, runs):
    """What is stored stays, nothing is damaged, and the next process answers the same and reads the rest."""
    calls = calls_of_a_run(processes, fresh, tmp_path / "measure", background=background)
    moments, llm, killed, resumed = random.Random(runs), tiny_llm(), 0, 0
    for number in range(runs):
        url = shutil.copytree(fresh, tmp_path / str(number))
        process = run(processes, url, background=background, dies_at=moments.randint(1, calls))
        process.join()
        assert process.exitcode in (0, -signal.SIGKILL)
        killed += process.exitcode == -signal.SIGKILL
        index = Index.open(url, llm)
        assert index.verify().ok, index.verify().damaged
        chunks, left = index.document("0.txt").chunks, index.document("0.txt").unread_chunks
        assert ask(index) == expected
        resumed += index.read() < chunks
        assert index.document("0.txt").unread_chunks == 0 <= left
        report = index.verify()
        assert (report.ok, report.unread) == (True, 0)
        index.prune()  # a file that was being written when the process was killed
        assert index.verify().unreferenced == 0
        assert ask(Index.open(url, llm)) == expected
        assert list(url.rglob(".tmp-*")) == []
        shutil.rmtree(url)
    assert killed >= runs // 2, "too few runs died while they were still at work"
    assert resumed, "some of them had stored something"


def test_processes_that_read_the_same_document_at_once(processes, fresh, expected):
    """Two read in the background, two only ask: all encode the same chunks, and none waits for or damages another."""
    results = processes.Queue()
    started = [run(processes, fresh, background=turn < 2, results=results) for turn in range(4)]
    answers = [said(results, *started) for _ in started]
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
    assert answers == [expected] * 4
    index = Index.open(fresh, tiny_llm())
    assert index.document("0.txt").unread_chunks == 0
    assert (index.verify().ok, index.verify().unreferenced) == (True, 0)
    assert ask(index) == expected
