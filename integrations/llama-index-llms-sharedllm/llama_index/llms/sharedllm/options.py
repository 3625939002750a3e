"""Keywords of a model or a call as keywords of sharedllm-docs, which checks their names and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

from sharedllm_docs import AskOptions, ConfigError, GenerationConfig, GenerationOptions, RetrievalConfig

from llama_index.llms.sharedllm.filters import where_of

KEYWORDS = frozenset(AskOptions.__annotations__)
OF_DOCUMENTS = KEYWORDS - set(GenerationOptions.__annotations__)
"""Keywords that have a meaning only with an index."""
Config = TypeVar("Config", RetrievalConfig, GenerationConfig)


def core_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Options under the core's names. None means that an option is not given, except for ``seed`` (a fresh one).

    Raises:
        ConfigError: one setting under both of its names, one string in place of a list, or a filter that cannot be
            honoured.
    """
    options = {name: value for name, value in given.items() if value is not None or name == "seed"}
    if {"max_tokens", "max_new_tokens"} <= set(options):
        raise ConfigError("max_tokens and max_new_tokens are one setting, given twice.", remedy="Give max_tokens.")
    if "max_tokens" in options:
        options["max_new_tokens"] = options.pop("max_tokens")
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    if "documents" in options:
        options["documents"] = several(options["documents"])
    if "where" in options:
        options["where"] = where_of(options["where"])
    return options


def several(documents: Sequence[str] | None) -> Sequence[str] | None:
    """Names of documents; a single string, which would be read letter by letter, is refused with a ConfigError."""
    if isinstance(documents, str):
        raise ConfigError(f"The documents are given as one string, {documents!r}.", remedy=f"Give [{documents!r}].")
    return documents


def with_defaults(own: Mapping[str, Any], call: Mapping[str, Any]) -> dict[str, Any]:
    """A call's options over a model's own, which become whole configs: so a call's keyword or config replaces them."""
    wholes = {"retrieval": _whole(RetrievalConfig, own), "generation": _whole(GenerationConfig, own)}
    scope = {name: own[name] for name in ("documents", "where") if name in own}
    return {**wholes, **scope, **call}


def _whole(kind: type[Config], own: Mapping[str, Any]) -> Config:
    base = own.get("retrieval" if kind is RetrievalConfig else "generation") or kind()
    return replace(base, **{field.name: own[field.name] for field in fields(kind) if field.name in own})
