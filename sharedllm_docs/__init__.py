"""sharedllm-docs: ask questions of long files, read once and answered from a store of keys and values.

Importing this package is cheap; what it exports is imported at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharedllm_docs.answer import Answer as Answer
    from sharedllm_docs.answer import Citation as Citation
    from sharedllm_docs.asynchronous import AsyncAnswerStream as AsyncAnswerStream
    from sharedllm_docs.asynchronous import AsyncCompletionStream as AsyncCompletionStream
    from sharedllm_docs.config import GenerationSettings as GenerationSettings
    from sharedllm_docs.config import Profile as Profile
    from sharedllm_docs.config import QuestionSettings as QuestionSettings
    from sharedllm_docs.document import Document as Document
    from sharedllm_docs.engine import AnswerStream as AnswerStream
    from sharedllm_docs.errors import ConfigError as ConfigError
    from sharedllm_docs.errors import DocumentNotFoundError as DocumentNotFoundError
    from sharedllm_docs.errors import SharedLLMError as SharedLLMError
    from sharedllm_docs.index import Index as Index
    from sharedllm_docs.messages import Message as Message
    from sharedllm_docs.model import SharedLLM as SharedLLM
    from sharedllm_docs.passages import Passage as Passage
    from sharedllm_docs.plain import Completion as Completion
    from sharedllm_docs.plain import CompletionStream as CompletionStream
    from sharedllm_docs.readers import ReadOptions as ReadOptions
    from sharedllm_docs.views import AddedDocument as AddedDocument
    from sharedllm_docs.views import DocumentInfo as DocumentInfo

__version__ = "0.1.0"

_EXPORTS = {
    "AddedDocument": "views",
    "Answer": "answer",
    "AnswerStream": "engine",
    "AsyncAnswerStream": "asynchronous",
    "AsyncCompletionStream": "asynchronous",
    "Citation": "answer",
    "Completion": "plain",
    "CompletionStream": "plain",
    "ConfigError": "errors",
    "Document": "document",
    "DocumentInfo": "views",
    "DocumentNotFoundError": "errors",
    "GenerationSettings": "config",
    "Index": "index",
    "Message": "messages",
    "Passage": "passages",
    "Profile": "config",
    "QuestionSettings": "config",
    "ReadOptions": "readers",
    "SharedLLM": "model",
    "SharedLLMError": "errors",
}
__all__ = [*_EXPORTS, "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_EXPORTS[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
