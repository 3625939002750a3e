"""A stream gives every piece once, then its result; for plain loops and for event loops."""

from __future__ import annotations

import asyncio
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.streams import AsyncStream, Stream


def generator(pieces, result="whole", failure=None):
    yield from pieces
    if failure is not None:
        raise failure
    return result


PIECES = st.lists(st.text(max_size=3), max_size=6)


@given(PIECES, st.integers(0, 7))
def test_a_loop_that_is_left_loses_nothing(pieces, taken):
    stream = Stream(generator(pieces))
    first = []
    for piece in stream:
        if len(first) == taken:
            rest = [piece, *stream]
            break
        first.append(piece)
    else:
        rest = []
    assert first + rest == pieces
    assert stream.result == "whole"
    assert list(stream) == []


@given(PIECES, st.integers(0, 7))
def test_the_result_takes_what_is_left(pieces, taken):
    stream = Stream(generator(pieces))
    for _piece, _number in zip(stream, range(taken), strict=False):
        pass
    assert stream.result == stream.result == "whole"


def test_a_result_may_be_none():
    assert Stream(generator(["a"], result=None)).result is None


def test_a_failure_stays_a_failure():
    stream = Stream(generator(["a"], failure=OSError("gone")))
    assert next(stream) == "a"
    for _time in range(2):
        with pytest.raises(OSError, match="gone"):
            next(stream)
    with pytest.raises(OSError, match="gone"):
        _ = stream.result


def test_sources_are_there_before_the_first_piece():
    assert Stream(generator([]), ("citation",)).sources == ("citation",)
    assert Stream(generator([])).sources is None


def test_sources_are_computed_when_they_are_wanted():
    calls = []
    stream = Stream(generator(["a"]), lambda: (calls.append(1), ("citation",))[1])
    assert next(stream) == "a"
    assert stream.result == "whole"
    assert not calls
    assert stream.sources == stream.sources == ("citation",)
    assert len(calls) == 1


def test_an_async_stream_gives_the_same():
    async def run():
        stream = AsyncStream(lambda: Stream(generator(["a", "b"])))
        with pytest.raises(RuntimeError, match="The result is not complete"):
            _ = stream.result
        return [piece async for piece in stream], stream.result

    assert asyncio.run(run()) == (["a", "b"], "whole")


def test_failures_in_the_thread_are_raised_where_the_stream_is_read():
    def broken():
        raise OSError("no rows")

    async def run(start):
        return [piece async for piece in AsyncStream(start)]

    for start in (broken, lambda: Stream(generator(["a"], failure=OSError("no rows")))):
        with pytest.raises(OSError, match="no rows"):
            asyncio.run(run(start))


def test_leaving_an_async_loop_stops_the_thread():
    drawn = []

    def endless():
        while True:
            drawn.append(len(drawn))
            yield "x"

    async def run():
        pieces = AsyncStream(lambda: Stream(endless())).__aiter__()
        assert await pieces.__anext__() == "x"
        await pieces.aclose()  # waits for the thread
        return len(drawn)

    assert asyncio.run(run()) == len(drawn)


def test_two_threads_share_a_stream():
    def slow():
        for number in range(200):
            yield str(number)
        return "whole"

    stream, taken = Stream(slow()), []
    threads = [threading.Thread(target=lambda: taken.extend(stream)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(int, taken)) == list(range(200))
    assert stream.result == "whole"
