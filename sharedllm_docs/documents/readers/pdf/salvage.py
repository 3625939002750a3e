"""Repairs a PDF that lost its end, and with it the table of objects, so that it can be read.

Follows ISO 32000-1, 7.5: objects are found by scanning, those inside object streams are unpacked, and a new
cross-reference table is written after them. Where the page tree is lost, one is made of the pages that are left, in
file order. Nothing is read from an encrypted file, whose key went with the end.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator

_OBJECT = re.compile(rb"(?<![^\s])(\d{1,10})\s+(\d{1,5})\s+obj\b")
_NEXT = re.compile(rb"\bendobj\b|(?<![^\s])\d{1,10}\s+\d{1,5}\s+obj\b")
_STREAM = re.compile(rb"\bstream\r?\n")
_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PAGES = re.compile(rb"/Type\s*/Pages(?![A-Za-z])")
_CATALOG = re.compile(rb"/Type\s*/Catalog(?![A-Za-z])")
_OBJECT_STREAM = re.compile(rb"/Type\s*/ObjStm(?![A-Za-z])")
_ENCRYPTED = re.compile(rb"/Filter\s*/Standard\b|/Encrypt\s+\d+\s+\d+\s+R")
_REFERENCE = re.compile(rb"/Pages\s+(\d+)\s+\d+\s+R")


def salvage(data: bytes) -> bytes | None:
    """A readable PDF with the objects of ``data``, or None when not one page is left (or it is encrypted)."""
    if _ENCRYPTED.search(data):
        return None
    offsets, dictionaries = _scan(data)
    unpacked = bytearray()
    base = len(data) + 1
    for number in [number for number, body in dictionaries.items() if _OBJECT_STREAM.search(body)]:
        for inner, body in _unpack(data, offsets[number], dictionaries[number]):
            offsets[inner], dictionaries[inner] = base + len(unpacked), body
            unpacked += b"%d 0 obj\n%s\nendobj\n" % (inner, body)
    pages = [number for number, body in dictionaries.items() if _PAGE.search(body)]
    if not pages:
        return None
    root = _intact_root(dictionaries)
    if root is None:
        root, made = _new_tree(pages, max(dictionaries) + 1, base + len(unpacked), offsets)
        unpacked += made
    return data + b"\n" + bytes(unpacked) + _table(offsets, root, base + len(unpacked))


def _scan(data: bytes) -> tuple[dict[int, int], dict[int, bytes]]:
    """Object number -> offset, and -> its text up to the stream. The last complete definition counts."""
    offsets: dict[int, int] = {}
    dictionaries: dict[int, bytes] = {}
    for match in _OBJECT.finditer(data):
        end = _NEXT.search(data, match.end())
        if end is None and not _STREAM.search(data, match.end(), match.end() + 4096):
            continue  # the object that was cut off
        stop = end.start() if end else len(data)
        stream = _STREAM.search(data, match.end(), stop)
        number = int(match[1])
        offsets.pop(number, None)
        dictionaries.pop(number, None)
        offsets[number], dictionaries[number] = match.start(), data[match.end() : stream.start() if stream else stop]
    return offsets, dictionaries


def _unpack(data: bytes, offset: int, dictionary: bytes) -> Iterator[tuple[int, bytes]]:
    """(number, text) of the objects that are left in an object stream."""
    count, first = (re.search(rb"/%s\s+(\d+)" % key, dictionary) for key in (b"N", b"First"))
    stream = _STREAM.search(data, offset)
    if count is None or first is None or stream is None:
        return
    try:
        content = zlib.decompressobj().decompress(data[stream.end() :])
    except zlib.error:
        return
    numbers = [int(token) for token in content[: int(first[1])].split()[: 2 * int(count[1])] if token.isdigit()]
    places = list(zip(numbers[::2], numbers[1::2], strict=False))
    for (number, place), (_, following) in zip(places, [*places[1:], (0, len(content))], strict=False):
        body = content[int(first[1]) + place : int(first[1]) + following if following < len(content) else None]
        if body.strip():
            yield number, body


def _intact_root(dictionaries: dict[int, bytes]) -> int | None:
    """The document's own catalogue, if its page tree is still there."""
    for number, body in dictionaries.items():
        tree = _REFERENCE.search(body) if _CATALOG.search(body) else None
        if tree and _PAGES.search(dictionaries.get(int(tree[1]), b"")):
            return number
    return None


def _new_tree(pages: list[int], free: int, offset: int, offsets: dict[int, int]) -> tuple[int, bytes]:
    """A catalogue with a page tree of ``pages``, as object ``free`` and the next."""
    kids = b" ".join(b"%d 0 R" % page for page in pages)
    catalog = b"%d 0 obj\n<< /Type /Catalog /Pages %d 0 R >>\nendobj\n" % (free, free + 1)
    tree = b"%d 0 obj\n<< /Type /Pages /Count %d /Kids [%s] >>\nendobj\n" % (free + 1, len(pages), kids)
    offsets[free], offsets[free + 1] = offset, offset + len(catalog)
    return free, catalog + tree


def _table(offsets: dict[int, int], root: int, position: int) -> bytes:
    """Cross-reference table, one section an object, and trailer."""
    rows = b"".join(b"%d 1\n%010d 00000 n \n" % (number, offset) for number, offset in sorted(offsets.items()))
    trailer = b"trailer\n<< /Size %d /Root %d 0 R >>\n" % (max(offsets) + 1, root)
    return b"xref\n0 1\n0000000000 65535 f \n" + rows + trailer + b"startxref\n%d\n%%%%EOF\n" % position
