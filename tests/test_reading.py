"""Documents that are asked before they are read: same answers, no more encoded than is needed, read on in any way."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs import Index
from sharedllm_docs.errors import (
    ConfigError,
    DiskBudgetError,
    DocumentNotFoundError,
    InterruptedIngestion,
    StoreError,
    UnstoredRowsWarning,
)
from sharedllm_docs.index import reading
from sharedllm_docs.index.reading import next_chunk
from sharedllm_docs.model.turns import TurnLock
from sharedllm_docs.store import IndexStore
from sharedllm_docs.store.files import LocalFiles
from tests.fault_worker import ALWAYS, QUESTION, SHORT, document
from tests.store_helpers import snapshot
from tests.tiny_text import tiny_document, tiny_llm, tiny_profile, tiny_sharedllm_profile
from tests.waiting import PATIENCE

WORDS = ("heron", "copper", "sonnet", "lighthouse", "barley", "glacier", "saddle", "violin")
LONG = tiny_document(
    *(
        "".join(f"Page {page} tells of the {word} in line {line}. " for line in range(6))
        for page, word in enumerate(WORDS)
    ),
    name="long.txt",
)


def ask(index, question=QUESTION, **options):
    return index.ask(question, **({"retrieval": ALWAYS, "generation": SHORT} | options))


def lazily(path, llm, *documents, encode="when-asked"):
    index = Index.create(path, llm)
    for made in documents or (LONG,):
        index.add(made, encode=encode)
    return index


def whole(path, llm, *documents):
    return lazily(path, llm, *(documents or (LONG,)), encode="all")


def without_dates(folder):
    """Files of an index; of the manifests, that are alike but for the day they were made, the rest."""
    from sharedllm_docs.store.canonical import canonical_bytes, unseal

    files = snapshot(Path(folder))
    for path in files:
        if path.endswith("manifest.json"):
            files[path] = canonical_bytes({**unseal(files[path]), "created": ""})
    return files


def unread(index, name="long.txt"):
    return index.document(name).unread_chunks


class Encoded:
    """Numbers of the chunks in the order in which they are encoded."""

    def __init__(self, monkeypatch):
        self.numbers = []
        encode = reading.Reading._encode

        def noted(own, record, numbers):
            done = encode(own, record, numbers)
            self.numbers += numbers if done else ()
            return done

        monkeypatch.setattr(reading.Reading, "_encode", noted)


# -- questions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store_dtype", ["float32", "int8", "int4"])
@pytest.mark.parametrize("kind", ["prefix", "sharedllm", "per_node"])
def test_the_answer_is_the_same_and_so_are_the_stored_bytes(tmp_path, kind, store_dtype):
    profiles = {
        "prefix": lambda: tiny_profile(store_dtype=store_dtype),
        "per_node": lambda: tiny_profile(store_dtype=store_dtype, encoding="per_node", front="none"),
        "sharedllm": lambda: tiny_sharedllm_profile(store_dtype=store_dtype),
    }
    llm = tiny_llm(profile=profiles[kind](), adapter=kind == "sharedllm")
    one, other = whole(tmp_path / "whole", llm), lazily(tmp_path / "lazy", llm)
    for question in (QUESTION, "What of the violin?", "Which page tells of barley?"):
        expected, answer = ask(one, question), ask(other, question)
        assert (answer.text, answer.citations, answer.relevance) == (
            expected.text,
            expected.citations,
            expected.relevance,
        )
        assert answer.counts.rows == expected.counts.rows
    query = {"retrieval": ALWAYS}
    rows = [
        index.engine(_query(query)).source.rows(index.select(QUESTION, **query)) for index in (one, other)
    ]  # fmt: skip
    assert torch.equal(rows[0][0], rows[1][0])
    assert torch.equal(rows[0][1], rows[1][1])
    other.read()
    assert without_dates(one.url) == without_dates(other.url)


def _query(options):
    from sharedllm_docs.retrieval.query import Query

    return Query.of(QUESTION, options)


def test_a_question_encodes_what_it_selects_once(tmp_path, llm):
    index = lazily(tmp_path, llm)
    chunks = index.document("long.txt").chunks
    assert unread(index) == chunks > 8
    selection = index.select(QUESTION, retrieval=ALWAYS)
    assert unread(index) == chunks, "selecting encodes nothing"
    needed = {node.chunk for node in selection.nodes}
    answer = ask(index)
    assert answer.counts.chunks_encoded == len(needed)
    assert answer.timings.encode > 0
    assert unread(index) == chunks - len(needed)
    assert {view.index for view in index.tree("long.txt").chunks if view.read} == needed
    again = ask(index)
    assert (again.counts.chunks_encoded, again.text) == (0, answer.text)
    assert ask(Index.open(tmp_path, llm)).counts.chunks_encoded == 0
    assert index.verify().ok


def test_search_and_declined_questions_encode_nothing(tmp_path, llm):
    index = lazily(tmp_path, llm)
    expected = whole(tmp_path / "whole", llm)
    assert index.search("violin") == expected.search("violin")
    declined = ask(index, retrieval=None, relevance_floor=1.0, question="zzz qqq")
    assert not declined.found
    assert declined.nearest
    assert unread(index) == index.document("long.txt").chunks


def test_selection_by_hidden_states_needs_no_chunk_encoded(tmp_path, llm):
    one, other = whole(tmp_path / "whole", llm), lazily(tmp_path / "lazy", llm)
    options = {"selector": "hidden-state", "budget": 32, "relevance_floor": 0}
    assert other.select(QUESTION, **options).nodes == one.select(QUESTION, **options).nodes
    assert ask(other, retrieval=None, **options).text == ask(one, retrieval=None, **options).text


def test_streams_and_batches_read_what_they_need(tmp_path, llm):
    one, other = whole(tmp_path / "whole", llm), lazily(tmp_path / "lazy", llm)
    options = {"retrieval": ALWAYS, "generation": SHORT}
    assert other.stream(QUESTION, **options).result.text == one.stream(QUESTION, **options).result.text
    questions = [QUESTION, "What of the glacier?"]
    assert [a.text for a in other.ask_many(questions, **options)] == [
        a.text for a in one.ask_many(questions, **options)
    ]


def test_a_question_does_not_wait_for_another_writer_and_stores_later(tmp_path, llm, monkeypatch):
    monkeypatch.setattr(reading, "QUESTION_PATIENCE", 0)
    expected = ask(whole(tmp_path / "whole", llm)).text
    index = lazily(tmp_path / "lazy", llm)
    chunks = index.document("long.txt").chunks
    with IndexStore.open(tmp_path / "lazy").writer():
        first = ask(index)
        assert first.text == expected
        assert unread(index) == chunks, "the index belongs to another"
        assert ask(index).counts.chunks_encoded == 0, "held in memory"
    other = ask(index, "What of the glacier?")
    assert unread(index) == chunks - first.counts.chunks_encoded - other.counts.chunks_encoded


def test_a_read_only_index_is_asked_in_memory_and_says_so(tmp_path, llm, monkeypatch):
    expected = ask(whole(tmp_path / "whole", llm)).text
    lazily(tmp_path / "lazy", llm)
    before = snapshot(tmp_path / "lazy")

    def refused(_files):
        raise StoreError("writer.lock cannot be locked: Read-only file system.")

    monkeypatch.setattr(LocalFiles, "lock", refused)
    monkeypatch.setattr(LocalFiles, "write", lambda *_: pytest.fail("a question wrote"))
    index = Index.open(tmp_path / "lazy", llm)
    with pytest.warns(UnstoredRowsWarning, match=r"long\.txt: what was read .* in memory.*Read-only.*next process"):
        assert ask(index).text == expected
    assert ask(index).counts.chunks_encoded == 0
    assert snapshot(tmp_path / "lazy") == before


def test_a_full_budget_stops_storing_and_not_answering(tmp_path, llm):
    expected = ask(whole(tmp_path / "whole", llm)).text
    Index.create(tmp_path / "lazy", llm).add(LONG, encode="when-asked")
    store = IndexStore.open(tmp_path / "lazy")
    index = Index(IndexStore.open(tmp_path / "lazy", max_bytes=store.total_bytes() + 100), llm)
    with pytest.warns(UnstoredRowsWarning, match="exceed the disk budget"):
        assert ask(index).text == expected
    with pytest.raises(DiskBudgetError):
        index.read()
    index.read_in_background()
    with pytest.raises(DiskBudgetError):
        index.wait()
    assert index.wait(), "the error is told once"
    assert index.verify().ok


# -- adding -------------------------------------------------------------------------------------------------------


def test_add_says_how_far_a_document_is_and_adding_again_reads_it(tmp_path, llm):
    index = Index.create(tmp_path, llm)
    first = index.add(LONG, encode="when-asked")
    assert (first.new, first.chunks_encoded, first.tokens_per_second) == (True, 0, 0)
    assert first.document.unread_chunks == first.document.chunks
    assert index.add(LONG, encode="when-asked").document.unread_chunks == first.document.chunks
    steps = []
    again = index.add(LONG, progress=steps.append)
    assert (again.new, again.chunks_encoded, again.document.unread_chunks) == (False, first.document.chunks, 0)
    assert [step.done for step in steps if step.stage == "encode"][-1] == again.document.tokens
    assert index.add(LONG).chunks_encoded == 0


def test_the_background_reads_the_rest(tmp_path, llm):
    one = whole(tmp_path / "whole", llm)
    index = Index.create(tmp_path / "lazy", llm)
    steps = []
    added = index.add(LONG, encode="background", progress=steps.append)
    assert added.new
    assert ask(index).text == ask(one).text
    assert index.wait(PATIENCE)
    assert unread(index) == 0
    assert steps[-1].done == steps[-1].total == added.document.tokens
    assert without_dates(one.url) == without_dates(index.url)
    assert index.wait(), "there is nothing to wait for"


def test_an_edited_document_has_the_chunks_that_did_not_change(tmp_path, llm):
    index = whole(tmp_path, llm, document(1))
    added = index.add(document(2), encode="when-asked")
    assert added.chunks_reused > 0
    assert added.document.unread_chunks == added.document.chunks - added.chunks_reused


def test_a_document_whose_chunks_are_all_there_is_wholly_read(tmp_path, llm):
    index = whole(tmp_path / "one", llm)
    index.remove("long.txt")
    assert index.add(LONG, encode="when-asked").document.unread_chunks == 0
    assert without_dates(index.url) == without_dates(whole(tmp_path / "other", llm).url)


def test_room_for_all_is_asked_for_unless_the_rest_may_stay_unread(tmp_path, llm):
    size = whole(tmp_path / "whole", llm).size()
    index = Index.create(tmp_path / "small", llm, max_bytes=size // 2)
    for encode in ("all", "background"):
        with pytest.raises(DiskBudgetError):
            index.add(LONG, encode=encode)
        assert index.documents() == []
    index.add(LONG, encode="when-asked")


def test_an_unknown_way_to_encode_is_refused(tmp_path, llm):
    with pytest.raises(ConfigError, match="encode='later' is not one of all, background, when-asked"):
        Index.create(tmp_path, llm).add(LONG, encode="later")


def test_a_chunk_that_comes_twice_is_encoded_once(tmp_path, llm):
    index = lazily(tmp_path, llm, tiny_document("again " * 400, name="twice.txt"))
    chunks = index.document("twice.txt").chunks
    assert 0 < index.read() < chunks
    assert unread(index, "twice.txt") == 0


# -- reading on ---------------------------------------------------------------------------------------------------


@given(st.sets(st.integers(0, 40), min_size=1), st.lists(st.integers(0, 40), max_size=5, unique=True))
def test_what_was_asked_for_and_its_neighbours_come_first(todo, asked):
    chosen = next_chunk(todo, asked)
    assert chosen in todo
    near = {number + step for number in asked for step in (-1, 0, 1)}
    if near & todo:
        latest = [number for number in asked if {number - 1, number, number + 1} & todo][-1]
        assert abs(chosen - latest) <= 1
    else:
        assert chosen == min(todo)


def test_reading_goes_from_what_was_asked_to_the_rest_from_front_to_back(tmp_path, llm, monkeypatch):
    index = lazily(tmp_path, llm)
    chosen = {node.chunk for node in index.select("violin", retrieval=ALWAYS).nodes}
    ask(index, "violin")
    encoded = Encoded(monkeypatch)
    index.read()
    chunks = index.document("long.txt").chunks
    near = {number + step for number in chosen for step in (-1, 1)} & set(range(chunks)) - chosen
    assert near
    assert set(encoded.numbers[: len(near)]) == near
    rest = encoded.numbers[len(near) :]
    assert rest == sorted(rest)
    assert sorted(encoded.numbers) == sorted(set(range(chunks)) - chosen)


def test_ctrl_c_leaves_what_was_read_and_reading_resumes(tmp_path, llm, monkeypatch):
    index = lazily(tmp_path, llm)
    chunks = index.document("long.txt").chunks

    def interrupt(step):
        if step.done > step.total // 2:
            raise KeyboardInterrupt

    with pytest.raises(InterruptedIngestion, match=rf"Interrupted: \d+ of {chunks} chunks of long\.txt are read") as at:
        index.read(progress=interrupt)
    done = int(str(at.value).split()[1])
    assert unread(index) == chunks - done
    assert 0 < done < chunks
    encoded = Encoded(monkeypatch)
    assert Index.open(tmp_path, llm).read("long.txt") == chunks - done == len(encoded.numbers)
    assert without_dates(tmp_path) == without_dates(whole(tmp_path.parent / "whole", llm).url)


def test_reading_stops_at_close_and_the_next_process_reads_on(tmp_path, llm):
    index = Index.create(tmp_path / "lazy", llm)
    came, go = threading.Event(), threading.Event()

    def hold_up(step):
        if step.stage == "encode" and step.done:
            came.set()
            assert go.wait(PATIENCE)

    index.add(LONG, encode="background", progress=hold_up)
    assert came.wait(PATIENCE)
    assert not index.wait(0), "it is still reading"
    index._reading._stop.set()
    go.set()
    index.close()
    left = unread(index)
    assert 0 < left < index.document("long.txt").chunks
    after = Index.open(tmp_path / "lazy", llm)
    assert after.read() == left
    assert without_dates(after.url) == without_dates(whole(tmp_path / "whole", llm).url)


def test_a_document_removed_meanwhile_ends_its_reading_alone(tmp_path, llm):
    index = Index.create(tmp_path, llm)
    removed = []

    def remove(step):
        if step.stage == "encode" and step.done and not removed:
            removed.append(Index.open(tmp_path, llm).remove("long.txt"))

    index.add(LONG, encode="background", progress=remove)
    index.add(document(1), encode="background")
    assert index.wait(PATIENCE)
    assert [(info.name, info.unread_chunks) for info in index.documents()] == [("1.txt", 0)]
    index.prune()
    assert index.verify().ok
    assert index.verify().unreferenced == 0
    with pytest.raises(DocumentNotFoundError):
        index.read("long.txt")


def test_the_document_asked_last_is_read_first(tmp_path, llm, monkeypatch):
    index = lazily(tmp_path, llm, document(1), LONG)
    ask(index, "violin", documents=["long.txt"])
    order = []
    encode = reading.Reading._encode

    def noted(own, record, numbers):
        order.append(record.name)
        return encode(own, record, numbers)

    monkeypatch.setattr(reading.Reading, "_encode", noted)
    index.read_in_background()
    assert index.wait(PATIENCE)
    assert order == sorted(order, reverse=True)
    assert set(order) == {"long.txt", "1.txt"}


def test_two_indexes_of_one_folder_read_the_same_document(tmp_path, llm):
    one, other = lazily(tmp_path / "lazy", llm), Index.open(tmp_path / "lazy", llm)
    for index in (one, other):
        index.read_in_background()
    assert one.wait(PATIENCE)
    assert other.wait(PATIENCE)
    assert unread(one) == 0
    assert without_dates(one.url) == without_dates(whole(tmp_path / "whole", llm).url)


@pytest.mark.parametrize("way", ["read", "background"])
def test_what_does_not_fit_into_memory_until_it_is_stored_is_read_again(tmp_path, llm, monkeypatch, way):
    """Another process writes for a long time; what was encoded meanwhile is more than may be held."""
    monkeypatch.setattr(reading, "QUESTION_PATIENCE", 0)
    monkeypatch.setattr("sharedllm_docs.store.held.MAX_HELD_BYTES", 1)
    index = lazily(tmp_path / "lazy", llm)
    for question in WORDS[:3]:
        with IndexStore.open(tmp_path / "lazy").writer():
            ask(index, question)
    if way == "read":
        index.read()
    else:
        with IndexStore.open(tmp_path / "lazy").writer():
            index.read_in_background()
            assert not index.wait(0.2)
        assert index.wait(PATIENCE)
    assert unread(index) == 0
    assert without_dates(index.url) == without_dates(whole(tmp_path / "whole", llm).url)


# -- whose turn it is ---------------------------------------------------------------------------------------------


def test_the_background_waits_while_somebody_has_the_lock_or_wants_it():
    lock, ran = TurnLock(), threading.Event()

    def work():
        with lock.background(lambda: False) as held:
            assert held
            ran.set()

    with lock, lock:
        thread = threading.Thread(target=work)
        thread.start()
        assert not ran.wait(0.05)
    assert ran.wait(PATIENCE)
    thread.join(PATIENCE)


def test_a_question_gets_the_lock_after_what_is_in_hand_and_keeps_it_between_its_steps(monkeypatch):
    monkeypatch.setattr("sharedllm_docs.model.turns.PAUSE", PATIENCE)  # the question's steps never end
    lock, in_hand, order, stop = TurnLock(), threading.Event(), [], threading.Event()

    def work():
        for _chunk in range(3):
            with lock.background(stop.is_set) as held:
                if not held:
                    return
                order.append("chunk")
                in_hand.set()
                while not lock._wanted:  # until the question waits
                    pass

    thread = threading.Thread(target=work)
    thread.start()
    assert in_hand.wait(PATIENCE)
    for _step in range(5):
        with lock:
            order.append("step")
    stop.set()
    thread.join(PATIENCE)
    assert order == ["chunk", *["step"] * 5]


def test_the_background_gives_up_when_it_is_stopped():
    lock = TurnLock()
    with lock, lock.background(lambda: True) as held:
        assert held is False
