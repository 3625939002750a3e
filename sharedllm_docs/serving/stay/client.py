"""The client's side: finds the process for an index and its settings, starts one, and asks it as one asks an ``Index``.

Imports nothing heavy: from the shell, this is what stands between the return key and the first word.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.serving.stay.door import knock
from sharedllm_docs.serving.stay.place import NoPlaceError, runtime_folder
from sharedllm_docs.serving.stay.settings import Settings, absolute_url, is_local
from sharedllm_docs.serving.stay.wire import (
    GoneError,
    Message,
    added_of,
    answer_of,
    document_of,
    error_of,
    receive,
    send,
    warning_of,
)
from sharedllm_docs.streams import Stream

if TYPE_CHECKING:
    import socket

    from sharedllm_docs.documents.readers.options import ReadOptions
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.index.views import AddedDocument, DocumentInfo
    from sharedllm_docs.retrieval.answer import Answer

_START = (
    "import json, sys; told = json.loads(sys.stdin.readline()); sys.path[:] = told.pop('path'); "
    "from sharedllm_docs.serving.stay.process import main; main(told)"
)
PATIENCE = 20.0
"""Seconds that a running process has to say that it is there; it may be computing on a busy machine."""
START_PATIENCE = 60.0
"""Seconds that a client waits for a process that it has started to listen."""
_LEAVING = "LeavingError"
NO_NAMES: Mapping[str, str] = {}
T = TypeVar("T")


class StayedProcessError(SharedLLMError):
    """The process that stays ended while it answered, and part of the answer had been printed."""

    exit_code = 75  # the same command goes on from there


class Step(NamedTuple):
    """How far an operation has come; see ``sharedllm_docs.Progress``, whose module loads torch."""

    stage: str
    done: int
    total: int
    unit: str


def find(settings: Settings) -> socket.socket | None:
    """A connection to the running process of these settings; None where there is none, or one that says nothing."""
    try:
        connection = knock(runtime_folder(), settings.key)
    except NoPlaceError:
        return None
    if connection is None or _speaks(connection):
        return connection
    connection.close()
    return None


def _speaks(connection: socket.socket) -> bool:
    """Whether the process at the other end of a connection answers, and is not suspended."""
    connection.settimeout(PATIENCE)
    try:
        send(connection, {"call": "status", "arguments": {}, "names": {}})
        receive(connection)
    except GoneError:
        return False
    connection.settimeout(None)
    return True


def start(settings: Settings, *, keep_seconds: float, max_memory: int | None) -> socket.socket:
    """Start the process of these settings, and connect to it; of two started at once, one stays.

    Args:
        settings: what it is for.
        keep_seconds: seconds without a question after which it leaves.
        max_memory: bytes of memory of its own above which it leaves; None for no bound.

    Raises:
        NoPlaceError: there is no private folder for its socket.
        StayedProcessError: it did not come up.
    """
    folder = runtime_folder()
    told = {
        "path": [os.path.abspath(entry) for entry in sys.path],
        "folder": str(folder),
        "key": settings.key,
        "url": settings.url,
        "options": dict(settings.options),
        "keep_seconds": keep_seconds,
        "max_memory": max_memory,
    }
    word = _spawn(told, settings.folder or str(folder))
    until = time.monotonic() + START_PATIENCE
    while word in ("ready", "taken") and time.monotonic() < until:
        connection = knock(folder, settings.key)
        if connection is not None:
            return connection
        time.sleep(0.05)  # another one was faster, and does not listen yet
    raise StayedProcessError("The process that stays did not come up.", remedy="--no-stay does without it.")


def _spawn(told: Mapping[str, Any], folder: str) -> str:
    """Start a process that outlives this one; gives the word that it says once it listens, "" where it ended."""
    detached: dict[str, Any] = {"start_new_session": True}
    if os.name == "nt":
        detached = {"creationflags": 0x00000008 | 0x00000200}  # DETACHED_PROCESS | CREATE_NEW_PROCESS_GROUP
    try:
        started = subprocess.Popen(
            [sys.executable, "-c", _START, "sharedllm-docs-stay", str(told["url"])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=folder,
            **detached,
        )
        with cast("IO[bytes]", started.stdin) as told_to, cast("IO[bytes]", started.stdout) as said:
            told_to.write(json.dumps(told).encode("ascii") + b"\n")
            told_to.flush()
            word: bytes = said.readline()
            return word.decode("ascii", "replace").strip()
    except OSError:
        return ""


def _place(source: str) -> str:
    """A file's path from any working directory."""
    return os.path.join(os.getcwd(), source) if is_local(source) and not os.path.isabs(source) else source


