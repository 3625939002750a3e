"""Which of several documents an answer is based on, and which others fit the question as well."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sharedllm_docs.retrieval.answer import Citation, holds_answer
from sharedllm_docs.retrieval.searcher import Selection

AS_WELL = 0.9
"""A document whose best leaf has at least this share of the best score of all fits the question as well. Contracts made
from one template reach it ("Who signs the contract?"); where the question names one, the others have 0.89 at most.
Measured: docs/log.md (a question that several documents fit)."""


def origin(
    selection: Selection, citations: Sequence[Citation], answer: str, *, every: bool = False
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Names of the documents that an answer stands on, and of others that fit the question as well, best first.

    It is based on the document cited first, and on others near to the question whose quote contains the answer too.

    Args:
        selection: the injected nodes, with the scores of all leaves.
        citations: of the answer, best first.
        answer: its text.
        every: the answer stands on all of its citations, which its marks name.
    """
    near = _near(selection)
    standing = [
        one
        for number, one in enumerate(citations)
        if every or not number or (one.document_key in near and holds_answer(one.quote, answer))
    ]
    keys = {one.document_key for one in standing}
    names = tuple(dict.fromkeys(one.document for one in standing))
    others = (name for key, name in near.items() if key not in keys and name not in names)
    return names, tuple(dict.fromkeys(others)) if names else ()


def _near(selection: Selection) -> dict[str, str]:
    """Key and name of each document that fits the question about as well as the best, the best first."""
    if selection.scores is None or len(selection.documents) < 2:  # a summary's passages answer to no question
        return {}
    scored = list(_scored(selection))
    least = AS_WELL * max(score for _number, _text, score in scored)
    good = {text: score for _number, text, score in scored if score >= least}
    best: dict[int, float] = {}
    for number, text, _score in scored:  # a leaf with the text of an earlier one is scored low, and fits as well
        if text in good:
            best[number] = max(best.get(number, 0.0), good[text])
    ranked = sorted(best, key=lambda one: -best[one])
    return {selection.documents[one].key: selection.documents[one].document.name for one in ranked}


def _scored(selection: Selection) -> Iterator[tuple[int, str, float]]:
    """(number of its document, text, score) of every leaf that was searched."""
    for chunk in selection.candidates:
        document = selection.documents[chunk.document]
        first = document.first_leaf[chunk.chunk]
        texts = document.leaf_texts[first : first + len(chunk.leaf_scores)]
        for text, score in zip(texts, chunk.leaf_scores, strict=True):
            yield chunk.document, text, score
