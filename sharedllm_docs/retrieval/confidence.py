"""Confidence that the documents answer a question: signs, weighed by logistic regression, and one threshold.

One of the signs may come from the model itself: a linear probe on its hidden states at the question's last token.

The weights are fitted by ``sharedllm-docs fit-confidence`` and stored in ``calibrated/`` as JSON, one file per model,
with a record of the data they were fitted on. A model without a file of its own uses the generic one. Pure: no torch,
no models.
"""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sharedllm_docs.checks import json_of
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.retrieval.signs import AFTER, BEFORE, GAIN, MATCH, NOT_SAID_SIGN, PROBE

SCHEMA = 2
READ = frozenset((1, SCHEMA))
"""Schemas that can be read; the first had no probe."""
FOLDER = Path(__file__).with_name("calibrated")
GENERIC = "generic"
LARGEST = 1e9
"""Numbers of a file lie between this and its negative, and spreads above its inverse: no sum of them overflows."""


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
class Probe:
    """A linear reading of hidden states: log odds that the injected rows answer the question, for one model only.

    Attributes:
        layers: counted from 0; the states after these are read.
        weights: for each layer, one number for each dimension of the state.
        bias: added to the sum.
    """

    layers: tuple[int, ...]
    weights: tuple[tuple[float, ...], ...]
    bias: float

    def __call__(self, states: NDArray[np.float32]) -> float:
        """Log odds, from states [W, E] after the layers."""
        return float((np.asarray(self.weights, dtype=np.float32) * states).sum() + self.bias)

    def check(self, num_layers: int, width: int) -> None:
        """Raise ConfigError for a model that has fewer layers, or states of another width."""
        if max(self.layers) < num_layers and len(self.weights[0]) == width:
            return
        raise ConfigError(
            f"The confidence file reads {len(self.weights[0])} numbers after layer {max(self.layers) + 1}; this model "
            f"has {num_layers} layers of {width}: it was fitted to another model.",
            remedy="Make one for this model with sharedllm-docs fit-confidence, or leave it out.",
        )

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        return {"layers": list(self.layers), "weights": [list(one) for one in self.weights], "bias": self.bias}

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Probe:
        """From what ``to_dict`` gave; ValueError, which says what is wrong, if it is damaged."""
        held = _object(values, "probe", ("layers", "weights", "bias"))
        layers, rows = _list(held["layers"], "the probe's layers"), _list(held["weights"], "the probe's weights")
        whole = all(isinstance(one, int) and not isinstance(one, bool) for one in layers)
        if not layers or not whole or layers[0] < 0 or layers != sorted(set(layers)):
            raise ValueError(f"the probe's layers are {_shown(layers)}, not whole numbers from 0 up in rising order")
        lists = [_list(row, "a row of the probe's weights") for row in rows]
        sizes = sorted({len(row) for row in lists})
        if len(lists) != len(layers) or len(sizes) != 1 or not sizes[0]:
            raise ValueError(
                f"the probe has {len(lists)} rows of {_shown(sizes)} weights for {len(layers)} layers, "
                "not one row a layer, all of one length"
            )
        weights = tuple(tuple(_number(one, "a weight of the probe") for one in row) for row in lists)
        return cls(tuple(layers), weights, _number(held["bias"], "the probe's bias"))


