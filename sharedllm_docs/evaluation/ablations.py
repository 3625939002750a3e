"""The paper's ablations as lists of specifications of systems.

Injection layers, their place, grain and depth change how documents are encoded: each value needs an index of its own,
and with the ``sharedllm`` profile, whose blocks are trained for given layers, an adapter of its own. Selectors, budgets
and policies need neither.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from sharedllm_docs.config import Keep
from sharedllm_docs.errors import EvaluationError
from sharedllm_docs.evaluation.systems.spec import SystemSpec


def _layer_counts(system: str, layers: int) -> list[str]:
    """M layers from the bottom: an eighth, a quarter, half, three quarters and all of them."""
    counts = sorted({max(1, layers * eighths // 8) for eighths in (1, 2, 4, 6, 8)})
    return [f"{system}:layers=1-{count}" for count in counts]


def _halves(system: str, layers: int) -> list[str]:
    """The bottom half, the middle, the top half."""
    half, quarter = max(1, layers // 2), layers // 4
    return [
        f"{system}:layers=1-{half}",
        f"{system}:layers={1 + quarter}-{quarter + half}",
        f"{system}:layers={layers - half + 1}-{layers}",
    ]


def _grains(system: str, _layers: int) -> list[str]:
    if system == "prefix":
        return [f"prefix:grains=0/0/{grain}" for grain in (1, 2, 4, 8)]
    return [f"sharedllm:grains={4 * grain}/{2 * grain}/{grain}" for grain in (1, 2, 4, 8)]


def _keeps(system: str, _layers: int) -> list[str]:
    """Every keep policy, with one row in four stored: profiles with a grain for each level keep theirs."""
    grains = ",grains=0/0/4" if system == "prefix" else ""
    return [f"{system}:keep={keep}{grains}" for keep in get_args(Keep)]


def _spending(system: str, _layers: int) -> list[str]:
    """The profile's own selection, then the budget spent among ever more grains, all from one index of chosen rows."""
    spent = [f"{system}:keep=reread,spend={grains}" for grains in ("1", "2", "4", "1/4", "1/4/16", "1/2/4/8/16")]
    return [f"{system}:keep=reread", *spent]


def _depths(system: str, _layers: int) -> list[str]:
    return [f"{system}:depth={depth}" for depth in (1, 2, 3, 4)]


def _policies(system: str, _layers: int) -> list[str]:
    engine = [f"{system}:selector={name}" for name in ("embedding", "hidden-state", "right-half")]
    return [*engine, f"{system}:policy=random", f"{system}:policy=oracle"]


def _positions(system: str, _layers: int) -> list[str]:
    return [f"{system}:positions={name}" for name in ("token", "chunk", "chunk+token")]


def _budgets(system: str, _layers: int) -> list[str]:
    return [f"{system}:budget={rows}" for rows in (128, 256, 512, 1024, 2048, 4096)]


def _evidence(system: str, _layers: int) -> list[str]:
    return [system, *(f"{system}+evidence={tokens}" for tokens in (64, 128, 256, 512))]


ABLATIONS: dict[str, Callable[[str, int], list[str]]] = {
    "layers": _layer_counts,
    "place": _halves,
    "grain": _grains,
    "keep": _keeps,
    "spend": _spending,
    "depth": _depths,
    "policy": _policies,
    "positions": _positions,
    "budget": _budgets,
    "evidence": _evidence,
}


def ablation(name: str, system: str, layers: int) -> list[SystemSpec]:
    """The specifications of an ablation.

    Args:
        name: ``layers`` (M), ``place`` (bottom, middle, top), ``grain`` (beta), ``keep``, ``spend`` (grains of a
            question), ``depth``, ``policy``, ``positions``, ``budget`` or ``evidence``.
        system: ``prefix`` or ``sharedllm``.
        layers: number of layers of the model.

    Raises:
        EvaluationError: an unknown ablation or system.
    """
    if name not in ABLATIONS or system not in ("prefix", "sharedllm"):
        raise EvaluationError(
            f"Ablation {name!r} of {system!r} is unknown (known: {', '.join(ABLATIONS)}; of prefix or sharedllm).",
            remedy="Name one of these.",
        )
    return [SystemSpec.parse(text) for text in ABLATIONS[name](system, layers)]
