"""Fits ``retrieval/confidence`` on collected answers, and says how well it declines questions it was not fitted on."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.declining.probe import FittedProbe, fit_probe
from sharedllm_docs.evaluation.declining.states import states_of
from sharedllm_docs.retrieval.confidence import Confidence, Logistic
from sharedllm_docs.retrieval.signs import AFTER, BEFORE, GAIN, MATCH, NOT_SAID_SIGN, PROBE

Rows = Sequence[Mapping[str, Any]]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ANSWERABLE = 0.8
"""Share of questions with an answer that the confidence is meant for; the data contain fewer."""
NATURAL = 3.0
"""Weight of a question that was written without an answer, against one whose pages were taken away."""
FOLDS = 10
FEW = 5
"""Number of groups (texts) from which on folds are made of whole groups."""
RIDGE = 4.0
"""Strength of the ridge penalty on standardised signs, per weight of a hundred rows."""
AGAINST = frozenset(("strange", "declined", NOT_SAID_SIGN))
"""Signs that speak against an answer; all others speak for one."""
PAYS = 0.005
"""A sign that costs a pass of a model is taken if the loss on held-out folds falls by this share."""
SHY = 0.9
"""A question is declined without asking the model below this share of the lowest value of an answerable one: what the
model reads is more informative than the words of a question."""
LEAST_ROWS = 20
COSTLY = (PROBE, MATCH, NOT_SAID_SIGN, GAIN)
"""In the order in which they are tried: from cheap to dear."""


@dataclass(frozen=True)
class Declining:
    """How well a threshold declines.

    Attributes:
        threshold: of the confidence.
        precision: share of the declined questions that have no answer; 1 where none is declined.
        recall: share of the questions without an answer that are declined.
        answered: share of all questions that are answered (coverage).
        risk: share of the answered questions whose answer is wrong: 1 less the mean F1, 1 where there is no answer.
    """

    threshold: float
    precision: float
    recall: float
    answered: float
    risk: float


@dataclass(frozen=True)
class Fit:
    """A fitted decision, and what it reaches on folds that it was not fitted on.

    Attributes:
        confidence: fitted on all rows.
        declining: at its threshold, on questions as they were written.
        own: the same without the decision: the model's own words decide.
        curve: one entry per threshold, from few to many declined, on questions as they were written, counted as if four
            in five had an answer.
        loss: mean log loss on held-out folds for each set of costly signs that was tried.
    """

    confidence: Confidence
    declining: Declining
    own: Declining
    curve: tuple[Declining, ...]
    loss: Mapping[str, float]


def fit(
    rows: Rows,
    notes: Mapping[str, Any] | None = None,
    *,
    layers: Sequence[int] = (),
    cheap: Sequence[str] = (*BEFORE, *AFTER),
    costly: Sequence[str] = COSTLY,
    most_lost: float | None = None,
) -> Fit:
    """Fit the decision.

    Args:
        rows: as ``collect`` gives them.
        layers: whose hidden states the rows contain; none for rows without.
        notes: provenance, kept with the weights.
        cheap: signs that are always taken.
        costly: signs that cost a pass of a model, in the order in which they are tried; each is taken only if it pays.
        most_lost: maximum share of the answerable questions that the threshold may decline on held-out folds; None
            for the threshold at which the lower of precision and recall is highest.

    Raises:
        EvaluationError: fewer than ``LEAST_ROWS`` rows with or without an answer.
    """
    data = _Data.of(rows)
    probe = data.probe(tuple(layers)) if PROBE in costly else None
    if probe is not None:
        data = data.with_sign(PROBE, probe.held_out)
    chosen, tried = _choose(data, list(cheap), costly)
    held_out = data.held_out(chosen)
    curve = _curve(held_out, data)
    if most_lost is not None:
        limit = float(np.quantile(held_out[data.answerable], most_lost))
        curve = tuple(one for one in curve if one.threshold <= limit)
    best = max(curve, key=lambda one: (min(one.precision, one.recall), one.precision + one.recall))
    before = data.held_out(list(BEFORE))
    early = SHY * float(before[data.answerable].min())
    own = _declining(0.0, data.declined, data)
    confidence = Confidence(
        before=data.logistic(list(BEFORE)),
        after=data.logistic(chosen),
        early=round(early, 4),
        threshold=round(best.threshold, 4),
        notes={**(notes or {}), **_found(data, held_out, best, own, tried)},
        probe=probe.probe if probe is not None and PROBE in chosen else None,
    )
    return Fit(confidence, best, own, curve, tried)


def _found(
    data: _Data, held_out: Floats, best: Declining, own: Declining, tried: Mapping[str, float]
) -> dict[str, Any]:
    """What the decision was fitted on, and what it reaches on folds that it was not fitted on."""
    natural = data.natural
    return {
        "rows": {
            "answerable": int(data.answerable.sum()),
            "without an answer": int((natural & ~data.answerable).sum()),
            "pages taken away": int((~natural).sum()),
        },
        "held out": {
            "precision": round(best.precision, 3),
            "recall": round(best.recall, 3),
            "auc": round(area(held_out[natural], data.answerable[natural]), 3),
            "auc, pages taken away": round(area(held_out, data.answerable), 3),
            "by source": _by_source(held_out, best.threshold, data),
            "reliability": _reliability(held_out, data),
            "log loss": {name: round(value, 4) for name, value in tried.items()},
        },
        "the model's own words": {"precision": round(own.precision, 3), "recall": round(own.recall, 3)},
    }


@dataclass(frozen=True)
class _Data:
    """Rows as arrays.

    Attributes:
        weights: how much each row counts in a fit.
        shares: its weight in the reported results of the fit: only questions as they were written count.
        folds: numbers of the folds.
    """

    rows: Rows
    answerable: Flags
    natural: Flags
    declined: Flags
    scores: Floats
    weights: Floats
    shares: Floats
    folds: NDArray[np.int64]

    @classmethod
    def of(cls, rows: Rows) -> _Data:
        answerable = np.array([bool(row["answerable"]) for row in rows], dtype=np.bool_)
        natural = np.array([not row["id"].endswith("-removed") for row in rows], dtype=np.bool_)
        for count, which in ((answerable.sum(), "with"), ((~answerable).sum(), "without")):
            if count < LEAST_ROWS:
                raise EvaluationError(
                    f"there are {count} questions {which} an answer, below {LEAST_ROWS}: too few to fit.",
                    remedy="Give more questions, with pages where they have an answer.",
                )
        return cls(
            rows,
            answerable,
            natural,
            np.array([bool(row["declined"]) for row in rows], dtype=np.bool_),
            np.array([float(row["f1"]) for row in rows]),
            _weights(rows, answerable, np.where(natural, NATURAL, 1.0)),
            np.where(natural, _weights(rows, answerable, natural.astype(float)), 0.0),
            _folds(rows),
        )

    def probe(self, layers: tuple[int, ...]) -> FittedProbe | None:
        """A probe of the hidden states, whose readings are NaN in rows without any; None if too few have some."""
        states = [states_of(row, len(layers)) if layers else None for row in self.rows]
        have = np.array([one is not None for one in states])
        if min((have & self.answerable).sum(), (have & ~self.answerable).sum()) < LEAST_ROWS:
            return None
        # both answers count alike here: how many of each there are is the logistic regression's matter
        weights = np.where(self.answerable, 1.0, ANSWERABLE / (1 - ANSWERABLE)) * self.weights
        every = np.stack([one for one in states if one is not None])
        found = fit_probe(every, layers, self.answerable[have], weights[have], self.folds[have])
        readings = np.full(len(states), np.nan)
        readings[have] = found.held_out
        return replace(found, held_out=readings)

    def with_sign(self, name: str, values: Floats) -> _Data:
        """The same rows with one more sign, but where its value is NaN."""
        found = [{} if np.isnan(value) else {name: float(value)} for value in values]
        rows = [{**row, "signs": {**row["signs"], **own}} for row, own in zip(self.rows, found, strict=True)]
        return replace(self, rows=rows)

    def table(self, names: Sequence[str]) -> Floats:
        """Signs [rows, names]; NaN where a row lacks one."""
        return np.array([[float(row["signs"].get(name, np.nan)) for name in names] for row in self.rows])

    def logistic(self, names: Sequence[str]) -> Logistic:
        """Fitted on all rows."""
        return _logistic(names, self.table(names), self.answerable, self.weights)

    def held_out(self, names: Sequence[str]) -> Floats:
        """Probability of each row under a fit on the other folds."""
        table, found = self.table(names), np.full(len(self.rows), np.nan)
        for fold in range(FOLDS):
            own = self.folds == fold
            if own.any():
                made = _logistic(names, table[~own], self.answerable[~own], self.weights[~own])
                found[own] = [made(self.rows[place]["signs"]) for place in np.flatnonzero(own).tolist()]
        return found

    def loss(self, names: Sequence[str]) -> float:
        """Mean weighted log loss on held-out folds."""
        sure = np.clip(self.held_out(names), 1e-6, 1 - 1e-6)
        return float(np.average(-np.log(np.where(self.answerable, sure, 1 - sure)), weights=self.weights))


def _weights(rows: Rows, answerable: Flags, kinds: Floats) -> Floats:
    """How much each row counts: in every source of questions, four in five have an answer.

    If that differed from source to source, signs that identify the source would seem to predict the answer.
    """
    sources = np.array([str(row.get("system", "")) for row in rows])
    weights = np.ones(len(rows))
    for source in np.unique(sources):
        with_, without = (sources == source) & answerable, (sources == source) & ~answerable
        if with_.any() and kinds[without].sum():
            share = (1 - ANSWERABLE) / ANSWERABLE * with_.sum() / kinds[without].sum()
            weights[without] = kinds[without] * share
    return weights


def _folds(rows: Rows) -> NDArray[np.int64]:
    """A fold for each row: questions about one text share it; where there are too few texts, those with one answer."""
    groups = [str(row.get("group", "")) for row in rows]
    if len(set(groups)) < FEW:
        # both questions of a pair, with and without its pages, are in one fold
        return np.array([zlib.crc32(row["id"].removesuffix("-removed").encode()) % FOLDS for row in rows])
    counts = Counter(groups)
    filled = [0] * FOLDS
    chosen: dict[str, int] = {}
    for group in sorted(counts, key=lambda one: (-counts[one], one)):  # the largest first, each to the emptiest fold
        chosen[group] = filled.index(min(filled))
        filled[chosen[group]] += counts[group]
    return np.array([chosen[group] for group in groups])


def _logistic(names: Sequence[str], table: Floats, answerable: Flags, weights: Floats) -> Logistic:
    """Ridge logistic regression without the signs that come out against what they mean, which is chance."""
    while True:
        found = _regression(names, table, answerable, weights)
        wrong = {name for name, (_m, _s, weight) in found.signs.items() if (weight > 0) == (name in AGAINST)}
        if not wrong:
            return found
        kept = [place for place, name in enumerate(names) if name not in wrong]
        names, table = [names[place] for place in kept], table[:, kept]


def _regression(names: Sequence[str], table: Floats, answerable: Flags, weights: Floats) -> Logistic:
    """Ridge logistic regression by Newton's method (iteratively reweighted least squares)."""
    counted: Flags = np.asarray(np.isfinite(table).any(axis=0), dtype=bool)
    names, table = [name for name, some in zip(names, counted.tolist(), strict=True) if some], table[:, counted]
    means = np.nanmean(table, axis=0)
    spreads = np.maximum(np.nanstd(table, axis=0), 1e-3)
    inputs = np.column_stack([np.nan_to_num((table - means) / spreads), np.ones(len(table))])
    penalty = np.append(np.full(len(names), RIDGE * weights.sum() / 100), 1e-6)
    found = np.zeros(len(names) + 1)
    for _step in range(50):
        sure = 1 / (1 + np.exp(-np.clip(inputs @ found, -30, 30)))
        gradient = inputs.T @ (weights * (sure - answerable)) + penalty * found
        curvature = (inputs * (weights * sure * (1 - sure))[:, None]).T @ inputs + np.diag(penalty)
        step = np.linalg.solve(curvature, gradient)
        found -= step
        if float(np.abs(step).max()) < 1e-8:
            break
    values = zip(names, means, spreads, found[:-1], strict=True)
    signs = {name: (round(float(m), 5), round(float(s), 5), round(float(w), 5)) for name, m, s, w in values}
    return Logistic(round(float(found[-1]), 5), signs)


