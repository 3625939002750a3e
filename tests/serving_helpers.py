"""A desk and a server around the tiny model, for tests: questions whose answers differ, and a real port."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from sharedllm_docs import Index
from sharedllm_docs.serving.desk import Desk
from tests.tiny_text import PAGES, tiny_document, tiny_llm

ALWAYS = {"relevance_floor": 0.0, "min_confidence": 0.0}
"""The tiny model writes nonsense; it is asked all the same."""
QUESTIONS = (
    "What does the heron wait for?",
    "What melts at a higher temperature than tin?",
    "How many lines has a sonnet?",
    "What does the lighthouse keeper write into the blue book?",
    "Who stands in the river?",
    "At what hour is the weather written?",
    "What is most often in iambic pentameter?",
    "Where is the fish?",
)


def new_index(name: str, llm: Any = None) -> Index:
    """An index in memory with the document of four pages."""
    index = Index.create(f"memory://serving-{name}-{next(_NUMBERS)}", llm or tiny_llm())
    index.add(tiny_document(*PAGES, name="pages.txt"))
    index.add(tiny_document("Tea is grown on hills.", "Rice is grown in water.", name="crops/tea & rice.txt"))
    return index


_NUMBERS = count()


class Gate:
    """Lets a model's steps through one by one, so that a test does not depend on how fast they are.

    Attributes:
        steps: number of calls so far.
    """

    def __init__(self, desk: Desk) -> None:
        self.steps = 0
        self._permits = threading.Semaphore(0)
        self._changed = threading.Condition()
        batches = desk._batches
        inner = batches._step_lane

        def step(lane: Any) -> None:
            self._permits.acquire()
            with self._changed:
                self.steps += 1
                self._changed.notify_all()
            inner(lane)

        batches._step_lane = step  # type: ignore[method-assign]

    def let(self, steps: int) -> None:
        """Let so many more steps through."""
        self._permits.release(steps)

    def open(self) -> None:
        """Let all through."""
        self._permits.release(1_000_000)

    def wait_for(self, steps: int) -> None:
        """Wait until so many steps have begun."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.steps >= steps, timeout=60)


async def until(condition: Any) -> None:
    """Wait until a condition holds, at most a minute."""
    for _ in range(6000):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to hold")


@contextmanager
def running(app: Any, **settings: Any) -> Iterator[str]:
    """A real server on a free port of this machine, in a thread; gives its address."""
    import uvicorn

    from sharedllm_docs.serving.http.server import config_of

    server = uvicorn.Server(config_of(app, app.state.settings.model_copy(update={"port": 0, **settings})))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            thread.join(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)
