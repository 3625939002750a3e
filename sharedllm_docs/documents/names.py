"""Names of documents as people can see and type them. Leaf module."""

from __future__ import annotations

import re
import unicodedata

_UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def shown_name(name: str) -> str:
    """On one line: line breaks, control characters and bytes that are no text are escaped (``\\n``, ``\\xff``)."""
    return _UNSHOWN.sub(_escaped, name)


def document_name(name: str) -> str:
    """The name under which a document of a file of this name is kept: in composed Unicode (NFC), on one line."""
    return shown_name(unicodedata.normalize("NFC", name))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file's name that is not in the system's encoding
        code -= 0xDC00
    return _SHORT.get(match[0]) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
