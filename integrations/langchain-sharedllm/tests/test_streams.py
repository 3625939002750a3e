"""Pieces of text: repeated starts, the time limit, white space at the ends."""

from __future__ import annotations

import pytest
from langchain_sharedllm import AnswerTimeoutError, ChatSharedLLM
from langchain_sharedllm.streams import begin, trimmed, within


@pytest.mark.parametrize(
    ("pieces", "expected"),
    [
        (["  a ", " b", "  "], ["a", "  b"]),
        ([" ", "\n", "a"], ["a"]),
        (["a", " ", " ", "b\n"], ["a", "  b"]),
        ([" ", ""], []),
        ([], []),
    ],
)
def test_trimmed(pieces, expected):
    assert list(trimmed(pieces)) == expected
    assert "".join(expected) == "".join(pieces).strip()


@pytest.fixture
def no_pause(monkeypatch):
    pauses = []
    monkeypatch.setattr("langchain_sharedllm.streams.time.sleep", pauses.append)
    return pauses


def failing(error, times):
    """Starts that fail so often before one succeeds; the failures come with the first piece, as a read does."""
    left = [error] * times

    def start():
        def pieces():
            if left:
                raise left.pop()
            yield "a"
            yield "b"

        return pieces()

    return start


def test_a_failed_read_is_repeated(no_pause):
    _stream, pieces = begin(failing(ConnectionError("gone"), 2), retries=2)
    assert list(pieces) == ["a", "b"]
    assert no_pause == [0.2, 0.4]


def test_an_error_that_a_failed_read_caused_is_repeated(no_pause):
    error = RuntimeError("reading failed")
    error.__cause__ = OSError("gone")
    assert list(begin(failing(error, 1), retries=1)[1]) == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "retries"), [(ConnectionError("gone"), 0), (ValueError("no"), 5), (FileNotFoundError("no"), 5)]
)
def test_other_errors_are_raised_at_once(no_pause, error, retries):
    with pytest.raises(type(error)):
        begin(failing(error, 1), retries)
    assert no_pause == []


def test_within_raises_with_value_bound_and_remedy(monkeypatch):
    monkeypatch.setattr("langchain_sharedllm.streams.time.monotonic", lambda: 110.5)
    with pytest.raises(AnswerTimeoutError, match=r"after 10\.5 s; timeout=2 s .* lower max_tokens"):
        list(within(["a"], 2, 100.0))
    assert list(within(["a"], 11, 100.0)) == ["a"]
    assert list(within(["a"], None, 0)) == ["a"]


def test_timeout_of_model_and_call(llm):
    chat = ChatSharedLLM(llm=llm, max_tokens=12, timeout=3600)
    assert chat.invoke("Hello").content
    with pytest.raises(TimeoutError, match="timeout="):
        chat.invoke("Hello", timeout=1e-9)


def test_max_retries_of_the_model(llm, monkeypatch, no_pause):
    chat = ChatSharedLLM(llm=llm, max_tokens=4, max_retries=1)
    start, calls = llm.stream_chat, []

    def once_failing(*args, **kwargs):
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("gone")
        return start(*args, **kwargs)

    monkeypatch.setattr(llm, "stream_chat", once_failing)
    assert chat.invoke("Hello").content
    assert len(calls) == 2
