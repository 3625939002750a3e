"""What runs in the process that reads: takes requests from standard input until it ends, answers on standard output.

It limits itself where the system can: processor time of each step, address space and resident memory. It ends when the
process that started it is gone, and when nothing has been asked for a while.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from typing import Any, BinaryIO, TypeVar

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.separate import wire
from sharedllm_docs.documents.readers.separate.journal import WHOLE
from sharedllm_docs.documents.readers.separate.plain import from_plain, to_plain
from sharedllm_docs.documents.readers.source import HEAD_BYTES, Source
from sharedllm_docs.documents.readers.steps import watched
from sharedllm_docs.errors import SharedLLMError

try:
    import resource
except ImportError:  # Windows has no such limits; the caller's clock and its own memory limits are left
    resource = None  # type: ignore[assignment]

T = TypeVar("T")

_IDLE_SECONDS = 300.0
_LOOK_SECONDS = 0.05
_ADDRESS_SPACE = 4 << 30  # beyond the memory limit: threads and libraries reserve what they never use
_PARALLEL_STEPS = frozenset({"ocr"})  # their processor time is that of several threads


class _Guard:
    """Watches this process from a thread of it."""

    def __init__(self) -> None:
        self.limit: int | None = None  # bytes, while something is read
        self.idle_since = time.monotonic()
        self._parent = os.getppid()
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS if self.limit else 1.0)
            if os.getppid() != self._parent:
                os._exit(0)
            if self.limit is None:
                if time.monotonic() - self.idle_since > _IDLE_SECONDS:
                    os._exit(0)
            elif resident_bytes() > self.limit:
                os._exit(wire.OUT_OF_MEMORY)


def resident_bytes() -> int:
    """Memory of this process: the present use if the system reports it, else the peak; 0 if unknown."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        pass
    if resource is None:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class _Watch:
    """Tells the caller of steps and bounds their processor time. See ``steps.Watch``."""

    def __init__(self, out: BinaryIO, request: dict[str, Any]) -> None:
        self._out = out
        self._page_seconds, self._whole_seconds = request["page_seconds"], request["whole_seconds"]
        self._failed = {(name, page): reason for name, page, reason in request["failed"]}
        self._given_up: dict[str, str] = request["given_up"]
        self._pages = dict(request.pop("pages"))  # each goes once it is asked for: thousands fill the memory
        self._steps: list[tuple[str, int | None]] = []

    def refused(self, name: str, page: int | None) -> str:
        return self._failed.get((name, page)) or (self._given_up.get(name, "") if page is not None else "")

    def entered(self, name: str, page: int | None) -> None:
        self._steps.append((name, page))
        self._now()

    def left(self) -> None:
        self._steps.pop()
        if self._steps:
            self._now()

    def grown(self) -> None:
        os._exit(wire.OUT_OF_MEMORY)

    def known(self, page: int, kind: type[T]) -> T | None:
        value = self._pages.pop(page, None)
        return None if value is None else from_plain(kind, value)  # type: ignore[no-any-return]

    def keep(self, page: int, value: object) -> None:
        wire.send(self._out, {"kind": "page", "page": page, "value": to_plain(value)})

    def _now(self) -> None:
        name, page = self._steps[-1]
        wire.send(self._out, {"kind": "step", "name": name, "page": page})
        if resource is not None:
            seconds = self._whole_seconds if (name, page) == WHOLE else self._page_seconds
            seconds *= (os.cpu_count() or 1) if name in _PARALLEL_STEPS else 1
            used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
            _lower(resource.RLIMIT_CPU, int(used + seconds) + 1)


def _lower(which: int, bound: int) -> None:
    """Set a soft limit, which the hard one bounds."""
    hard = resource.getrlimit(which)[1]
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(which, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))


