"""Leaves spread over a text, for a summary: no question ranks them, so one is chosen from each part of the text.
Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.tree import Node
from sharedllm_docs.errors import DocumentNotFoundError
from sharedllm_docs.retrieval.selection import Budgeted, CandidateChunk, SelectedNode, best_fitting

_SHOWN_TITLES = 12
OfferedLeaf = tuple[CandidateChunk, Node, NDArray[np.float32]]
"""A leaf with its chunk and its vector [E]."""


def spread_leaves(
    offered: Sequence[OfferedLeaf], budget: int, grains: Sequence[int] | None = None
) -> list[SelectedNode]:
    """Leaves for a budget of rows, spread evenly: all if they fit, else the most central one of each part.

    Args:
        offered: leaves in document order.
        budget: maximum number of rows.
        grains: all leaves are injected at one of these: the finest at which everything fits, else the coarsest. None
            for the profile's own.

    Returns:
        nodes in document order.
    """
    chosen = Budgeted(budget)
    if not offered:
        return []
    grain, sizes = _grain_for(offered, budget, grains)
    parts = len(offered) if sum(sizes) <= budget else max(1, budget // max(sizes))
    vectors = np.stack([vector for *_, vector in offered])
    mean = vectors.mean(0)
    for part in np.array_split(np.arange(len(offered)), min(parts, len(offered))):
        own = vectors[part]
        nearest = int(np.argmax(own @ (own.mean(0) + mean)))
        candidate, leaf, _ = offered[int(part[0 if part[0] == 0 else nearest])]
        chosen.add(candidate, leaf, grain)
    central = sorted(offered, key=lambda one: -float(one[2] @ mean))
    return chosen.in_order() or best_fitting(((candidate, leaf) for candidate, leaf, _ in central), budget, grain)


def _grain_for(
    offered: Sequence[OfferedLeaf], budget: int, grains: Sequence[int] | None
) -> tuple[int | None, list[int]]:
    """The finest of these grains at which all leaves fit the budget, else the coarsest; and the rows of each leaf."""
    sizes: list[int] = []
    grain: int | None = None
    for grain in sorted(grains) if grains else [None]:
        sizes = [candidate.tree.num_kept(leaf, grain) for candidate, leaf, _ in offered]
        if sum(sizes) <= budget:
            break
    return grain, sizes


def centrality(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cosine [leaves] of each leaf's unit vector with the mean of all, 0 to 1."""
    mean = vectors.mean(0) if len(vectors) else vectors.sum(0)
    norm = float(np.linalg.norm(mean)) or 1.0
    cosines: NDArray[np.float32] = np.clip(vectors @ mean / norm, 0, 1).astype(np.float32)
    return cosines


def section_span(document: Document, title: str | None) -> tuple[int, int] | None:
    """(first character, one past the last) of the section of this title with its subsections; None if there is none.

    Without a title, the whole text. Case and white space are ignored; a part of a title is enough if only one section
    has it.
    """
    if title is None:
        return 0, len(document.text)
    wanted = _folded(title)
    titles = [_folded(section.title) for section in document.sections]
    places = [i for i, one in enumerate(titles) if one == wanted]
    places = places or [i for i, one in enumerate(titles) if wanted in one]
    if not places or len({titles[i] for i in places}) > 1:
        return None
    first = document.sections[places[0]]
    after = (one.char for one in document.sections[places[0] + 1 :] if one.level <= first.level)
    return first.char, next(after, len(document.text))


def unknown_section(title: str, documents: Sequence[Document]) -> DocumentNotFoundError:
    """The error for a title that no section has, or that fits several sections."""
    titles = list(dict.fromkeys(section.title for document in documents for section in document.sections))
    near = [one for one in titles if _folded(title) in _folded(one)] or titles
    known = ", ".join(map(repr, near[:_SHOWN_TITLES])) + (", ..." if len(near) > _SHOWN_TITLES else "")
    return DocumentNotFoundError(
        f"There is no single section {title!r} (sections: {known or 'none'}).",
        remedy="Give one of these titles in full.",
    )


def _folded(title: str) -> str:
    return " ".join(title.casefold().split())
