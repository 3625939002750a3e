"""The search index in segments gives the scores that it gives whole, however it is cut, merged and masked."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sharedllm_docs.retrieval import segments as segments_module
from sharedllm_docs.retrieval.candidates import LeafIndex, LeafScores
from sharedllm_docs.retrieval.segments import InPieces, Leaves, Segment, SegmentedIndex, build, merge, merged
from sharedllm_docs.store import segment_files
from sharedllm_docs.store.files import LocalFiles
from sharedllm_docs.store.segment_files import SegmentFiles

WORDS = [
    *("heron", "river", "fish", "copper", "tin", "sonnet", "line", "read.table", "lighthouse", "keeper", "weather"),
    *("book", "Fische", "\u6c34\u9e1f", "the", "of"),
]
QUESTIONS = (
    "What does the heron eat?",
    "Which lighthouse keeper has the book?",
    "Wo sind die Fische?",
    "\u6c34\u9e1f",
    "the of",
    "zebra",
    "copper tin copper read.table",
)


def made(seed: int, count: int, size: int = 8) -> list[Leaves]:
    """Documents with leaves of random words; some leaves repeat, one has no word."""
    chance, numbers = random.Random(seed), np.random.default_rng(seed)
    found = []
    for number in range(count):
        texts = [" ".join(chance.choices(WORDS, k=chance.randint(1, 12))) for _ in range(chance.randint(1, 6))]
        texts[0] = chance.choice(["heron river", "the of", texts[0]])
        titles = [chance.choice(["", "Birds", "Metals\nTable 1"]) for _ in texts]
        vectors = numbers.standard_normal((len(texts), size)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        found.append(Leaves(f"d{number}", texts, titles, vectors))
    return found


def whole(documents: list[Leaves]) -> LeafIndex:
    texts = [text for one in documents for text in one.texts]
    titles = [title for one in documents for title in one.titles]
    return LeafIndex(texts, titles, np.concatenate([one.vectors for one in documents]))


class Segmented:
    """``SegmentedIndex`` as ``LeafIndex`` is called."""

    def __init__(self, documents: list[Leaves], index: SegmentedIndex) -> None:
        self.documents, self.index = documents, index

    def search(self, question: str, vector: Any) -> LeafScores:
        return self.index.scores(
            question,
            vector,
            lambda place, leaf: (self.documents[place].titles[leaf], self.documents[place].texts[leaf]),
        )


def segmented(documents: list[Leaves], segments: list[Segment]) -> Segmented:
    """A search over ``documents``, each found in the first segment that has it."""
    places = {one.document: place for place, one in enumerate(documents)}
    parts = []
    for segment in segments:
        owners = np.array([places.pop(name, -1) for name in segment.documents], dtype=np.int32)
        parts.append((segment, owners))
    assert not places
    return Segmented(documents, SegmentedIndex(parts, [len(one.texts) for one in documents]))


def check_alike(documents: list[Leaves], segments: list[Segment]) -> None:
    left, right = whole(documents), segmented(documents, segments)
    for number, question in enumerate(QUESTIONS):
        vector = np.random.default_rng(number).standard_normal(8).astype(np.float32)
        vector /= np.linalg.norm(vector)
        one, other = left.search(question, vector), right.search(question, vector)
        np.testing.assert_array_equal(other.lexical, one.lexical)
        for name in ("fused", "dense"):
            np.testing.assert_allclose(getattr(other, name), getattr(one, name), atol=2e-6, err_msg=name)
        assert (one.named, one.unknown) == (other.named, other.unknown)
        assert one.weights == pytest.approx(other.weights)
        assert one.relevance == pytest.approx(other.relevance, abs=1e-6)


@given(st.integers(0, 10**6), st.integers(1, 12), st.data())
def test_cut_anywhere_merged_in_any_order_with_any_documents_left_out(seed: int, count: int, data: Any) -> None:
    documents = made(seed, count)
    chosen = data.draw(st.lists(st.sampled_from(range(count)), min_size=1, unique=True))
    edges = sorted({0, count, *data.draw(st.lists(st.integers(0, count), max_size=3))})
    segments = [build(documents[begin:end]) for begin, end in itertools.pairwise(edges)]
    check_alike([documents[number] for number in chosen], segments)
    gone = set(range(count)) - set(chosen)
    parts = [(one, [int(name[1:]) not in gone for name in one.documents]) for one in segments]
    together = merge(parts)
    assert set(together.documents) == {f"d{number}" for number in chosen}
    check_alike([documents[number] for number in chosen], [together])
    again = Segment.from_arrays(together.documents, together.to_arrays())
    check_alike([documents[number] for number in chosen], [again, *segments])


def test_merging_gives_what_building_together_gives() -> None:
    documents = made(3, 9)
    parts = [build(documents[:2]), build(documents[2:7]), build(documents[7:])]
    one, other = build(documents), merge([(part, [True] * len(part.documents)) for part in parts])
    for name, array in one.to_arrays().items():
        np.testing.assert_array_equal(array, other.to_arrays()[name], err_msg=name)
    assert one.documents == other.documents


@given(st.integers(0, 10**6), st.integers(1, 12), st.integers(1, 200), st.data())
def test_pieces_of_any_size_are_together_what_building_together_gives(
    seed: int, count: int, piece: int, data: Any
) -> None:
    documents = made(seed, count)
    kept = data.draw(st.lists(st.booleans(), min_size=count, max_size=count).filter(any))
    edges = sorted({0, count, *data.draw(st.lists(st.integers(0, count), max_size=3))})
    parts = [(build(documents[begin:end]), kept[begin:end]) for begin, end in itertools.pairwise(edges)]
    whole = build([one for one, stays in zip(documents, kept, strict=True) if stays]).to_arrays()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(segments_module, "PIECE", piece)
        names, arrays = merged(parts)
        assert names == tuple(one.document for one, stays in zip(documents, kept, strict=True) if stays)
        assert set(arrays) == set(whole)
        for name, array in arrays.items():
            pieces = list(array.pieces()) if isinstance(array, InPieces) else [array]
            assert (array.dtype, array.shape) == (whole[name].dtype, whole[name].shape), name
            np.testing.assert_array_equal(np.concatenate(pieces), whole[name], err_msg=name)
            if isinstance(array, InPieces) and name == "vectors":
                assert all(one.nbytes <= max(piece, 4 * array.shape[1]) for one in pieces)


def test_a_merged_segment_is_the_same_file_in_pieces_and_whole(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = made(5, 9)
    parts = [(build(documents[:4]), [True] * 4), (build(documents[4:]), [True] * 5)]
    whole, found = build(documents), list[tuple[str, bytes]]()
    monkeypatch.setattr(segments_module, "PIECE", 64)
    monkeypatch.setattr(segment_files, "_STEP", 100)
    both: list[tuple[tuple[str, ...], Any]] = [(whole.documents, whole.to_arrays()), merged(parts)]
    for place, (names, arrays) in enumerate(both):
        files = SegmentFiles(LocalFiles(tmp_path / str(place)), None, None)
        name = files.save(names, arrays)
        assert name is not None
        check_alike(documents, [Segment.from_arrays(*files.load(name))])
        found.append((name, (tmp_path / str(place) / "search" / f"{name}.segment").read_bytes()))
    assert found[0] == found[1]


def test_leaves_of_ten_thousand_of_a_word_are_counted_up_to_what_fits() -> None:
    documents = [Leaves("d0", ["heron " * 40000, "river"], ["", ""], np.eye(2, 8, dtype=np.float32))]
    segment = build(documents)
    assert segment.counts.max() == np.iinfo(np.int16).max
    assert segmented(documents, [segment]).search("heron", documents[0].vectors[0]).fused.argmax() == 0


@pytest.mark.parametrize(
    "change",
    [
        {"first": np.array([0, 9], np.int32)},
        {"first": np.array([1, 2], np.int32)},
        {"lengths": np.zeros(1, np.int32)},
        {"leaves": np.array([7], np.int32)},
        {"counts": np.zeros(0, np.int16)},
        {"starts": np.array([0], np.int32)},
        {"vectors": np.zeros((2, 8), np.float64)},
        {"names": np.zeros(2, np.int32)},
        {"other": np.zeros(2, np.int32)},
    ],
)
def test_arrays_that_are_no_segment_are_refused(change: dict[str, Any]) -> None:
    segment = build([Leaves("d0", ["heron", "river"], ["", ""], np.eye(2, 8, dtype=np.float32))])
    assert Segment.from_arrays(["d0"], segment.to_arrays()).documents == ("d0",)
    with pytest.raises(ValueError, match=r"fit together|not the arrays"):
        Segment.from_arrays(["d0"], {**segment.to_arrays(), **change})
    for documents in ([], ["d0", "d1"]):
        with pytest.raises(ValueError, match="fit together"):
            Segment.from_arrays(documents, segment.to_arrays())