def main() -> None:
    """Serve until standard input ends."""
    given, out = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    with open(os.devnull, "r+b") as nothing:  # what libraries print must not come between messages
        os.dup2(nothing.fileno(), 0)
        os.dup2(nothing.fileno(), 1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the one who asked; that one ends this process
    if resource is not None:
        _lower(resource.RLIMIT_CORE, 0)
    guard = _Guard()
    wire.send(out, {"kind": "ready"})
    while (received := wire.receive(given)) is not None:
        request, blobs = received
        guard.limit = request["max_memory"]
        if resource is not None and sys.platform == "linux":
            _lower(resource.RLIMIT_AS, _address_space() + request["max_memory"] + _ADDRESS_SPACE)
        try:
            _serve(out, request, blobs)
        except MemoryError:
            os._exit(wire.OUT_OF_MEMORY)
        del received, request, blobs
        if resident_bytes() > guard.limit // 2:
            return  # what libraries hold on to goes back to the system
        guard.idle_since, guard.limit = time.monotonic(), None


def _address_space() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _serve(out: BinaryIO, request: dict[str, Any], blobs: list[bytes]) -> None:
    from sharedllm_docs.documents.readers.ocr import engines

    engines.only(request["recogniser"])
    watch = _Watch(out, request)
    try:
        with watched(watch):
            watch.entered(*WHOLE)
            source = _source(request["source"], blobs)
            if request["kind"] == "embedded":
                found = _embedded(source, request)
                wire.send(out, {"kind": "done", "names": [name for name, _ in found]}, [data for _, data in found])
            elif request["kind"] == "picture":
                _send_picture(out, source, request)
            elif request["kind"] == "count":
                wire.send(out, {"kind": "done", "pages": _divisible(request).count_pages(source, _options(request))})
            elif request["kind"] == "part":
                _read_part(out, source, request)
            else:
                wire.send(out, {"kind": "done", **_document(out, source, request)})
    except SharedLLMError as error:
        kind = type(error).__name__
        wire.send(out, {"kind": "error", "error": kind, "message": error.message, "remedy": error.remedy})


def _source(values: dict[str, Any], blobs: list[bytes]) -> Source:
    from pathlib import Path

    if values["path"] is None:
        return Source(values["name"], values["size"], values["sha256"], blobs[0][:HEAD_BYTES], data=blobs[0])
    path = Path(values["path"])
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    return Source(values["name"], values["size"], values["sha256"], head, path=path)


def _options(request: dict[str, Any]) -> Any:
    from sharedllm_docs.documents.readers.options import ReadOptions

    return ReadOptions(**request["options"])


def _document(out: BinaryIO, source: Source, request: dict[str, Any]) -> dict[str, Any]:
    from sharedllm_docs.documents.readers.base import listed_lines, recorded_words
    from sharedllm_docs.documents.readers.read import read_here
    from sharedllm_docs.documents.readers.registry import built_in

    def progress(done: int, total: int) -> None:
        wire.send(out, {"kind": "progress", "done": done, "total": total})

    with listed_lines() as lines, recorded_words() as words:
        document: Document = read_here(built_in(request["reader"]), source, _options(request), progress)
    return {
        "document": to_plain(document),
        "lines": to_plain(lines) if request["lines"] else [],
        "words": [[page, to_plain(found)] for page, found in words.items()] if request["words"] else [],
    }


def _divisible(request: dict[str, Any]) -> Any:
    from sharedllm_docs.documents.readers.registry import built_in

    return built_in(request["reader"])


def _read_part(out: BinaryIO, source: Source, request: dict[str, Any]) -> None:
    def progress(done: int, total: int) -> None:
        wire.send(out, {"kind": "progress", "done": done, "total": total})

    _divisible(request).read_part(source, _options(request), request["part"], request["parts"], progress)
    wire.send(out, {"kind": "done"})


def _send_picture(out: BinaryIO, source: Source, request: dict[str, Any]) -> None:
    from sharedllm_docs.documents.readers.pdf.draw import draw_page

    with source.open() as file:
        image = draw_page(file, source.name, request["page"], request["scale"], request["options"]["password"])
    values = {"width": image.width, "height": image.height, "rotation": image.rotation, "shown": list(image.shown)}
    wire.send(out, {"kind": "done", **values}, [image.rgb])


def _embedded(source: Source, request: dict[str, Any]) -> list[tuple[str, bytes]]:
    from sharedllm_docs.documents.readers.embedded import files_of
    from sharedllm_docs.documents.readers.registry import built_in

    return list(files_of(built_in(request["reader"]), source, _options(request)))


if __name__ == "__main__":
    main()
