"""Writes files in a thread of its own, in order, so that encoding is not held up by the disk."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

Job = Callable[[], None]

QUEUE_LENGTH = 2
"""Shards waiting at most: bounds the memory when the disk is slower than the model."""


class BackgroundWriter:
    """Runs jobs one after the other. After a job failed, later ones are dropped and the failure is raised.

    Attributes:
        busy_seconds: spent in jobs.
        waited_seconds: that ``submit`` and ``flush`` kept the caller waiting.
    """

    def __init__(self) -> None:
        self.busy_seconds = 0.0
        self.waited_seconds = 0.0
        self._jobs: queue.Queue[Job | None] = queue.Queue(QUEUE_LENGTH)
        self._failure: BaseException | None = None
        # daemon: a second Ctrl-C while the last shard is written must not hang the interpreter's end
        self._thread = threading.Thread(target=self._work, name="sharedllm-docs-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job, waiting while the queue is full. Raises the failure of an earlier job."""
        self._raise_failure()
        begun = time.perf_counter()
        self._jobs.put(job)
        self.waited_seconds += time.perf_counter() - begun

    def flush(self) -> None:
        """Wait until all jobs are done. Raises the failure of one of them."""
        begun = time.perf_counter()
        self._jobs.join()
        self.waited_seconds += time.perf_counter() - begun
        self._raise_failure()

    def close(self) -> None:
        """Finish what is queued and end the thread. Raises the failure of a job not raised before."""
        self._jobs.put(None)
        self._thread.join()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            begun = time.perf_counter()
            try:
                if self._failure is None:
                    job()
            except BaseException as error:  # handed to the caller by the next submit, flush or close
                self._failure = error
            finally:
                self.busy_seconds += time.perf_counter() - begun
                self._jobs.task_done()
