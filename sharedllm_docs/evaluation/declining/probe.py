"""Fits the linear probe of ``retrieval/confidence`` on hidden states: ridge regression, judged on unseen groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.retrieval.confidence import Probe

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

RIDGES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
"""Strengths of the penalty that are tried, as multiples of the states' variance that one row accounts for."""
DIGITS = 4
"""Significant digits of the weights in the file."""


@dataclass(frozen=True)
class FittedProbe:
    """A probe, and what it reads in rows that it was not fitted on.

    Attributes:
        probe: fitted on all rows.
        held_out: [rows], each from a probe fitted on the other folds.
        error: weighted mean squared error of these, the truth being -1 or 1; an error of 1 is uninformative.
    """

    probe: Probe
    held_out: Floats
    error: float


def fit_probe(
    states: NDArray[np.float32],
    layers: tuple[int, ...],
    answerable: Flags,
    weights: Floats,
    folds: NDArray[np.int64],
) -> FittedProbe:
    """Fit a probe on the layer, and with the penalty, that predict best on folds which it was not fitted on.

    Args:
        states: [rows, W, E] after each of the layers.
        layers: W layers, counted from 0.
        answerable: [rows] the truth.
        weights: [rows] how much each row counts.
        folds: [rows] numbers of folds.
    """
    truth = np.where(answerable, 1.0, -1.0)
    best: tuple[float, int, float, Floats] | None = None
    for place in range(len(layers)):
        own = states[:, place].astype(np.float64)
        for ridge, values in zip(RIDGES, _held_out(own, truth, weights, folds), strict=True):
            error = float(np.average((values - truth) ** 2, weights=weights))
            if best is None or error < best[0]:
                best = error, place, ridge, values
    assert best is not None  # there is at least one layer
    error, place, ridge, values = best
    found, bias = _Ridge(states[:, place].astype(np.float64), truth, weights).solve(ridge)
    rounded = tuple(float(f"{one:.{DIGITS}g}") for one in found)
    return FittedProbe(Probe((layers[place],), (rounded,), round(bias, 5)), values, error)


def _held_out(states: Floats, truth: Floats, weights: Floats, folds: NDArray[np.int64]) -> list[Floats]:
    """Readings of each row by regressions on the other folds, one array for each of ``RIDGES``."""
    found = [np.zeros(len(states)) for _ridge in RIDGES]
    for fold in np.unique(folds):
        own = folds == fold
        fitted = _Ridge(states[~own], truth[~own], weights[~own])
        for values, ridge in zip(found, RIDGES, strict=True):
            made, bias = fitted.solve(ridge)
            values[own] = states[own] @ made + bias
    return found


class _Ridge:
    """Weighted ridge regression on standardised states, in the space of the rows, which are fewer than dimensions."""

    def __init__(self, states: Floats, truth: Floats, weights: Floats) -> None:
        share = weights / weights.sum()
        self._mean = share @ states
        self._spread = np.sqrt(share @ (states - self._mean) ** 2) + 1e-6
        self._root = np.sqrt(share)
        self._inputs = (states - self._mean) / self._spread * self._root[:, None]
        self._level = float(share @ truth)
        self._wanted = (truth - self._level) * self._root
        self._products = self._inputs @ self._inputs.T

    def solve(self, ridge: float) -> tuple[Floats, float]:
        """Weights [E] and bias for raw states."""
        scale = ridge * float(np.trace(self._products)) / len(self._products)
        dual = np.linalg.solve(self._products + scale * np.eye(len(self._products)), self._wanted)
        made = (self._inputs.T @ dual) / self._spread
        return made, self._level - float(made @ self._mean)
