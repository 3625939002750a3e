"""The tree of a document as data to draw: chunks, nodes, and with a question which branches were taken."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sharedllm_docs.documents.document import Issue
from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.retrieval.answer import fold

if TYPE_CHECKING:
    from sharedllm_docs.documents.tree import Node
    from sharedllm_docs.retrieval.prepared import PreparedDocument
    from sharedllm_docs.retrieval.searcher import Selection
    from sharedllm_docs.retrieval.selection import SelectedNode

SNIPPET_CHARS = 60


@dataclass(frozen=True)
class DocumentInfo:
    """A document of an index, as lists show it.

    Attributes:
        key: content address of the document.
        name: name shown in citations.
        pages: number of pages.
        tokens: number of tokens.
        chunks: number of chunks.
        bytes: size on disk, in bytes.
        created: UTC time at which the document was added.
        reader: name of the reader that read it.
        title: the title in its metadata, or "".
        issues: what was lost or guessed while reading.
        metadata: strings found in the file or given by the caller.
        unread_chunks: number of chunks whose rows are not encoded yet. The document can be asked anyway: what a
            question needs is encoded first.
        boxes: whether it is known where the text is printed on the pages (``Citation.boxes``). A document that was read
            by an earlier version gets its boxes when its file is added again; nothing is encoded again.
        source: where the file is that it was read from: ``kept`` (in the index), ``path`` (where it was, unless it has
            been moved), or "" for neither.
    """

    key: str
    name: str
    pages: int
    tokens: int
    chunks: int
    bytes: int
    created: str
    reader: str
    title: str = ""
    issues: tuple[Issue, ...] = ()
    metadata: Mapping[str, str] = field(default_factory=dict, hash=False)
    unread_chunks: int = 0
    boxes: bool = False
    source: str = ""


@dataclass(frozen=True)
class AddedDocument:
    """Result of ``Index.add``.

    Attributes:
        document: the document as it is in the index now.
        new: False if it was there already; then at most the chunks that were not read yet were encoded.
        chunks_encoded: number of chunks that the model encoded.
        chunks_reused: number of chunks found in the store (resumed, shared or unchanged after an edit).
        seconds: time from reading to commit.
        tokens_per_second: speed of the whole ingestion, reading and embedding included; 0 when nothing was encoded.
        stage_seconds: wall time by stage (``read``, ``tokenize``, ``encode``, ``store``, ``embed``, ``commit``).
        replaced: keys of the documents of the same name that it replaced.
        metadata_updated: whether the metadata of a document that was there already were changed.
        renamed_from: its earlier name, if it was there already under another name; otherwise "".
        attachments: the files inside it that were read as separate documents (``attachments=True``).
        unread: (name, reason) of the files inside it that could not be read.
    """

    document: DocumentInfo
    new: bool
    chunks_encoded: int
    chunks_reused: int
    seconds: float
    tokens_per_second: float
    stage_seconds: Mapping[str, float]
    replaced: tuple[str, ...] = ()
    metadata_updated: bool = False
    renamed_from: str = ""
    attachments: tuple[AddedDocument, ...] = ()
    unread: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class AddedFiles:
    """Result of ``Index.add_all``.

    Attributes:
        added: the documents, in the order in which they were found; attached files are inside theirs.
        skipped: (name, reason) of files that are not documents: unknown formats, ignored, hidden and empty files.
        failed: (name, error) of documents that could not be read.
    """

    added: tuple[AddedDocument, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    failed: tuple[tuple[str, SharedLLMError], ...] = ()


@dataclass(frozen=True)
class NodeView:
    """A node of a tree.

    Attributes:
        level: 1 .. depth.
        index: its number in the level.
        start_token: first token, counted in the document.
        end_token: one past its last.
        start_page: page on which it begins.
        end_page: page on which it ends.
        grain: grain of its level (0 = never injected).
        rows: number of rows that it injects at that grain.
        score: relevance of its best leaf to the question; None without a question, and where the document is one of
            very many and far from it.
        state: ``taken`` (injected at the finest grain), ``coarse`` (injected at a coarser one), ``left`` (not
            injected though its chunk was searched) or "" (chunk not searched, or no question).
        text: first words of the node.
    """

    level: int
    index: int
    start_token: int
    end_token: int
    start_page: int
    end_page: int
    grain: int
    rows: int
    score: float | None
    state: str
    text: str


@dataclass(frozen=True)
class ChunkView:
    """A chunk with its tree.

    Attributes:
        index: its number in the document.
        start_page: page on which it begins.
        end_page: page on which it ends.
        tokens: number of tokens.
        section: title of the section in which it begins.
        score: relevance of its best leaf; None without a question.
        selected: whether any of its nodes is injected.
        nodes: all its nodes, from the top level down, left to right.
        read: whether its rows are encoded.
    """

    index: int
    start_page: int
    end_page: int
    tokens: int
    section: str
    score: float | None
    selected: bool
    nodes: tuple[NodeView, ...]
    read: bool = True


@dataclass(frozen=True)
class TreeView:
    """A document's trees, for one question or none."""

    document: DocumentInfo
    question: str | None
    chunks: tuple[ChunkView, ...]


