"""Room for what is about to be written: the user's disk budget and the space that is left."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sharedllm_docs.errors import ConfigError, DiskBudgetError, DiskFullError, QuotaError
from sharedllm_docs.sizes import size_text
from sharedllm_docs.store.catalog import INDEX_FILE, Catalog
from sharedllm_docs.store.files import Files

FOLDERS = ("documents", "shards", "sources")
SEARCH = "search"
"""The folder of the search index, which can be rebuilt from the documents."""


def present_bytes(files: Files) -> int:
    """Bytes of the whole index, leftovers included."""
    head = len(files.read(INDEX_FILE)) if files.exists(INDEX_FILE) else 0
    return head + sum(sum(files.sizes(folder).values()) for folder in (*FOLDERS, SEARCH))


def check_budget(needed: int, present: int, bound: int | None) -> None:
    """Raise DiskBudgetError if ``needed`` more bytes would exceed the budget (None: no budget)."""
    if bound is not None and present + needed > bound:
        raise DiskBudgetError(
            f"{size_text(needed)} more would exceed the disk budget: the index has {size_text(present)} "
            f"of at most {size_text(bound)} ({present:,} + {needed:,} > {bound:,} bytes).",
            remedy="Raise max_bytes, remove documents and prune, or make an index of a smaller dtype or fewer layers.",
        )


def check_free_space(needed: int, files: Files) -> None:
    """Raise DiskFullError when the disk has less than ``needed`` bytes left (remote: unknown, nothing is checked)."""
    free = files.free_bytes()
    if free is not None and needed > free:
        raise DiskFullError(
            f"{size_text(needed)} are needed, but only {size_text(free)} are left on the disk of {files.url}.",
            remedy="Free some space, choose another folder, or make an index of a smaller dtype or fewer layers.",
        )


def check_documents(catalog: Catalog, key: str, leaving: Collection[str], bound: int | None) -> None:
    """Raise QuotaError if a document would be one too many (None: no bound).

    Args:
        catalog: of the index.
        key: of the document; one that is there already is none too many.
        leaving: keys of documents that it takes the place of.
        bound: number of documents that the index may hold.
    """
    if bound is None:
        return
    there = set(catalog.document_keys())
    after = len(there - set(leaving)) + 1
    if key not in there and after > bound:
        raise QuotaError(
            f"The index at {catalog.files.url} holds {len(there):,} documents of at most {bound:,}; "
            "with this one it would hold more.",
            value=after,
            bound=bound,
            remedy="Remove documents, or have the quota raised (set_quotas, or `sharedllm-docs tenants limit`).",
        )


def check_max_bytes(max_bytes: int | None) -> None:
    """Raise ConfigError for a disk budget below 1; None is no budget."""
    if max_bytes is not None and max_bytes < 1:
        raise ConfigError(f"max_bytes={max_bytes} must be at least 1.", remedy="Leave it out for no disk budget.")


def check_max_documents(most: Any) -> None:
    """Raise ConfigError for a maximum number of documents that is not a whole number above 0; None is no limit."""
    if most is not None and (type(most) is not int or most < 1):
        raise ConfigError(
            f"max_documents={most!r} must be a whole number, 1 or more.", remedy="Leave it out for no bound."
        )


def least(one: int | None, other: int | None) -> int | None:
    """The smaller of two limits; None stands for no limit."""
    given = [bound for bound in (one, other) if bound is not None]
    return min(given, default=None)
