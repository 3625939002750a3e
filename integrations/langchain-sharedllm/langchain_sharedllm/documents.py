"""LangChain's documents as documents of the index, and passages of the index as LangChain's documents.

Metadata comes out as it went in. Values that are not strings, or that differ from page to page, are kept as JSON under
one key of the stored document's metadata.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from langchain_core.documents import Document

from langchain_sharedllm.errors import UnsupportedArgumentError, UnsupportedMetadataError
from sharedllm_docs import Document as CoreDocument
from sharedllm_docs import Passage

CARRIED = "langchain"
"""Key of the stored document's metadata under which the caller's are kept as JSON, page by page."""


def named(documents: Sequence[Document], ids: Sequence[str] | None) -> list[str]:
    """The id of each document: the given one, else its own, else its ``source``, else a hash of its text.

    Raises:
        UnsupportedArgumentError: the numbers of ids and documents differ, or an id is empty.
    """
    if ids is not None and len(ids) != len(documents):
        raise UnsupportedArgumentError(
            f"{len(ids)} ids were given for {len(documents)} documents.",
            remedy="Give one id for each document, or none.",
        )
    names = [_name(document) for document in documents] if ids is None else list(ids)
    for place, name in enumerate(names):
        if not name.strip():
            raise UnsupportedArgumentError(f"The id {name!r} at {place} is empty.", remedy="Give it a name.")
    return names


def grouped(documents: Sequence[Document], names: Sequence[str]) -> dict[str, list[Document]]:
    """Documents by id, in the order of their first pages; documents with the same id are the pages of one."""
    groups: dict[str, list[Document]] = {}
    for name, document in zip(names, documents, strict=True):
        groups.setdefault(name, []).append(document)
    return groups


def _name(document: Document) -> str:
    known = document.id or document.metadata.get("source")
    if known:
        return str(known)
    return "text-" + hashlib.sha256(document.page_content.encode("utf-8", "surrogatepass")).hexdigest()[:16]


def to_core(name: str, pages: Sequence[Document]) -> CoreDocument:
    """Make a document of the index from its pages.

    Raises:
        UnsupportedMetadataError: a value that JSON cannot represent.
    """
    texts = [page.page_content for page in pages]
    metadata = {**_shared_strings(pages), CARRIED: _packed(name, [page.metadata for page in pages])}
    title = pages[0].metadata.get("title")
    if isinstance(title, str) and title:
        metadata["title"] = title
    return CoreDocument.from_text(name=name, metadata=metadata, pages=texts)


def core_documents(documents: Iterable[Document], *, ids: Sequence[str] | None = None) -> list[CoreDocument]:
    """Documents of any LangChain loader as those that ``sharedllm_docs.distributed.ingest`` and ``Index.add`` take.

    They are stored as ``SharedLLMIndex.add_documents`` stores them, and found again by it.

    Args:
        documents: as ``load`` or ``lazy_load`` give them; those with the same id are the pages of one.
        ids: one for each (default: its own id, else its ``source``, else a hash of its text).

    Raises:
        UnsupportedArgumentError, UnsupportedMetadataError: wrong ids or metadata.
    """
    given = list(documents)
    return [to_core(name, pages) for name, pages in grouped(given, named(given, ids)).items()]


def _shared_strings(pages: Sequence[Document]) -> dict[str, str]:
    """Single values that all pages share, as strings: what sharedllm-docs itself shows of the metadata."""
    single = {key: value for key, value in pages[0].metadata.items() if isinstance(value, (str, int, float))}
    shared = {key: value for key, value in single.items() if all(page.metadata.get(key) == value for page in pages)}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in shared.items()}


def _packed(name: str, pages: Sequence[Mapping[str, Any]]) -> str:
    """JSON with the metadata that all pages share, and those of each page alone."""
    try:
        texts = [
            {key: json.dumps(value, sort_keys=True, allow_nan=False) for key, value in page.items()} for page in pages
        ]
    except (TypeError, ValueError) as error:
        raise UnsupportedMetadataError(
            f"The metadata of {name!r} cannot be kept: {error}.",
            remedy="Give strings, numbers, booleans, lists and mappings of them; write dates as text.",
        ) from error
    shared = {key for key, text in texts[0].items() if all(page.get(key) == text for page in texts)}
    common = {key: pages[0][key] for key in shared}
    own = [{key: value for key, value in page.items() if key not in shared} for page in pages]
    return json.dumps({"shared": common, "pages": own}, sort_keys=True)


@lru_cache(maxsize=256)
def _unpacked(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text)
    return found


def page_metadata(stored: Mapping[str, str]) -> list[dict[str, Any]]:
    """The caller's metadata of every page of a stored document; one for all pages of a document from elsewhere."""
    if CARRIED not in stored:
        return [dict(stored)]
    packed = _unpacked(stored[CARRIED])
    return [{**packed["shared"], **own} for own in packed["pages"]]


def from_passage(passage: Passage) -> Document:
    """A passage of the index as a document: its text, its place, and the caller's metadata.

    ``source`` and ``page`` are the caller's if given (loaders often count pages from 0); ``document`` and
    ``page_number`` (from 1) are always the index's.
    """
    where = {
        "document": passage.document,
        "document_key": passage.document_key,
        "page_number": passage.page,
        "page_label": passage.page_label,
        "last_page": passage.last_page,
        "span": [passage.char_start, passage.char_end],
        "section": passage.section,
        "score": passage.score,
        "relevance": passage.relevance,
        "boxes": [asdict(box) for box in passage.boxes],
    }
    fallback = {"source": passage.document, "page": passage.page}
    pages = page_metadata(passage.metadata)
    given = pages[passage.page - 1 if len(pages) > 1 else 0]
    place = f"{passage.document_key}:{passage.char_start}-{passage.char_end}"
    return Document(id=place, page_content=passage.text, metadata={**fallback, **given, **where})
