"""LangChain's metadata filters as the ``where`` of sharedllm-docs: a function of a document's metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from langchain_sharedllm.documents import page_metadata
from langchain_sharedllm.errors import UnsupportedArgumentError
from sharedllm_docs import Where

Filter = Mapping[str, Any] | Callable[[Mapping[str, Any]], bool]
"""For each key its value or a list of allowed values, all of which must fit; or a function of the metadata."""
LISTS = (list, tuple, set, frozenset)


def where_of(given: Filter | None) -> Where | None:
    """A filter as sharedllm-docs takes it; it sees the metadata as the LangChain documents had it.

    Raises:
        UnsupportedArgumentError: it is neither a mapping of values nor a function; when asked, it fits some pages of a
            document and not the others.
    """
    if given is None:
        return None
    fits = given if callable(given) else _by_values(given)

    def where(stored: Mapping[str, str]) -> bool:
        pages = page_metadata(stored)
        fitting = [number for number, metadata in enumerate(pages, start=1) if fits(metadata)]
        if 0 < len(fitting) < len(pages):
            raise UnsupportedArgumentError(
                f"The filter fits page {', '.join(map(str, fitting))} of {len(pages)} in one document (metadata of its "
                f"first page: {pages[0]!r}); documents are searched whole.",
                remedy="Filter by metadata that its pages share, or add each page under an id of its own.",
            )
        return bool(fitting)

    return where


def _by_values(given: Any) -> Callable[[Mapping[str, Any]], bool]:
    if not isinstance(given, Mapping):
        raise UnsupportedArgumentError(
            f"The filter {given!r} is neither a mapping nor a function.",
            remedy="Give {'year': 2024}, {'year': [2023, 2024]}, or a function of the metadata.",
        )
    allowed = {key: value if isinstance(value, LISTS) else [value] for key, value in given.items()}
    for key, values in allowed.items():
        if key.startswith("$") or any(isinstance(value, Mapping) for value in values):
            raise UnsupportedArgumentError(
                f"The filter {key!r}: {given[key]!r} uses an operator; a mapping holds values only.",
                remedy="Give a function of the metadata for other comparisons.",
            )
    return lambda metadata: all(key in metadata and metadata[key] in values for key, values in allowed.items())
