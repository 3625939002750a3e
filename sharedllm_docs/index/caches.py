"""Where what is fetched from remote indexes is kept on this machine: a folder for all, and one for each tenant."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sharedllm_docs.cache import cache_dir

if TYPE_CHECKING:
    from sharedllm_docs.store.bytecache import ByteCache


def cache_for(url: str | os.PathLike[str]) -> Callable[[str | None], ByteCache | None] | None:
    """What gives the cache for blocks of a remote index, for the digest of its tenant's salt; None for a local one."""
    text = os.fspath(url)
    return None if "://" not in text or text.startswith(("file://", "memory://")) else _cache


def _cache(salt: str | None) -> ByteCache:
    from sharedllm_docs.store.bytecache import ByteCache

    return ByteCache(cache_folder(salt))


def cache_folder(salt: str | None) -> Path:
    """The folder of a tenant's cache.

    Blocks are found in a cache by the digest of their bytes: a tenant that shared one with another would be answered
    sooner where the other has read the same text.
    """
    return cache_dir() / "rows" if salt is None else cache_dir() / "tenants" / salt[:32]


def forget_cache(salt: str) -> None:
    """Delete a tenant's cache on this machine."""
    shutil.rmtree(cache_folder(salt), ignore_errors=True)
