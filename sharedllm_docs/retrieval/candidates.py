"""Relevance of every leaf of the chosen documents to a question (docs/architecture.md).

One score per leaf, fused from dense similarity and BM25, and the relevance (0 to 1) that the floor is compared with.
Vectors are given; no model is called here.
"""

from __future__ import annotations

import math
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.terms import Vocabulary, is_english, terms

Embed = Callable[[list[str]], NDArray[np.float32]]
"""Makes the unit vectors [N, E] of N passages."""
_NO_TERM = "\u2400"
EMBEDDED_FIRST = 128
"""Number of leaves, nearest to a question by words, whose vectors it waits for in a document that has none yet.
Measured: docs/log.md (vectors when they are needed)."""
DENSE_WEIGHT = 0.7
"""Weight of the dense score in the fused one. Measured: docs/log.md (candidates)."""
OTHER_DENSE_WEIGHT = 0.2
"""The same for questions in other languages than English, the only one that the default embedder knows. Measured:
docs/log.md (languages)."""
STANDS_OUT = 1.3
"""A leaf whose BM25 score is this many times that of any other ranks second at least: unlike its vector, its words
are not diluted by the rest of its text. Measured: docs/log.md (leaves that stand out by BM25)."""
NAMED_RELEVANCE = 0.5
"""Minimum relevance if such a leaf contains all words of the question: then a cosine below the floor does not matter.
Measured: docs/log.md (leaves that stand out by BM25, and the relevance floor)."""


def passage(text: str, title: str) -> str:
    """The text that is embedded for a leaf: its section's title, then its own text."""
    return f"{title}\n{text}" if title else text


@dataclass(frozen=True)
class LeafScores:
    """Scores of all leaves for one question.

    Attributes:
        fused: [leaves], the score to rank by; higher is more relevant.
        dense: [leaves], cosine of question and leaf.
        lexical: [leaves], BM25.
        named: True if one leaf stands out by BM25 and contains all words of the question.
        weights: inverse document frequency of each term of the question among the leaves; highest for a term that no
            leaf contains.
        unknown: terms of the question that no leaf contains.
    """

    fused: NDArray[np.float32]
    dense: NDArray[np.float32]
    lexical: NDArray[np.float32]
    named: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    unknown: frozenset[str] = frozenset()

    @property
    def relevance(self) -> float:
        """Cosine of the question and the nearest leaf, 0 to 1; at least ``NAMED_RELEVANCE`` if ``named``."""
        nearest = float(np.clip(self.dense.max(initial=0.0), 0.0, 1.0))
        return max(nearest, NAMED_RELEVANCE) if self.named else nearest


