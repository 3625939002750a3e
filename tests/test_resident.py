"""The resident: turns, idle time, memory, leaving, and an index that is replaced under it."""

from __future__ import annotations

import shutil
import threading

import pytest

from sharedllm_docs import Index
from sharedllm_docs.errors import IndexNotFoundError, QuestionError
from sharedllm_docs.serving.memory import machine_memory, own_memory
from sharedllm_docs.serving.resident import LeavingError, Resident
from tests.tiny_text import tiny_document, tiny_llm
from tests.waiting import PATIENCE


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def never_opened(create):
    raise AssertionError("nothing asked for the index")


def test_it_leaves_when_nothing_was_asked_for_long_enough():
    clock = Clock()
    resident = Resident(never_opened, keep_seconds=600, clock=clock)
    clock.now += 599
    assert resident.reason_to_leave() == ""
    with resident.work():
        clock.now += 10_000
        assert resident.reason_to_leave() == "", "never while something is in hand"
    clock.now += 599
    assert resident.reason_to_leave() == ""
    clock.now += 1
    assert resident.reason_to_leave() == "nothing was asked for 600 s"
    resident.keep_seconds = None
    assert resident.reason_to_leave() == ""


def test_it_leaves_above_its_bound_of_memory_after_what_is_in_hand():
    held = [50]
    resident = Resident(never_opened, max_memory=100, memory=lambda: held[0])
    assert resident.reason_to_leave() == ""
    with resident.work():
        held[0] = 101
        assert resident.reason_to_leave() == ""
    assert resident.reason_to_leave() == "it holds 101 bytes of memory, more than 100"


def test_told_to_leave_it_takes_no_more_and_finishes_what_it_has():
    resident = Resident(never_opened)
    with resident.work():
        resident.leave("stopped")
        assert resident.reason_to_leave() == ""
        with pytest.raises(LeavingError, match="The process leaves: stopped"), resident.work():
            pass
    assert resident.reason_to_leave() == "stopped"


def test_it_counts_requests_questions_and_failures():
    resident = Resident(never_opened)
    with resident.work(), resident.turn() as held:
        assert held
    with pytest.raises(QuestionError), resident.work():
        raise QuestionError("no words")
    status = resident.status()
    assert (status["requests"], status["questions"], status["failures"], status["waiting"]) == (2, 1, 1, 0)
    assert status["in_hand"] == 0


def test_a_question_counts_as_answered_when_it_is():
    resident = Resident(never_opened)
    with resident.turn():
        assert resident.status()["questions"] == 0, "it is in hand"
    assert resident.status()["questions"] == 1
    with pytest.raises(QuestionError), resident.turn():
        raise QuestionError("no words")
    with resident.turn(lambda: True) as held:
        assert not held
    assert resident.status()["questions"] == 1


def test_questions_take_turns_in_the_order_in_which_they_come():
    resident, order, threads = Resident(never_opened), [], []

    def ask(number):
        with resident.turn():
            order.append(number)

    with resident.turn():
        for number in range(5):
            threads.append(threading.Thread(target=ask, args=(number,)))
            threads[-1].start()
            with resident._state:  # the next one comes after this one has taken its place
                assert resident._state.wait_for(lambda n=number: len(resident._queue) == n + 2, timeout=PATIENCE)
                resident._state.notify_all()
        assert order == []
    for thread in threads:
        thread.join(PATIENCE)
    assert order == [0, 1, 2, 3, 4]


def test_a_question_that_nobody_waits_for_any_more_gives_up_its_place():
    resident = Resident(never_opened)
    with resident.turn(), resident.turn(lambda: True) as held:
        assert not held
    with resident.turn() as held:
        assert held


def test_the_index_is_opened_once_and_again_where_it_was_made_anew(tmp_path):
    opened = []

    def opening(create):
        opened.append(create)
        return Index.open(tmp_path / "index", tiny_llm())

    Index.create(tmp_path / "index", tiny_llm())
    resident = Resident(opening)
    first = resident.index()
    assert resident.index() is first
    first.add(tiny_document("A heron stands in the reeds.", name="a.txt"))
    assert resident.index() is first, "documents come and go"
    shutil.rmtree(tmp_path / "index")
    with pytest.raises(IndexNotFoundError):
        resident.index()
    Index.create(tmp_path / "index", tiny_llm(), max_bytes=1 << 40)
    assert resident.index() is not first
    assert resident.index().documents() == []
    resident.close()


def test_a_model_whose_files_changed_is_loaded_anew(saved, tmp_path):
    from sharedllm_docs import SharedLLM

    shutil.copytree(saved / "model", tmp_path / "model")
    llm = SharedLLM.from_pretrained(tmp_path / "model", embedder=str(saved / "embedder"), adapter=saved / "adapter")
    assert llm.files_unchanged()
    config = tmp_path / "model" / "tokenizer_config.json"
    config.write_text(config.read_text() + "\n")
    assert not llm.files_unchanged()


def test_memory_is_told_where_it_can_be_known():
    before = own_memory()
    held = bytearray(64 << 20)
    assert own_memory() - before > 32 << 20
    assert machine_memory() > len(held)
