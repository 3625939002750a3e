"""Duplicates and contamination, by hashes of word n-grams."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Iterable
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.uint64]

_N = 8
_SAMPLE = 16
_PARAGRAPH_CHARS = 160
_ODD = np.uint64(0x9E3779B97F4A7C15)


def shingles(text: str, n: int = _N) -> Hashes:
    """One 64-bit hash for every run of ``n`` words, regardless of case and punctuation. The same in every process."""
    found = re.findall(r"[a-z0-9]+", text.lower())
    if len(found) < n:
        return np.empty(0, dtype=np.uint64)
    hashes = np.fromiter((zlib.crc32(word.encode()) for word in found), dtype=np.uint64, count=len(found))
    total = np.zeros(len(found) - n + 1, dtype=np.uint64)
    for place in range(n):
        total = total * _ODD + hashes[place : len(found) - n + 1 + place]
    return np.asarray(total ^ (total >> np.uint64(29)), dtype=np.uint64)


class Deduplicator:
    """Drops documents and long paragraphs that were seen before.

    Args:
        share: a document goes when more than this share of its sampled n-grams is known.
    """

    def __init__(self, share: float = 0.6) -> None:
        self._share = share
        self._texts: set[bytes] = set()
        self._paragraphs: set[bytes] = set()
        self._shingles: set[int] = set()

    def is_duplicate(self, text: str) -> bool:
        """Whether the document is known, exactly or nearly; if not, it is known from now on."""
        exact = _key(re.sub(r"\s+", " ", text))
        if exact in self._texts:
            return True
        self._texts.add(exact)
        every = shingles(text)
        sampled = set(every[every % np.uint64(_SAMPLE) == 0].tolist())
        if sampled and len(sampled & self._shingles) / len(sampled) > self._share:
            return True
        self._shingles |= sampled
        return False

    def without_known_paragraphs(self, text: str) -> tuple[str, int]:
        """The text without the long paragraphs that an earlier document had, and their number."""
        kept, own, dropped = [], set(), 0
        for block in text.split("\n\n"):
            key = _key(re.sub(r"\s+", " ", block))
            if len(block) >= _PARAGRAPH_CHARS and key in self._paragraphs:
                dropped += 1
                continue
            own.add(key)
            kept.append(block)
        self._paragraphs |= own
        return "\n\n".join(kept), dropped


class Contamination:
    """Tells whether a text shares a run of words with the texts of the evaluation.

    Args:
        texts: texts of the evaluation.
        n: words in a run.
    """

    def __init__(self, texts: Iterable[str], n: int = 12) -> None:
        self._n = n
        found = [shingles(text, n) for text in texts]
        self._known: Hashes = np.unique(np.concatenate(found)) if found else np.empty(0, dtype=np.uint64)

    def __contains__(self, text: str) -> bool:
        return bool(np.isin(shingles(text, self._n), self._known).any())


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=12).digest()
