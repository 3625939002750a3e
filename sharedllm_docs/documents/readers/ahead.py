"""Reading a file ahead of time: in a thread, while a model is being loaded."""

from __future__ import annotations

import os
import queue
import threading
from collections.abc import Callable

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.base import Progress
from sharedllm_docs.documents.readers.options import ReadOptions

Read = Callable[[str, ReadOptions, Progress], Document]


class _LeftError(Exception):
    """Nobody waits for the document any more."""


class Ahead:
    """A file that is being read in a thread.

    Args:
        path: of the file.
        options: how it is read.
        read: reads it; called in the thread.
    """

    def __init__(self, path: str, options: ReadOptions, read: Read) -> None:
        self.options = options
        self._state = _state_of(path)
        self._path, self._read = path, read
        self._told: queue.SimpleQueue[tuple[int, int] | None] = queue.SimpleQueue()
        self._left = threading.Event()
        self._document: Document | None = None
        self._error: BaseException | None = None
        # daemon: a slow file must not keep the interpreter from ending with an error
        self._thread = threading.Thread(target=self._work, name="sharedllm-docs-ahead", daemon=True)
        self._thread.start()

    def _work(self) -> None:
        try:
            self._document = self._read(self._path, self.options, self._tell)
        except BaseException as error:  # raised where the result is requested
            self._error = error
        finally:
            self._told.put(None)

    def _tell(self, done: int, total: int) -> None:
        if self._left.is_set():
            raise _LeftError
        self._told.put((done, total))

    def is_of_now(self) -> bool:
        """Whether the file is still the one that was opened, unchanged."""
        return self._state is not None and _state_of(self._path) == self._state

    def leave(self) -> None:
        """Stop: nobody waits for it any more. The reading ends with the current page."""
        self._left.set()

    def _latest(self) -> tuple[int, int] | None:
        """Wait for progress; of several steps only the last, since what is done already took no time of the caller's.

        Returns:
            (pages done, pages to read), or None at the end.
        """
        told = self._told.get()
        while told is not None and not self._told.empty():
            later = self._told.get()
            if later is None:
                self._told.put(None)
                break
            told = later
        return told

    def result(self, progress: Progress | None) -> Document:
        """Wait for the document; ``progress`` is called in this thread, also for what was done before.

        Raises:
            what reading raised, or ``progress`` raises.
        """
        try:
            while (told := self._latest()) is not None:
                if progress is not None:
                    progress(*told)
        except BaseException:
            self.leave()
            raise
        if self._error is not None:
            raise self._error
        assert self._document is not None
        return self._document


def _state_of(path: str) -> tuple[int, int, int] | None:
    """Which file it is, its size and the time of its last change; None if there is no file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


_begun: dict[str, Ahead] = {}
_lock = threading.Lock()


def taken(source: object, options: ReadOptions) -> Ahead | None:
    """The reading of this file with these options that was begun ahead, returned only once; None if there is none."""
    if not _begun or not isinstance(source, (str, os.PathLike)):
        return None
    place = os.path.abspath(os.fspath(source))
    with _lock:
        begun = _begun.get(place)
        if begun is None or begun.options != options:
            return None
        del _begun[place]
    if begun.is_of_now():
        return begun
    begun.leave()  # the file was changed: what is read of the old one is of no use to anybody
    return None


def begin(path: str, options: ReadOptions) -> Ahead | None:
    """Begin to read a file, so that ``read_document`` can use the result if it is called for the same file.

    If it is not a file, ``read_document`` raises the errors. Nothing is begun either if this process itself would read
    it: the interpreter must not end while a thread runs in a reader's library.

    Returns:
        What ``forget`` takes; None if nothing was begun.

    Raises:
        ConfigError: the variable that says which process reads has an unknown value.
    """
    from sharedllm_docs.documents.readers.read import read_quietly
    from sharedllm_docs.documents.readers.separate.reading import reads_apart

    place = os.path.abspath(path)
    if not os.path.isfile(place) or not reads_apart(options):
        return None
    begun = Ahead(place, options, lambda path, options, tell: read_quietly(path, options=options, progress=tell))
    with _lock:
        before = _begun.get(place)
        _begun[place] = begun
    if before is not None:
        before.leave()
    return begun


def forget(begun: Ahead) -> None:
    """Stop a reading that was begun, unless somebody has requested its result."""
    with _lock:
        waiting = [place for place, one in _begun.items() if one is begun]
        for place in waiting:
            del _begun[place]
    if waiting:
        begun.leave()


def _none_begun() -> None:
    """In a forked child: the threads are the parent's."""
    global _lock
    _lock = threading.Lock()
    _begun.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_none_begun)
