"""The folder for downloads and other files that can be made again. Leaf module."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT_VARIABLE = "SHAREDLLM_DOCS_CACHE"


def cache_dir() -> Path:
    """The project's folder in the user's cache, or the one that ``SHAREDLLM_DOCS_CACHE`` names. It is not created."""
    override = os.environ.get(ENVIRONMENT_VARIABLE)
    if override:
        return Path(override).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("sharedllm-docs")
