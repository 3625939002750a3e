"""The desk: questions of many, decoded together, answered as each would be alone; the line is bounded and fair."""

from __future__ import annotations

import asyncio
import shutil

import pytest

from sharedllm_docs import Index
from sharedllm_docs.errors import (
    BusyError,
    ConfigError,
    DocumentNotFoundError,
    IndexNotFoundError,
    QuestionCancelledError,
    QuestionTooLongError,
    TookTooLongError,
    UnknownIndexError,
)
from sharedllm_docs.model.messages import Message
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.waiting import FairLine
from tests.serving_helpers import ALWAYS, QUESTIONS, Gate, new_index, until
from tests.tiny_text import PAGES, tiny_document, tiny_llm

OPTIONS = [
    {**ALWAYS, "max_new_tokens": 12},
    {**ALWAYS, "max_new_tokens": 30, "budget": 20},
    {**ALWAYS, "max_new_tokens": 7, "temperature": 1.5, "seed": 3},
    {**ALWAYS, "max_new_tokens": 20, "temperature": 0.9, "top_p": 0.9, "seed": 8, "repetition_penalty": 1.3},
    {**ALWAYS, "max_new_tokens": 25, "style": "full"},
    {"relevance_floor": 1.0},
    {**ALWAYS, "max_new_tokens": 16, "instructions": "Be brief.", "evidence_tokens": 16},
    {"max_new_tokens": 9, "relevance_floor": 0.0},
]


def alike(ours, theirs):
    """Whether two answers are the same but for the time they took and the last digits of likelihoods."""
    facts = [
        (a.text, a.draft, a.citations, a.nearest, a.found, a.finish_reason, a.counts, round(a.relevance, 9))
        for a in (ours, theirs)
    ]
    assert ours.confidence == pytest.approx(theirs.confidence, abs=1e-3)
    return facts[0] == facts[1]


def serving(index, **limits):
    """Run a coroutine function with a desk over ``index``, and close it."""

    def run(work):
        async def whole():
            desk = Desk({"docs": index}, **limits)
            try:
                return await work(desk)
            finally:
                await desk.close()

        return asyncio.run(whole())

    return run


@pytest.fixture(scope="module")
def index():
    return new_index("desk")


@pytest.mark.parametrize("adapter", [False, True], ids=["prefix", "sharedllm"])
def test_answers_are_those_of_asking_alone(adapter):
    index = new_index(f"desk-{adapter}", tiny_llm(adapter=adapter))
    asked = [(question, OPTIONS[n % len(OPTIONS)]) for n, question in enumerate(QUESTIONS * 2)]

    async def work(desk):
        return await asyncio.gather(*(desk.ask("docs", question, options) for question, options in asked))

    answers = serving(index, max_running=5)(work)
    for (question, options), answer in zip(asked, answers, strict=True):
        assert alike(answer, index.ask(question, **options))