@dataclass(frozen=True)
class Confidence:
    """The decision between an answer and "The document does not say.".

    Attributes:
        before: from the signs that are there before the model is asked.
        after: from all signs.
        early: if ``before`` is below this value, the model is not asked.
        threshold: if ``after`` is below this value, the answer is declined.
        notes: what it was fitted on, and how well it did there.
        probe: computes the sign ``probe`` from the model's hidden states; None for a decision without it.
    """

    before: Logistic
    after: Logistic
    early: float
    threshold: float
    notes: Mapping[str, Any] = field(default_factory=dict, compare=False, hash=False)
    probe: Probe | None = None

    def uses(self, sign: str) -> bool:
        """Whether the decision uses a sign; signs that it does not use need not be computed."""
        return sign in self.after.signs

    @property
    def fitted(self) -> bool:
        """Whether it was fitted to one model. The generic decision always asks the model."""
        return self.early > 0

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready values."""
        parts = {name: {"intercept": one.intercept, "signs": dict(one.signs)} for name, one in self._parts().items()}
        probe = {} if self.probe is None else {"probe": self.probe.to_dict()}
        own = {"early": self.early, "threshold": self.threshold, "notes": dict(self.notes)}
        return {"schema": SCHEMA, **parts, **probe, **own}

    def _parts(self) -> dict[str, Logistic]:
        return {"before": self.before, "after": self.after}

    def save(self, path: Path) -> None:
        """Write a JSON file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.to_dict(), indent=1, sort_keys=True) + "\n", encoding="utf-8")

    @classmethod
    def _of(cls, values: Any) -> Confidence:
        """From what ``to_dict`` gave; ValueError, which says what is wrong, if it is damaged."""
        held = _object(values, "its content", ("schema", "before", "after", "early", "threshold", "notes"))
        schema = held["schema"]
        if type(schema) is not int or schema not in READ:
            raise ValueError(f"its schema is {_shown(schema)}, this version reads up to {SCHEMA}")
        parts = {name: _logistic(held[name], name, known) for name, known in _KNOWN.items()}
        early, threshold = (_number(held[name], repr(name), 0, 1) for name in ("early", "threshold"))
        probe = Probe.of(held["probe"]) if "probe" in held else None
        if probe is None and any(PROBE in part.signs for part in parts.values()):
            raise ValueError(f"it weighs the sign {PROBE!r} and has no probe that gives it")
        return cls(**parts, early=early, threshold=threshold, notes=_object(held["notes"], "'notes'"), probe=probe)

    @classmethod
    def load(cls, path: str | Path) -> Confidence:
        """Read a JSON file that ``save`` wrote.

        Raises:
            ConfigError: there is none, or it is damaged or of a newer version.
        """
        try:
            return cls._of(json_of(Path(path).read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"The confidence file {str(path)!r} cannot be used: {error}.",
                remedy="Make one with sharedllm-docs fit-confidence, or leave it out.",
            ) from error


_KNOWN = {"before": BEFORE, "after": (*BEFORE, *AFTER, NOT_SAID_SIGN, GAIN, MATCH, PROBE)}
"""The signs that each part may weigh; one that is never computed would count as average, and have no effect."""


def _logistic(values: Any, part: str, known: Sequence[str]) -> Logistic:
    held = _object(values, part, ("intercept", "signs"))
    signs = {}
    for name, numbers in _object(held["signs"], f"the signs of {part!r}").items():
        if name not in known:
            raise ValueError(f"{part!r} weighs {_shown(name)}, which is not one of its signs ({', '.join(known)})")
        if len(_list(numbers, f"the sign {name!r}")) != 3:
            raise ValueError(f"the sign {name!r} is {_shown(numbers)}, not three numbers: mean, spread and weight")
        mean, spread, weight = numbers
        signs[name] = (
            _number(mean, f"the mean of the sign {name!r}"),
            _number(spread, f"the spread of the sign {name!r}", least=1 / LARGEST),
            _number(weight, f"the weight of the sign {name!r}"),
        )
    return Logistic(_number(held["intercept"], f"the intercept of {part!r}"), signs)


def _object(values: Any, what: str, fields: Sequence[str] = ()) -> dict[str, Any]:
    """A JSON object with these fields. Raises ValueError that names what is wrong, as do the next functions."""
    if not isinstance(values, dict):
        raise ValueError(f"{what} is {_shown(values)}, not an object")
    for name in fields:
        if name not in values:
            raise ValueError(f"{what} has no {name!r}")
    return values


def _list(values: Any, what: str) -> list[Any]:
    if not isinstance(values, list):
        raise ValueError(f"{what} is {_shown(values)}, not a list")
    return values


def _number(value: Any, what: str, least: float = -LARGEST, most: float = LARGEST) -> float:
    # whole numbers may be larger than any float: they are compared before they are converted
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not least <= value <= most:
        raise ValueError(f"{what} is {_shown(value)}, not a number within {least:g}..{most:g}")
    return float(value)


def _shown(value: Any) -> str:
    return reprlib.repr(value)


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
