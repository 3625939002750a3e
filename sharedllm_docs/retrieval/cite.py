"""Citations, taken from the nodes that were injected."""

from __future__ import annotations

import bisect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice, takewhile

from sharedllm_docs.documents.document import TABLE_BAR, Document
from sharedllm_docs.documents.sentences import goes_on, quotable_spans, without_label
from sharedllm_docs.documents.terms import terms
from sharedllm_docs.retrieval.answer import Citation, Quote, best_quote, fold
from sharedllm_docs.retrieval.searcher import InjectedLeaf, Selection

_LOOK = 16
"""Number of leaves, best first, that are searched for the answer if the best one does not contain it."""
_SUPPORTED = 0.5
"""Share of a sentence's content words that a passage must contain to be cited as its source; numbers count twice."""
_LOW = 0.5
"""If there is no answer yet: a passage that shares no content word with the question is left out if its score is below
this share of the first one's."""
_HOLDING = 0.6
"""The same for passages that contain the answer: if less relevant, its words may be about something else."""
_NEAR, _AS_NEAR = 0.8, 0.9
"""The same for passages that do not contain the answer; the second applies if the first passage contains it."""
_AROUND = 600
"""Characters on either side of a leaf that are searched for the beginning and end of sentences that it cuts."""


def cite(selection: Selection, question: str, answer: str, limit: int) -> tuple[Citation, ...]:
    """The passages that the answer is based on, best first.

    From each injected leaf, the complete sentence or line that contains the answer is quoted, even if the leaf ends
    inside it. Leaves are ranked by the relevance that selection used (docs/log.md, citations: adding the overlap found
    fewer of the right pages), equal ones by document and place. Only if the first quote does not contain the answer and
    another of the best leaves does, that one is moved to the front. A leaf without text is not cited, and no quote is
    cited twice. The first is always cited, others only if they are relevant to the answer (``_SupportsAnswer``) or, if
    there is no answer yet, to the question.

    Args:
        selection: the injected nodes.
        question: in words.
        answer: the generated text.
        limit: maximum number of citations.
    """
    # only the best leaves are searched for quotes: a budget of thousands of rows means hundreds of leaves
    quotes = _quotes(_offered(selection), question, answer)
    best = list(islice(quotes, 1))
    if best and not best[0].quote.answers:
        best += islice(quotes, _LOOK - 1)
        holding = [found for found in best if found.quote.answers]
        if holding:
            first = max(holding, key=lambda found: found.quote.overlap)
            best = [first, *(found for found in best if found is not first)]
    every = chain(best, quotes)
    kept = _supporting(every, question, answer, limit) if answer.strip() else filter(_ConcernsQuestion(question), every)
    return tuple(_citation(found) for found in islice(kept, limit))


def support(selection: Selection, sentence: str) -> Citation | None:
    """The passage that supports a sentence of an answer: the one with most of its content words, at least half.

    The title of a section makes no statement, so it supports nothing.

    Args:
        selection: the injected nodes.
        sentence: in the model's words.
    """
    quotes = _quotes(_offered(selection), "", sentence)
    found = [one for one in quotes if not _is_title(one.offered.document.document, one.quote.start, one.quote.end)]
    best = max(found, key=lambda one: (_supported_share(one.text, sentence), one.quote.overlap), default=None)
    return _citation(best) if best is not None and supports(best.text, sentence) else None


def supports(passage: str, sentence: str) -> bool:
    """Whether a passage contains enough of a sentence's content words to be cited as its source."""
    return _supported_share(passage, sentence) >= _SUPPORTED


def _supported_share(passage: str, sentence: str) -> float:
    """Share of a sentence's content words that a passage contains, with numbers counted twice; 0 without any.

    A number alone does not support a sentence that has words, and the number of a heading or list item does not count.
    """
    wanted = {word: 2 if any(map(str.isdigit, word)) else 1 for word in terms(sentence)}
    held = wanted.keys() & set(terms(without_label(passage))) if wanted else set()
    if not held or (all(wanted[word] == 2 for word in held) and 1 in wanted.values()):
        return 0.0
    return sum(wanted[word] for word in held) / sum(wanted.values())


def _supporting(every: Iterator[_Found], question: str, answer: str, limit: int) -> Iterator[_Found]:
    """The first passage, and those of the others that support the answer."""
    first = next(every, None)
    if first is None:
        return
    yield first
    least = _HOLDING * first.offered.score
    # a budget of thousands of rows means hundreds of leaves, and few of them are relevant
    near = takewhile(lambda found: found.offered.score >= least, islice(every, max(_LOOK, limit) - 1))
    yield from filter(_SupportsAnswer(first, question, answer), near)


