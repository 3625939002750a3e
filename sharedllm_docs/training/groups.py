"""Groups questions over shared chunks, so that a chunk is encoded once per group: encoding is most of a step's work.

The examples of a group have the same chunk tuples, which ``collate`` keeps once. Each question gets the nodes that
selection would take: the leaf that contains the answer, a few others that share words with the question, and, if the
profile's upper levels have a grain, the rejected halves at their coarser grains. Does not import torch itself.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence, Set
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

from sharedllm_docs.config import Profile
from sharedllm_docs.documents.tree import ContextTree, Node
from sharedllm_docs.errors import DataError
from sharedllm_docs.training.config import ObjectiveSettings
from sharedllm_docs.training.examples import Example, PlacedNode
from sharedllm_docs.training.token_files import Ids, Pool, QuestionTokens

NOISE = 0.5
"""Random part of a leaf's score, as a share of the best score, since selection does not rank all leaves correctly."""
QUOTED_RIGHT = 0.75
"""Share of quoted leaves that contain the answer; as high as the nearest leaf's share for the questions of
``pdfqa``."""


@dataclass(frozen=True)
class Placed:
    """A question whose context is in a chunk.

    Attributes:
        question: its token ids.
        chunk: index among the group's chunks.
        start: token of the chunk at which the context begins.
        end: token one past its last.
        answer: span of the answer in the chunk's tokens, or None if the context does not spell it.
    """

    question: QuestionTokens
    chunk: int
    start: int
    end: int
    answer: tuple[int, int] | None


@dataclass(frozen=True)
class Grouped:
    """Draws groups of questions.

    Attributes:
        pool: the token files.
        settings: sizes and weights.
        kept_out: one question in so many is never drawn.
    """

    pool: Pool
    settings: ObjectiveSettings
    kept_out: int

    def draw(self, rng: random.Random, profile: Profile) -> list[Example]:
        """Draw ``settings.group`` questions over the same chunks."""
        chunks, placed = self._layout(rng, profile)
        evidence = rng.random() < self.settings.evidence
        return [self._example(one, chunks, rng, profile, evidence=evidence) for one in placed]

    # -- which questions ------------------------------------------------------------------------------------------

    @cached_property
    def _numbers(self) -> list[int]:
        """Questions that may be drawn."""
        most = self.settings.max_fed
        fed = self.pool.question_tokens
        return [n for n in range(self.pool.num_questions) if n % self.kept_out and (not most or fed[n] <= most)]

    @cached_property
    def _by_kind(self) -> tuple[list[str], list[float], dict[str, list[int]]]:
        """Kinds, their cumulative weights, and the questions of each."""
        members: dict[str, list[int]] = {}
        for number in self._numbers:
            members.setdefault(self.pool.question_kinds[number], []).append(number)
        weights = self.settings.kinds or {kind: float(len(numbers)) for kind, numbers in members.items()}
        kinds = [kind for kind in sorted(members) if weights.get(kind, 0.0) > 0]
        if not kinds:
            raise DataError(
                f"None of {self.pool.num_questions:,} questions is of the kinds asked for and takes at most "
                f"max_fed={self.settings.max_fed} tokens.",
                remedy="Raise objectives.max_fed, or change objectives.kinds.",
            )
        return kinds, list(accumulate(weights[kind] for kind in kinds)), members

    @cached_property
    def _siblings(self) -> dict[bytes, list[int]]:
        """Questions over the same context, by its key."""
        found: dict[bytes, list[int]] = {}
        for number in self._numbers:
            found.setdefault(self.pool.context_key(number), []).append(number)
        return found

    def _drawn(self, rng: random.Random, most: int) -> list[QuestionTokens]:
        """A question and some of its siblings, at most ``most`` in all."""
        kinds, weights, members = self._by_kind
        first = rng.choice(members[rng.choices(kinds, cum_weights=weights)[0]])
        others = [number for number in self._siblings[self.pool.context_key(first)] if number != first]
        more = rng.sample(others, min(len(others), most - 1, self.settings.siblings - 1))
        return [self.pool.question(number) for number in (first, *more)]

    # -- where they stand -----------------------------------------------------------------------------------------

    def _layout(self, rng: random.Random, profile: Profile) -> tuple[list[Ids], list[Placed]]:
        """Contexts one after another in chunks, until the group is full."""
        size = min(self.settings.fill or profile.chunk_tokens, profile.chunk_tokens)
        chunks: list[Ids] = [()]
        placed: list[Placed] = []
        while len(placed) < self.settings.group:
            asked = self._drawn(rng, self.settings.group - len(placed))
            begin = _window_start(asked[0], size, rng)
            context = asked[0].context[begin : begin + size]
            if len(chunks[-1]) + len(context) > size:
                chunks.append(())
            start = len(chunks[-1])
            chunks[-1] += context
            span = (start, start + len(context))
            for question in asked:
                answer = _answer_span(question, begin, len(context), start)
                # a sibling whose answer lies outside the window cannot be asked
                if question is asked[0] or question.answer_at < 0 or answer is not None:
                    placed.append(Placed(question, len(chunks) - 1, *span, answer))
        return chunks, placed

    # -- what is injected -----------------------------------------------------------------------------------------

    def _example(
        self, one: Placed, chunks: Sequence[Ids], rng: random.Random, profile: Profile, *, evidence: bool
    ) -> Example:
        leaves = [
            (index, leaf) for index, chunk in enumerate(chunks) for leaf in ContextTree(profile, len(chunk)).leaves
        ]
        scores = _scores(one, chunks, leaves)
        gold = [at for at, leaf in enumerate(leaves) if _holds(one, *leaf)]
        order = sorted(range(len(leaves)), key=lambda at: -(scores[at] + rng.random() * NOISE * max(scores)))
        fewest = max(len(gold), self.settings.fewest_leaves)
        most = rng.randint(fewest, max(fewest, self.settings.leaves))
        taken = [*gold, *(at for at in order if at not in gold)][:most]
        nodes = _injected(profile, chunks, [leaves[at] for at in taken])
        quoted: Ids = ()
        if evidence:
            # the leaf that a question's selection ranks first is not always the one that answers
            index, best = leaves[taken[0] if rng.random() < QUOTED_RIGHT else rng.choice(taken)]
            quoted = (*self.pool.frames.excerpt, *chunks[index][best.start : best.end])
        before = (*quoted, *one.question.asked)
        return Example("questions", profile, tuple(chunks), nodes, before, one.question.answer)


