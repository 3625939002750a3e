"""A stored document, ready for questions: leaves with texts, titles and vectors, and the trees of its chunks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.box import Box
from sharedllm_docs.documents.boxes import Places
from sharedllm_docs.documents.chunks import Chunk
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tokens import DocumentTokens
from sharedllm_docs.documents.tree import ContextTree, Node, RowLayout
from sharedllm_docs.retrieval.candidates import Embed, passage

EMBEDDINGS = "leaf_embeddings"
NODE_VECTORS = "node_vectors"


@dataclass(frozen=True)
class Leaf:
    """A leaf of a chunk's tree, with its place in the text.

    Attributes:
        chunk: index of its chunk.
        index: index of the leaf in the chunk's tree.
        char_start: first character in the document's canonical text.
        char_end: one past its last character.
        title: titles of the section and of the table that contain the middle of the leaf, one per line, or "".
    """

    chunk: int
    index: int
    char_start: int
    char_end: int
    title: str


class Tree:
    """One chunk's tree with its row layout; kept because building them takes longer than using them.

    Attributes:
        chunk: its place in the document.
        layout: its rows; which of them represent a node may not be known yet (``ContextTree.ranks``).
        ranked_by: digest of the shard from which the ranks were read, or "".
    """

    def __init__(self, profile: Profile, chunk: Chunk) -> None:
        self.chunk = chunk
        self.layout = RowLayout(ContextTree(profile, len(chunk)))
        self.ranked_by = ""

    @property
    def tree(self) -> ContextTree:
        return self.layout.tree

    def learn(self, ranks: tuple[int, ...], shard: str) -> None:
        """Take over the ranks of the chunk's tokens, read from the shard of this digest."""
        self.layout = RowLayout(replace(self.tree, ranks=ranks))
        self.ranked_by = shard


def are_made(vectors: NDArray[np.float32]) -> bool:
    """Whether a document's leaves have their vectors; else zeros stand for all of them.

    They are stored all at once, so one that is not zero tells of all. An embedder may give zeros for some passage.
    """
    return bool(vectors.any())


class PreparedDocument:
    """A document with its leaves, trees and vectors.

    Attributes:
        vectors_digest: of the file that the vectors were read from, or "".

    Args:
        key: the document's key in the store.
        document: as read.
        tokens: the document's tokens.
        chunks: the chunks of these tokens.
        profile: resolved.
        vectors: ``leaf_embeddings`` [leaves, E] and ``node_vectors`` [nodes of all chunks, H], as stored;
            see ``missing``.
        load_places: loads the places of the text on the pages when they are first needed.
    """

    def __init__(
        self,
        key: str,
        document: Document,
        tokens: DocumentTokens,
        chunks: tuple[Chunk, ...],
        profile: Profile,
        vectors: Mapping[str, NDArray[np.float32]] | None = None,
        load_places: Callable[[], Places | None] | None = None,
    ) -> None:
        self.key = key
        self.document = document
        self.tokens = tokens
        self.profile = profile
        self.trees = tuple(Tree(profile, chunk) for chunk in chunks)
        self.vectors = vectors or {}
        self.vectors_digest = ""
        self._load_places = load_places

    @cached_property
    def places(self) -> Places | None:
        """Where the text is printed on the pages; None if that is not known."""
        if self._load_places is None or self.document.places is not None:
            return self.document.places
        return self._load_places()

    def boxes(self, start: int, end: int) -> tuple[Box, ...]:
        """The rectangles of characters of the canonical text, one per line; empty if they are not known."""
        return () if self.places is None else self.places.boxes(start, end)

    @cached_property
    def leaves(self) -> tuple[Leaf, ...]:
        """All leaves, chunk after chunk, left to right."""
        found = []
        for number, tree in enumerate(self.trees):
            for leaf in tree.tree.leaves:
                start, end = self.chars(number, leaf)
                found.append(Leaf(number, leaf.index, start, end, self._title(start, end)))
        return tuple(found)

    def _title(self, start: int, end: int) -> str:
        """Titles of the section and of the table that contain the middle of a span."""
        middle = (start + end) // 2
        section, table = self.document.section_at(middle), self.document.table_title(middle)
        return "\n".join(dict.fromkeys(filter(None, (section.title if section else "", table))))

    @cached_property
    def first_leaf(self) -> tuple[int, ...]:
        """Index of each chunk's first leaf in ``leaves``, and at the end their number."""
        counts = [len(tree.tree.leaves) for tree in self.trees]
        return (0, *np.cumsum(counts).tolist())

    @cached_property
    def _first_node(self) -> tuple[int, ...]:
        counts = [len(tree.tree.nodes) for tree in self.trees]
        return (0, *np.cumsum(counts).tolist())

    @cached_property
    def leaf_texts(self) -> list[str]:
        """The text of each leaf."""
        return [self.document.text[leaf.char_start : leaf.char_end] for leaf in self.leaves]

    def chars(self, chunk: int, node: Node) -> tuple[int, int]:
        """Character span of a node in the canonical text."""
        start = self.trees[chunk].chunk.start
        return self.tokens.char_span(start + node.start, start + node.end)

    def text(self, chunk: int, node: Node) -> str:
        """Text of a node."""
        start, end = self.chars(chunk, node)
        return self.document.text[start:end]

    def pages(self, chunk: int, node: Node | None = None) -> tuple[int, int]:
        """First and last page number that a node (or the whole chunk) touches."""
        whole = self.trees[chunk].chunk
        if node is None:
            start, end = self.tokens.char_span(whole.start, whole.end)
        else:
            start, end = self.chars(chunk, node)
        return self.document.page_at(start).number, self.document.page_at(max(start, end - 1)).number

    @property
    def missing(self) -> NDArray[np.intp]:
        """Numbers of the leaves whose vectors are not made yet: of all, or of none."""
        return np.arange(0 if are_made(self.vectors[EMBEDDINGS]) else len(self.vectors[EMBEDDINGS]))

    def passages(self, leaves: Sequence[int]) -> list[str]:
        """The texts that are embedded for these leaves."""
        return [passage(self.leaf_texts[number], self.leaves[number].title) for number in leaves]

    def embed_missing(self, embed: Embed) -> None:
        """Make the vectors that are missing, and keep them with this object."""
        missing = self.missing
        if len(missing):
            made = self.vectors[EMBEDDINGS].copy()
            made[missing] = embed(self.passages(missing.tolist()))
            self.vectors = {**self.vectors, EMBEDDINGS: made}

    def node_vector(self, chunk: int, node: Node) -> NDArray[np.float32]:
        """The node's vector [H] for the ``hidden-state`` selector."""
        place = self.trees[chunk].tree.nodes.index(node)
        vector: NDArray[np.float32] = self.vectors[NODE_VECTORS][self._first_node[chunk] + place]
        return vector
