"""Passages of sharedllm-docs as LlamaIndex nodes with page, span, score and document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from llama_index.core.schema import NodeRelationship, NodeWithScore, ObjectType, RelatedNodeInfo, TextNode
from sharedllm_docs import Box, Citation, Index, Passage

from llama_index.llms.sharedllm.documents import Kept, kept_of

ADDED = ("page", "page_label", "section", "quote", "boxes")
"""Metadata added to a node, unless the document has metadata of the same name; the model is shown none of it."""


def cited_nodes(index: Index, citations: Sequence[Citation]) -> list[NodeWithScore]:
    """The injected nodes that the citations come from, best first, each with its best quote."""
    best: dict[tuple[str, int, int, int], Citation] = {}
    for citation in citations:
        best.setdefault((citation.document_key, citation.chunk, citation.level, citation.node), citation)
    cited = [
        (passage, best[passage.document_key, passage.chunk, passage.level, passage.node])
        for passage in index.passages(citations)
    ]
    return [to_node(passage, citation.quote, citation.boxes) for passage, citation in cited]


def to_node(passage: Passage, quote: str = "", boxes: Sequence[Box] | None = None) -> NodeWithScore:
    """A node; its id is its place, so that the same passage is the same node every time.

    Args:
        passage: from an index.
        quote: the sentence that an answer cites, or "".
        boxes: where that stands; None for where the passage does.
    """
    kept = kept_of(passage.metadata)
    label = passage.page_label or str(passage.page)
    added: dict[str, Any] = {"page": _page(passage, kept), "page_label": label, "section": passage.section}
    if quote:
        added["quote"] = quote
    places = [asdict(box) for box in (passage.boxes if boxes is None else boxes)]
    if places:
        added["boxes"] = places
    metadata = {**{key: value for key, value in added.items() if value != ""}, **kept.metadata}
    hidden = [key for key in added if key in metadata and key not in kept.metadata]
    node = TextNode(
        id_=f"{passage.document_key[:16]}-{passage.chunk}-{passage.level}-{passage.node}",
        text=passage.text,
        start_char_idx=passage.char_start,
        end_char_idx=passage.char_end,
        metadata=metadata,
        excluded_embed_metadata_keys=[*kept.exclude_embed, *hidden],
        excluded_llm_metadata_keys=[*kept.exclude_llm, *hidden],
        relationships={
            NodeRelationship.SOURCE: RelatedNodeInfo(
                node_id=passage.document, node_type=ObjectType.DOCUMENT, metadata=dict(kept.metadata), hash=kept.hash
            )
        },
    )
    return NodeWithScore(node=node, score=passage.score)


def _page(passage: Passage, kept: Kept) -> int:
    """The page in the file. Readers that give a document for every page have its number in ``page_label``."""
    label = str(kept.metadata.get("page_label", ""))
    return int(label) if kept.hash is not None and passage.page == 1 and label.isdecimal() else passage.page
