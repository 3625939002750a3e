"""Citations out of the very nodes that were injected. Pure text work on a selection."""

from __future__ import annotations

from sharedllm_docs.answer import Citation, best_quote, fold, rank
from sharedllm_docs.prepared import PreparedDocument
from sharedllm_docs.question import Selection
from sharedllm_docs.selection import SelectedNode
from sharedllm_docs.tree import Node


def cite(selection: Selection, question: str, answer: str, most: int) -> tuple[Citation, ...]:
    """The passages that the answer stands on, best first.

    Each injected leaf offers the sentence that shares most words with question and answer; leaves are ranked by their
    relevance to the question, as selection saw it (docs/log.md, citations: adding the overlap found fewer of the
    right pages).

    Args:
        selection: what was injected.
        question: the user's words.
        answer: the generated text.
        most: citations returned.
    """
    offered = []
    for node in selection.nodes:
        document = selection.documents[node.document]
        tree = document.trees[node.chunk].tree
        for number in tree.leaves_of(node.node):
            offered.append(_citation(document, node, tree.leaves[number], selection, question, answer))
    return rank([citation for citation in offered if citation.quote], most)


def _citation(
    document: PreparedDocument, node: SelectedNode, leaf: Node, selection: Selection, question: str, answer: str
) -> Citation:
    start, end = document.chars(node.chunk, leaf)
    text = document.document.text
    first, last, _overlap = best_quote(text[start:end], question, answer)
    candidate = next(c for c in selection.candidates if (c.document, c.chunk) == (node.document, node.chunk))
    page = document.document.page_at(start + first)
    section = document.document.section_at(start + first)
    return Citation(
        document=document.document.name,
        document_key=document.key,
        page=page.number,
        page_label=page.label,
        char_start=start + first,
        char_end=start + last,
        quote=fold(text[start + first : start + last]),
        section=section.title if section else "",
        score=round(candidate.leaf_scores[leaf.index], 6),
        chunk=node.chunk,
        level=node.node.level,
        node=node.node.index,
    )
