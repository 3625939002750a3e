"""Readers: each turns documents of one format into a ``Document``.

``read_document`` is the way in; ``register`` adds a format. See docs/documents.md.
"""

from sharedllm_docs.documents.readers.base import Progress, Reader, make_document
from sharedllm_docs.documents.readers.options import ReadOptions, parse_pages
from sharedllm_docs.documents.readers.read import read_document, recognised_words, running_lines
from sharedllm_docs.documents.readers.registry import reader_for, readers, register, unregister
from sharedllm_docs.documents.readers.source import Source, SourceLike

__all__ = [
    "Progress",
    "ReadOptions",
    "Reader",
    "Source",
    "SourceLike",
    "make_document",
    "parse_pages",
    "read_document",
    "reader_for",
    "readers",
    "recognised_words",
    "register",
    "running_lines",
    "unregister",
]
