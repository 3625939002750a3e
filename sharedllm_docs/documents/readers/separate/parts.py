"""The pages of a long document, read by several processes at once, before one of them makes the document of them."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from sharedllm_docs.documents.readers.separate.journal import Journal
from sharedllm_docs.errors import SharedLLMError

PART = 24
"""Pages from which starting another process for them pays."""
MOST = 4
"""Processes for one document."""

Ask = Callable[[dict[str, Any], Journal, Callable[[int], None]], Any]
"""Asks a process for one part: the request, the part's journal, and who is told how many of its pages are done."""
_Event = tuple[int, int] | BaseException | None
"""A part and how many of its pages are done; what went wrong; or the end of a part."""


class _LeftError(Exception):
    """Nobody waits for the part any more."""


def processors() -> int:
    """Processor cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on macOS and Windows
        return os.cpu_count() or 1


def number_of_parts(pages: int) -> int:
    """Into how many parts so many pages are divided; 1 where one process reads them as fast."""
    return max(1, min(processors(), MOST, pages // PART))


def pages_in_parts(pages: int, parts: int, ask: Ask, tell: Callable[[int, int], None]) -> Journal:
    """Read the pages, each part in a process of its own; whatever a part could not read is left to who asks for all.

    Args:
        pages: number of pages to read.
        parts: number of processes.
        ask: asks one.
        tell: called with (pages done, pages to read), in the calling thread; what it raises ends the reading.

    Returns:
        What was read of each page, and the steps that failed.
    """
    journals = [Journal() for _ in range(parts)]
    events: queue.SimpleQueue[_Event] = queue.SimpleQueue()
    left = threading.Event()

    def work(part: int) -> None:
        def told(done: int) -> None:
            if left.is_set():
                raise _LeftError
            events.put((part, done))

        try:
            ask({"kind": "part", "part": part, "parts": parts}, journals[part], told)
        except (_LeftError, SharedLLMError):
            pass  # whoever asks for the document meets the same error, and tells it
        except BaseException as error:
            events.put(error)
        finally:
            events.put(None)

    for part in range(parts):
        # daemon: where the caller is interrupted, a part that hangs must not keep the interpreter from ending
        threading.Thread(target=work, args=(part,), name="sharedllm-docs-pages", daemon=True).start()
    try:
        working, done = parts, [0] * parts
        while working:
            event = events.get()
            if isinstance(event, BaseException):
                raise event
            if event is None:
                working -= 1
                continue
            part, count = event
            if count > done[part]:  # a process that was started again begins at the part's first page
                done[part] = count
                tell(sum(done), pages)
    finally:
        left.set()
    return Journal.joined(journals)
