"""Draws a page of a PDF in a separate process: drawing can hang, crash or use too much memory, just like reading."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import Any, BinaryIO

from sharedllm_docs.documents.page_image import MAX_PIXELS, PageImage
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.separate.process import Died, Message
from sharedllm_docs.documents.readers.separate.reading import answered_once, failure, reads_apart, value_of
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError, DocumentError

_AT_ONCE = 2  # pictures: each may take the whole memory limit
_FRUITLESS = 3  # processes in a row that end before they take the request


class _Slots:
    """Bounds how many pictures are drawn at a time."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """In a forked child: the pictures that are being drawn are the parent's."""
        self.free = threading.BoundedSemaphore(_AT_ONCE)


_SLOTS = _Slots()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_SLOTS.forget)


def page_drawn(file: BinaryIO, name: str, number: int, scale: float, options: ReadOptions) -> PageImage:
    """Draw a page, in a process of its own unless ``options.process`` or the environment say ``own``.

    Args:
        file: the PDF, open at its start.
        name: of the document, for messages.
        number: 1-based number of the page.
        scale: pixels a point.
        options: ``password``, ``process``, ``page_seconds`` and ``max_memory`` count.

    Raises:
        ConfigError, PageRangeError, EncryptedDocumentError: as ``pdf.draw.draw_page``.
        DamagedDocumentError: PDFium cannot open the file or the page, or crashes at it.
        DocumentTooLargeError: the page takes longer or more memory than the limits allow.
        DocumentError: other pages are being drawn for too long, or no process can be started.
    """
    if not reads_apart(options):
        from sharedllm_docs.documents.readers.pdf.draw import draw_page

        return draw_page(file, name, number, scale, options.password)
    slots, seconds = _SLOTS.free, options.page_seconds
    if not slots.acquire(timeout=seconds):
        raise DocumentError(
            f"Page {number} of {name} was not drawn: other pages took all of {seconds:g} s, and {_AT_ONCE} are drawn "
            "at once.",
            remedy="Ask again later.",
        )
    try:
        return _drawn_apart(_source(file, name), name, number, scale, options)
    finally:
        slots.release()


def _source(file: BinaryIO, name: str) -> Source:
    """The file by its path if it has one: the other process opens it itself."""
    path = getattr(file, "name", None)
    if isinstance(path, str) and os.path.isfile(path):
        return Source(name, os.path.getsize(path), "", b"", path=Path(path))
    data = file.read()
    return Source(name, len(data), "", b"", data=data)


def _drawn_apart(source: Source, name: str, number: int, scale: float, options: ReadOptions) -> PageImage:
    request = {"kind": "picture", "page": number, "scale": scale, "whole_seconds": options.page_seconds}
    fruitless = 0
    while True:
        try:
            return _picture(answered_once(source, options, request), name, number, scale)
        except Died as died:
            if died.step is None and fruitless < _FRUITLESS:
                fruitless += 1  # it ended while it waited
                continue
            raise failure(f"Page {number} of {name} cannot be drawn", died, "Choose a smaller scale") from died


def _picture(answer: Message, name: str, number: int, scale: float) -> PageImage:
    """The picture that came back, checked: what a process sends that drew a hostile page is not trusted."""
    message, blobs = answer
    width, height, rotation = (value_of(int, message.get(key)) for key in ("width", "height", "rotation"))
    shown: Any = value_of(tuple[float, float, float, float], message.get("shown"))
    if (
        not (width > 0 and height > 0 and width * height <= 2 * MAX_PIXELS)  # sides are rounded up
        or [len(blob) for blob in blobs] != [3 * width * height]
        or rotation not in (0, 90, 180, 270)
        or not all(map(math.isfinite, shown))
    ):
        raise DamagedDocumentError(
            f"Page {number} of {name} cannot be drawn: the process that draws sent what is no picture.",
            remedy="Check the file; if it opens elsewhere, report this.",
        )
    return PageImage(number, width, height, scale, rotation, shown, blobs[0])
