"""One client's connection, on the process's side: takes its requests and answers them from the resident index."""

from __future__ import annotations

import contextlib
import select
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from sharedllm_docs.serving.resident import LeavingError, Resident
from sharedllm_docs.serving.stay.wire import GoneError, Message, error_message, receive, send, warning_message

if TYPE_CHECKING:
    import socket

    from sharedllm_docs.documents.readers.ahead import Ahead
    from sharedllm_docs.streams import Stream

_current = threading.local()
"""The session that this thread works for."""


class Session:
    """Requests of one client, one after the other.

    Args:
        connection: to the client.
        resident: the open index.
        stopped: why the work in hand is to be left, or "".
    """

    def __init__(self, connection: socket.socket, resident: Resident, stopped: Callable[[], str]) -> None:
        self._connection, self._resident, self._stopped = connection, resident, stopped
        self._names: dict[str, str] = {}
        self._gone = self._cancelled = False
        self._ahead: list[Ahead] = []

    def run(self) -> None:
        """Answer until the client leaves."""
        _current.session = self
        try:
            with self._connection, contextlib.suppress(GoneError):
                while True:
                    request = receive(self._connection)
                    if "call" in request:  # a cancel may come too late
                        self._cancelled = False
                        self._serve(request)
        finally:
            self._forget()

    def _forget(self) -> None:
        """Leave files that were begun and then not added."""
        if self._ahead:
            from sharedllm_docs.documents.readers.ahead import forget

            for begun in self._ahead:
                forget(begun)

    def _serve(self, request: Message) -> None:
        self._names = dict(request.get("names", {}))
        try:
            name, arguments = request["call"], request["arguments"]
            if name in _ABOUT_ITSELF:
                result = _ABOUT_ITSELF[name](self._resident)
            else:
                with self._resident.work():
                    result = getattr(self, f"_call_{name}")(**arguments)
        except GoneError:
            raise
        except BaseException as error:  # shown where the question was asked
            send(self._connection, error_message(error, self.rename))
        else:
            send(self._connection, {"result": result})

    def rename(self, text: str) -> str:
        """A text with the names of index and files as the client wrote them."""
        for ours, theirs in self._names.items():
            text = text.replace(ours, theirs).replace(repr(ours)[1:-1], repr(theirs)[1:-1])
        return text

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send something beside the result, unless the client has gone."""
        if not self._gone:
            try:
                send(self._connection, message)
            except GoneError:
                self._gone = True

    # -- being interrupted ------------------------------------------------------------------------------------------

    def unwanted(self) -> bool:
        """Whether nobody waits for the result any more: the client has gone, or says that it does not."""
        while not (self._gone or self._cancelled) and select.select([self._connection], [], [], 0)[0]:
            try:
                self._cancelled = "cancel" in receive(self._connection)
            except GoneError:
                self._gone = True
        return self._gone or self._cancelled

    def check(self) -> None:
        """Leave the work in hand where nobody waits for it, as Ctrl-C does in a process of one command.

        Raises:
            KeyboardInterrupt: nobody waits for the result.
            LeavingError: the process was asked to end.
        """
        if self.unwanted():
            raise KeyboardInterrupt
        if reason := self._stopped():
            raise LeavingError(f"The process that stays was ended: {reason}.", remedy="Ask again.")

    def _progress(self, step: Any) -> None:
        self.tell({"progress": [step.stage, step.done, step.total, step.unit]})
        self.check()

    # -- what can be asked for ----------------------------------------------------------------------------------------

    def _call_open(self, create: bool, keep_seconds: float | None, ahead: dict[str, Any] | None = None) -> None:
        if keep_seconds is not None:
            self._resident.keep_seconds = keep_seconds
        if ahead is not None:
            self._begin(**ahead)
        self._resident.index(create=create)

    def _begin(self, source: str, reading: dict[str, Any]) -> None:
        """Begin to read a file that is going to be added, while the index is opened and the model loaded."""
        from sharedllm_docs.documents.readers.ahead import begin
        from sharedllm_docs.documents.readers.options import ReadOptions

        begun = begin(source, ReadOptions(**reading))
        if begun is not None:
            self._ahead.append(begun)

    def _call_ask(self, question: str, options: dict[str, Any], stream: bool) -> Any:
        return self._answered(lambda index: index.stream(question, **options), stream)

    def _call_summarise(self, reference: str, options: dict[str, Any], stream: bool) -> Any:
        return self._answered(lambda index: index.stream_summary(reference, **options), stream)

    def _answered(self, begin: Callable[[Any], Stream[Any]], told: bool) -> Any:
        from sharedllm_docs.index.reading import checked

        with self._resident.turn(self.unwanted):
            self.check()
            index = self._resident.index()
            index.warn_again()
            with checked(self.check):
                pieces = begin(index)
            for piece in pieces:
                if told:
                    self.tell({"piece": piece})
                self.check()
            return pieces.result.to_dict()

    def _call_add(self, source: str, reading: dict[str, Any], others: dict[str, Any]) -> Any:
        from sharedllm_docs.documents.readers.options import ReadOptions

        options = ReadOptions(**reading)
        return asdict(self._resident.index().add(source, options=options, progress=self._progress, **others))

    def _call_read(self, reference: str) -> int:
        return self._resident.index().read(reference, progress=self._progress)

    def _call_documents(self) -> Any:
        return [asdict(info) for info in self._resident.index().documents()]

    def _call_document(self, reference: str) -> Any:
        return asdict(self._resident.index().document(reference))

    def _call_size(self) -> int:
        return self._resident.index().size()


def _stop(resident: Resident) -> dict[str, Any]:
    resident.leave("it was told to stop")
    return {}


_ABOUT_ITSELF: Mapping[str, Callable[[Resident], Any]] = {"status": lambda resident: resident.status(), "stop": _stop}
"""Requests that are no work: they neither keep it from leaving nor wait for anything."""


def report(sentence: str) -> None:
    """Tell the client that this thread works for what is being done."""
    session = getattr(_current, "session", None)
    if session is not None:
        session.tell({"report": sentence})


@contextmanager
def warnings_told() -> Iterator[None]:
    """Within the block, a warning of the project goes to the client that the thread works for; others nowhere."""
    import warnings

    from sharedllm_docs.errors import DocumentWarning, UnstoredRowsWarning

    def show(message: Warning | str, category: type[Warning], *_where: Any, **_more: Any) -> None:
        session = getattr(_current, "session", None)
        if session is not None and isinstance(message, (DocumentWarning, UnstoredRowsWarning)):
            session.tell(warning_message(message, session.rename))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for own in (DocumentWarning, UnstoredRowsWarning):
            warnings.simplefilter("always", own)
        warnings.showwarning = show
        yield
