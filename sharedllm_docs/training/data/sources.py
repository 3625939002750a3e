"""The source table of long text. The data card lists the same sources in words."""

from __future__ import annotations

from sharedllm_docs.training.data.source import TextSource
from sharedllm_docs.training.data.sources_books import BOOKS
from sharedllm_docs.training.data.sources_manuals import MANUALS

TEXT_SOURCES: tuple[TextSource, ...] = (*BOOKS, *MANUALS)
