"""Writes files in a thread of its own, in order, so that encoding is not held up by the disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Job = Callable[[], None]

QUEUE_LENGTH = 2
"""Maximum number of shards that wait: bounds the memory when the disk is slower than the model."""


class BackgroundWriter:
    """Runs jobs one after the other. After a job has failed, later ones are dropped and the failure is raised."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Job | None] = queue.Queue(QUEUE_LENGTH)
        self._failure: BaseException | None = None
        # daemon: a second Ctrl-C while the last shard is written must not hang the interpreter's end
        self._thread = threading.Thread(target=self._work, name="sharedllm-docs-writer", daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a job, waiting while the queue is full. Raises the failure of an earlier job."""
        self._raise_failure()
        self._jobs.put(job)

    def flush(self) -> None:
        """Wait until all jobs are done. Raises the failure of one of them."""
        self._jobs.join()
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
            try:
                if self._failure is None:
                    job()
            except BaseException as error:  # handed to the caller by the next submit, flush or close
                self._failure = error
            finally:
                self._jobs.task_done()
