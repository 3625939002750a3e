"""Where downloads and other things that can be lost are kept. Leaf module."""

from __future__ import annotations

import os
from pathlib import Path

ENVIRONMENT_VARIABLE = "SHAREDLLM_DOCS_CACHE"


def cache_dir() -> Path:
    """The user's cache folder of this project; ``SHAREDLLM_DOCS_CACHE`` overrides it. Not created here."""
    override = os.environ.get(ENVIRONMENT_VARIABLE)
    if override:
        return Path(override).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("sharedllm-docs")
