"""Citations, taken from the nodes that were injected."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice

from sharedllm_docs.retrieval.answer import Citation, best_quote, fold
from sharedllm_docs.retrieval.prepared import Leaf, PreparedDocument
from sharedllm_docs.retrieval.searcher import Selection
from sharedllm_docs.retrieval.selection import SelectedNode


def cite(selection: Selection, question: str, answer: str, limit: int) -> tuple[Citation, ...]:
    """The passages that the answer stands on, best first.

    From each injected leaf the sentence is quoted that shares the most words with question and answer. Leaves are
    ranked by their relevance to the question, as selection used it (docs/log.md, citations: adding the overlap found
    fewer of the right pages), equal ones by document and place. A leaf without text is not cited.

    Args:
        selection: the injected nodes.
        question: in words.
        answer: the generated text.
        limit: maximum number of citations.
    """
    scores = {(candidate.document, candidate.chunk): candidate.leaf_scores for candidate in selection.candidates}
    offered = []
    for node in selection.nodes:
        document = selection.documents[node.document]
        for number in document.trees[node.chunk].tree.leaves_of(node.node):
            leaf = document.leaves[document.first_leaf[node.chunk] + number]
            offered.append(_Offered(node, document, leaf, round(scores[node.document, node.chunk][number], 6)))
    offered.sort(key=lambda one: (-one.score, one.document.document.name, one.leaf.char_start))
    # only the best leaves are searched for quotes: a budget of thousands of rows holds hundreds of leaves
    made = (_citation(one, question, answer) for one in offered)
    return tuple(islice((citation for citation in made if citation.quote), limit))


@dataclass(frozen=True)
class _Offered:
    """A leaf of an injected node, with its relevance."""

    node: SelectedNode
    document: PreparedDocument
    leaf: Leaf
    score: float


def _citation(offered: _Offered, question: str, answer: str) -> Citation:
    node, document, leaf = offered.node, offered.document, offered.leaf
    text = document.document.text
    start, end = leaf.char_start, leaf.char_end
    first, last, _overlap = best_quote(text[start:end], question, answer)
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
        score=offered.score,
        chunk=node.chunk,
        level=node.node.level,
        node=node.node.index,
    )
