"""The source table of long text. The data card lists the same sources in words."""

from __future__ import annotations

from sharedllm_docs_data.source import TextSource
from sharedllm_docs_data.sources_books import BOOKS
from sharedllm_docs_data.sources_manuals import MANUALS

TEXT_SOURCES: tuple[TextSource, ...] = (*BOOKS, *MANUALS)
