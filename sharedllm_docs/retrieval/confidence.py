"""How sure it is that the documents answer a question: signs, weighed by logistic regression, and one threshold.

The weights are fitted by ``sharedllm-docs fit-confidence`` and lie beside this module as JSON, one file a model, with
what they were fitted on. A model without a file of its own has the generic one. Pure: no torch, no models.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from sharedllm_docs.errors import ConfigError

SCHEMA = 1
FOLDER = Path(__file__).with_name("calibrated")
GENERIC = "generic"


@dataclass(frozen=True)
class Logistic:
    """A logistic regression on standardised signs.

    Attributes:
        intercept: log odds of a question whose signs are all usual.
        signs: for each sign its usual value, the spread of its values, and the change of the log odds for one spread.
    """

    intercept: float
    signs: Mapping[str, tuple[float, float, float]]

    def __call__(self, found: Mapping[str, float]) -> float:
        """Probability, 0 to 1; a sign that is not there counts as usual."""
        odds = self.intercept
        for name, (mean, spread, weight) in self.signs.items():
            odds += weight * (found.get(name, mean) - mean) / spread
        return 1 / (1 + math.exp(-max(-50.0, min(50.0, odds))))


@dataclass(frozen=True)
class Confidence:
    """The decision between an answer and "The document does not say.".

    Attributes:
        before: from the signs that are there before the model is asked.
        after: from all signs.
        early: below this value of ``before`` the model is not asked.
        threshold: below this value of ``after`` the answer is declined.
        notes: what it was fitted on, and what it reached there.
    """

    before: Logistic
    after: Logistic
    early: float
    threshold: float
    notes: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)

    def uses(self, sign: str) -> bool:
        """Whether a sign counts for the decision; one that does not need not be computed."""
        return sign in self.after.signs

    @property
    def fitted(self) -> bool:
        """Whether it was fitted to one model; the generic decision never spares a model the question."""
        return self.early > 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        parts = {name: {"intercept": one.intercept, "signs": dict(one.signs)} for name, one in self._parts().items()}
        return {"schema": SCHEMA, **parts, "early": self.early, "threshold": self.threshold, "notes": dict(self.notes)}

    def _parts(self) -> dict[str, Logistic]:
        return {"before": self.before, "after": self.after}

    def save(self, path: Path) -> None:
        """Write a JSON file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_dict(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> Confidence:
        """Read a JSON file that ``save`` wrote.

        Raises:
            ConfigError: there is none, or it is damaged or of a newer version.
        """
        try:
            values = json.loads(Path(path).read_text(encoding="utf-8"))
            if values["schema"] != SCHEMA:
                raise ValueError(f"its schema is {values['schema']}, this version reads {SCHEMA}")
            parts = {name: _logistic(values[name]) for name in ("before", "after")}
            early, threshold = float(values["early"]), float(values["threshold"])
            if not (0 <= early <= 1 and 0 <= threshold <= 1):
                raise ValueError(f"early is {early} and threshold {threshold}, not in 0..1")
            return cls(**parts, early=early, threshold=threshold, notes=dict(values["notes"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(
                f"The confidence file {str(path)!r} cannot be used: {error}.",
                remedy="Make one with sharedllm-docs fit-confidence, or leave it out.",
            ) from error


def _logistic(values: Mapping[str, Any]) -> Logistic:
    signs = {}
    for name, (mean, spread, weight) in values["signs"].items():
        numbers = float(mean), float(spread), float(weight)
        if not all(map(math.isfinite, numbers)) or numbers[1] <= 0:
            raise ValueError(f"sign {name!r} has the values {numbers}")
        signs[name] = numbers
    return Logistic(float(values["intercept"]), signs)


@lru_cache
def confidence_of(name: str, adapter: str | None) -> Confidence:
    """The fitted decision for an embedded model with this adapter, or the generic one.

    Args:
        name: of the embedded model, or any other.
        adapter: digest of the adapter that answers, or None.
    """
    path = FOLDER / f"{name}.json"
    if name in {file.stem for file in FOLDER.glob("*.json")} and name != GENERIC:
        own = Confidence.load(path)
        if own.notes.get("adapter") == adapter:
            return own
    return Confidence.load(FOLDER / f"{GENERIC}.json")
