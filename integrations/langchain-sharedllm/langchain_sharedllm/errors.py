"""Errors beside those of sharedllm-docs itself. Each has the value, the bound and the remedy."""

from __future__ import annotations

from sharedllm_docs import SharedLLMError


class UnsupportedArgumentError(SharedLLMError, ValueError):
    """An argument that the model or the index cannot honour."""


class UnsupportedMessageError(SharedLLMError, ValueError):
    """A message that the model cannot read (images, tool calls), or a conversation that ends without a question."""


class UnsupportedMetadataError(SharedLLMError, ValueError):
    """Metadata of a document that cannot be kept."""


class AnswerTimeoutError(SharedLLMError, TimeoutError):
    """The answer was not complete within the seconds allowed."""
