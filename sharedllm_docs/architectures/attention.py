"""The register of attention functions that transformers keeps, one function a name for the whole process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def register_attention(name: str, function: Callable[..., Any]) -> None:
    """Register an attention function with transformers; again under the same name it changes nothing.

    Args:
        name: as ``config._attn_implementation`` will give it.
        function: of transformers' signature.

    Raises:
        ValueError: another function has the name. Models look their function up by name at every call, so a second
            one would be called in place of the first by models that are ready.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    known = ALL_ATTENTION_FUNCTIONS.get(name, function)
    if known is not function:
        first, second = (f"{one.__module__}.{one.__qualname__}" for one in (known, function))
        raise ValueError(
            f"The attention function {name!r} is {first}, so it cannot be {second} too. Register it by another name."
        )
    ALL_ATTENTION_FUNCTIONS.register(name, function)
