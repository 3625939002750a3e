"""LlamaIndex documents as documents of sharedllm-docs, which keep all of their metadata."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sharedllm_docs as core
from llama_index.core.schema import Document

KEPT = "llama_index"
"""Key of a stored document's metadata under which the LlamaIndex document's own are kept, as JSON."""
PAGE_BREAK = "\f"


@dataclass(frozen=True)
class Kept:
    """What a LlamaIndex document had beside its text.

    Attributes:
        metadata: values with their own types.
        hash: of text and metadata; None for a document that did not come from LlamaIndex.
        exclude_embed: metadata keys that are left out for embedding.
        exclude_llm: metadata keys that are left out for the model.
    """

    metadata: Mapping[str, Any]
    hash: str | None = None
    exclude_embed: list[str] = field(default_factory=list)
    exclude_llm: list[str] = field(default_factory=list)


def to_core(document: Document) -> core.Document:
    """A document named by its ``id_``; form feeds separate its pages.

    Raises:
        ConfigError: it has no text (an image, a sound), or metadata that JSON cannot carry.
    """
    text = _text(document)
    pages = text.split(PAGE_BREAK)
    kept = {
        "metadata": document.metadata,
        "hash": document.hash,
        "exclude_embed": document.excluded_embed_metadata_keys,
        "exclude_llm": document.excluded_llm_metadata_keys,
    }
    try:
        carried = json.dumps(kept, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise core.ConfigError(
            f"The metadata of {document.id_!r} cannot be kept: {error}.", remedy="Give values that JSON can carry."
        ) from error
    title = document.metadata.get("title") or document.metadata.get("file_name") or ""
    metadata = {**_as_strings(document.metadata), KEPT: carried, **({"title": str(title)} if title else {})}
    return core.Document.from_text(pages=pages, name=document.id_, metadata=metadata)


def core_documents(documents: Iterable[Document]) -> list[core.Document]:
    """Documents of any LlamaIndex reader as those that ``sharedllm_docs.distributed.ingest`` and ``Index.add`` take.

    They are stored as ``SharedLLMIndex.insert`` stores them, and found again by it. Blank ones are left out.

    Args:
        documents: from any reader; ``join_pages`` joins those that are pages of one file.

    Raises:
        ConfigError: one has no text (an image, a sound), or metadata that JSON cannot carry.
    """
    return [to_core(document) for document in documents if not is_blank(document)]


def _as_strings(metadata: Mapping[str, Any]) -> dict[str, str]:
    """Single values as strings: what ``where`` of sharedllm-docs itself, and its messages, show of the metadata."""
    single = {key: value for key, value in metadata.items() if isinstance(value, (str, int, float))}
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in single.items()}


def kept_of(metadata: Mapping[str, str]) -> Kept:
    """What was kept of a LlamaIndex document; the metadata as it is if the document came from elsewhere."""
    if KEPT not in metadata:
        return Kept(dict(metadata))
    values = json.loads(metadata[KEPT])
    return Kept(values["metadata"], values["hash"], values["exclude_embed"], values["exclude_llm"])


def is_blank(document: Document) -> bool:
    """Whether there is nothing to read."""
    return not _text(document).strip()


def join_pages(documents: Sequence[Document]) -> list[Document]:
    """Join documents that are pages of one file (same ``file_path``, each with a ``page_label``): one for each file.

    Readers of PDFs give a document for every page. Once they are joined, sentences and chunks continue across page
    breaks, and an answer's page is the page's place in the file. The joined document's ``id_`` is the path of the
    file; it keeps the metadata that all pages share. Other documents stay as they are, in their order.
    """
    groups: dict[str, list[Document]] = {}
    for document in documents:
        path = document.metadata.get("file_path")
        paged = path is not None and document.metadata.get("page_label") is not None
        groups.setdefault(f"file:{path}" if paged else f"id:{document.id_}", []).append(document)
    return [_joined(group) if name.startswith("file:") else group[0] for name, group in groups.items()]


def _joined(pages: Sequence[Document]) -> Document:
    first = pages[0]
    shared = {
        key: value
        for key, value in first.metadata.items()
        if key != "page_label" and all(page.metadata.get(key) == value for page in pages)
    }
    return Document(
        id_=str(first.metadata["file_path"]),
        text=PAGE_BREAK.join(_text(page).replace(PAGE_BREAK, "\n") for page in pages),
        metadata=shared,
        excluded_embed_metadata_keys=first.excluded_embed_metadata_keys,
        excluded_llm_metadata_keys=first.excluded_llm_metadata_keys,
    )


def _text(document: Document) -> str:
    resource = document.text_resource
    if resource is None or resource.text is None:
        raise core.ConfigError(
            f"The document {document.id_!r} has no text (it is a {document.class_name()}).",
            remedy="Give documents with text: the model reads nothing else.",
        )
    return resource.text