class LeafIndex:
    """The leaves of the chosen documents, ready to be searched.

    Args:
        texts: the text of each leaf.
        titles: the title of each leaf's section, or "".
        vectors: [leaves, E] unit vectors of each leaf's ``passage``; zeros for one that is not made yet.
        embed: makes vectors [N, E] of N passages where they are missing; None takes zeros for vectors.
    """

    def __init__(
        self,
        texts: Sequence[str],
        titles: Sequence[str],
        vectors: NDArray[np.float32],
        embed: Embed | None = None,
    ) -> None:
        self.texts = list(texts)
        self.titles = list(titles)
        self.vectors = vectors
        self._embed = embed
        self._missing: NDArray[np.bool_] = np.zeros(len(vectors), dtype=np.bool_)
        if embed is not None:
            self._missing = np.logical_not(vectors.any(axis=1))
        self._filling = threading.Lock()

    @cached_property
    def _bm25(self) -> Any:
        import bm25s

        # the title counts twice: it names the subject, which the passage itself often does not mention again
        vocabulary = Vocabulary()
        nothing = [vocabulary.setdefault(_NO_TERM, 0)]
        pairs = zip(self.texts, self.titles, strict=True)
        corpus = [vocabulary.numbers(f"{title} {title} {text}") or nothing for text, title in pairs]
        index = bm25s.BM25(method="lucene")
        index.index((corpus, dict(vocabulary)), show_progress=False)
        self._holders = Counter(number for numbers in corpus for number in set(numbers))
        return index

    @cached_property
    def _repeats(self) -> NDArray[np.bool_]:
        """True for leaves with the same title and text as an earlier one: they would waste the budget."""
        seen: set[tuple[str, str]] = set()
        repeats = np.zeros(len(self.texts), dtype=np.bool_)
        for number, leaf in enumerate(zip(self.titles, self.texts, strict=True)):
            repeats[number] = leaf in seen
            seen.add(leaf)
        return repeats

    def search(self, question: str, vector: NDArray[np.float32]) -> LeafScores:
        """Score all leaves.

        Args:
            question: in words.
            vector: [E] unit vector of the question.
        """
        # einsum instead of @: BLAS threads, started for a long index, keep spinning after the product on the cores that
        # torch needs next (docs/log.md, one document of 512,000 tokens)
        lexical = self._lexical(question)
        if self._missing.any():
            dense = self._partly_dense(lexical, vector)
        else:
            dense = np.einsum("ij,j->i", self.vectors, vector)
        fused, best = fused_scores(dense, lexical, self._repeats, is_english(question))
        named = best is not None and set(terms(question)) <= set(terms(f"{self.titles[best]} {self.texts[best]}"))
        weights, unknown = self._weights(question)
        ranked, near, worded = (one.astype(np.float32) for one in (fused, dense, lexical))
        return LeafScores(ranked, near, worded, named, weights, unknown)

    def _partly_dense(self, lexical: NDArray[np.float32], vector: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine of question and leaves, of which the nearest by words have vectors by then."""
        with self._filling:  # until the product is done: another question must not write vectors meanwhile
            self._fill(lexical)
            dense: NDArray[np.float32] = np.einsum("ij,j->i", self.vectors, vector)
            # those that share fewest words with the question are nearest to nothing
            dense[self._missing] = dense[~self._missing].min(initial=0.0)
        return dense

    def _fill(self, lexical: NDArray[np.float32]) -> None:
        """Make the missing vectors among the ``EMBEDDED_FIRST`` leaves nearest by words; all where no word is known."""
        nearest = np.argsort(-lexical, kind="stable")[: EMBEDDED_FIRST if lexical.any() else None]
        wanted = nearest[self._missing[nearest]]
        if self._embed is not None and len(wanted):
            passages = [passage(self.texts[number], self.titles[number]) for number in wanted.tolist()]
            self.vectors[wanted] = self._embed(passages)
            self._missing[wanted] = False

    def _weights(self, question: str) -> tuple[dict[str, float], frozenset[str]]:
        """Inverse document frequency of the question's terms, as in BM25, and the terms that no leaf contains."""
        known: Mapping[str, int] = self._bm25.vocab_dict
        holders = {term: self._holders[known[term]] if term in known else 0 for term in terms(question)}
        total = len(self.texts)
        weights = {term: math.log(1 + (total - count + 0.5) / (count + 0.5)) for term, count in holders.items()}
        return weights, frozenset(term for term, count in holders.items() if not count)

    def _lexical(self, question: str) -> NDArray[np.float32]:
        known = [term for term in dict.fromkeys(terms(question)) if term in self._bm25.vocab_dict]
        if not known:
            return np.zeros(len(self.texts), dtype=np.float32)
        return np.asarray(self._bm25.get_scores(known), dtype=np.float32)


def fused_scores(
    dense: NDArray[np.float32], lexical: NDArray[np.float32], repeats: NDArray[np.bool_], english: bool
) -> tuple[NDArray[np.float32], int | None]:
    """The scores to rank by, and the leaf that stands out by BM25, if there is one.

    Args:
        dense: [leaves], cosine of question and leaf.
        lexical: [leaves], BM25.
        repeats: [leaves], whether an earlier leaf has the same text.
        english: whether the question is in English.
    """
    weight = DENSE_WEIGHT if english or not lexical.any() else OTHER_DENSE_WEIGHT
    fused = weight * _scaled(dense) + (1 - weight) * _scaled(lexical)
    fused[repeats] = fused.min(initial=0.0)
    best = _outstanding(lexical, repeats)
    if best is not None and len(fused) > 1:  # second place, unless it ranks higher already
        fused[best] = max(fused[best], np.partition(fused, -2)[-2])
    return fused, best


def _outstanding(lexical: NDArray[np.float32], repeats: NDArray[np.bool_]) -> int | None:
    """The leaf that stands out by BM25 (``STANDS_OUT``), apart from repeated leaves; None if there is none."""
    own = np.where(repeats, 0.0, lexical)
    if not len(own):
        return None
    best = int(own.argmax())
    others = np.delete(own, best).max(initial=0.0)
    return best if own[best] > STANDS_OUT * others else None


def _scaled(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores scaled to 0 .. 1 over the leaves, so that dense and lexical ones can be added."""
    low, high = float(scores.min(initial=0.0)), float(scores.max(initial=0.0))
    return (scores - low) / (high - low) if high > low else np.zeros_like(scores)