def _choose(data: _Data, cheap: list[str], costly: Sequence[str]) -> tuple[list[str], dict[str, float]]:
    """Cheap signs, and of the costly ones those that pay; and the losses of what was tried."""
    chosen, least = cheap, data.loss(cheap)
    tried = {"cheap signs": least}
    for name in costly:
        loss = data.loss([*chosen, name])
        tried[f"with {name}"] = loss
        if loss < least * (1 - PAYS):
            chosen, least = [*chosen, name], loss
    return chosen, tried


def _curve(sure: Floats, data: _Data) -> tuple[Declining, ...]:
    """One entry for each threshold that makes a difference on the questions as they were written."""
    values = np.unique(sure[data.natural])
    between = [0.0, *((values[:-1] + values[1:]) / 2).tolist(), 1.0]
    return tuple(_declining(threshold, data.declined | (sure < threshold), data) for threshold in between)


def _declining(threshold: float, declines: Flags, data: _Data) -> Declining:
    counts, absent = data.shares, ~data.answerable
    declined, without = float(counts[declines].sum()), float(counts[absent].sum())
    right, answered = float(counts[declines & absent].sum()), ~declines
    return Declining(
        threshold=threshold,
        precision=right / declined if declined else 1.0,
        recall=right / without if without else 1.0,
        answered=float(counts[answered].sum() / counts.sum()),
        risk=1 - float(np.average(data.scores[answered], weights=counts[answered])) if counts[answered].any() else 0.0,
    )


