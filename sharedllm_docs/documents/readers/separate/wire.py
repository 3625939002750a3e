"""What goes between the two processes: messages of one JSON object and any number of blobs of plain bytes.

A message is its length and the number of bytes that follow it, both as 8 bytes, then JSON, then the blobs, whose sizes
the
JSON gives. No pickle: what comes back from a process that read a hostile file is data.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from typing import Any, BinaryIO

_LENGTHS = struct.Struct("<QQ")
OUT_OF_MEMORY = 86
"""Exit code of a process that reached its memory limit."""
MAX_BYTES = 4 << 30
"""Of a message: more than any document within the limits takes."""


class WireError(Exception):
    """The other side is gone, or sent what is no message."""


def send(file: BinaryIO, message: dict[str, Any], blobs: Sequence[bytes] = ()) -> None:
    """Write a message. Raises OSError or ValueError when the other side is gone."""
    text = json.dumps({**message, "blobs": [len(blob) for blob in blobs]}).encode("ascii")
    file.write(_LENGTHS.pack(len(text), sum(map(len, blobs))) + text)
    for blob in blobs:
        file.write(blob)
    file.flush()


def receive(file: BinaryIO) -> tuple[dict[str, Any], list[bytes]] | None:
    """The next message and its blobs; None at the end.

    Raises:
        WireError: it is cut off, too long or not a message.
    """
    lengths = file.read(_LENGTHS.size)
    if not lengths:
        return None
    if len(lengths) < _LENGTHS.size:
        raise WireError("a message is cut off")
    size, behind = _LENGTHS.unpack(lengths)
    if size + behind > MAX_BYTES:
        raise WireError(f"a message of {size + behind:,} bytes, the limit is {MAX_BYTES:,}")
    text = file.read(size)
    body = file.read(behind)
    if len(text) < size or len(body) < behind:
        raise WireError("a message is cut off")
    try:
        message = json.loads(text)
        sizes = message.pop("blobs")
        if not isinstance(message, dict) or sum(sizes) != behind or min(sizes, default=0) < 0:
            raise ValueError("its sizes do not fit")
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise WireError(f"a message cannot be read: {error}") from error
    blobs, place = [], 0
    for one in sizes:
        blobs.append(body[place : place + one])
        place += one
    return message, blobs
