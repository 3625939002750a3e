"""The search index of many documents, in segments that never change: vectors and words of their leaves as plain arrays.

A segment contains some documents. Segments are merged without reading the documents again. Searched together, they give
the same scores as ``candidates.LeafIndex`` for the same leaves: everything that depends on all leaves (how rare a word
is, how long a leaf is on average) is computed for each question's choice of documents. bm25s, which stores finished
scores, would have to process all leaves again whenever one is added. Pure: the arrays may come from anywhere.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.terms import Vocabulary, is_english, terms
from sharedllm_docs.retrieval.candidates import LeafScores, fused_scores

K1, B = 1.5, 0.75
"""Of BM25, as bm25s has them."""
_MOST = np.iinfo(np.int16).max

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Segment:
    """Some documents' leaves, document after document.

    Attributes:
        documents: the identifier of each document; two with the same identifier have the same leaves.
        first: [D + 1] number of each document's first leaf, and at the end that of all leaves, L.
        vectors: [L, E] unit vectors.
        lengths: [L] number of words of each leaf.
        names: [L] digest of each leaf's title and text, by which repeated ones are found.
        words: [T] digests of all words, sorted.
        starts: [T + 1] where the entries of each word begin in ``leaves`` and ``counts``.
        leaves: [P] the leaves that contain a word, in order.
        counts: [P] how often.

    Raises:
        ValueError: arrays that do not fit together.
    """

    documents: tuple[str, ...]
    first: NDArray[np.int32]
    vectors: NDArray[np.float32]
    lengths: NDArray[np.int32]
    names: NDArray[np.uint64]
    words: NDArray[np.uint64]
    starts: NDArray[np.int32]
    leaves: NDArray[np.int32]
    counts: NDArray[np.int16]

    def __post_init__(self) -> None:
        total, entries = len(self.vectors), len(self.leaves)
        fits = (
            self.vectors.ndim == 2
            and len(self.first) == len(self.documents) + 1
            and len(self.lengths) == len(self.names) == total
            and len(self.starts) == len(self.words) + 1
            and len(self.counts) == entries
            and _rises(self.first, total)
            and _rises(self.starts, entries)
            and bool((self.words[1:] > self.words[:-1]).all())
            and (not entries or (int(self.leaves.min()) >= 0 and int(self.leaves.max()) < total))
        )
        if not fits:
            raise ValueError("its arrays do not fit together")

    def to_arrays(self) -> dict[str, NDArray[Any]]:
        """Arrays of the types that are stored (numbers of 64 bits as pairs of 32)."""
        names, words = (np.ascontiguousarray(one).view(np.int32).reshape(-1, 2) for one in (self.names, self.words))
        same = ("first", "vectors", "lengths", "starts", "leaves", "counts")
        return {**{name: getattr(self, name) for name in same}, "names": names, "words": words}

    @classmethod
    def from_arrays(cls, documents: Sequence[str], arrays: Arrays) -> Segment:
        """Inverse of ``to_arrays``.

        Raises:
            ValueError: an array is missing, of another type, or does not fit the others.
        """
        wanted = {name: (np.dtype(kind), axes) for name, (kind, axes) in _STORED.items()}
        found = {name: (array.dtype, array.ndim) for name, array in arrays.items()}
        if found != wanted:
            raise ValueError(f"it holds {sorted(found)}, not the arrays of a segment")
        wide = {name: arrays[name].reshape(-1).view(np.uint64) for name in ("names", "words")}
        return cls(tuple(documents), **{**arrays, **wide})

    def entries(self, word: int) -> tuple[NDArray[np.int32], NDArray[np.int16]]:
        """The leaves that contain a word, and how often."""
        place = int(np.searchsorted(self.words, np.uint64(word)))
        if place == len(self.words) or int(self.words[place]) != word:
            return self.leaves[:0], self.counts[:0]
        begin, end = int(self.starts[place]), int(self.starts[place + 1])
        return self.leaves[begin:end], self.counts[begin:end]


_STORED: Mapping[str, tuple[type, int]] = {
    "first": (np.int32, 1),
    "vectors": (np.float32, 2),
    "lengths": (np.int32, 1),
    "names": (np.int32, 2),
    "words": (np.int32, 2),
    "starts": (np.int32, 1),
    "leaves": (np.int32, 1),
    "counts": (np.int16, 1),
}


def _rises(edges: NDArray[np.int32], end: int) -> bool:
    return bool(edges[0] == 0 and edges[-1] == end and (edges[1:] >= edges[:-1]).all())


def word_number(word: str) -> int:
    """The digest of a word: 64 bits, so that a collision among ten million words has a probability of one in
    100,000."""
    return int.from_bytes(hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")


@dataclass(frozen=True)
class Leaves:
    """The leaves of one document, as a segment is made from them.

    Attributes:
        document: names it.
        texts: of each leaf.
        titles: of each leaf's section, or "".
        vectors: [leaves, E] unit vectors.
    """

    document: str
    texts: Sequence[str]
    titles: Sequence[str]
    vectors: NDArray[np.float32]


def build(documents: Sequence[Leaves], known: dict[str, int] | None = None) -> Segment:
    """A segment of documents.

    Args:
        documents: in any order.
        known: digests of words from earlier calls; new ones are added.
    """
    vocabulary, found, sizes, names = Vocabulary(), list[int](), list[int](), list[int]()
    for document in documents:
        for text, title in zip(document.texts, document.titles, strict=True):
            numbers = vocabulary.numbers(f"{title} {title} {text}")  # as candidates.LeafIndex counts them
            found += numbers
            sizes.append(len(numbers))
            names.append(word_number(f"{title}\0{text}"))
    digests = known if known is not None else {}
    hashes = np.array([digests.setdefault(word, word_number(word)) for word in vocabulary], dtype=np.uint64)
    words, places = np.unique(hashes, return_inverse=True)
    holders = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
    pairs = places[np.asarray(found, dtype=np.int64)].astype(np.int64) * max(len(sizes), 1) + holders
    entries, counts = np.unique(pairs, return_counts=True)
    return Segment(
        documents=tuple(document.document for document in documents),
        first=_edges([len(document.texts) for document in documents]),
        vectors=np.concatenate([np.asarray(document.vectors, dtype=np.float32) for document in documents]),
        lengths=np.maximum(np.asarray(sizes, dtype=np.int32), 1),
        names=np.asarray(names, dtype=np.uint64),
        words=words,
        starts=_edges(np.bincount(entries // max(len(sizes), 1), minlength=len(words))),
        leaves=(entries % max(len(sizes), 1)).astype(np.int32),
        counts=np.minimum(counts, _MOST).astype(np.int16),
    )


def merge(parts: Sequence[tuple[Segment, Sequence[bool]]]) -> Segment:
    """One segment of the documents of several, in memory; see ``merged``."""
    documents, arrays = merged(parts)
    return Segment.from_arrays(documents, {name: _whole(array) for name, array in arrays.items()})


def _whole(array: NDArray[Any] | InPieces) -> NDArray[Any]:
    if not isinstance(array, InPieces):
        return array
    return np.concatenate([np.empty((0, *array.shape[1:]), array.dtype), *array.pieces()])


PIECE = 1 << 24
"""Approximate bytes of a piece of a merged array: the memory that merging needs in addition to its input."""


@dataclass(frozen=True)
class InPieces:
    """An array that is never in memory as a whole, because a segment of many documents may be larger than memory.

    Attributes:
        dtype: of the array.
        shape: of the array.
        pieces: yields its rows, piece by piece; may be called again.
    """

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    pieces: Callable[[], Iterator[NDArray[Any]]]


def merged(
    parts: Sequence[tuple[Segment, Sequence[bool]]],
) -> tuple[tuple[str, ...], dict[str, NDArray[Any] | InPieces]]:
    """One segment of the documents of several: their names, and the arrays of ``Segment.to_arrays``.

    The largest arrays (vectors, leaves and counts) come in pieces, so merging takes little memory whatever the size.

    Args:
        parts: segments, each with a mask of the documents that are kept.
    """
    kept = [np.asarray(keep, dtype=np.bool_) for _segment, keep in parts]
    segments = [segment for segment, _keep in parts]
    words = np.unique(np.concatenate([segment.words for segment in segments]))
    moves, offset = list[_Move](), 0
    for segment, keep in zip(segments, kept, strict=True):
        moves.append(_Move.of(segment, keep, words, offset))
        offset += len(moves[-1].rows)
    sizes = np.zeros(len(words), dtype=np.int64)
    for move in moves:
        sizes[move.places] += move.entries()
    starts, used = _edges(sizes), sizes > 0
    documents = tuple(
        name
        for segment, keep in zip(segments, kept, strict=True)
        for name, stays in zip(segment.documents, keep.tolist(), strict=True)
        if stays
    )
    names, words = (
        np.ascontiguousarray(one).view(np.int32).reshape(-1, 2)
        for one in (np.concatenate([move.segment.names[move.rows] for move in moves]), words[used])
    )
    width, total = segments[0].vectors.shape[1], int(starts[-1])
    return documents, {
        "first": _edges(np.concatenate([np.diff(one.first)[keep] for one, keep in zip(segments, kept, strict=True)])),
        "vectors": InPieces(np.dtype(np.float32), (offset, width), partial(_vector_pieces, moves)),
        "lengths": np.concatenate([move.segment.lengths[move.rows] for move in moves]),
        "names": names,
        "words": words,
        "starts": np.concatenate([starts[:-1][used], starts[-1:]]),
        "leaves": InPieces(np.dtype(np.int32), (total,), partial(_entry_pieces, moves, starts, 0)),
        "counts": InPieces(np.dtype(np.int16), (total,), partial(_entry_pieces, moves, starts, 1)),
    }


@dataclass(frozen=True)
class _Move:
    """How the kept part of a segment is moved into a merged one.

    Attributes:
        segment: as it is.
        rows: its leaves that are kept.
        numbers: [L] the new number of each leaf; -1 for one that is not kept.
        places: [T] the place of each of its words among the words of all segments.
    """

    segment: Segment
    rows: NDArray[Any]
    numbers: NDArray[np.int32]
    places: NDArray[Any]

    @classmethod
    def of(cls, segment: Segment, kept: NDArray[np.bool_], words: NDArray[np.uint64], offset: int) -> _Move:
        stays = np.repeat(kept, np.diff(segment.first))
        numbers = np.where(stays, np.cumsum(stays, dtype=np.int32) - 1 + offset, -1).astype(np.int32)
        return cls(segment, np.flatnonzero(stays), numbers, np.searchsorted(words, segment.words))

    def entries(self) -> NDArray[np.int64]:
        """[T] number of entries of each of its words that are kept."""
        sizes = np.diff(self.segment.starts).astype(np.int64)
        if len(self.rows) == len(self.numbers):
            return sizes
        for begin, end in _ranges(self.segment.starts):
            sizes[begin:end] = self.taken(begin, end)[1]
        return sizes

    def taken(self, begin: int, end: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """For a range of its words: which entries are kept, and how many of each word."""
        edges = self.segment.starts[begin : end + 1]
        take = np.flatnonzero(self.numbers[self.segment.leaves[edges[0] : edges[-1]]] >= 0) + int(edges[0])
        return take, np.diff(np.searchsorted(take, edges)).astype(np.int64)


def _vector_pieces(moves: Sequence[_Move]) -> Iterator[NDArray[np.float32]]:
    for move in moves:
        step = max(PIECE // (move.segment.vectors.itemsize * move.segment.vectors.shape[1]), 1)
        for begin in range(0, len(move.rows), step):
            yield move.segment.vectors[move.rows[begin : begin + step]]


def _entry_pieces(moves: Sequence[_Move], starts: NDArray[np.int32], which: int) -> Iterator[NDArray[Any]]:
    """Leaves (0) or counts (1), for one range of all words after another."""
    for begin, end in _ranges(starts):
        before = starts[begin:end].astype(np.int64) - int(starts[begin])
        found = np.empty(int(starts[end]) - int(starts[begin]), dtype=(np.int32, np.int16)[which])
        for move in moves:
            first, last = np.searchsorted(move.places, [begin, end]).tolist()
            take, per_word = move.taken(first, last)
            inside = move.places[first:last] - begin
            target = _spread(before[inside], per_word)
            found[target] = move.segment.counts[take] if which else move.numbers[move.segment.leaves[take]]
            before[inside] += per_word
        yield found


def _ranges(starts: NDArray[np.int32]) -> Iterator[tuple[int, int]]:
    """Ranges of words whose entries together make about one piece; a single word may have more."""
    most, begin, words = max(PIECE // 8, 1), 0, len(starts) - 1  # entries are moved by numbers of 64 bits
    while begin < words:
        end = int(np.searchsorted(starts, int(starts[begin]) + most, side="right")) - 1
        end = min(max(end, begin + 1), words)
        yield begin, end
        begin = end


def _spread(begins: NDArray[Any], sizes: NDArray[Any]) -> NDArray[np.int64]:
    """Consecutive numbers from each beginning, as many as its size, concatenated."""
    firsts = np.repeat(begins - np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.int64), sizes)
    return np.asarray(firsts + np.arange(len(firsts), dtype=np.int64))


def _edges(sizes: Any) -> NDArray[np.int32]:
    return np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)]).astype(np.int32)


class SegmentedIndex:
    """The leaves of a choice of documents in several segments; scores them as ``candidates.LeafIndex`` does.

    Args:
        parts: segments, each with the place of each of its documents among those chosen; -1 for one that is not.
        sizes: number of leaves of each chosen document.
    """

    def __init__(
        self,
        parts: Sequence[tuple[Segment, NDArray[np.int32]]],
        sizes: Sequence[int],
    ) -> None:
        self.first = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        self.total = int(self.first[-1])
        self._parts = [(segment, self._numbers(segment, owners)) for segment, owners in parts]

    def _numbers(self, segment: Segment, owners: NDArray[np.int32]) -> NDArray[np.int32]:
        """For each leaf of a segment its number among those of the choice, -1 for one that is not in it."""
        sizes = np.diff(segment.first)
        begins = np.where(owners >= 0, self.first[owners], 0) - segment.first[:-1]
        found = np.repeat(begins, sizes) + np.arange(len(segment.vectors))
        return np.where(np.repeat(owners >= 0, sizes), found, -1).astype(np.int32)

    @cached_property
    def _lengths(self) -> NDArray[np.float64]:
        """The length normalisation of each leaf in BM25."""
        lengths = self._scattered(lambda segment: segment.lengths, np.float64)
        mean = float(lengths.mean()) if self.total else 1.0
        return np.asarray(K1 * ((1 - B) + B * lengths / mean))

    @cached_property
    def _repeats(self) -> NDArray[np.bool_]:
        names = self._scattered(lambda segment: segment.names, np.uint64)
        repeats = np.ones(self.total, dtype=np.bool_)
        repeats[np.unique(names, return_index=True)[1]] = False
        return repeats

    def _scattered(self, values: Callable[[Segment], NDArray[Any]], dtype: Any) -> NDArray[Any]:
        """A value for each leaf of the choice, leaf after leaf."""
        found = np.zeros(self.total, dtype=dtype)
        for segment, numbers in self._parts:
            inside = numbers >= 0
            found[numbers[inside]] = values(segment)[inside]
        return found

    def scores(
        self, question: str, vector: NDArray[np.float32], leaf: Callable[[int, int], tuple[str, str]]
    ) -> LeafScores:
        """Score all leaves; see ``candidates.LeafIndex.search``.

        Args:
            question: in words.
            vector: [E] unit vector of the question.
            leaf: title and text of a leaf, by the place of its document and its number there.
        """
        dense = self._dense(vector)
        asked = list(dict.fromkeys(terms(question)))
        lexical, holders = self._lexical(asked)
        fused, best = fused_scores(dense, lexical, self._repeats, is_english(question))
        named = best is not None and set(asked) <= set(terms(" ".join(leaf(*self.place(best)))))
        weights = {term: self._weight(count) for term, count in holders.items()}
        unknown = frozenset(term for term, count in holders.items() if not count)
        ranked, near, worded = (one.astype(np.float32, copy=False) for one in (fused, dense, lexical))
        return LeafScores(ranked, near, worded, named, weights, unknown)

    def place(self, leaf: int) -> tuple[int, int]:
        """The place of a leaf's document among those chosen, and the leaf's number in it."""
        document = int(np.searchsorted(self.first, leaf, side="right")) - 1
        return document, leaf - int(self.first[document])

    def _dense(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        found = np.zeros(self.total, dtype=np.float32)
        for segment, numbers in self._parts:
            # einsum, not @, and for the same reason as in LeafIndex
            scores, inside = np.einsum("ij,j->i", segment.vectors, vector), numbers >= 0
            found[numbers[inside]] = scores[inside]
        return found

    def _lexical(self, asked: Sequence[str]) -> tuple[NDArray[np.float32], dict[str, int]]:
        """BM25 of all leaves, and for each term the number of leaves that contain it."""
        scores = np.zeros(self.total, dtype=np.float32)
        holders = {}
        for term in asked:
            found = list(self._holding(word_number(term)))
            holders[term] = sum(len(leaves) for leaves, _counts in found)
            weight = float(np.float32(self._weight(holders[term])))
            for leaves, counts in found:  # with the precision that bm25s has at each step: ranks depend on the last bit
                scores[leaves] += (weight * (counts / (self._lengths[leaves] + counts))).astype(np.float32)
        return scores, holders

    def _holding(self, word: int) -> Iterator[tuple[NDArray[np.int32], NDArray[np.float64]]]:
        for segment, numbers in self._parts:
            leaves, counts = segment.entries(word)
            chosen = numbers[leaves]
            inside = chosen >= 0
            yield chosen[inside], counts[inside].astype(np.float64)

    def _weight(self, holders: int) -> float:
        """Inverse document frequency, as in BM25."""
        return math.log(1 + (self.total - holders + 0.5) / (holders + 0.5))
