"""Signs: features of question, injected text and answer that show whether the documents answer the question.

``retrieval/confidence`` weighs them. Pure: no torch, no files, no models; likelihoods are given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.documents.folding import fold_forms
from sharedllm_docs.documents.terms import terms
from sharedllm_docs.retrieval.searcher import InjectedLeaf, Selection

BEFORE = ("cover", "best_leaf", "strange", "nearest", "lead", "ahead")
"""Signs that are known before the model is run."""
AFTER = ("declined", "in_text", "verbatim", "beside", "likely", "least", "kind")
"""Signs that an answer adds, from its words and their likelihoods."""
NOT_SAID_SIGN, GAIN, MATCH = "not_said", "gain", "match"
"""Signs that need extra work: the first two a short pass through the model each, the third one through the embedder."""
PROBE = "probe"
"""The output of a linear probe of the model's hidden states: free, but only valid for one model."""
_WORD = re.compile(r"\w+")
_CALLED = re.compile(r"[^\s,;:?!()\[\]{}\"'\u2018-\u201f\u00ab\u00bb]+")
_NAME = re.compile(r"\d|[a-z][A-Z]|\w[._]\w|[A-Z]{2}")
_OPENING = ".?!:"
_INITIALS = re.compile(r"[A-Z]{3,6}")
_BETWEEN = r"[\s-]+(?:(?:of|for|and|the|in|on|to)\s+)*"
"""What may be between words that are abbreviated by their initials."""
_COUNTED = re.compile(
    r"\bhow (many|much|long|often|old|far|high|large|big|deep|heavy|wide|tall|fast|loud|warm)\b"
    r"|\b(what|which)( is| was| are| were)?( the)? (number|amount|share|percentage|percent|year|date|rate|price|age)\b"
    r"|^when\b",
    re.IGNORECASE,
)
_NUMBER = re.compile(
    r"\d|\b(no|none|zero|one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|thirteen|fifteen|eighteen|dozen"
    r"|twenty|thirty|forty|fifty|eighty|hundred|thousand|million|billion|half|once|twice|third|quarter|every|always"
    r"|never|daily|weekly|monthly|yearly|unlimited|infinite|all|both|several|many|few)(teen|ty|th|s)?\b",
    re.IGNORECASE,
)
_ASKS_YES_OR_NO = re.compile(
    r"^(is|are|was|were|do|does|did|can|could|may|must|should|will|would|has|have|had)\b", re.IGNORECASE
)
_YES_OR_NO = re.compile(r"^(yes|no|true|false)\b", re.IGNORECASE)
_DIGITS = re.compile(r"\d[\d.,]*")
_ALONE = re.compile(r"(?<![^\W_])\d[\d.,]*(?![\d.,]*[^\W_])")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_ASKS_A_YEAR = re.compile(r"\b(?:which|what) year\b", re.IGNORECASE)
_COULD_BE_A_YEAR = re.compile(r"\b[12]\d{3}\b|\b\d0s\b|['\u2019]\d\d\b")
_CELLS = " | "
"""The separator of the cells of a table row in the text of a document."""
_SMALL = 10
"""Numbers up to this one may be the result of counting, and need not occur in the text."""
_TEENS = ["eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
_ONES = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
_SPELLED = {str(number): word for number, word in enumerate(_TEENS, start=11)} | {
    str(10 * ten + one): word + (f"-{_ONES[one - 1]}" if one else "")
    for ten, word in enumerate(_TENS, start=2)
    for one in range(10)
}
_MARGIN = 24
"""Characters on either side of a leaf that are included, because its borders may cut a number in two."""
_UNLIKELY = -12.0
"""Log-likelihoods are cut off here: lower ones carry no further information."""


@dataclass(frozen=True)
class Likelihoods:
    """Log-likelihoods (natural logarithm) of one answer under the model.

    Attributes:
        answer: of each token of the answer, its end included.
        not_said: mean per token of "The document does not say." in the answer's place; None if not computed.
        without: of the answer's tokens, mean, without any rows or evidence; None if not computed.
    """

    answer: tuple[float, ...] = ()
    not_said: float | None = None
    without: float | None = None


def signs_before(question: str, selection: Selection, texts: Sequence[str]) -> dict[str, float]:
    """Signs of question and selection.

    Args:
        question: in words.
        selection: the injected nodes, with the scores of all leaves.
        texts: the text of each injected leaf, after the title of its section.
    """
    scores = selection.scores
    if scores is None or not texts:
        return dict.fromkeys(BEFORE, 0.0)
    weights = scores.weights
    total = sum(weights.values()) or 1.0
    held = [set(terms(text)) for text in texts]
    everywhere = set[str]().union(*held)
    shares = [sum(weights[term] for term in weights.keys() & one) / total for one in held]
    return {
        "cover": sum(weights[term] for term in weights.keys() & everywhere) / total,
        "best_leaf": max(shares),
        "strange": _share_of_unknown_names(question, scores.unknown, texts),
        "nearest": float(np.clip(scores.dense[int(scores.fused.argmax())], 0.0, 1.0)),
        "lead": _lead(scores.fused),
        "ahead": _lead(scores.lexical),
    }


def signs_after(
    question: str, answer: str, declined: bool, weights: Mapping[str, float], texts: Sequence[str], said: Likelihoods
) -> dict[str, float]:
    """Signs that an answer adds to those of ``signs_before``.

    Args:
        question: in words.
        answer: what the model wrote.
        declined: whether this text says that the document does not say.
        weights: how informative each term of the question is.
        texts: as in ``signs_before``.
        said: likelihoods of the answer.
    """
    if declined or not answer.strip():
        return {**dict.fromkeys((*AFTER, NOT_SAID_SIGN, GAIN), 0.0), "declined": 1.0}
    asked = set(terms(question))
    own = [term for term in terms(answer) if term not in asked]
    held = [set(terms(text)) for text in texts]
    everywhere = set[str]().union(*held)
    words = " ".join(_WORD.findall(fold_forms(answer).lower()))
    holding = [one for one, text in zip(held, texts, strict=True) if _occurs(words, text) or (own and set(own) <= one)]
    total = sum(weights.values()) or 1.0
    shares = [sum(weights[term] for term in weights.keys() & one) / total for one in holding]
    logs = [max(_UNLIKELY, one) for one in said.answer] or [0.0]
    mean = float(np.mean(logs))
    return {
        "declined": 0.0,
        "in_text": sum(term in everywhere for term in own) / len(own) if own else 0.0,
        "verbatim": float(any(_occurs(words, text) for text in texts)),
        "beside": max(shares, default=0.0),
        "likely": mean,
        "least": min(logs),
        "kind": _has_the_asked_kind(question, answer),
        **({NOT_SAID_SIGN: max(_UNLIKELY, said.not_said) - mean} if said.not_said is not None else {}),
        **({GAIN: mean - max(_UNLIKELY, said.without)} if said.without is not None else {}),
    }


def _has_the_asked_kind(question: str, answer: str) -> float:
    """Whether an English question for a number, or for yes or no, got such an answer: 1 or 0; 0.5 for other
    questions."""
    if _ASKS_YES_OR_NO.search(question):
        return float(bool(_YES_OR_NO.search(answer.strip())))
    if _COUNTED.search(question):
        return float(bool(_NUMBER.search(answer)))
    return 0.5


def late_match(question: NDArray[np.float32], passages: Sequence[NDArray[np.float32]]) -> float:
    """Late interaction (MaxSim, as in ColBERT): how well the best passage answers each token of the question, -1 to 1.

    Args:
        question: [Q, E] unit vectors of the question's tokens.
        passages: [T, E] unit vectors of each passage's tokens.
    """
    found = (float((question @ one.T).max(axis=1).mean()) for one in passages if len(one) and len(question))
    return max(found, default=0.0)


def best_texts(selection: Selection, count: int) -> list[str]:
    """The texts of the injected leaves with the best scores, each after the title of its section."""
    best = sorted(selection.leaves(), key=lambda leaf: -leaf.score)[:count]
    return [leaf.text() for leaf in best]


def injected_texts(selection: Selection) -> list[str]:
    """The text of each injected leaf, after the title of its section, in plain letters as the model reads it."""
    return [fold_forms(leaf.text()) for leaf in selection.leaves()]


def can_come_from(question: str, answer: str, selection: Selection) -> bool:
    """Whether an answer can come from the injected text at all; if not, it is declined whatever its likelihood.

    It cannot in these cases: it contains a number that is neither in the text nor in the question; it contains no
    number and none of its own words is in the text; the question is about a year that the documents never mention; the
    question asks for a year and the answer is another number; or its number occurs only in table rows of other years
    than the question's.

    Args:
        question: in words, with the conversation before it.
        answer: a short one, or a sentence.
        selection: the injected nodes, with the scores of all leaves.
    """
    question, answer = fold_forms(question), fold_forms(answer)
    text = fold_forms("\n".join(leaf.text(_MARGIN) for leaf in selection.leaves())).lower()
    unknown = selection.scores.unknown if selection.scores is not None else frozenset[str]()
    for year in _YEAR.findall(question):
        # leaves may cut a word in two, so the document may contain a word that no leaf does
        if not unknown.isdisjoint(terms(year)) and all(
            year not in fold_forms(one.document.text) for one in selection.documents
        ):
            return False
    numbers = _digits(answer, alone=True)
    if _ASKS_A_YEAR.search(question) and numbers and not _COULD_BE_A_YEAR.search(answer):
        return False
    if numbers and _only_for_other_years(question, answer, numbers, selection):
        return False
    given = _digits(text) | _digits(question)
    if not all(number in given or _counted_or_spelled_out(number, text) for number in numbers):
        return False
    if _DIGITS.search(answer) or _YES_OR_NO.match(answer):
        return True
    asked = terms(question)
    own = [term for term in terms(answer) if not any(term in other or other in term for other in asked)]
    return not own or not {*own}.isdisjoint(terms(text))


def _only_for_other_years(question: str, answer: str, numbers: Set[str], selection: Selection) -> bool:
    """Whether these numbers occur only in table rows that name years other than the question's."""
    asked = {*_YEAR.findall(question)}
    if len(asked) != 1 or _YEAR.search(answer):
        return False
    (year,) = asked
    holding = [
        (fold_forms(leaf.leaf.title), line)
        for leaf in selection.leaves()
        for line in fold_forms(_whole_lines(leaf)).splitlines()
        if numbers <= _digits(line)
    ]
    # "2023/24" names 2024 as well
    named = re.compile(rf"\b{year}\b|[/\u2013-]{year[2:]}\b")
    return bool(holding) and all(
        _CELLS in line and _YEAR.search(line) and not named.search(line) and year not in title
        for title, line in holding
    )


def _whole_lines(leaf: InjectedLeaf) -> str:
    """The lines of the document that overlap the leaf."""
    text = leaf.document.document.text
    start, end = text.rfind("\n", 0, leaf.leaf.char_start) + 1, text.find("\n", leaf.leaf.char_end)
    return text[start : end if end >= 0 else len(text)]


def _counted_or_spelled_out(number: str, text: str) -> bool:
    """Whether a number that is not in the text in digits may result from counting, or be in the text in words."""
    if len(number) < 3 and (int(number) <= _SMALL or " the " not in text):  # number words are known for English only
        return True
    return number in _SPELLED and _SPELLED[number] in text


def _digits(text: str, *, alone: bool = False) -> set[str]:
    """The numbers of a text, without their points and commas.

    Args:
        text: any.
        alone: without those that are part of a word.
    """
    found = _ALONE.findall(text) if alone else _DIGITS.findall(text)
    return {number.replace(",", "").replace(".", "") for number in found}


def names_of(question: str) -> list[str]:
    """Words of a question that name something: with a digit or dot inside, or with a capital not at the start of a
    sentence."""
    found = []
    for match in _CALLED.finditer(question):
        word, before = match.group().strip(".-"), question[: match.start()].rstrip()
        begins = not before or before[-1] in _OPENING
        if _NAME.search(word) or (len(word) > 1 and word[0].isupper() and not begins):
            found.append(word)
    return found


def _share_of_unknown_names(question: str, unknown: frozenset[str], texts: Sequence[str]) -> float:
    """Share of the question's names that the documents do not contain, neither as written nor spelled out."""
    names = names_of(question)
    strange = [name for name in names if not unknown.isdisjoint(terms(name)) and not _spelled_out(name, texts)]
    return len(strange) / len(names) if names else 0.0


def _spelled_out(name: str, texts: Sequence[str]) -> bool:
    """Whether a name of at least three capitals abbreviates words of a text: CEO, "chief executive officer"."""
    if not _INITIALS.fullmatch(name):
        return False
    words = _BETWEEN.join(letter + r"[^\W\d_]+" for letter in name)
    initials = re.compile(r"\b" + words, re.IGNORECASE)
    return any(initials.search(text) for text in texts)


def _lead(scores: NDArray[np.float32]) -> float:
    """By how much the best score exceeds the fifth."""
    fifth = min(4, len(scores) - 1)
    return float(scores.max() - np.partition(scores, len(scores) - 1 - fifth)[len(scores) - 1 - fifth])


def _occurs(words: str, text: str) -> bool:
    """Whether words occur next to each other in a text, whatever the case and punctuation."""
    return bool(words) and f" {words} " in f" {' '.join(_WORD.findall(fold_forms(text).lower()))} "