def test_questions_join_a_running_batch_and_leave_it(index):
    """The second begins while the first is written, and is complete before it."""

    async def work(desk):
        gate = Gate(desk)
        long = desk.stream("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 60})
        gate.let(5)
        await asyncio.to_thread(gate.wait_for, 5)
        short = asyncio.ensure_future(desk.ask("docs", QUESTIONS[4], {**ALWAYS, "max_new_tokens": 5}))
        await until(lambda: desk.waiting + desk.running == 2)  # it may have joined after the fifth step already
        gate.let(10)
        answer = await short
        assert not long.complete
        assert desk.running == 1
        gate.open()
        return await long.whole(), answer, desk.tally

    long, short, tally = serving(index)(work)
    assert alike(long, index.ask(QUESTIONS[0], **ALWAYS, max_new_tokens=60))
    assert alike(short, index.ask(QUESTIONS[4], **ALWAYS, max_new_tokens=5))
    assert tally.stepped > tally.steps  # some steps were of both


def test_pieces_are_those_of_a_stream(index):
    async def work(desk):
        answering = desk.stream("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 20})
        return [piece async for piece in answering], answering

    pieces, answering = serving(index)(work)
    alone = index.stream(QUESTIONS[0], **ALWAYS, max_new_tokens=20)
    assert pieces == list(alone)
    assert answering.sources == alone.sources
    assert alike(answering.result, alone.result)


def test_without_documents(index):
    messages = [Message("system", "Speak."), Message("user", "Who are you?")]

    async def work(desk):
        return await asyncio.gather(
            desk.chat(messages, {"max_new_tokens": 12}).whole(),
            desk.complete("Once upon", {"max_new_tokens": 15, "temperature": 1.0, "seed": 4}).whole(),
            desk.ask("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 10}),
        )

    chat, completion, answer = serving(index)(work)
    alone = index.llm.chat(messages, max_new_tokens=12)
    assert (chat.text, chat.prompt_tokens, chat.answer_tokens) == (alone.text, alone.prompt_tokens, alone.answer_tokens)
    assert completion.text == index.llm.complete("Once upon", max_new_tokens=15, temperature=1.0, seed=4).text
    assert alike(answer, index.ask(QUESTIONS[0], **ALWAYS, max_new_tokens=10))


def test_conversations_and_system_messages_count(index):
    turns = [Message("system", "Be brief."), Message("user", QUESTIONS[1]), Message("assistant", "Copper.")]

    async def work(desk):
        return await desk.ask("docs", QUESTIONS[2], {**ALWAYS, "max_new_tokens": 8}, conversation=turns)

    assert alike(serving(index)(work), index.ask(QUESTIONS[2], conversation=turns, **ALWAYS, max_new_tokens=8))


def test_indexes_of_one_model_share_it(tmp_path, saved):
    """It is in memory once, and their questions are decoded together."""
    options = {"name_or_path": saved / "model", "embedder": str(saved / "embedder"), "adapter": "none"}
    for name in "ab":
        Index.open_or_create(tmp_path / name, dtype="float32", **options).add(tiny_document(*PAGES, name=f"{name}.txt"))
    other = Index.open_or_create(tmp_path / "c", dtype="float64", **options)
    indexes = {name: Index.open(tmp_path / name) for name in "ab"} | {"c": other}

    async def work():
        desk = Desk(indexes)
        await desk.warm()
        asked = [desk.ask(name, QUESTIONS[0], {**ALWAYS, "max_new_tokens": 9}) for name in "ab"]
        answers = await asyncio.gather(*asked)
        await desk.close()
        return answers

    answers = asyncio.run(work())
    assert indexes["a"].llm is indexes["b"].llm
    assert indexes["c"].llm is not indexes["a"].llm
    assert [answer.citations[0].document for answer in answers] == ["a.txt", "b.txt"]


# -- ends ---------------------------------------------------------------------------------------------------------


def test_cancelling_stops_the_model(index):
    async def work(desk):
        gate = Gate(desk)
        answering = desk.stream("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 100})
        gate.let(3)
        await asyncio.to_thread(gate.wait_for, 3)
        answering.cancel()
        gate.open()
        with pytest.raises(QuestionCancelledError):
            await answering.whole()
        await until(lambda: desk.running == 0)
        return desk.tally

    tally = serving(index)(work)
    assert tally.steps <= 3
    assert (tally.cancelled, tally.answered) == (1, 0)


def test_whoever_stops_waiting_stops_the_model(index):
    async def work(desk):
        gate = Gate(desk)
        asking = asyncio.ensure_future(desk.ask("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 100}))
        gate.let(2)
        await asyncio.to_thread(gate.wait_for, 2)
        asking.cancel()
        gate.open()
        await until(lambda: desk.running == 0 and desk.tally.cancelled)
        return desk.tally

    assert serving(index)(work).answered == 0


def test_one_that_waits_is_cancelled_at_once(index):
    async def work(desk):
        gate = Gate(desk)
        first = desk.stream("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 50})
        waiting = [desk.stream("docs", question, ALWAYS) for question in QUESTIONS[1:6]]
        await until(lambda: desk.waiting == 5)
        waiting[-1].cancel()
        with pytest.raises(QuestionCancelledError):
            await waiting[-1].whole()
        assert desk.waiting == 4
        gate.open()
        for answering in (first, *waiting[:-1]):
            await answering.whole()

    serving(index, max_running=1)(work)


def test_time_runs_out_for_those_who_wait_and_those_answered(index):
    async def work(desk):
        gate = Gate(desk)
        begun = [desk.stream("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 50})]
        await until(lambda: desk.running == 1)
        begun += [desk.stream("docs", question, {**ALWAYS, "max_new_tokens": 50}) for question in QUESTIONS[1:5]]
        await until(lambda: len(desk._batches._ready) == 2)
        for job in (*desk._batches._line.things(), *desk._batches._ready):
            job.deadline = 0.0
        gate.open()
        await begun[0].whole()
        for answering in begun[1:]:
            with pytest.raises(TookTooLongError, match="was not complete after"):
                await answering.whole()

    serving(index, max_running=1)(work)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"documents": ["nowhere.txt"]}, DocumentNotFoundError),
        ({"max_new_tokens": 5000}, QuestionTooLongError),
    ],
)
def test_what_is_found_while_selecting_reaches_the_reader(index, options, error):
    async def work(desk):
        with pytest.raises(error):
            await desk.ask("docs", QUESTIONS[0], options)
        return await desk.ask("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 3})

    assert serving(index)(work).text


def test_wrong_questions_are_refused_at_once(index):
    async def work(desk):
        with pytest.raises(UnknownIndexError, match=r"'nope' \(there are: 'docs'\)"):
            desk.stream("nope", "Who?")
        with pytest.raises(ConfigError, match="Unknown setting 'colour'"):
            desk.stream("docs", "Who?", {"colour": "red"})
        return desk.tally.asked

    assert serving(index)(work) == 0


def test_a_failing_step_fails_its_questions_alone(index, monkeypatch):
    async def work(desk):
        from sharedllm_docs.injection.running import RunningBatch

        def broken(self, tokens):
            raise MemoryError("no memory")

        with monkeypatch.context() as patched:
            patched.setattr(RunningBatch, "feed", broken)
            with pytest.raises(MemoryError):
                await desk.ask("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 9})
        assert desk.running == 0
        return await desk.ask("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 9})

    assert alike(serving(index)(work), index.ask(QUESTIONS[0], **ALWAYS, max_new_tokens=9))


def test_closing_ends_all(index):
    async def work():
        desk = Desk({"docs": index}, max_running=1)
        gate = Gate(desk)
        begun = [desk.stream("docs", question, {**ALWAYS, "max_new_tokens": 50}) for question in (QUESTIONS[0],) * 6]
        gate.let(2)
        await asyncio.to_thread(gate.wait_for, 2)
        batches = desk._batches
        closing = asyncio.ensure_future(desk.close())
        await until(lambda: batches._closed)
        gate.open()
        await closing
        for answering in begun:
            with pytest.raises(QuestionCancelledError):
                await answering.whole()

    asyncio.run(work())


# -- the line -----------------------------------------------------------------------------------------------------


def test_the_line_is_bounded(index):
    async def work(desk):
        gate = Gate(desk)
        begun = []

        def fill():
            while len(begun) < 20:
                begun.append(desk.stream("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 4}))

        with pytest.raises(BusyError, match="wait already") as busy:
            fill()
        assert busy.value.retry_after >= 1
        assert desk.tally.refused == 1
        gate.open()
        for answering in begun:
            await answering.whole()
        assert await desk.ask("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 4})
        return len(begun)

    assert 4 <= serving(index, max_running=1, max_waiting=4)(work) <= 7


def test_callers_take_turns():
    line = FairLine(10, 10)
    for number in range(4):
        line.append("many", f"many {number}", retry_after=1)
    line.append("one", "one", retry_after=1)
    line.append("two", "two 0", retry_after=1)
    line.append("two", "two 1", retry_after=1)
    assert [line.pop() for _ in range(len(line))] == [
        *("many 0", "one", "two 0", "many 1", "two 1", "many 2", "many 3"),
    ]


def test_nobody_takes_the_whole_line():
    line = FairLine(10, 3)
    for number in range(3):
        line.append("many", number, retry_after=1)
    with pytest.raises(BusyError, match="3 yours wait already"):
        line.append("many", 3, retry_after=7)
    line.append("one", 4, retry_after=1)
    assert line.remove(1)
    assert not line.remove(1)
    assert line.things() == [0, 2, 4]


@pytest.mark.parametrize("ending", ["cancelled", "late"])
def test_nothing_more_is_encoded_for_a_question_that_is_given_up(tmp_path, monkeypatch, ending):
    """A question that needs several chunks is given up after the first; what was encoded is stored."""
    index = Index.create(tmp_path / "index", tiny_llm())
    index.add(tiny_document(*(f"{page} " * 150 for page in PAGES), name="a.txt"), encode="when-asked")
    chunks = index.documents()[0].chunks
    really, encoded = index._reading._encode, []

    async def work(desk):
        def encode(record, numbers):
            done = really(record, numbers)
            encoded.append(done)
            if ending == "late":
                job[0].deadline = -1.0
            else:
                answering.cancel()
            return done

        job = []
        submit = desk._batches.submit
        monkeypatch.setattr(desk._batches, "submit", lambda one: (job.append(one), submit(one)))
        monkeypatch.setattr(index._reading, "_encode", encode)
        answering = desk.stream("docs", QUESTIONS[0], {**ALWAYS, "budget": 3000, "candidates": 100})
        with pytest.raises(TookTooLongError if ending == "late" else QuestionCancelledError):
            await answering.whole()
        return desk.tally

    tally = serving(index)(work)
    assert chunks > 2
    assert len(encoded) == 1
    assert 0 < index.documents()[0].unread_chunks < chunks, "what was encoded is stored"
    assert (tally.cancelled, tally.failed) == (1, 0)


# -- what another process does to an index meanwhile ----------------------------------------------------------------


def other(folder, *names, **options):
    """Another process' view of an index in a folder, made if it is not there, with a document of each name added."""
    index = Index.open_or_create(folder, tiny_llm(), **options)
    for name in names:
        index.add(tiny_document(f"The {name} is written here.", name=name))
    return index


def named(desk):
    return [info.name for info in desk.index("docs").documents()]


def test_documents_that_another_process_adds_or_removes_are_seen_at_once(tmp_path):
    index = other(tmp_path / "index", "a.txt")

    async def work(desk):
        first = await desk.ask("docs", "What is written?", {**ALWAYS, "max_new_tokens": 2})
        other(tmp_path / "index", "b.txt")
        assert named(desk) == ["a.txt", "b.txt"]
        both = await desk.ask("docs", "What is written?", {**ALWAYS, "max_new_tokens": 2})
        other(tmp_path / "index").remove("a.txt")
        assert named(desk) == ["b.txt"]
        last = await desk.search("docs", "What is written?")
        searched = [first.counts.documents, both.counts.documents]
        return searched, [{one.document for one in found} for found in (first.citations, last)]

    assert serving(index)(work) == ([1, 2], [{"a.txt"}, {"b.txt"}])


def test_an_index_that_was_made_anew_is_opened_anew_with_the_model_in_memory(tmp_path):
    index = other(tmp_path / "index", "a.txt")
    llm = index.llm

    async def work(desk):
        told = []
        desk.renewals.append(told.append)
        await desk.ask("docs", "What is written?", {**ALWAYS, "max_new_tokens": 2})
        shutil.rmtree(tmp_path / "index")
        other(tmp_path / "index", "b.txt", max_bytes=1 << 40)
        answer = await desk.ask("docs", "What is written?", {**ALWAYS, "max_new_tokens": 2})
        assert {one.document for one in answer.citations} == {"b.txt"}
        assert desk.index("docs").llm is llm
        return told

    assert serving(index)(work) == ["docs"]


def test_an_index_that_was_moved_is_an_error_until_it_is_back(tmp_path):
    index = other(tmp_path / "index", "a.txt")

    async def work(desk):
        (tmp_path / "index").rename(tmp_path / "elsewhere")
        for _again in range(2):
            with pytest.raises(IndexNotFoundError):
                await desk.ask("docs", "What is written?", ALWAYS)
            with pytest.raises(IndexNotFoundError):
                await desk.search("docs", "What is written?")
            with pytest.raises(IndexNotFoundError):
                named(desk)
        (tmp_path / "elsewhere").rename(tmp_path / "index")
        assert named(desk) == ["a.txt"]
        return (await desk.ask("docs", "What is written?", {**ALWAYS, "max_new_tokens": 2})).citations[0].document

    assert serving(index)(work) == "a.txt"


def test_an_index_of_another_model_in_its_place_is_asked_with_its_own_model(tmp_path, saved):
    options = {"name_or_path": saved / "model", "embedder": str(saved / "embedder"), "adapter": "none"}
    Index.open_or_create(tmp_path / "index", dtype="float32", **options).add(tiny_document(*PAGES, name="a.txt"))
    index = Index.open(tmp_path / "index")

    async def work(desk):
        await desk.warm()
        before = desk.index("docs").llm
        shutil.rmtree(tmp_path / "index")
        Index.open_or_create(tmp_path / "index", dtype="float64", **options).add(tiny_document(*PAGES, name="a.txt"))
        await desk.ask("docs", QUESTIONS[0], {**ALWAYS, "max_new_tokens": 2})
        return before.dtype, desk.index("docs").llm.dtype

    first, second = serving(index)(work)
    assert str(first) != str(second)
