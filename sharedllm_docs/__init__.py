"""sharedllm-docs: ask questions of long files, read once and answered from a store of keys and values.

Importing this package is cheap; what it exports is imported at first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sharedllm_docs.answer import Answer as Answer
    from sharedllm_docs.answer import Citation as Citation
    from sharedllm_docs.config import GenerationSettings as GenerationSettings
    from sharedllm_docs.config import Profile as Profile
    from sharedllm_docs.config import QuestionSettings as QuestionSettings
    from sharedllm_docs.document import Document as Document
    from sharedllm_docs.errors import SharedLLMError as SharedLLMError
    from sharedllm_docs.index import Index as Index
    from sharedllm_docs.model import SharedLLM as SharedLLM
    from sharedllm_docs.readers import ReadOptions as ReadOptions

__version__ = "0.1.0"

_EXPORTS = {
    "Answer": "answer",
    "Citation": "answer",
    "Document": "document",
    "GenerationSettings": "config",
    "Index": "index",
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
