"""LangChain over sharedllm-docs: long files are read once, questions are answered from stored keys and values."""

from __future__ import annotations

from importlib.metadata import version

from langchain_sharedllm.chat import ChatSharedLLM
from langchain_sharedllm.documents import core_documents
from langchain_sharedllm.errors import (
    AnswerTimeoutError,
    UnsupportedArgumentError,
    UnsupportedMessageError,
    UnsupportedMetadataError,
)
from langchain_sharedllm.index import SharedLLMIndex
from langchain_sharedllm.retriever import SharedLLMRetriever

__version__ = version("langchain-sharedllm")
__all__ = [
    "AnswerTimeoutError",
    "ChatSharedLLM",
    "SharedLLMIndex",
    "SharedLLMRetriever",
    "UnsupportedArgumentError",
    "UnsupportedMessageError",
    "UnsupportedMetadataError",
    "__version__",
    "core_documents",
]
