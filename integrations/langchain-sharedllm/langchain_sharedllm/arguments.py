"""Arguments of a call as the core's settings; what cannot be honoured is refused by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from langchain_sharedllm.errors import UnsupportedArgumentError
from sharedllm_docs import GenerationConfig, RetrievalConfig

SAMPLING = {
    "max_tokens": "max_new_tokens",
    "temperature": "temperature",
    "top_p": "top_p",
    "top_k": "top_k",
    "repetition_penalty": "repetition_penalty",
    "seed": "seed",
}
"""Argument here -> setting there."""
OF_DOCUMENTS = ("documents", "settings")
ACCEPTED = (*SAMPLING, *OF_DOCUMENTS, "model", "stream", "timeout")
_REMEDIES = {
    "tools": "Ask in words, or use a model that calls tools.",
    "response_format": "Ask for the form in words and parse the answer.",
    "max_new_tokens": "Use max_tokens.",
    "max_completion_tokens": "Use max_tokens.",
    "n": "Call once for each answer, with different seeds.",
}


class Bound(Protocol):
    """What a call needs to know of the chat model: its arguments and what it is called."""

    max_tokens: int | None
    temperature: float | None
    top_p: float | None
    top_k: int | None
    repetition_penalty: float | None
    seed: int | None
    stop: list[str] | None
    timeout: float | None
    documents: list[str] | None
    settings: RetrievalConfig | None

    @property
    def model_name(self) -> str: ...

    @property
    def has_index(self) -> bool: ...


@dataclass(frozen=True)
class Call:
    """One call's settings.

    Attributes:
        generation: sampling, length and stop strings.
        timeout: seconds, or None.
        documents: ids to search, None for all.
        settings: of selection, None for the core's defaults.
    """

    generation: GenerationConfig
    timeout: float | None
    documents: Sequence[str] | None
    settings: RetrievalConfig | None


def call_of(model: Bound, stop: Sequence[str] | None, given: Mapping[str, Any]) -> Call:
    """The settings of one call: the model's own, with what this call gives in their place.

    Raises:
        UnsupportedArgumentError: an argument that this model does not know, that wants an index, or of a wrong kind.
        ConfigError: a value out of its bounds (raised by the core).
    """
    _check_known(model, given)
    timeout = given.get("timeout", model.timeout)
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
        raise UnsupportedArgumentError(f"timeout={timeout!r} must be above 0 seconds.", remedy="Or leave it out.")
    settings = given.get("settings", model.settings)
    if not isinstance(settings, RetrievalConfig | None):
        raise UnsupportedArgumentError(
            f"settings={settings!r} is no RetrievalConfig.", remedy="Give sharedllm_docs.RetrievalConfig(...)."
        )
    return Call(_generation(model, stop, given), timeout, chosen(given.get("documents", model.documents)), settings)


def chosen(documents: Sequence[str] | None) -> Sequence[str] | None:
    """The documents to search; a bare string, which would be taken letter by letter, is refused."""
    if isinstance(documents, str):
        raise UnsupportedArgumentError(f"documents={documents!r} is one string.", remedy=f"Give [{documents!r}].")
    return documents


def _check_known(model: Bound, given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in ACCEPTED:
            raise UnsupportedArgumentError(
                f"{name}={given[name]!r} cannot be honoured (known: {', '.join(ACCEPTED)}, stop).",
                remedy=_REMEDIES.get(name, "Leave it out."),
            )
        if name in OF_DOCUMENTS and given[name] is not None and not model.has_index:
            raise UnsupportedArgumentError(
                f"{name}={given[name]!r} was given to a model without documents.",
                remedy="Make it with index=FOLDER.",
            )
    if given.get("model") not in (None, model.model_name):
        raise UnsupportedArgumentError(
            f"model={given['model']!r} was asked of {model.model_name!r}, which is loaded.",
            remedy="Make a ChatSharedLLM of that model; an index answers with its own alone.",
        )


def _generation(model: Bound, stop: Sequence[str] | None, given: Mapping[str, Any]) -> GenerationConfig:
    chosen = {there: given.get(here, getattr(model, here)) for here, there in SAMPLING.items()}
    seed = chosen.pop("seed")
    ends = model.stop if stop is None else [stop] if isinstance(stop, str) else stop
    values = {name: value for name, value in chosen.items() if value is not None}
    return GenerationConfig(**values, seed=seed, stop=tuple(ends or ()))
