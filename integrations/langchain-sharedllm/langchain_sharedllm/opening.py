"""Opens indexes and models from folders and URLs, so that all objects over one folder share one of each.

An index or model that nothing uses any more is let go.
"""

from __future__ import annotations

import os
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable
from weakref import WeakValueDictionary

from langchain_sharedllm.errors import UnsupportedArgumentError
from sharedllm_docs import Index

if TYPE_CHECKING:
    from sharedllm_docs import SharedLLM

_INDEXES: WeakValueDictionary[tuple[str, str | None], Index] = WeakValueDictionary()
_MODELS: WeakValueDictionary[str | None, SharedLLM] = WeakValueDictionary()
_LOCK = RLock()


@runtime_checkable
class HoldsIndex(Protocol):
    """Anything with an open index, such as ``langchain_sharedllm.SharedLLMIndex``."""

    @property
    def core(self) -> Index: ...


IndexLike = Index | HoldsIndex | str | os.PathLike[str]
"""An open index, a ``langchain_sharedllm.SharedLLMIndex``, a folder or an fsspec URL."""


def open_index(
    where: IndexLike, *, model: str | None = None, llm: SharedLLM | None = None, create: bool = False
) -> Index:
    """The open index at a place; the same object for the same place and model.

    Args:
        where: an open index, a folder or an fsspec URL.
        model: name or folder of the model, instead of the one that the index names.
        llm: a loaded model instead.
        create: make a new index if there is none.

    Raises:
        UnsupportedArgumentError: ``where`` is none of these.
        SharedLLMError: there is no index, or the model is not the one it was made with (the core's error says which).
    """
    if isinstance(where, Index):
        return where
    if isinstance(where, HoldsIndex):
        return where.core
    if not isinstance(where, (str, os.PathLike)):
        raise UnsupportedArgumentError(
            f"index={where!r} is neither an index nor the place of one.",
            remedy="Give a folder, a URL, a SharedLLMIndex or an Index.",
        )
    url = _place(where)
    opened = Index.open_or_create if create else Index.open
    options: dict[str, Any] = {} if model is None else {"name_or_path": model}
    if llm is not None:
        return opened(url, llm)
    with _LOCK:
        found = _INDEXES.get((url, model))
        if found is None:
            found = _INDEXES[url, model] = opened(url, **options)
        return found


def load_model(model: str | None) -> SharedLLM:
    """A model by name or folder (None: the embedded default); the same object while it is in use."""
    from sharedllm_docs import SharedLLM

    with _LOCK:
        found = _MODELS.get(model)
        if found is None:
            found = _MODELS[model] = SharedLLM.from_pretrained(model)
        return found


def _place(where: str | os.PathLike[str]) -> str:
    text = os.fspath(where)
    return text if "://" in text else str(Path(text).resolve())
