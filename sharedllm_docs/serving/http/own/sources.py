"""Source files of documents, read in parts: opened and checked once, then kept open for the next request."""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index

OPEN = 8
"""Maximum number of files that are kept open."""
BLOCK = 1 << 18
_DIGITS = 20
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


@dataclass
class SourceFile:
    """An open source file, read by several requests at once.

    Attributes:
        file: at any position.
        size: in bytes.
    """

    file: BinaryIO
    size: int
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def part(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes from ``start`` to ``end``, in blocks."""
        while start < end:
            with self._lock:
                self.file.seek(start)
                block = self.file.read(min(BLOCK, end - start))
            if not block:
                return
            start += len(block)
            yield block


class Sources:
    """The source files of one index.

    Opening one checks its digest, which takes as long as reading it; a viewer fetches a file in hundreds of parts.

    Args:
        opened: returns the index, as it is now.
    """

    def __init__(self, opened: Callable[[], Index]) -> None:
        self._opened = opened
        self._open: OrderedDict[str, SourceFile] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: str) -> SourceFile:
        """The source of a document, by its whole key. Raises as ``Index.open_source``."""
        with self._lock:
            found = self._open.get(key)
        if found is None:  # outside the lock: other documents' files do not wait while this one's digest is checked
            file = self._opened().open_source(key)
            found = SourceFile(file, file.seek(0, 2))
        with self._lock:
            found = self._open.setdefault(key, found)
            self._open.move_to_end(key)
            # a dropped file is closed once the last request that reads it is done
            while len(self._open) > OPEN:
                self._open.popitem(last=False)
            return found

    def forget(self, key: str) -> None:
        """Drop the file of a document that was removed."""
        with self._lock:
            self._open.pop(key, None)


def wanted_part(header: str | None, size: int) -> tuple[int, int] | None:
    """First byte and one past the last that a ``Range`` header asks for; None for the whole file.

    Several ranges at once, other units and what is malformed count as none, as HTTP allows.

    Raises:
        ValueError: nothing of the file is in the range.
    """
    match = _RANGE.fullmatch(header.replace(" ", "")) if header else None
    if match is None or match.group(0) == "bytes=-":
        return None
    first, last = match.groups()
    if not first:
        start, end = max(0, size - _number(last)), size
    else:
        start, end = _number(first), min(size, _number(last) + 1) if last else size
        if last and _number(last) < start:
            return None
    if start >= end:
        raise ValueError(f"no byte of {size} is in {header}")
    return start, end


def _number(digits: str) -> int:
    """A number of a header. One far beyond any file's size is cut: Python reads 4300 digits at most."""
    digits = digits.lstrip("0")
    return int(digits or "0") if len(digits) <= _DIGITS else 10**_DIGITS
