"""Hidden states in the lines of a run file, so that a fit can be made again without the model."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def packed(states: NDArray[np.float32]) -> str:
    """Hidden states [W, E] as text, in half precision."""
    return base64.b64encode(states.astype("<f2").tobytes()).decode()


def states_of(row: Mapping[str, Any], layers: int) -> NDArray[np.float32] | None:
    """Hidden states [W, E] of a collected answer; None where the model was not asked, or none were kept.

    Args:
        row: as ``collect`` gives it.
        layers: W, the number of layers whose states were kept.
    """
    text = row.get("states")
    if not text:
        return None
    return np.frombuffer(base64.b64decode(text), dtype="<f2").astype(np.float32).reshape(layers, -1)
