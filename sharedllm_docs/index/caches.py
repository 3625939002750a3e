"""Where data from remote indexes is cached on this machine: one folder for all, and one for each tenant."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sharedllm_docs.cache import cache_dir

if TYPE_CHECKING:
    from sharedllm_docs.store.bytecache import ByteCache


def cache_for(url: str | os.PathLike[str]) -> Callable[[str | None], ByteCache | None] | None:
    """Returns the cache for blocks of a remote index, for the digest of its tenant's salt; None for a local one."""
    text = os.fspath(url)
    return None if "://" not in text or text.startswith(("file://", "memory://")) else _cache


def _cache(salt: str | None) -> ByteCache:
    from sharedllm_docs.store.bytecache import ByteCache

    return ByteCache(cache_folder(salt))


def cache_folder(salt: str | None) -> Path:
    """The folder of a tenant's cache.

    Blocks are found in a cache by the digest of their bytes: a tenant that shared one with another would get faster
    answers if the other has read the same text.
    """
    return _folder(salt) / "rows"


def search_folder(url: str, salt: str | None) -> Path:
    """Where the search index of a remote index is kept on this machine."""
    return _folder(salt) / "search" / hashlib.sha256(url.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _folder(salt: str | None) -> Path:
    return cache_dir() if salt is None else cache_dir() / "tenants" / salt[:32]


def forget_cache(salt: str) -> None:
    """Delete everything that is cached of a tenant on this machine."""
    shutil.rmtree(_folder(salt), ignore_errors=True)
