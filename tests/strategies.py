"""Hypothesis strategies for what the pure stages work on: profiles, trees, candidate chunks."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from sharedllm_docs.config import RANKED, Profile
from sharedllm_docs.documents.tree import ContextTree, ranks_of
from sharedllm_docs.retrieval.selection import CandidateChunk


@st.composite
def profiles(
    draw: Any, *, encoding: str | None = None, leaves_only: bool | None = None, keep: str | None = None
) -> Profile:
    """Valid profiles with small chunks; ``leaves_only`` fixes whether coarser levels are injected."""
    depth = draw(st.integers(1, 4))
    finest = draw(st.sampled_from([1, 1, 2, 3, 4]))
    chunk = finest * draw(st.sampled_from([1, 2, 3, 4, 6])) << depth
    grains = []
    for level in range(1, depth):
        span = chunk >> level
        divisors = [d for d in range(finest, span + 1, finest) if span % d == 0]
        if keep in RANKED:
            divisors = list(range(finest, span + 2))
        choices = {None: [0, *divisors], True: [0], False: divisors}[leaves_only]
        grains.append(draw(st.sampled_from(choices)))
    settings: dict[str, Any] = {"chunk_tokens": chunk, "depth": depth, "grains": (*grains, finest)}
    settings["encoding"] = encoding or draw(st.sampled_from(["one_pass", "per_node"]))
    settings["keep"] = keep or draw(st.sampled_from(["last", "first"]))
    settings["positions"] = draw(st.sampled_from(["token", "chunk", "chunk+token"]))
    first = draw(st.integers(1, 20))
    settings["layers"] = draw(st.sampled_from([None, (first, first + draw(st.integers(0, 20)))]))
    settings["query_offset"] = draw(st.integers(0, 2))
    if settings["encoding"] == "per_node":
        settings["front"] = "none"
    if draw(st.booleans()):
        return Profile.sharedllm(**settings)
    return Profile.prefix(**settings)


@st.composite
def trees(draw: Any, /, **kind: Any) -> ContextTree:
    """Trees of full and short chunks."""
    profile = draw(profiles(**kind))
    return ContextTree(profile, draw(st.integers(1, profile.chunk_tokens)))


@st.composite
def ranked_trees(draw: Any) -> ContextTree:
    """Trees of full and short chunks whose tokens have ranks."""
    profile = draw(profiles(encoding="one_pass", keep=draw(st.sampled_from(sorted(RANKED)))))
    tokens = draw(st.integers(1, profile.chunk_tokens))
    return ContextTree(profile, tokens, ranks_of(draw(st.lists(scores(), min_size=tokens, max_size=tokens))))


def scores() -> Any:
    """Scores with ties among them."""
    return st.one_of(st.sampled_from([0.0, 0.5, 1.0]), st.floats(-1, 1, width=32))


@st.composite
def candidate_lists(draw: Any, /, **kind: Any) -> list[CandidateChunk]:
    """All chunks of one or two documents of one profile; a node scores as its best leaf, or anyhow."""
    profile = draw(profiles(**kind))
    candidates = []
    for document in range(draw(st.integers(1, 2))):
        lengths = [profile.chunk_tokens] * draw(st.integers(0, 3)) + [draw(st.integers(1, profile.chunk_tokens))]
        for chunk, length in enumerate(lengths):
            tree = ContextTree(profile, length)
            leaf_scores = [draw(scores()) for _leaf in tree.leaves]
            by_leaf = draw(st.booleans())
            node_scores = {
                node: max(leaf_scores[leaf] for leaf in tree.leaves_of(node)) if by_leaf else draw(scores())
                for node in tree.nodes
            }
            candidates.append(CandidateChunk(document, chunk, tree, node_scores.__getitem__, leaf_scores))
    return candidates
