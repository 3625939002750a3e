"""A dictionary that keeps the values used last, so that tokens and vectors of long documents do not pile up."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from sharedllm_docs.documents.document import Document

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")
KEPT = 4


def identity(document: Document) -> tuple[str, str]:
    """Name of a document and digest of its source, which tell documents apart."""
    return document.name, document.source_sha256


class Recent(Generic[Key, Value]):
    """Values made at first use; the ``capacity`` values used last are kept."""

    def __init__(self, capacity: int = KEPT) -> None:
        self._capacity = capacity
        self._values: OrderedDict[Key, Value] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: Key, make: Callable[[], Value]) -> Value:
        """The value of a key, made if it is not there."""
        if key not in self._values:
            self._values[key] = make()
        self._values.move_to_end(key)
        while len(self._values) > self._capacity:
            self._values.popitem(last=False)
        return self._values[key]
