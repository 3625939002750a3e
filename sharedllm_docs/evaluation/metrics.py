"""Scores of single answers, 0 to 1, from text, page numbers and flags; means with bootstrap intervals.

Exact match and token F1 follow the SQuAD 1.1 evaluation (Rajpurkar et al. 2016): lower case, no punctuation, no
articles, the best of the accepted answers. Two things differ: typographic quotes and dashes count as punctuation too,
and an answer that consists of punctuation alone (an operator such as ``:::``) is compared as it stands.
Nothing here knows tasks, systems or models.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sharedllm_docs.errors import EvaluationError

# Typographic quotes (single, double, angle), en and em dash, minus sign, ellipsis.
_TYPOGRAPHIC = "\u2018\u2019\u201a\u201c\u201d\u201e\u00ab\u00bb\u2013\u2014\u2212\u2026"
_PUNCTUATION = str.maketrans("", "", string.punctuation + _TYPOGRAPHIC)
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_SOURCE = r"(?:document|text|context|passage|manual|excerpt|file|page)s?"
_SAYING = r"(?:say|mention|state|specify|contain|provide|give|include|tell|answer|describe|explain)"
_SAID = r"(?:said|mentioned|stated|specified|contained|provided|given|included|described|explained|found|available)"
_ABSTENTION = re.compile(
    rf"\b{_SOURCE} (?:\w+ )?(?:does not|do not|doesnt|dont) (?:\w+ )?{_SAYING}\b"
    rf"|\bnot (?:explicitly )?{_SAID} (?:in|by) (?:\w+ )?{_SOURCE}\b"
    rf"|^(?:it is |this is )?not {_SAID}$"
    r"|^(?:sorry )?(?:i )?(?:do not|dont|cannot|can not|cant) (?:know|answer|find|say|tell)\b"
    r"|\b(?:cannot|can not|cant) be answered\b"
    rf"|\bno (?:information|mention|answer)\b|^unanswerable$|^unknown$|^not in {_SOURCE}$"
)
_BLOCK = 256


def normalise_answer(text: str) -> str:
    """Lower case, without punctuation, articles and superfluous blanks; a text of punctuation alone is kept."""
    bare = " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())
    return bare or " ".join(text.lower().split())


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the prediction equals one of the accepted answers after normalisation, else 0.0.

    Raises:
        EvaluationError: no accepted answer is given.
    """
    return max(float(normalise_answer(prediction) == normalise_answer(answer)) for answer in _some(answers))


def token_f1(prediction: str, answers: Sequence[str]) -> float:
    """Harmonic mean of token precision and recall against the accepted answer that fits best, 0 to 1.

    Raises:
        EvaluationError: no accepted answer is given.
    """
    return max(_pair_f1(prediction, answer) for answer in _some(answers))


def contains_answer(prediction: str, answers: Sequence[str]) -> float:
    """1.0 if the prediction contains the words of an accepted answer, side by side, after normalisation, else 0.0.

    Raises:
        EvaluationError: no accepted answer is given.
    """
    return share_contained(prediction, _some(answers)) and 1.0


def share_contained(prediction: str, wanted: Sequence[str]) -> float:
    """Share of the ``wanted`` texts whose words the prediction contains side by side, 0 to 1.

    Raises:
        EvaluationError: nothing is wanted.
    """
    said = f" {normalise_answer(prediction)} "
    return sum(f" {normalise_answer(text)} " in said for text in _some(wanted)) / len(wanted)


def yes_or_no(prediction: str) -> str | None:
    """``"yes"`` or ``"no"`` if the prediction opens with that word, else None; for scoring yes-no questions."""
    first = normalise_answer(prediction).split(" ", 1)[0]
    return first if first in ("yes", "no") else None


def is_abstention(prediction: str) -> bool:
    """Whether the prediction says that the document has no answer. An empty prediction is not an abstention."""
    return _ABSTENTION.search(normalise_answer(prediction)) is not None


def page_hit(cited: Sequence[int], groups: Sequence[Collection[int]], k: int) -> float:
    """1.0 if the first ``k`` different cited pages include one page of every group, else 0.0.

    Args:
        cited: page numbers, best first; repetitions are dropped.
        groups: any page of a group will do, every group is needed.
        k: how many pages count. Raised to the number of groups, since fewer pages could not hit them all.

    Raises:
        EvaluationError: ``k`` is below 1, or there is no group or an empty one.
    """
    if k < 1:
        raise EvaluationError(f"k is {k}, below 1.", remedy="Count at least one page.")
    if not groups or not all(groups):
        raise EvaluationError(
            f"page groups {list(groups)} hold nothing to hit.",
            remedy="Leave questions without pages out of this metric.",
        )
    top = list(dict.fromkeys(cited))[: max(k, len(groups))]
    return float(all(any(page in group for page in top) for group in groups))