def _injected(profile: Profile, chunks: Sequence[Ids], taken: Sequence[tuple[int, Node]]) -> tuple[PlacedNode, ...]:
    """The taken leaves, and the rejected halves of their chunks at coarser grains if upper levels have a grain."""
    placed = []
    for index in sorted({chunk for chunk, _ in taken}):
        tree = ContextTree(profile, len(chunks[index]))
        chosen = {leaf for chunk, leaf in taken if chunk == index}
        nodes = _halves(tree, None, chosen) if any(profile.grains[:-1]) else sorted(chosen)
        placed += [PlacedNode(index, node, tree.grain(node)) for node in nodes if tree.grain(node)]
    return tuple(placed)


def _halves(tree: ContextTree, node: Node | None, chosen: Set[Node]) -> list[Node]:
    """The nodes below ``node`` that cover it, from left to right; those without a chosen leaf stay undivided."""
    found: list[Node] = []
    for half in tree.children(node):
        holds = any(tree.leaves[at] in chosen for at in tree.leaves_of(half))
        found += _halves(tree, half, chosen) if holds and half.level < tree.depth else [half]
    return found


def _window_start(question: QuestionTokens, size: int, rng: random.Random) -> int:
    """Where to begin in a context that is longer than a chunk, so that its answer stays inside."""
    spare = len(question.context) - size
    if spare <= 0:
        return 0
    if question.answer_at < 0:
        return rng.randrange(spare + 1)
    length = max(1, len(question.answer) - 1)
    return min(spare, max(0, question.answer_at - rng.randrange(max(1, size - length))))


def _answer_span(question: QuestionTokens, begin: int, length: int, start: int) -> tuple[int, int] | None:
    """Span of the answer in the chunk's tokens, without the ending token."""
    if question.answer_at < 0:
        return None
    first = question.answer_at - begin
    last = first + max(1, len(question.answer) - 1)
    return (start + first, start + last) if first >= 0 and last <= length else None


def _scores(one: Placed, chunks: Sequence[Ids], leaves: Sequence[tuple[int, Node]]) -> list[float]:
    """Tokens shared with the question, rare ones weigh more; if the answer's place is unknown, its context leads."""
    words = [set(chunks[index][leaf.start : leaf.end]) for index, leaf in leaves]
    found = Counter(word for leaf_words in words for word in leaf_words)
    asked = set(one.question.asked)
    scores = [sum(1.0 / found[word] for word in asked & leaf_words) for leaf_words in words]
    if one.answer is None:
        own = [index == one.chunk and leaf.start < one.end and leaf.end > one.start for index, leaf in leaves]
        scores = [score + (1.0 + NOISE) * max(scores) * mine for score, mine in zip(scores, own, strict=True)]
    return scores


def _holds(one: Placed, chunk: int, leaf: Node) -> bool:
    """Whether a leaf contains a part of the answer."""
    return one.answer is not None and chunk == one.chunk and leaf.start < one.answer[1] and leaf.end > one.answer[0]
