"""One process that reads, as the caller sees it: start, ask, wait within limits, end."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

from sharedllm_docs.documents.readers.reasons import reason_of
from sharedllm_docs.documents.readers.separate import wire
from sharedllm_docs.documents.readers.separate.journal import WHOLE, How, Step
from sharedllm_docs.errors import DocumentError

# Isolated mode (-I) finds modules nowhere; then they are looked for where the caller looks. Nothing of the caller's own
# script is run, so a script needs no main guard, and a notebook or `python -` can read as well.
_START = (
    "import sys, json; sys.path[:] = json.loads(sys.stdin.buffer.readline()); "
    "from sharedllm_docs.documents.readers.separate.worker import main; main()"
)
_PATIENCE = 5  # times the processor time that a step may take, on the clock: other programs use the machine as well
_START_SECONDS = 120.0
_QUEUED = 64
_REMEDY = "Read in this process (process='own'), or allow processes to be started."

Message = tuple[dict[str, Any], list[bytes]]


class Died(Exception):  # noqa: N818 - no error yet: it may be started again
    """The process ended, or was ended, at a step.

    Attributes:
        step: what it was doing; None where it had not even taken the request.
        how: what happened.
    """

    def __init__(self, step: Step | None, how: How, reason: str) -> None:
        self.step, self.how, self.reason = step, how, reason
        super().__init__(reason)


def _module_folders() -> list[str]:
    """Where modules are looked for; without the working directory where it has been removed."""
    folders = []
    for path in sys.path:
        try:
            folders.append(path or os.getcwd())
        except OSError:
            continue
    return folders


class ReadingProcess:
    """A started process; use it from one thread at a time.

    Raises:
        DocumentError: no process can be started.
    """

    def __init__(self) -> None:
        paths = _module_folders()
        flags = getattr(subprocess, "CREATE_NO_WINDOW", 0) | getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-c", _START],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                creationflags=flags,
            )
        except OSError as error:
            raise DocumentError(f"No process can be started that reads: {reason_of(error)}.", remedy=_REMEDY) from error
        self._messages: queue.Queue[Message | None] = queue.Queue(_QUEUED)
        self._ended = False
        self._reader = threading.Thread(target=self._listen, daemon=True)
        try:
            self._reader.start()
            if not self._starts(paths):
                raise DocumentError("The process that reads does not start.", remedy=_REMEDY)
        except BaseException:  # Ctrl-C too: nobody else knows of the process yet
            self.end()
            raise

    def _starts(self, paths: list[str]) -> bool:
        """Tell it where modules are, and wait until it is ready."""
        try:
            self._stdin.write(json.dumps(paths).encode("ascii") + b"\n")
            self._stdin.flush()
            return self._messages.get(timeout=_START_SECONDS) is not None
        except (OSError, queue.Empty):
            return False

    @property
    def _stdin(self) -> Any:
        return self._process.stdin

    @property
    def alive(self) -> bool:
        """Whether it can be asked."""
        return not self._ended and self._process.poll() is None

    def _listen(self) -> None:
        """Put what it says into the queue, None at last."""
        assert self._process.stdout is not None
        message: Message | None
        while True:
            try:
                message = wire.receive(self._process.stdout)  # type: ignore[arg-type]
            except (wire.WireError, OSError, ValueError):
                message = None
            while not self._ended:
                try:
                    self._messages.put(message, timeout=0.5)
                    break
                except queue.Full:
                    continue
            if message is None:
                self._process.wait()  # one that has ended, maybe while nobody asked, is no zombie
                return
            if self._ended:
                return

    def ask(self, request: dict[str, Any], blobs: Sequence[bytes]) -> None:
        """Send a request. Raises Died when the process is gone."""
        try:
            wire.send(self._stdin, request, blobs)
        except (OSError, ValueError) as error:
            raise Died(None, "crash", "the process that reads has ended") from error
        self._step: Step | None = None
        self._limits = float(request["page_seconds"]), float(request["whole_seconds"])
        self._max_memory = int(request["max_memory"])

    def next(self) -> Message:
        """The next message that is more than a step.

        Raises:
            Died: it crashed, grew beyond its limit, or said nothing for longer than a step may take.
        """
        while True:
            seconds = self._limits[0 if self._step not in (None, WHOLE) else 1]
            try:
                message = self._messages.get(timeout=_PATIENCE * seconds)
            except queue.Empty:
                raise Died(self._step or WHOLE, "time", f"it took longer than {seconds:g} s") from None
            if message is None:
                raise self._death(seconds)
            if message[0].get("kind") != "step":
                return message
            name, page = message[0].get("name"), message[0].get("page")
            self._step = (str(name), page if isinstance(page, int) else None)

    def _death(self, seconds: float) -> Died:
        """How it ended, by its exit code."""
        try:
            code = self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            return Died(self._step or WHOLE, "crash", "the process that reads sent what is no answer")
        if code == wire.OUT_OF_MEMORY:
            return Died(self._step or WHOLE, "memory", f"it took more than {self._max_memory >> 20:,} MiB of memory")
        if os.name == "posix" and code == -signal.SIGXCPU:
            return Died(self._step or WHOLE, "time", f"it took longer than {seconds:g} s")
        if self._step is None and code == 0:
            return Died(None, "crash", "the process that reads has ended")
        name = signal.Signals(-code).name if os.name == "posix" and code < 0 else f"exit code {code}"
        return Died(self._step or WHOLE, "crash", f"it crashed ({name})")

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._ended = True
        self._process.kill()
        self._process.wait()
        if self._reader.ident is not None:
            self._reader.join(timeout=10)
        for file in (self._process.stdin, self._process.stdout):
            try:
                if file is not None:
                    file.close()
            except OSError:  # what was not written yet has no reader any more
                pass