def _by_source(sure: Floats, threshold: float, data: _Data) -> dict[str, dict[str, float]]:
    """What the threshold reaches on the questions of each source, counted as they are."""
    found = {}
    sources = np.array([str(row.get("system", "")) for row in data.rows])
    for source in np.unique(sources):
        own = (sources == source) & data.natural
        declines, absent = (data.declined | (sure < threshold))[own], ~data.answerable[own]
        right = int((declines & absent).sum())
        if absent.any() and not absent.all():
            found[str(source)] = {
                "auc": round(area(sure[own], ~absent), 3),
                "declined": int(declines.sum()),
                "declined rightly": right,
                "with an answer": int((~absent).sum()),
                "without": int(absent.sum()),
            }
    return found


def _reliability(sure: Floats, data: _Data) -> list[list[float]]:
    """Of the questions in each fifth of the scale of confidence: mean confidence, share with an answer, their number.

    As if four in five had an answer.
    """
    found = []
    for fifth in range(5):
        own = data.natural & (np.minimum((sure * 5).astype(int), 4) == fifth)
        if data.shares[own].any():
            mean, share = (np.average(one[own], weights=data.shares[own]) for one in (sure, data.answerable))
            found.append([round(float(mean), 3), round(float(share), 3), int(own.sum())])
    return found


def area(sure: Floats, answerable: Flags) -> float:
    """Area under the ROC curve: how often a question with an answer has the higher value of a pair."""
    high, low = sure[answerable], sure[~answerable]
    if not len(high) or not len(low):
        return float("nan")
    above = (high[:, None] > low[None]).sum() + 0.5 * (high[:, None] == low[None]).sum()
    return float(above) / (len(high) * len(low))
