"""Limits on the length of answers, for every API."""

from __future__ import annotations

from sharedllm_docs.config import GenerationConfig
from sharedllm_docs.retrieval.query import FULL
from sharedllm_docs.serving.http.settings import Settings


def usual_tokens(style: object, settings: Settings) -> int | None:
    """Tokens of an answer at most, where the request names no number: None where the usual one is within the server's.

    Args:
        style: of the answer, as requests name it.
        settings: of the server.
    """
    usual = FULL["max_new_tokens"] if style == "full" else GenerationConfig().max_new_tokens
    return settings.max_answer_tokens if usual > settings.max_answer_tokens else None