@dataclass(frozen=True)
class Interval:
    """A statistic on all questions (``value``) and the ends of its bootstrap interval."""

    value: float
    low: float
    high: float


def bootstrap_interval(
    values: ArrayLike,
    *,
    statistic: Callable[[NDArray[np.float64]], float] | None = None,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Percentile bootstrap over questions (Efron & Tibshirani 1993, ch. 13).

    To compare two systems on the same questions, pass the differences of their scores: an interval without 0 means
    that one is better.

    Args:
        values: one score per question [Q], or [Q, C] for a ``statistic`` of several columns.
        statistic: from the resampled values to a number; the mean by default. It may return NaN where a resample
            leaves it undefined; such resamples are left out.
        resamples: how many times the questions are drawn with replacement.
        level: of the interval, between 0 and 1.
        seed: the same seed and values give the same interval.

    Raises:
        EvaluationError: no values, values that are not finite, a bad ``resamples`` or ``level``, or a statistic that
            is undefined on the values.
    """
    scores = _checked_scores(values, resamples, level)
    compute = statistic or _mean
    value = float(compute(scores))
    if np.isnan(value):
        raise EvaluationError(
            f"the statistic is undefined on these {len(scores)} values.", remedy="Report it as missing instead."
        )
    rng = np.random.default_rng(seed)
    drawn: list[float] = []
    for start in range(0, resamples, _BLOCK):
        picks = rng.integers(0, len(scores), size=(min(_BLOCK, resamples - start), len(scores)))
        drawn.extend(float(compute(scores[pick])) for pick in picks)
    tail = (1.0 - level) / 2.0
    low, high = np.quantile([x for x in drawn if not np.isnan(x)] or [value], [tail, 1.0 - tail])
    return Interval(value=value, low=float(low), high=float(high))


def abstention_intervals(
    abstained: Sequence[bool],
    unanswerable: Sequence[bool],
    *,
    resamples: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> tuple[Interval | None, Interval | None]:
    """Precision and recall of abstaining, with bootstrap intervals.

    Precision is the share of the abstentions that were right, None if there were none. Recall is the share of the
    unanswerable questions on which the system abstained, None if there were none.

    Args:
        abstained: whether the system abstained, one flag per question.
        unanswerable: whether the right answer was to abstain, in the same order.
        resamples, level, seed: see ``bootstrap_interval``.

    Raises:
        EvaluationError: the two lists differ in length or are empty, or as ``bootstrap_interval``.
    """
    flags = _flag_columns(abstained, unanswerable)

    def interval(statistic: Callable[[NDArray[np.float64]], float]) -> Interval | None:
        if np.isnan(statistic(flags)):
            return None
        return bootstrap_interval(flags, statistic=statistic, resamples=resamples, level=level, seed=seed)

    return interval(_precision), interval(_recall)


def _some(answers: Sequence[str]) -> Sequence[str]:
    if not answers:
        raise EvaluationError("no accepted answer to compare with.", remedy="Give at least one.")
    return answers


def _pair_f1(prediction: str, answer: str) -> float:
    got, wanted = normalise_answer(prediction).split(), normalise_answer(answer).split()
    common = sum((Counter(got) & Counter(wanted)).values())
    if common == 0:
        return float(got == wanted)
    return 2.0 * common / (len(got) + len(wanted))


def _flag_columns(abstained: Sequence[bool], unanswerable: Sequence[bool]) -> NDArray[np.float64]:
    if len(abstained) != len(unanswerable) or not abstained:
        raise EvaluationError(
            f"{len(abstained)} abstention flags for {len(unanswerable)} questions.",
            remedy="Give one flag per question, and at least one question.",
        )
    return np.column_stack([np.asarray(abstained, dtype=np.float64), np.asarray(unanswerable, dtype=np.float64)])


def _precision(flags: NDArray[np.float64]) -> float:
    return _ratio(float((flags[:, 0] * flags[:, 1]).sum()), float(flags[:, 0].sum()))


def _recall(flags: NDArray[np.float64]) -> float:
    return _ratio(float((flags[:, 0] * flags[:, 1]).sum()), float(flags[:, 1].sum()))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else float("nan")


def _mean(scores: NDArray[np.float64]) -> float:
    return float(scores.mean())


def _checked_scores(values: ArrayLike, resamples: int, level: float) -> NDArray[np.float64]:
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim not in (1, 2) or scores.size == 0 or not np.isfinite(scores).all():
        raise EvaluationError(
            f"values of shape {scores.shape} are empty, not finite, or not of one or two dimensions.",
            remedy="Give one finite score (or several) per question.",
        )
    if resamples < 1 or not 0.0 < level < 1.0:
        raise EvaluationError(
            f"resamples is {resamples} (at least 1) and level is {level} (between 0 and 1).",
            remedy="The usual ones are 2000 and 0.95.",
        )
    return scores
