"""Escape sequences of terminals (ANSI, ECMA-48): colours, moves of the cursor, titles, links. Leaf module."""

from __future__ import annotations

import re

ESCAPE_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # control sequences: ESC [ 31 m
    r"|(?:\x1b\]|\x9d)[^\x07\x1b\x9c\n]*(?:\x07|\x1b\\|\x9c)"  # commands to the system: titles, links
    r"|(?:\x1b[PX^_]|[\x90\x98\x9e\x9f])[^\x1b\x9c\n]*(?:\x1b\\|\x9c)"  # strings to devices
    r"|\x1b[()*+][0-9A-Z]"  # sets of characters
    r"|\x1b(?:[78=>]|c(?![a-z]))"  # saved places, keypads, reset
)
"""A whole sequence. An ESC before anything else stands alone: what follows is text."""


def without_escapes(text: str) -> str:
    """``text`` without the escape sequences in it."""
    return ESCAPE_SEQUENCE.sub("", text)