class _SupportsAnswer:
    """Decides for a passage after the first one whether it supports the answer.

    It does if it contains the answer and is not much less relevant than the first passage, or if it is nearly as
    relevant and shares a content word with question or answer. If the first passage is a table row that contains the
    answer, rows that do not are about other things, however relevant they seem: all rows of a table are similar.
    """

    def __init__(self, first: _Found, question: str, answer: str) -> None:
        self._first, self._answer = first, answer
        self._words = {*terms(question), *terms(answer)}
        self._settled = first.quote.answers and answer.strip(" .").casefold() not in _JUDGEMENTS
        self._row = self._settled and TABLE_BAR in first.text

    def __call__(self, found: _Found) -> bool:
        text = found.text
        share = found.offered.score / self._first.offered.score if self._first.offered.score else 1.0
        if self._settled and found.quote.answers:
            return share >= _HOLDING
        if self._row and TABLE_BAR in text:
            return False
        if not self._settled and supports(text, self._answer):
            return share >= _HOLDING
        return share >= (_AS_NEAR if self._settled else _NEAR) and not self._words.isdisjoint(terms(text))


_JUDGEMENTS = frozenset(("yes", "no", "true", "false", "ja", "nein", "oui", "non", "si", "s\u00ed"))
"""Answers that sentences do not contain: a sentence that happens to contain the word says nothing."""


class _ConcernsQuestion:
    """Decides for quotes, best first, whether each is relevant to a question that has no answer yet."""

    def __init__(self, question: str) -> None:
        self._words = set(terms(question))
        self._best: float | None = None

    def __call__(self, found: _Found) -> bool:
        if self._best is None:
            self._best = found.offered.score
            return True
        return found.offered.score >= _LOW * self._best or not self._words.isdisjoint(terms(found.text))


def _offered(selection: Selection) -> list[InjectedLeaf]:
    """The leaves of the injected nodes, best first."""
    rounded = (replace(one, score=round(one.score, 6)) for one in selection.leaves())
    return sorted(rounded, key=lambda one: (-one.score, one.document.document.name, one.leaf.char_start))


@dataclass(frozen=True)
class _Found:
    """A leaf and its quote; positions are offsets into the document's text."""

    offered: InjectedLeaf
    quote: Quote

    @property
    def text(self) -> str:
        """The words of the quote."""
        return self.offered.document.document.text[self.quote.start : self.quote.end]


def _quotes(offered: Iterable[InjectedLeaf], question: str, answer: str) -> Iterator[_Found]:
    """One quote of each leaf that has any text, without duplicates."""
    seen = set()
    for one in offered:
        document, leaf = one.document.document, one.leaf
        if not document.text[leaf.char_start : leaf.char_end].strip():
            continue
        spans = _spans(document, leaf.char_start, leaf.char_end)
        quote = best_quote(document.text, question, answer, spans=spans)
        if not quote.answers and _is_title(document, quote.start, quote.end):
            # a title shares words with the question, but makes no statement
            below = [span for span in spans if not _is_title(document, *span)]
            quote = best_quote(document.text, question, answer, spans=below) if below else quote
        place = (one.document.key, quote.start, quote.end)
        if place not in seen:
            seen.add(place)
            yield _Found(one, quote)


def _is_title(document: Document, start: int, end: int) -> bool:
    """Whether a span is the title of a section and nothing else."""
    section = document.section_at(max(start, end - 1))
    text = fold(document.text[start:end]).casefold()
    return section is not None and section.char >= start and text == fold(section.title).casefold()


def _spans(document: Document, start: int, end: int) -> list[tuple[int, int]]:
    """The sentences and lines that overlap ``[start, end)``; a page break ends those that do not continue after it."""
    spans: list[tuple[int, int]] = []
    first, last = (bisect.bisect_right(document.page_starts, place) - 1 for place in (start, end - 1))
    for index in range(max(0, first - 1), min(len(document.pages), last + 2)):
        page_start, text = document.page_starts[index], document.pages[index].text
        low = max(0, start - _AROUND - page_start)
        while 0 < low < len(text) and not text[low - 1].isspace():
            low += 1
        high = min(len(text), end + _AROUND - page_start)
        while 0 < high < len(text) and not text[high].isspace():
            high -= 1
        if low >= high:
            continue
        found = [(page_start + low + a, page_start + low + b) for a, b in quotable_spans(text[low:high])]
        if spans and found and goes_on(document.text[slice(*spans[-1])], document.text[slice(*found[0])]):
            found[0] = (spans.pop()[0], found[0][1])
        spans += found
    shown = [(a, b) for a, b in spans if a < end and b > start and document.printed(a, b).strip()]
    return shown or [(start, end)]


def _citation(found: _Found) -> Citation:
    node, document = found.offered.node, found.offered.document
    start, end = found.quote.start, found.quote.end
    page = document.document.page_at(start)
    section = document.document.section_at(start)
    return Citation(
        document=document.document.name,
        document_key=document.key,
        page=page.number,
        last_page=document.document.page_at(max(start, end - 1)).number,
        page_label=page.label,
        char_start=start,
        char_end=end,
        quote=fold(document.document.headed(start, end)),
        section=section.title if section else "",
        score=found.offered.score,
        chunk=node.chunk,
        level=node.node.level,
        node=node.node.index,
        section_path=document.document.section_path(start),
        page_word=document.document.page_word,
        boxes=document.boxes(start, end),
    )