class StayedIndex:
    """An index in a process that stays, with those methods of ``Index`` that commands call.

    Results, errors, warnings and pieces are those of ``Index``. Where the process ends before anything of an answer was
    shown, the question is asked of the next one, and at last of an index opened here.

    Args:
        url: of the index, as the user wrote it.
        connect: gives a connection to the process, started if need be; None where there is none.
        alone: opens the index in this process.
        create: make the index where there is none.
        keep_seconds: seconds without a question after which the process leaves; None leaves that to it.
        report: called with a sentence before each slow step.
        meanwhile: called once, when the first question is on its way.
        ahead: a file and how it is read, which the process may begin with before the index is open.
    """

    def __init__(
        self,
        url: str,
        connect: Callable[[], socket.socket | None],
        alone: Callable[[], Index],
        *,
        create: bool,
        keep_seconds: float | None,
        report: Callable[[str], None],
        meanwhile: Callable[[], None] = lambda: None,
        ahead: tuple[str, ReadOptions] | None = None,
    ) -> None:
        self.url = url.partition("://")[2] if is_local(url) and "://" in url else url
        self._connect, self._open_alone, self._report = connect, alone, report
        self._opening: dict[str, Any] = {"create": create, "keep_seconds": keep_seconds}
        if ahead is not None:
            self._opening["ahead"] = {"source": _place(ahead[0]), "reading": asdict(ahead[1])}
        self._names = {absolute_url(url): self.url} if is_local(url) else {}
        self._connection: socket.socket | None = None
        self._pending = False
        self._alone: Index | None = None
        self._meanwhile: Callable[[], None] | None = meanwhile
        self._ready()

    # -- as ``Index`` has them --------------------------------------------------------------------------------------

    def ask(self, question: str, **options: Any) -> Answer:
        """``Index.ask``."""
        told = {"question": question, "options": options, "stream": False}
        return self._asked("ask", told, lambda index: index.stream(question, **options)).result

    def stream(self, question: str, **options: Any) -> Stream[Answer]:
        """``Index.stream``."""
        told = {"question": question, "options": options, "stream": True}
        return self._asked("ask", told, lambda index: index.stream(question, **options))

    def summarise(self, reference: str, **options: Any) -> Answer:
        """``Index.summarise``."""
        told = {"reference": reference, "options": options, "stream": False}
        return self._asked("summarise", told, lambda index: index.stream_summary(reference, **options)).result

    def stream_summary(self, reference: str, **options: Any) -> Stream[Answer]:
        """``Index.stream_summary``."""
        told = {"reference": reference, "options": options, "stream": True}
        return self._asked("summarise", told, lambda index: index.stream_summary(reference, **options))

    def add(self, source: str, *, progress: Callable[[Any], None] | None = None, **options: Any) -> AddedDocument:
        """``Index.add`` of a file, with ``options`` and any other keywords that JSON can represent."""
        place = _place(source)
        others = {name: value for name, value in options.items() if name != "options"}
        told = {"source": place, "reading": asdict(options["options"]), "others": others}
        return self._call(
            "add",
            told,
            lambda index: index.add(source, progress=progress, **options),
            added_of,
            progress,
            {place: source, str(Path(place)): str(Path(source))},
        )

    def read(self, reference: str, *, progress: Callable[[Any], None] | None = None) -> int:
        """``Index.read``."""
        return self._call(
            "read", {"reference": reference}, lambda index: index.read(reference, progress=progress), int, progress
        )

    def documents(self) -> list[DocumentInfo]:
        """``Index.documents``."""
        return self._call("documents", {}, lambda index: index.documents(), lambda told: [*map(document_of, told)])

    def document(self, reference: str) -> DocumentInfo:
        """``Index.document``."""
        return self._call("document", {"reference": reference}, lambda index: index.document(reference), document_of)

    def size(self) -> int:
        """``Index.size``."""
        return self._call("size", {}, lambda index: index.size(), int)

    def close(self) -> None:
        """Let go of the process; it stays for the next command."""
        self._pending = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # -- how --------------------------------------------------------------------------------------------------------

    def _ready(self) -> None:
        """Connect and open, in a new process where the one that was there leaves just now; else alone."""
        for _try in range(2):
            self._connection = self._connect()
            if self._connection is None:
                break
            try:
                for _kind, _result in self._exchange("open", self._opening):
                    pass
                self._opening.pop("ahead", None)  # a process that is asked later finds the index, and the file in it
                return
            except GoneError:
                self.close()
            except BaseException:
                self.close()
                raise
        self._alone = self._open_alone()

    def _here(self) -> Index | None:
        """The index opened in this process, where no other has it."""
        if self._alone is None and self._connection is None:
            self._ready()
        return self._alone

    def _give_up(self) -> Index:
        """The index opened in this process, from now on."""
        self.close()
        self._alone = self._open_alone()
        return self._alone

    def _call(
        self,
        name: str,
        arguments: Mapping[str, Any],
        alone: Callable[[Index], T],
        decoded: Callable[[Any], T],
        progress: Callable[[Any], None] | None = None,
        names: Mapping[str, str] = NO_NAMES,
    ) -> T:
        """The result of a request.

        Args:
            name: of the request.
            arguments: of the request.
            alone: does the same with an index in this process.
            decoded: makes the result of what JSON has of it.
            progress: called with each step.
            names: places as the process knows them, and as the user wrote them.
        """
        for _try in range(2):
            index = self._here()
            if index is not None:
                return alone(index)
            try:
                with self._cancelled_by_ctrl_c():
                    return decoded([told for _, told in self._exchange(name, arguments, names, progress)][-1])
            except GoneError:
                self.close()
        return alone(self._give_up())

    def _asked(
        self, name: str, arguments: Mapping[str, Any], alone: Callable[[Index], Stream[Answer]]
    ) -> Stream[Answer]:
        """A question on its way: the process computes while the command gets ready to print; arguments as ``_call``."""
        sent = False
        if self._here() is None:
            with contextlib.suppress(GoneError):
                self._send(name, arguments)
                sent = True
            if self._meanwhile is not None:
                self._meanwhile()
                self._meanwhile = None
        return Stream(self._pieces(name, arguments, alone, sent=sent))

    def _pieces(
        self, name: str, arguments: Mapping[str, Any], alone: Callable[[Index], Stream[Answer]], *, sent: bool
    ) -> Generator[str, None, Answer]:
        """The pieces of an answer, and the answer; ``sent`` where the question is on its way."""
        shown = False
        for attempt in range(2):
            index = self._here()
            if index is not None:
                return (yield from _all(alone(index)))
            try:
                if attempt or not sent:
                    self._send(name, arguments)
                for kind, told in self._received():
                    if kind == "result":
                        return answer_of(told)
                    shown = True
                    yield told
            except GoneError as error:
                self.close()
                if shown:
                    raise StayedProcessError(
                        "The process that stays ended in the middle of this answer.",
                        remedy="Ask again; --no-stay does without it.",
                    ) from error
            except BaseException as error:
                if not isinstance(error, Exception):
                    self.close()  # Ctrl-C: the process sees that nobody waits for the answer any more
                raise
        return (yield from _all(alone(self._give_up())))

    def _exchange(
        self,
        name: str,
        arguments: Mapping[str, Any],
        names: Mapping[str, str] = NO_NAMES,
        progress: Callable[[Any], None] | None = None,
    ) -> Iterator[tuple[str, Any]]:
        """Send a request; gives (``piece``, text) for each piece and (``result``, value) at last.

        Raises:
            GoneError: the process has ended, or takes no more work.
            SharedLLMError, ...: what was raised there.
        """
        self._send(name, arguments, names)
        yield from self._received(progress)

    def _send(self, name: str, arguments: Mapping[str, Any], names: Mapping[str, str] = NO_NAMES) -> None:
        if (
            self._pending
        ):  # the last answer was left half-way: what is still to come of it must not be taken for this one
            self.close()
        if self._connection is None:
            raise GoneError("not connected")
        self._pending = True
        send(self._connection, {"call": name, "arguments": arguments, "names": {**self._names, **names}})

    def _received(self, progress: Callable[[Any], None] | None = None) -> Iterator[tuple[str, Any]]:
        while True:
            if self._connection is None:
                raise GoneError("not connected")
            message = receive(self._connection)
            self._pending = not ("result" in message or "error" in message)
            if "piece" in message:
                yield "piece", message["piece"]
            elif "result" in message:
                yield "result", message["result"]
                return
            else:
                self._take(message, progress)

    def _take(self, message: Message, progress: Callable[[Any], None] | None) -> None:
        if "error" in message:
            if message["error"]["type"] == _LEAVING:
                raise GoneError(message["error"]["message"])
            raise error_of(message["error"])
        if "report" in message:
            self._report(message["report"])
        elif "warning" in message:
            warnings.warn(warning_of(message["warning"]), stacklevel=2)
        elif "progress" in message and progress is not None:
            progress(Step(*message["progress"]))

    @contextlib.contextmanager
    def _cancelled_by_ctrl_c(self) -> Iterator[None]:
        """Within the block, Ctrl-C cancels the request, and the process reports the outcome; a second Ctrl-C leaves.

        An exception in the midst of a message would lose part of it, so the first Ctrl-C raises none here.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.getsignal(signal.SIGINT)

        def cancel(_number: int, _frame: Any) -> None:
            signal.signal(signal.SIGINT, before)
            if self._connection is not None:
                with contextlib.suppress(GoneError):
                    send(self._connection, {"cancel": True})

        if before is signal.default_int_handler:
            signal.signal(signal.SIGINT, cancel)
        try:
            yield
        except KeyboardInterrupt:
            if signal.getsignal(signal.SIGINT) is before:
                self.close()
            raise
        finally:
            signal.signal(signal.SIGINT, before)


def _all(stream: Stream[Answer]) -> Generator[str, None, Answer]:
    yield from stream
    return stream.result
