"""Objectives: from a row of data to an example (paper, sections 3.4 and 4).

``continuation`` predicts a text whose past is only injected, ``reconstruction`` repeats a passage from its rows,
``questions`` answers over a gold chunk among distractors. Each draws with the randomness it is given and nothing
else, so a step's examples depend on its number alone. Pure: no torch.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree, Node
from sharedllm_docs.errors import DataError
from sharedllm_docs.retrieval.selection import descend, nodes_of
from sharedllm_docs.training.config import ObjectiveSettings
from sharedllm_docs.training.examples import Example, PlacedNode
from sharedllm_docs.training.groups import Grouped
from sharedllm_docs.training.token_files import Pool, QuestionTokens

CUE_TOKENS = 8
PROBE_SHARE = 50
"""One question in so many is kept for measuring."""


class Source(Protocol):
    """Where examples are drawn from."""

    @property
    def digest(self) -> str:
        """Digest of all the data that it draws from."""
        ...

    def draw(self, rng: random.Random, profile: Profile) -> Example:
        """Draw one example to learn from."""
        ...

    def draw_group(self, rng: random.Random, profile: Profile) -> list[Example]:
        """Draw ``[objectives] group`` examples over the same chunks."""
        ...

    def probe(self, rng: random.Random, profile: Profile) -> Example:
        """Draw one question to measure with, which is never drawn for learning."""
        ...


@dataclass(frozen=True)
class PoolSource:
    """Examples out of token files, with objectives mixed by their shares.

    Attributes:
        pool: the token files.
        settings: shares of the objectives and sizes of their examples.
    """

    pool: Pool
    settings: ObjectiveSettings

    def __post_init__(self) -> None:
        mix = self.settings.mix
        if "questions" in mix and self.pool.num_questions <= PROBE_SHARE:
            raise DataError(
                f"The token files hold {self.pool.num_questions} questions; at least {PROBE_SHARE + 1} are needed.",
                remedy="Add files of questions, or give questions the share 0.",
            )
        if {"continuation", "reconstruction"} & set(mix) and not len(self._long):
            raise DataError(
                f"The token files hold no text of {self._least_text} tokens.",
                remedy="Add files of long text, or give continuation and reconstruction the share 0.",
            )

    @property
    def digest(self) -> str:
        return self.pool.digest

    @property
    def _least_text(self) -> int:
        return self.settings.target_tokens + 3 * CUE_TOKENS

    @cached_property
    def _long(self) -> Sequence[int]:
        """Numbers of the texts that are long enough."""
        return np.flatnonzero(self.pool.text_tokens >= self._least_text).tolist()  # type: ignore[no-any-return]

    @cached_property
    def _weights(self) -> list[int]:
        return np.cumsum(self.pool.text_tokens[self._long]).tolist()  # type: ignore[no-any-return]

    def draw(self, rng: random.Random, profile: Profile) -> Example:
        """One example of an objective drawn by its share."""
        mix = self.settings.mix
        objective = rng.choices(list(mix), weights=list(mix.values()))[0]
        made: Example = getattr(self, objective)(rng, profile)
        return made

    def draw_group(self, rng: random.Random, profile: Profile) -> list[Example]:
        """Questions over shared chunks, or as many examples of another objective, drawn by the shares."""
        mix = self.settings.mix
        objective = rng.choices(list(mix), weights=list(mix.values()))[0]
        if objective == "questions":
            return self._grouped.draw(rng, profile)
        return [getattr(self, objective)(rng, profile) for _ in range(self.settings.group)]

    @cached_property
    def _grouped(self) -> Grouped:
        return Grouped(self.pool, self.settings, PROBE_SHARE)

    def probe(self, rng: random.Random, profile: Profile) -> Example:
        """A held-out question over its gold chunk and distractors, without evidence."""
        index = rng.randrange(max(1, self.pool.num_questions // PROBE_SHARE)) * PROBE_SHARE
        return self._asked(self.pool.question(index), rng, profile, evidence=False)

    # -- objectives -------------------------------------------------------------------------------------------------

    def continuation(self, rng: random.Random, profile: Profile) -> Example:
        """The text that follows some chunks, which are only injected; branches are drawn, the last goes right."""
        ids = self._text(rng)
        ahead = min(self.settings.target_tokens, len(ids) - 2 * CUE_TOKENS)
        past = rng.randint(CUE_TOKENS, min(len(ids) - ahead, self.settings.past_chunks * profile.chunk_tokens))
        begin = rng.randrange(len(ids) - ahead - past + 1)
        middle = begin + past
        cuts = [*range(begin, middle, profile.chunk_tokens), middle]
        chunks = tuple(_ids(ids[a:b]) for a, b in itertools.pairwise(cuts))
        nodes = _selected(
            profile, chunks, lambda chunk, _node: rng.random() if chunk + 1 < len(chunks) else _node.index
        )
        following = _ids(ids[middle : middle + ahead])
        return self._example("continuation", profile, chunks, nodes, following[:1], following[1:], last_first=True)

    def reconstruction(self, rng: random.Random, profile: Profile) -> Example:
        """A passage of a chunk, from its first words and its rows."""
        ids = self._text(rng)
        begin = rng.randrange(max(1, len(ids) - profile.chunk_tokens + 1))
        chunk = _ids(ids[begin : begin + profile.chunk_tokens])
        place = rng.randrange(len(chunk) - 2 * CUE_TOKENS)
        target = chunk[place + CUE_TOKENS : place + CUE_TOKENS + self.settings.target_tokens]
        frames = self.pool.frames
        before = (*frames.repeat, *chunk[place : place + CUE_TOKENS], *frames.repeat_end)
        nodes = _selected(profile, (chunk,), lambda _chunk, node: node.start <= place + CUE_TOKENS < node.end)
        return self._example("reconstruction", profile, (chunk,), nodes, before, target)

    def questions(self, rng: random.Random, profile: Profile) -> Example:
        """A question with its gold chunk among distractors, with evidence now and then."""
        index = rng.randrange(self.pool.num_questions)
        while index % PROBE_SHARE == 0:
            index = rng.randrange(self.pool.num_questions)
        return self._asked(self.pool.question(index), rng, profile, evidence=rng.random() < self.settings.evidence)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _asked(self, row: QuestionTokens, rng: random.Random, profile: Profile, *, evidence: bool) -> Example:
        size = profile.chunk_tokens
        full = rng.random() < self.settings.full_chunks
        gold, answer_at = _window(row, size, rng)
        if full:
            gold, before = self._filled(gold, row, size, rng)
            answer_at = answer_at + before if answer_at >= 0 else -1
        chunks = [gold]
        for _ in range(rng.randint(0, self.settings.distractors)):
            other = self._other(row, size, rng)
            chunks.append(self._filled(other, row, size, rng)[0] if full and other else other)
        chunks = [chunk for chunk in chunks if chunk]
        place = rng.randrange(len(chunks))
        chunks[0], chunks[place] = chunks[place], chunks[0]
        words = set(row.asked)

        def score(chunk: int, node: Node) -> float:
            holds = chunk == place and node.start <= answer_at < node.end
            return len(words.intersection(chunks[chunk][node.start : node.end])) + (1000 if holds else 0)

        nodes = _selected(profile, chunks, score)
        quoted: tuple[int, ...] = ()
        if evidence:
            leaf = max(ContextTree(profile, len(gold)).leaves, key=lambda node: score(place, node))
            quoted = (*self.pool.frames.excerpt, *gold[leaf.start : leaf.end])
        return self._example("questions", profile, tuple(chunks), nodes, (*quoted, *row.asked), row.answer, spare=place)

    def _other(self, row: QuestionTokens, size: int, rng: random.Random) -> tuple[int, ...]:
        """A context of another document; empty if the one drawn is of the same."""
        other = self.pool.question(rng.randrange(self.pool.num_questions))
        return () if other.document == row.document else _window(other, size, rng)[0]

    def _filled(
        self, context: tuple[int, ...], row: QuestionTokens, size: int, rng: random.Random
    ) -> tuple[tuple[int, ...], int]:
        """A chunk filled with contexts, as in a long document, and where this one begins in it."""
        before: tuple[int, ...] = ()
        after: tuple[int, ...] = ()
        share = rng.random()
        for _ in range(size):
            left = size - len(context) - len(before) - len(after)
            if left <= 0:
                break
            other = self._other(row, size, rng)[:left]
            if rng.random() < share:
                before += other
            else:
                after += other
        return (*before, *context, *after), len(before)

    def _text(self, rng: random.Random) -> NDArray[Any]:
        """Token ids of a text drawn by length."""
        return self.pool.text(rng.choices(self._long, cum_weights=self._weights)[0])

    def _example(
        self,
        objective: str,
        profile: Profile,
        chunks: Sequence[tuple[int, ...]],
        nodes: Sequence[PlacedNode],
        before: Sequence[int],
        target: Sequence[int],
        *,
        spare: int = 0,
        last_first: bool = False,
    ) -> Example:
        """An example within ``max_rows``: whole nodes are left out, those of chunk ``spare`` (or the last one) last."""
        left = self.settings.max_rows
        kept = set()
        ranked = sorted(nodes, key=lambda n: -n.chunk if last_first else n.chunk != spare)
        for placed in ranked:
            rows = ContextTree(profile, len(chunks[placed.chunk])).num_kept(placed.node, placed.grain)
            if rows <= left:
                kept.add(placed)
                left -= rows
        chosen = tuple(placed for placed in nodes if placed in kept)
        return Example(objective, profile, tuple(chunks), chosen, tuple(before), tuple(target))


def _ids(ids: NDArray[Any]) -> tuple[int, ...]:
    return tuple(ids.tolist())


def _selected(
    profile: Profile, chunks: Sequence[tuple[int, ...]], score: Callable[[int, Node], float]
) -> tuple[PlacedNode, ...]:
    """The nodes that selection takes while everything fits: every leaf, or every chunk's branch with its siblings."""
    placed = []
    for index, chunk in enumerate(chunks):
        tree = ContextTree(profile, len(chunk))
        if any(profile.grains[:-1]):
            branch = descend(tree, partial(score, index))
            nodes = sorted(nodes_of(branch), key=lambda node: (node.start, node.level))
        else:
            nodes = list(tree.leaves)
        placed += [PlacedNode(index, node, tree.grain(node)) for node in nodes if tree.grain(node)]
    return tuple(placed)


def _window(row: QuestionTokens, size: int, rng: random.Random) -> tuple[tuple[int, ...], int]:
    """At most ``size`` tokens of the context around its answer, and where the answer stands in them (or -1)."""
    if len(row.context) <= size:
        return row.context, row.answer_at
    at = row.answer_at if row.answer_at >= 0 else rng.randrange(len(row.context))
    begin = min(max(0, at - rng.randrange(size)), len(row.context) - size)
    return row.context[begin : begin + size], at - begin if row.answer_at >= 0 else -1
