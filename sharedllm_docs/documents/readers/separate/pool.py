"""Lends out processes that read: started when first needed, used again, ended with this process."""

from __future__ import annotations

import atexit
import os
import threading

from sharedllm_docs.documents.readers.separate.process import ReadingProcess

_KEPT = 4  # processes that wait for the next document: as many as share a long one


class Pool:
    """Processes that wait for work."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[ReadingProcess] = []

    def take(self) -> ReadingProcess:
        """A process that waits, or a new one. Raises DocumentError when none can be started."""
        while True:
            with self._lock:
                process = self._waiting.pop() if self._waiting else None
            if process is None:
                return ReadingProcess()
            if process.alive:
                return process
            process.end()

    def give_back(self, process: ReadingProcess) -> None:
        """A process that has answered."""
        with self._lock:
            keep = process.alive and len(self._waiting) < _KEPT
            if keep:
                self._waiting.append(process)
        if not keep:
            process.end()

    def end(self) -> None:
        """End all that wait."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
        for process in waiting:
            process.end()

    def forget(self) -> None:
        """In a forked child: the processes are the parent's."""
        self._lock = threading.Lock()
        self._waiting = []


POOL = Pool()
atexit.register(POOL.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=POOL.forget)
