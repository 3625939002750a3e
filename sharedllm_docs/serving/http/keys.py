"""API keys: made at random, kept as hashes, compared in constant time."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from hmac import compare_digest

from sharedllm_docs.errors import ConfigError

HASH = re.compile(r"sha256:[0-9a-f]{64}")
LEAST = 16
"""Characters of a key at least: keys are random, so one fast hash is enough, but only of long ones."""


def new_key() -> str:
    """A key of 256 random bits."""
    return f"sk-{secrets.token_urlsafe(32)}"


def hashed(key: str) -> str:
    """The hash of a key, as the settings contain it.

    Raises:
        ConfigError: the key is short enough to be guessed.
    """
    if len(key) < LEAST:
        raise ConfigError(
            f"The API key has {len(key)} characters; {LEAST} are the least.",
            remedy="`sharedllm-docs api-key` makes a good one.",
        )
    return _hash(key)


def _hash(key: str) -> str:
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogateescape')).hexdigest()}"


def let_in(key: str, hashes: Sequence[str]) -> bool:
    """Whether a key is one of those hashed. Takes the same time whichever it is, and whether it is one."""
    given, found = _hash(key), False
    for one in hashes:
        found |= compare_digest(given, one)
    return found
