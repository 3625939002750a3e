"""The process itself: holds its lock, listens on its socket, gives each client a session, and ends in time."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sharedllm_docs.serving.resident import Resident
from sharedllm_docs.serving.stay.door import Door, knock
from sharedllm_docs.serving.stay.place import ABOUT, LOCK, LOG
from sharedllm_docs.serving.stay.session import Session, report, warnings_told
from sharedllm_docs.version import __version__

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index

TICK = 0.5
"""Seconds between two looks at idle time and memory."""
HANDOVER = 20.0
"""Seconds that a process waits for one of the same settings to end which is about to leave."""
GRACE = 10.0
"""Seconds that an answer in hand has to notice that the process is to end."""


class Process:
    """A process that stays, for one index and its settings.

    Args:
        folder: private folder of the user's, for its files.
        key: of its settings.
        url: of the index, absolute.
        options: keywords of ``Index.open``; a ``profile`` may be a dictionary.
        keep_seconds: seconds without a question after which it leaves.
        max_memory: bytes of memory of its own above which it leaves; None for no bound.
    """

    def __init__(
        self,
        folder: Path,
        key: str,
        url: str,
        options: Mapping[str, Any],
        *,
        keep_seconds: float | None,
        max_memory: int | None,
    ) -> None:
        self.folder, self.key, self.url, self.options = folder, key, url, dict(options)
        self.resident = Resident(self._open, keep_seconds=keep_seconds, max_memory=max_memory)
        self._ended = ""

    def _open(self, create: bool) -> Index:
        from sharedllm_docs.config import Profile
        from sharedllm_docs.index.index import Index

        options = self.options
        if isinstance(options.get("profile"), dict):
            options = {**options, "profile": Profile.from_dict(options["profile"])}
        opening = Index.open_or_create if create else Index.open
        return opening(self.url, report=report, **options)

    def end(self, reason: str) -> None:
        """Let it end now; the answer in hand is left."""
        self._ended = self._ended or reason

    def run(self, ready: Callable[[str], None], prepare: Callable[[], None] = lambda: None) -> None:
        """Serve until it is time to leave.

        Args:
            ready: called with ``ready`` once it listens, or with ``taken`` where another process of the same settings
                does; then it returns.
            prepare: called before the first client is served.
        """
        from filelock import FileLock

        lock = FileLock(self.folder / (self.key + LOCK), mode=0o600)
        if not self._alone(lock):
            ready("taken")
            return
        try:
            with contextlib.closing(Door(self.folder, self.key)) as door:
                self._note()
                ready("ready")
                prepare()
                with warnings_told():
                    self._serve(door)
            self._finish()
        finally:
            for ending in (ABOUT, LOG, LOCK):  # a lock that is taken away meanwhile is none: whoever waits tries again
                with contextlib.suppress(OSError):
                    (self.folder / (self.key + ending)).unlink(missing_ok=True)
            lock.release()

    def _alone(self, lock: Any) -> bool:
        """Take the lock; False where another process holds it and takes questions."""
        from filelock import Timeout

        until = time.monotonic() + HANDOVER
        while True:
            try:
                lock.acquire(timeout=0.05)
                return True
            except Timeout:
                if (other := knock(self.folder, self.key)) is not None:
                    other.close()
                    return False
                if time.monotonic() > until:  # it neither listens nor ends
                    return False

    def _note(self) -> None:
        """Tell ``status`` and ``stop`` what this process is about."""
        about = {"pid": os.getpid(), "url": self.url, "options": self.options, "version": __version__}
        place = self.folder / (self.key + ABOUT)
        scratch = place.with_suffix(f".{os.getpid()}")
        with open(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="ascii") as file:
            json.dump({**about, "begun": time.time()}, file)
        os.replace(scratch, place)

    def _serve(self, door: Door) -> None:
        while not (self._ended or self.resident.leaving or self.resident.reason_to_leave()):
            if select.select([door], [], [], TICK)[0]:
                threading.Thread(target=self._welcome, args=(door.take(),), daemon=True).start()

    def _welcome(self, knocking: Any) -> None:
        connection = knocking()
        if connection is not None:
            Session(connection, self.resident, lambda: self._ended).run()

    def _finish(self) -> None:
        """Nobody finds the process any more; finish what is in hand."""
        self.resident.leave(self._ended or self.resident.reason_to_leave() or "it is time")
        if not self.resident.wait_until_idle(GRACE if self._ended else 3600.0):
            return
        self.resident.close()


def prepare() -> None:
    """Import what the first question needs, while the client that asks it is still on its way."""
    with contextlib.suppress(ImportError):  # reported where the package is needed
        import sharedllm_docs.index.engine
        import sharedllm_docs.index.ingest
        import sharedllm_docs.model.shared_llm  # noqa: F401


def main(told: Mapping[str, Any]) -> None:
    """Run as a process of its own; what ``client`` starts.

    Args:
        told: arguments of ``Process``.
    """
    process = Process(**{**told, "folder": Path(told["folder"])})
    signal.signal(signal.SIGTERM, lambda _number, _frame: process.end("it was sent SIGTERM"))
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def ready(word: str) -> None:
        sys.stdout.write(word + "\n")
        sys.stdout.flush()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1):  # the client waits for the end of stdout
            os.dup2(nowhere, stream)
        if word == "ready":
            log = os.open(process.folder / (process.key + LOG), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            os.dup2(log, 2)

    process.run(ready, prepare)
    os._exit(0)  # all is closed; taking torch down would only take time
