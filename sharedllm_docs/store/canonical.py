"""Canonical JSON: one value, one sequence of bytes; and the seal, a digest inside the file itself.

Knows nothing of indexes. Every JSON file of the store goes through here, so that equal content has equal bytes and
a flipped byte shows.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from sharedllm_docs.errors import ConfigError

DIGEST_FIELD = "digest"

_SPLIT_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


def sha256_hex(data: bytes | bytearray | memoryview) -> str:
    """SHA-256 as 64 lower-case hex digits."""
    return hashlib.sha256(data).hexdigest()


def canonical_bytes(value: Any) -> bytes:
    """UTF-8 JSON with sorted keys, no spaces, no NaN and no trailing newline.

    Lone surrogates, which UTF-8 cannot carry, are written as JSON escapes.

    Raises:
        ConfigError: a value that JSON cannot hold without loss (a set, NaN, a number as a key, a split pair of
            surrogates, which would come back as one character).
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        if _SPLIT_PAIR.search(text):
            raise ValueError("a text holds a surrogate pair as two characters")
        # backslashreplace writes a lone surrogate as \udXXX, which is JSON's own escape
        return text.encode("utf-8", "backslashreplace")
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f"A value cannot be stored as JSON: {error}.", remedy="Use strings, numbers, lists and dictionaries."
        ) from error


def normalised(value: Any) -> Any:
    """The value as it comes back from JSON (tuples become lists)."""
    return json.loads(canonical_bytes(value))


def strict_json(data: bytes) -> Any:
    """The value of JSON that may come from anybody.

    Raises:
        ValueError: not JSON in UTF-8, a name that occurs twice in one object, NaN or Infinity, or nesting too deep.
    """
    try:
        return json.loads(data.decode("utf-8"), object_pairs_hook=_each_once, parse_constant=_no_number)
    except RecursionError as error:
        raise ValueError("its JSON is nested too deeply") from error


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _no_number(name: str) -> Any:
    raise ValueError(f"{name} is no number")


def seal(payload: Mapping[str, Any]) -> bytes:
    """Canonical bytes of ``payload`` with the SHA-256 of its canonical bytes added as ``digest``."""
    return canonical_bytes({**payload, DIGEST_FIELD: sha256_hex(canonical_bytes(dict(payload)))})


def unseal(data: bytes) -> dict[str, Any]:
    """Inverse of ``seal``.

    Raises:
        ValueError: not JSON, not canonical, or the digest does not match; the message says which.
    """
    try:
        payload = strict_json(data)
    except ValueError as error:
        raise ValueError("it is not valid JSON") from error
    if not isinstance(payload, dict):
        raise ValueError("it is not a JSON object")
    digest = payload.pop(DIGEST_FIELD, None)
    try:
        again = seal(payload)
    except (ConfigError, RecursionError) as error:
        raise ValueError("it is not valid JSON") from error
    if again != data:
        raise ValueError(f"its digest {digest!r} does not match its content")
    return payload
