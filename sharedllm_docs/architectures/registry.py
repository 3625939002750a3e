"""The architecture of a model, by its ``model_type``."""

from __future__ import annotations

from typing import Any

from sharedllm_docs.architectures.base import Architecture
from sharedllm_docs.architectures.families import FAMILIES
from sharedllm_docs.errors import UnsupportedModelError


def supported_families() -> tuple[str, ...]:
    """The ``model_type`` names that are supported."""
    return tuple(sorted(name for family in FAMILIES for name in family.model_types))


def architecture_for(model: Any) -> Architecture:
    """The architecture of a transformers causal LM.

    Raises:
        UnsupportedModelError: its family is not supported; the message names it.
    """
    kind = getattr(getattr(model, "config", None), "model_type", type(model).__name__)
    for family in FAMILIES:
        if kind in family.model_types:
            return family(model)
    raise UnsupportedModelError(
        f"Model family {kind!r} is not supported (supported: {', '.join(supported_families())}).",
        remedy="Use a model of a supported family.",
    )
