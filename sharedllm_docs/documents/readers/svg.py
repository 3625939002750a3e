"""SVG drawings, as files and inside documents: their text is in the markup, so it is read and not recognised.

Input: markup, compressed or not. Output: its tree for ``html_blocks``, which knows what a viewer shows of it.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING

from sharedllm_docs.documents.document import Issue
from sharedllm_docs.documents.readers.decode import declared_encoding, decode
from sharedllm_docs.documents.readers.html_blocks import See, html_blocks, join_blocks
from sharedllm_docs.documents.readers.nesting import parse_html

if TYPE_CHECKING:
    from bs4 import BeautifulSoup

MAX_BYTES = 64 << 20
_HEAD = 1 << 14  # bytes within which the drawing begins
_GZIP = b"\x1f\x8b"
_MARK = b"\xef\xbb\xbf"
_COMMENT = re.compile(rb"<!--.*?-->", re.DOTALL)
_FIRST = re.compile(rb"<(?![?!])(?:[\w.-]+:)?(\w+)")  # element
_PROLOGUE = re.compile(r"<\?xml[^>]*>|<!DOCTYPE[^\[>]*(?:\[(?P<inner>.*?)\]\s*)?>", re.IGNORECASE | re.DOTALL)
_ENTITY = re.compile(r"<!ENTITY\s+([A-Za-z_][\w.-]*)\s+(?:\"([^\"]*)\"|'([^']*)')\s*>")
_PREFIX = re.compile(r"xmlns:([\w.-]+)\s*=\s*[\"']http://www\.w3\.org/2000/svg[\"']")
_MAX_ENTITIES, _MAX_VALUE, _MAX_GROWTH = 200, 1000, 1 << 20


def opens_drawing(head: bytes) -> bool:
    """Whether these first bytes of a file open an SVG drawing; of a packed one, as far as they unpack."""
    if head.startswith(_GZIP):
        head, _ = _unpacked(head, _HEAD)
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "ignore").encode()
    head = _COMMENT.sub(b"", head[:_HEAD].removeprefix(_MARK)).lstrip()
    first = _FIRST.search(head) if head.startswith(b"<") else None
    return first is not None and first[1].lower() == b"svg"


def drawing_tree(data: bytes, name: str, encoding: str | None = None) -> tuple[BeautifulSoup, list[Issue]]:
    """The tree of a drawing, and what was guessed or lost on the way.

    Args:
        data: of the file; packed ones (``.svgz``) are unpacked, up to ``MAX_BYTES``.
        name: for messages.
        encoding: what the caller says; else what the drawing declares, or a guess.

    Raises:
        UnknownFormatError, DamagedDocumentError: it is no text, or not in that encoding.
    """
    cut = []
    if data.startswith(_GZIP):
        data, whole = _unpacked(data, MAX_BYTES)
        cut = [] if whole else [Issue("truncated", "the packed drawing is cut off; what is left of it is read")]
    markup, issues = decode(data, name, encoding, declared_encoding(data[:4096]))
    tree, deep = parse_html(_plain(markup))
    return tree, [*cut, *issues, *deep]


def drawing_text(data: bytes, see: See | None = None) -> str:
    """The lines of text of a drawing, and of the pictures in it as ``see`` reads them.

    Raises:
        UnknownFormatError, DamagedDocumentError: as ``drawing_tree``.
    """
    tree, _ = drawing_tree(data, "drawing")
    text, _, _ = join_blocks(html_blocks(tree, clean=True, see=see))
    return "\n".join(filter(None, text.split("\n")))


def _unpacked(data: bytes, limit: int) -> tuple[bytes, bool]:
    """What a gzip stream contains, as far as it goes, up to ``limit`` bytes; and whether that is all."""
    stream = zlib.decompressobj(wbits=31)
    try:
        return stream.decompress(data, limit), stream.eof
    except zlib.error:
        return b"", False


def _plain(markup: str) -> str:
    """Markup as an HTML parser takes it: no declarations, no prefixes, entities of its own written out."""
    declared = "".join(match["inner"] or "" for match in _PROLOGUE.finditer(markup[: 1 << 16]))
    markup = _PROLOGUE.sub("", markup, count=4)
    left = _MAX_GROWTH
    for name, *values in _ENTITY.findall(declared)[:_MAX_ENTITIES]:
        value = "".join(values)
        left -= markup.count(f"&{name};") * len(value)
        if len(value) <= _MAX_VALUE and left >= 0:
            markup = markup.replace(f"&{name};", value)
    prefix = _PREFIX.search(markup[: 1 << 16])
    return re.sub(rf"(</?){re.escape(prefix[1])}:", r"\1", markup) if prefix else markup