def tree_view(
    info: DocumentInfo,
    prepared: PreparedDocument,
    question: str | None = None,
    selection: Selection | None = None,
    unread: Collection[int] = (),
) -> TreeView:
    """Put document, trees and selection together.

    Args:
        info: the document as lists show it.
        prepared: the same document, ready for questions.
        question: as asked, or None.
        selection: for the question; its document 0 is this one.
        unread: indices of the chunks that are not read yet.
    """
    chosen: dict[int, list[SelectedNode]] = {}
    for node in selection.nodes if selection else ():
        chosen.setdefault(node.chunk, []).append(node)
    chunks = tuple(
        _chunk_view(prepared, index, selection, chosen.get(index, []), index not in unread)
        for index in range(len(prepared.trees))
    )
    return TreeView(info, question, chunks)


def _chunk_view(
    prepared: PreparedDocument, index: int, selection: Selection | None, chosen: list[SelectedNode], read: bool
) -> ChunkView:
    tree = prepared.trees[index]
    leaf_scores = selection.candidates[index].leaf_scores if selection and selection.candidates else None
    first, last = prepared.pages(index)
    injected = {selected.node: selected for selected in chosen}
    nodes = []
    for node in tree.tree.nodes:
        score = max(leaf_scores[leaf] for leaf in tree.tree.leaves_of(node)) if leaf_scores else None
        selected = injected.get(node)
        state = _state(selected, prepared) if selected else "left" if chosen else ""
        grain = selected.grain if selected else tree.tree.grain(node)
        nodes.append(_node_view(prepared, index, node, grain, score, state))
    leaf = prepared.leaves[prepared.first_leaf[index]]
    section = prepared.document.section_at((leaf.char_start + leaf.char_end) // 2)
    return ChunkView(
        index=index,
        start_page=first,
        end_page=last,
        tokens=len(tree.chunk),
        section=section.title if section else "",
        score=round(max(leaf_scores), 4) if leaf_scores else None,
        selected=bool(chosen),
        nodes=tuple(nodes),
        read=read,
    )


def _state(selected: SelectedNode, prepared: PreparedDocument) -> str:
    return "taken" if selected.grain == prepared.profile.stored_grain else "coarse"


def _node_view(
    prepared: PreparedDocument, chunk: int, node: Node, grain: int, score: float | None, state: str
) -> NodeView:
    tree = prepared.trees[chunk]
    first, last = prepared.pages(chunk, node)
    snippet = fold(prepared.text(chunk, node)[: 2 * SNIPPET_CHARS])[:SNIPPET_CHARS]
    return NodeView(
        level=node.level,
        index=node.index,
        start_token=tree.chunk.start + node.start,
        end_token=tree.chunk.start + node.end,
        start_page=first,
        end_page=last,
        grain=grain,
        rows=tree.tree.num_kept(node, grain),
        score=None if score is None else round(score, 4),
        state=state,
        text=snippet,
    )
