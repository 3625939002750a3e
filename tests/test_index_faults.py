"""Crashes, concurrency and damage with the whole engine on a tiny model."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from sharedllm_docs import Index
from sharedllm_docs.errors import DamagedIndexError
from tests.fault_worker import ALWAYS, QUESTION, SHORT, add, ask_often, document
from tests.tiny_text import tiny_llm
from tests.waiting import PATIENCE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork servers and SIGKILL")


def ask(index, **options):
    return index.ask(QUESTION, retrieval=ALWAYS, generation=SHORT, **options)


def calls_of_a_run(processes, url):
    """How many function calls and returns it takes to add one more document to an index that has one."""
    Index.create(url, tiny_llm()).add(document(0))
    counted = processes.Queue()
    process = processes.Process(target=add, args=(str(url), [1], None, counted))
    process.start()
    calls = counted.get(timeout=PATIENCE)
    process.join(PATIENCE)
    assert process.exitcode == 0
    return calls


@pytest.mark.slow
def test_kill_at_random_moments_leaves_an_index_that_opens_and_answers(processes, tmp_path):
    """50 times: ingestion dies at a random function call; what was committed is whole and answers the same."""
    calls = calls_of_a_run(processes, tmp_path / "measure")
    url, llm, moments = tmp_path / "index", tiny_llm(), random.Random(7)
    expected: dict[str, str] = {}
    Index.create(url, llm).add(document(0))
    killed = 0
    counted = processes.Queue()
    for run in range(1, 51):
        process = processes.Process(target=add, args=(str(url), [run], moments.randint(1, calls), counted))
        process.start()
        process.join(PATIENCE)
        assert process.exitcode in (0, -signal.SIGKILL)  # 0: this one took some calls fewer than the one counted
        killed += process.exitcode == -signal.SIGKILL
        index = Index.open(url, llm)
        names = {info.name for info in index.documents()}
        assert set(expected) <= names
        assert index.verify().ok
        name = f"{run}.txt" if f"{run}.txt" in names else "0.txt"
        text = ask(index, documents=[name]).text
        assert expected.setdefault(name, text) == text
    assert killed >= 40, "too few runs died while they were still at work"
    added = Index.open(url, llm).add(document(50))
    fresh = Index.create(tmp_path / "fresh", llm)
    fresh.add(document(50))
    assert added.document.name == "50.txt"
    assert ask(Index.open(url, llm), documents=["50.txt"]).text == ask(fresh).text


@pytest.mark.slow
def test_two_writers_and_four_readers_at_once(processes, tmp_path):
    url, llm = str(tmp_path / "index"), tiny_llm()
    Index.create(url, llm).add(document(0))
    expected = ask(Index.open(url, llm)).text
    results = processes.Queue()
    writers = [processes.Process(target=add, args=(url, numbers)) for numbers in ([1, 2, 3, 4], [3, 4, 5, 6])]
    readers = [processes.Process(target=ask_often, args=(url, 8, results)) for _ in range(4)]
    for process in (*writers, *readers):
        process.start()
    answers = [results.get(timeout=240) for _ in readers]
    for process in (*writers, *readers):
        process.join(240)
    assert answers == [expected] * 4
    assert [process.exitcode for process in writers] == [0, 0]
    index = Index.open(url, llm)
    assert sorted(info.name for info in index.documents()) == [f"{n}.txt" for n in range(7)]
    assert index.verify().ok


def test_one_flipped_byte_in_any_file_is_found_and_never_answered_from(tmp_path):
    llm = tiny_llm()
    Index.create(tmp_path, llm).add(document(0))
    index = Index.open(tmp_path, llm)
    good = ask(index).text
    pick = random.Random(3)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and path.stat().st_size]
    assert {path.suffix for path in files} >= {".json", ".safetensors"}
    for path in files:
        original = path.read_bytes()
        name = path.relative_to(tmp_path).as_posix()
        for place in {0, len(original) - 1, pick.randrange(len(original)), pick.randrange(len(original))}:
            data = bytearray(original)
            data[place] ^= 1 << pick.randrange(8)
            path.write_bytes(data)
            found_by_verify = _names_damage(tmp_path, name)
            answered = _answer_or_damage(tmp_path, llm, name)
            path.write_bytes(original)
            assert found_by_verify, f"{name} byte {place} was not found by verify"
            assert answered in (good, "damage"), f"{name} byte {place} was answered from"
    assert ask(Index.open(tmp_path, llm)).text == good


def _names_damage(folder: Path, name: str) -> bool:
    try:
        return name in {damage.path for damage in Index.open(folder).verify().damaged}
    except DamagedIndexError as error:  # index.json itself
        return name in error.paths


def _answer_or_damage(folder: Path, llm, name: str) -> str:
    """The answer, which may only come where the damaged bytes were not used, or "damage" with the file named."""
    try:
        return ask(Index.open(folder, llm)).text
    except DamagedIndexError as error:
        return "damage" if name in str(error) else f"another file is blamed: {error}"
