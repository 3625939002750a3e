"""The pages of a long document, read by several processes in parallel, before one of them puts the document
together."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable
from typing import Any

from sharedllm_docs.documents.readers.separate.journal import Journal
from sharedllm_docs.errors import SharedLLMError

PART = 24
"""Number of pages for which starting another process pays off."""
MOST = 4
"""Maximum number of processes for one document."""
MOST_PAGES = 4_000
"""Maximum number of pages of a document that is divided: all are sent to one process at once, some 60 KB each."""

Ask = Callable[[dict[str, Any], Journal, Callable[[int], None]], Any]
"""Requests one part from a process: the request, the part's journal, and a callback for the number of pages done."""
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
    """Number of parts into which the pages are divided; 1 if a single process is as fast, or there are too many."""
    return 1 if pages > MOST_PAGES else max(1, min(processors(), MOST, pages // PART))


def pages_in_parts(pages: int, parts: int, ask: Ask, tell: Callable[[int, int], None]) -> Journal:
    """Read the pages, each part in a separate process; pages that a part could not read are left to the caller.

    Args:
        pages: number of pages to read.
        parts: number of processes.
        ask: asks one.
        tell: called with (pages done, pages to read), in the calling thread; what it raises ends the reading.

    Returns:
        The pages that were read, and the steps that failed.
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
            pass  # the process that reads the whole document gets the same error, and reports it
        except BaseException as error:
            events.put(error)
        finally:
            events.put(None)

    for part in range(parts):
        # daemon: if the caller is interrupted, a part that hangs must not keep the interpreter from ending
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
            if count > done[part]:  # a restarted process begins at the part's first page
                done[part] = count
                tell(sum(done), pages)
    finally:
        left.set()
    return Journal.joined(journals)
