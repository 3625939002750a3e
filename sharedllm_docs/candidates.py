"""Candidates: how relevant every leaf of the chosen documents is to a question (design: question).

Comes in: leaf texts and their dense vectors. Goes out: one score a leaf, fused from dense similarity and BM25, and
the relevance (0 .. 1) that the floor is compared with. Knows no model of its own and no files.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"[^\W_]+(?:[._][^\W_]+)*")
_NO_TERM = "\u2400"
DENSE_WEIGHT = 0.7
"""Share of the dense score in the fused one. Measured, see docs/log.md (candidates)."""
STANDS_OUT = 1.3
"""A leaf whose BM25 is so many times every other's ranks second at least: what its words say is not diluted by what
else stands in it, as its vector is. Measured, see docs/log.md (words that stand out)."""
NAMED_RELEVANCE = 0.5
"""Least relevance where such a leaf holds all of the question's words: a cosine below the floor does not outweigh that.
Measured, see docs/log.md (words that stand out and the floor)."""
_STOPWORDS = frozenset(
    _WORD.findall(
        "a an and are as at be but by can could did do does for from had has have how i if in into is it its me my of "
        "on or our should so than that the their them then there these they this to was we were what when where which "
        "who whom whose why will with would you your"
    )
)


def passage(text: str, title: str) -> str:
    """What is embedded for a leaf: its text under the title of its section."""
    return f"{title}\n{text}" if title else text


def terms(text: str) -> list[str]:
    """Lower-case words for BM25; dotted names (``read.table``) count whole and in parts, plurals lose their s."""
    found: list[str] = []
    for match in _WORD.findall(text.lower()):
        found.extend(_terms_of(match))
    return found


@lru_cache(maxsize=1 << 16)
def _terms_of(word: str) -> tuple[str, ...]:
    """Remembered, since documents repeat their words."""
    parts = re.split(r"[._]", word)
    names = [word, *parts] if len(parts) > 1 else parts
    return tuple(_stem(name) for name in names if name not in _STOPWORDS)


def _stem(word: str) -> str:
    if len(word) > 3 and word.endswith("s") and not word.endswith("ss"):
        return word[:-1]
    return word


@dataclass(frozen=True)
class LeafScores:
    """Scores of all leaves for one question.

    Attributes:
        fused: [leaves], the ranking; higher is nearer.
        dense: [leaves], cosine of question and leaf.
        lexical: [leaves], BM25.
        named: one leaf's words stand out, and it holds all of the question's.
    """

    fused: NDArray[np.float32]
    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]
    named: bool = False

    @property
    def relevance(self) -> float:
        """0 .. 1: cosine of the question and the nearest leaf, at least :data:`NAMED_RELEVANCE` where one is named."""
        nearest = float(np.clip(self.dense.max(initial=0.0), 0.0, 1.0))
        return max(nearest, NAMED_RELEVANCE) if self.named else nearest


class LeafIndex:
    """Searches the leaves of the chosen documents.

    Args:
        texts: of all leaves.
        titles: of the section that each stands in, or "".
        vectors: [leaves, E] unit vectors of :func:`passage`.
    """

    def __init__(self, texts: Sequence[str], titles: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self.texts = list(texts)
        self.titles = list(titles)
        self.vectors = vectors

    @cached_property
    def _bm25(self) -> Any:
        import bm25s

        # the title counts twice: it names what the passage, which often does not repeat it, is about
        pairs = zip(self.texts, self.titles, strict=True)
        corpus = [terms(f"{title} {title} {text}") or [_NO_TERM] for text, title in pairs]
        index = bm25s.BM25(method="lucene")
        index.index(corpus, show_progress=False)
        return index

    def search(self, question: str, vector: NDArray[np.float32]) -> LeafScores:
        """Score all leaves.

        Args:
            question: the user's words.
            vector: [E] unit vector of the question.
        """
        dense = self.vectors @ vector
        lexical = self._lexical(question)
        fused = DENSE_WEIGHT * _scaled(dense) + (1 - DENSE_WEIGHT) * _scaled(lexical)
        best = _outstanding(lexical)
        if best is not None and len(fused) > 1:  # the second place, unless it has a better one
            fused[best] = max(fused[best], np.partition(fused, -2)[-2])
        named = best is not None and set(terms(question)) <= set(terms(f"{self.titles[best]} {self.texts[best]}"))
        return LeafScores(fused.astype(np.float32), dense.astype(np.float32), lexical.astype(np.float32), named)

    def _lexical(self, question: str) -> NDArray[np.float32]:
        known = [term for term in dict.fromkeys(terms(question)) if term in self._bm25.vocab_dict]
        if not known:
            return np.zeros(len(self.texts), dtype=np.float32)
        return np.asarray(self._bm25.get_scores(known), dtype=np.float32)


def _outstanding(lexical: NDArray[np.float32]) -> int | None:
    """The leaf whose words stand out (:data:`STANDS_OUT`), if one does."""
    if not len(lexical):
        return None
    best = int(lexical.argmax())
    others = np.delete(lexical, best).max(initial=0.0)
    return best if lexical[best] > STANDS_OUT * others else None


def _scaled(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """To 0 .. 1 over the leaves, so that the two can be added."""
    low, high = float(scores.min(initial=0.0)), float(scores.max(initial=0.0))
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)
