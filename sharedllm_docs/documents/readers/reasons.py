"""Why something could not be read, in words for people: what libraries raise, without the insides of a program."""

from __future__ import annotations

import re

_MAX_LENGTH = 200
_INNER = re.compile(
    r"\s*<[^<>]*\bat 0x[0-9A-Fa-f]+[^<>]*>|\s*<_io\.[^<>]*>|<(?:class|function|module) '?([\w.]+)[^<>]*>"
)


def reason_of(error: BaseException) -> str:
    """What an error says in one line, or its kind where it says nothing; objects that it shows are left out."""
    said = _INNER.sub(lambda match: match[1] or "", str(error))
    return " ".join(said.split()).rstrip(" .:")[:_MAX_LENGTH] or type(error).__name__
