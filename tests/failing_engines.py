"""Engines that crash, hang and grow for real. Used by test_readers_separate in the process that reads."""

from __future__ import annotations

import ctypes
import os
import signal
import time
from typing import Any


def segfault() -> None:
    """Read address 0 in native code."""
    ctypes.string_at(0)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def leave() -> None:
    os._exit(7)


def loop() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(3600)


def grow_slowly() -> None:
    held = []
    while True:
        held.append(bytes(1 << 20) + b"x")


def grow_at_once() -> None:
    data = bytearray(64 << 30)
    data[:] = b"x" * len(data)


def fill_the_pipe() -> None:
    """Write what is no message."""
    os.write(_out(), b"\xff" * 64)
    time.sleep(3600)


def _out() -> int:
    """The descriptor on which this process answers: the only other pipe it writes to."""
    import stat

    standard = (0, 1, 2)
    for name in sorted(os.listdir("/proc/self/fd"), key=int):
        number = int(name)
        if number not in standard and stat.S_ISFIFO(os.fstat(number).st_mode):
            import fcntl

            if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_WRONLY:
                return number
    raise AssertionError("no pipe to write to")


def put(place: str, how: str, pages: str) -> None:
    """Make what stands at ``place`` fail on these pages ("2,4", or "" for every call)."""
    import sharedllm_docs.documents.readers.pdf.read  # noqa: F401 - so that importing it takes no time of a step

    fail = globals()[how]
    if place == "picture":
        _put_picture(fail, pages)
        return
    wanted = {int(page) - 1 for page in pages.split(",") if page}
    kind, name = _PLACES[place]()
    original = getattr(kind, name)

    def failing(self: Any, index: Any = None, *given: Any, **named: Any) -> Any:
        if not wanted or index in wanted:
            fail()
        return original(self, index, *given, **named)

    setattr(kind, name, failing)


def _put_picture(fail: Any, pages: str) -> None:
    """The same where the picture of a page is drawn for somebody who looks at it."""
    from sharedllm_docs.documents.readers.pdf import draw

    original = draw.draw_page

    def failing(source: Any, name: str, number: int, *given: Any) -> Any:
        if not pages or str(number) in pages.split(","):
            fail()
        return original(source, name, number, *given)

    draw.draw_page = failing  # type: ignore[assignment]


def _pdfium(name: str) -> tuple[Any, str]:
    from sharedllm_docs.documents.readers.pdf.pdfium import PdfiumFile

    return PdfiumFile, name


def _pypdf(name: str) -> tuple[Any, str]:
    from sharedllm_docs.documents.readers.pdf.pypdf_file import PypdfFile

    return PypdfFile, name


def _html() -> tuple[Any, str]:
    from sharedllm_docs.documents.readers.html import HtmlReader

    return HtmlReader, "read"


class FakeEngine:
    """Recognises the same line in every picture, unless it is to fail."""

    name = "fake-1"

    def recognise(self, picture: Any) -> Any:
        from sharedllm_docs.documents.readers.ocr import Line, Recognised, Word

        text = "The yearly rent is 1,240 EUR."
        box = (100.0, 800.0, 390.0, 820.0)
        return Recognised.of([Line((Word(text, box, 0.9),), box, text, 0.9)])


def pretend() -> None:
    """Have the same line recognised in every picture."""
    _ocr()


def _ocr() -> tuple[Any, str]:
    from sharedllm_docs.documents.readers.ocr import engines

    engines._loaded = lambda name: FakeEngine()  # type: ignore[assignment,misc]
    return FakeEngine, "recognise"


_PLACES = {
    "pdfium": lambda: _pdfium("text"),
    "pdfium opening": lambda: _pdfium("__init__"),
    "pdfium drawing": lambda: (_ocr(), _pdfium("render"))[1],
    "pypdf": lambda: _pypdf("text"),
    "pypdf opening": lambda: _pypdf("__init__"),
    "fields": lambda: _pypdf("fields"),
    "outline": lambda: _pypdf("outline"),
    "ocr": _ocr,
    "html": _html,
}
