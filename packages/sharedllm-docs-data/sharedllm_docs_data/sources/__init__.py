"""Sources: the table of long text in ``TEXT_SOURCES``, the question sets, and tables of facts."""

from __future__ import annotations

from sharedllm_docs_data.sources.books import BOOKS
from sharedllm_docs_data.sources.manuals import MANUALS
from sharedllm_docs_data.sources.source import TextSource

TEXT_SOURCES: tuple[TextSource, ...] = (*BOOKS, *MANUALS)
