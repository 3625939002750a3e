"""Pieces of text on their way: repeated starts, a time limit, white space at the ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import TypeVar

from langchain_sharedllm.errors import AnswerTimeoutError

Started = TypeVar("Started", bound=Iterable[str])
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0


def begin(start: Callable[[], Started], retries: int) -> tuple[Started, Iterator[str]]:
    """Start a stream and wait for its first piece; start again if reading files or a connection failed.

    Args:
        start: makes the stream.
        retries: maximum number of further attempts.

    Returns:
        the stream, and all of its pieces.
    """
    pause = FIRST_PAUSE
    while True:
        try:
            stream = start()
            pieces = iter(stream)
            return stream, chain([next(pieces, "")], pieces)
        except Exception as error:
            if retries <= 0 or not _may_pass(error):
                raise
        time.sleep(pause)
        retries, pause = retries - 1, min(2 * pause, LONGEST_PAUSE)


def _may_pass(error: Exception) -> bool:
    """True for a failed read or connection; a missing file stays missing."""
    cause = error.__cause__ or error
    return isinstance(cause, OSError) and not isinstance(cause, FileNotFoundError)


def within(pieces: Iterable[str], timeout: float | None, begun: float) -> Iterator[str]:
    """The same pieces, until ``timeout`` seconds after ``begun`` (by ``time.monotonic``), checked at each piece.

    Raises:
        AnswerTimeoutError: a piece came too late.
    """
    for piece in pieces:
        passed = time.monotonic() - begun
        if timeout is not None and passed > timeout:
            raise AnswerTimeoutError(
                f"The answer was not complete after {passed:.1f} s; timeout={timeout:g} s are allowed.",
                remedy="Allow more seconds, or lower max_tokens.",
            )
        yield piece


def trimmed(pieces: Iterable[str]) -> Iterator[str]:
    """The same text without white space at its ends; blank pieces are left out."""
    begun, held = False, ""
    for piece in pieces:
        text = held + piece if begun else piece.lstrip()
        said = text.rstrip()
        held = text[len(said) :] if begun or said else ""
        if said:
            begun = True
            yield said
