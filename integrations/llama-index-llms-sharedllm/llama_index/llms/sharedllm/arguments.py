"""Arguments of a call, as settings of sharedllm-docs; what cannot be honoured is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sharedllm_docs import ConfigError, GenerationConfig

GENERATION = {
    "max_tokens": "max_new_tokens",
    "max_new_tokens": "max_new_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "repetition_penalty": "repetition_penalty",
    "stop": "stop",
    "seed": "seed",
}
"""Name of a call's argument -> field of the generation settings."""


@dataclass(frozen=True)
class Call:
    """One call's own arguments.

    Attributes:
        generation: length, sampling, stop strings, seed.
        documents: names to answer from; None for all.
    """

    generation: GenerationConfig
    documents: Sequence[str] | None


def read_call(defaults: Mapping[str, Any], documents: Sequence[str] | None, options: Mapping[str, Any]) -> Call:
    """Put a call's arguments over the model's own.

    Args:
        defaults: the model's generation arguments by name.
        documents: the model's choice of documents.
        options: of the call; None stands for the model's own value.

    Raises:
        ConfigError: an argument that is not known, given twice, or out of its range.
    """
    given = {name: value for name, value in options.items() if value is not None}
    unknown = sorted(set(given) - set(GENERATION) - {"documents"})
    if unknown:
        raise ConfigError(
            f"The argument {unknown[0]!r} cannot be honoured (known: {', '.join(sorted([*GENERATION, 'documents']))}).",
            remedy="Leave it out.",
        )
    if {"max_tokens", "max_new_tokens"} <= set(given):
        raise ConfigError("max_tokens and max_new_tokens are one setting, given twice.", remedy="Give max_tokens.")
    chosen = given.pop("documents", documents)
    fields = {GENERATION[name]: value for name, value in {**defaults, **given}.items() if name != "max_new_tokens"}
    if "max_new_tokens" in given:
        fields["max_new_tokens"] = given["max_new_tokens"]
    stop = fields.get("stop", ())
    fields["stop"] = (stop,) if isinstance(stop, str) else tuple(stop)
    return Call(GenerationConfig(**fields), chosen)
