"""The page: files for a browser, as they are; what is dynamic goes through ``/api``. Goes out: ``router``."""

from __future__ import annotations

from sharedllm_docs.serving.http.page.files import router

__all__ = ["router"]
