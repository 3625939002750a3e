"""Questions that the structure of documents answers: headings that ask, options, functions, settings, directives.

The context is a window around the entry, with the entries beside it as distractors.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sharedllm_docs.training.dataset import QuestionRow, TextRow
from sharedllm_docs.training.licences import is_commercial
from sharedllm_docs_data.cleaning.prose import sentences
from sharedllm_docs_data.generate.base import Passage, Templates, question_row, seeded
from sharedllm_docs_data.templates import carried

_WINDOW = (90, 380)
_MOST_WORDS = 55
_FAQ = re.compile(
    r"^(?:[A-Z]?\.?\d[\w.]*[.)]?\s+)?((?:What|Why|How|When|Where|Which|Who|Is|Are|Can|Do|Does|Should|I|My|Will|Did|Has|Have)"
    r"\b[^\n?]{8,140}\?)\n\n+((?:[A-Z\"\u201c][^\n]*\n?)+)",
    re.MULTILINE,
)
_OPTION = re.compile(r"^((?:--?[\w][\w-]*(?:[ =\[]\S[^:\n]{0,40})?:\n)+)((?:[ ]{4,}\S.*\n)+)", re.MULTILINE)
_FUNCTION = re.compile(r"^((?:\w+\.)*[a-zA-Z_]\w+)\(([^\n]{0,90})\)\n\n((?:[ ]{3}\S.*\n)+)", re.MULTILINE)
_SCIPY = re.compile(r"\A(scipy[\w.]+)\n\n(?:class )?\1\(([^\n]*)\)[^\n]*\n\n([A-Z][^\n]{15,300}\.)\n")
_SETTING = re.compile(
    r"^([a-z][a-z_0-9.]{3,}) \((integer|boolean|string|enum|floating point|real)\)\n\n([A-Z][^\n]+)", re.MULTILINE
)
_DIRECTIVE = re.compile(r"^(<?\w+>?) Directive\n\n((?:[A-Z][a-z]+: \| [^\n]+\n)+)", re.MULTILINE)
_TERM = re.compile(r"^- ([a-z][\w -]{2,40})\n\n((?:[A-Z][^\n]*\n)+)", re.MULTILINE)
# In plays, scripture and commentary a line that asks is not a heading.
_RHETORICAL = frozenset(("shakespeare", "bible-kjv", "bible-web", "henry", "spurgeon"))
_FIELDS = {
    "Syntax": "syntax",
    "Default": "default",
    "Context": "context",
    "Module": "module",
    "Status": "status",
    "Override": "override class",
}


@dataclass(frozen=True)
class Found:
    """An entry in a document: its place, and the questions it answers, with their answers."""

    start: int
    end: int
    asks: tuple[tuple[Templates, dict[str, str], tuple[str, ...]], ...]


def rows(documents: Iterable[TextRow], seed: int) -> Iterator[QuestionRow]:
    """All questions that the documents answer by their structure, one or two per entry."""
    for document in documents:
        rng = seeded(seed, "carried", document.id)
        for find in _FINDERS:
            for found in find(document):
                yield from _questions(document, found, rng)


def _questions(document: TextRow, found: Found, rng: random.Random) -> Iterator[QuestionRow]:
    context = _window(document.text, found.start, found.end, rng)
    passage = Passage(document.source, document.id, document.split, document.title, (context,), is_commercial(document))
    for templates, fields, answers in rng.sample(found.asks, min(len(found.asks), 2)):
        wording = templates.draw(rng)
        yield question_row("carried", passage, wording.fill(**fields), answers, [wording])


def _window(text: str, start: int, end: int, rng: random.Random) -> str:
    """The entry with neighbouring paragraphs, some hundred words in all."""
    goal = rng.randint(*_WINDOW)
    before, after = text[:start].split("\n\n"), text[end:].split("\n\n")
    left, right = before.pop() if before else "", after.pop(0) if after else ""
    middle = left + text[start:end] + right
    while len(middle.split()) < goal and (before or after):
        if before and (not after or rng.random() < 0.5):
            block = before.pop()
            middle = f"{block}\n\n{middle}"
        else:
            block = after.pop(0)
            middle = f"{middle}\n\n{block}"
        if len(block.split()) > 2 * _WINDOW[1]:
            break
    return middle.strip("\n")


def _first_sentences(block: str, least: int = 4) -> str:
    """The first sentence of a wrapped paragraph, and the second if there is room for it."""
    told = sentences(re.sub(r"\s+", " ", block).strip())
    if (
        not told
        or len(told[0].split()) > _MOST_WORDS
        or not re.match(r"[\"'\u201c(]?[A-Z]", told[0])
        or not told[0].endswith((".", ")"))
    ):
        return ""
    return told[0] if len(told[0].split()) >= least else ""


def _faq(document: TextRow) -> Iterator[Found]:
    if document.source in _RHETORICAL:
        return
    for match in _FAQ.finditer(document.text):
        told = sentences(re.sub(r"\s+", " ", match[2]).strip())
        answer = (
            " ".join(told[:2]) if told and len(" ".join(told[:2]).split()) <= _MOST_WORDS else told[0] if told else ""
        )
        if (
            2 <= len(answer.split()) <= _MOST_WORDS
            and answer.endswith((".", "!", ")"))
            and not answer.endswith("..")
            and not answer.startswith("See ")
        ):
            yield Found(match.start(), match.end(), ((carried.FAQ, {"q": match[1]}, (answer, told[0])),))


def _options(document: TextRow) -> Iterator[Found]:
    for match in _OPTION.finditer(document.text):
        names = [line.rstrip(":").strip() for line in match[1].splitlines()]
        answer = _first_sentences(match[2])
        if answer:
            name = max(names, key=len)
            yield Found(
                match.start(),
                match.end(),
                (
                    (carried.OPTION, {"x": name}, (answer,)),
                    (carried.WHICH_OPTION, {"d": answer}, (name, *names)),
                ),
            )


def _functions(document: TextRow) -> Iterator[Found]:
    for match in _FUNCTION.finditer(document.text):
        answer = _first_sentences(match[3])
        if answer:
            shown = f"{match[1]}()"
            asks = [
                (carried.FUNCTION, {"x": shown}, (answer,)),
                (carried.WHICH_FUNCTION, {"d": answer}, (match[1], shown)),
            ]
            if match[2].strip():
                asks.append((carried.ARGUMENTS, {"x": shown}, (match[2].strip(),)))
            yield Found(match.start(), match.end(), tuple(asks))


def _scipy(document: TextRow) -> Iterator[Found]:
    match = _SCIPY.search(document.text)
    answer = _first_sentences(match[3], 3) if match else ""
    if match and answer:
        yield Found(
            match.start(),
            match.end(),
            (
                (carried.FUNCTION, {"x": f"{match[1]}()"}, (answer,)),
                (carried.WHICH_FUNCTION, {"d": answer}, (match[1],)),
            ),
        )


def _settings(document: TextRow) -> Iterator[Found]:
    for match in _SETTING.finditer(document.text):
        answer = _first_sentences(match[3])
        if answer:
            yield Found(
                match.start(),
                match.end(),
                (
                    (carried.SETTING, {"x": match[1]}, (answer,)),
                    (carried.TYPE, {"x": match[1]}, (match[2],)),
                ),
            )


def _directives(document: TextRow) -> Iterator[Found]:
    for match in _DIRECTIVE.finditer(document.text):
        fields = dict(line.split(": | ", 1) for line in match[2].splitlines())
        asks = [
            (carried.DIRECTIVE_FIELD, {"x": match[1], "f": label}, (fields[key],))
            for key, label in _FIELDS.items()
            if key in fields
        ]
        if "Description" in fields:
            asks.append((carried.DIRECTIVE, {"x": match[1]}, (fields["Description"],)))
        yield Found(match.start(), match.end(), tuple(asks))


def _terms(document: TextRow) -> Iterator[Found]:
    if "glossary" in document.id:
        for match in _TERM.finditer(document.text):
            answer = _first_sentences(match[2])
            if answer:
                yield Found(match.start(), match.end(), ((carried.TERM, {"x": match[1]}, (answer,)),))


_FINDERS: tuple[Callable[[TextRow], Iterator[Found]], ...] = (
    _faq,
    _options,
    _functions,
    _scipy,
    _settings,
    _directives,
    _terms,
)
