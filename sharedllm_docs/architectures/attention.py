"""Registration of attention functions with transformers, which keeps one function per name for the whole process."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def register_attention(name: str, function: Callable[..., Any]) -> None:
    """Register an attention function with transformers; registering the same function again changes nothing.

    Args:
        name: as ``config._attn_implementation`` will give it.
        function: a function with the signature of transformers' attention functions.

    Raises:
        ValueError: the name belongs to another function. Models look their function up by name at every call, so the
            second function would replace the first in models that are already in use.
    """
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    known = ALL_ATTENTION_FUNCTIONS.get(name, function)
    if known is not function:
        first, second = (f"{one.__module__}.{one.__qualname__}" for one in (known, function))
        raise ValueError(
            f"The attention function {name!r} is {first}, so it cannot be {second} too. Register it by another name."
        )
    ALL_ATTENTION_FUNCTIONS.register(name, function)
