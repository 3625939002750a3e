"""LlamaIndex documents as documents of sharedllm-docs, with everything needed to give them back."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
        metadata: with their own types.
        hash: of text and metadata; None for a document that did not come from LlamaIndex.
        exclude_embed: keys left out for embedding.
        exclude_llm: keys left out for the model.
    """

    metadata: Mapping[str, Any]
    hash: str | None = None
    exclude_embed: list[str] = field(default_factory=list)
    exclude_llm: list[str] = field(default_factory=list)


def to_core(document: Document) -> core.Document:
    """A document named by its ``id_``, one page for every form feed's worth of text.

    Raises:
        ConfigError: it holds no text (a picture, a sound), or metadata that JSON cannot carry.
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
    metadata = {KEPT: carried, **({"title": str(title)} if title else {})}
    return core.Document.from_text(pages=pages, name=document.id_, metadata=metadata)


def kept_of(metadata: Mapping[str, str]) -> Kept:
    """What was kept of a stored document; of one that came from elsewhere its plain strings."""
    if KEPT not in metadata:
        return Kept(dict(metadata))
    values = json.loads(metadata[KEPT])
    return Kept(values["metadata"], values["hash"], values["exclude_embed"], values["exclude_llm"])


def is_blank(document: Document) -> bool:
    """Whether there is nothing to read."""
    return not _text(document).strip()


def join_pages(documents: Sequence[Document]) -> list[Document]:
    """Documents that are pages of one file (same ``file_path``, a ``page_label`` each) made one document a file.

    Readers of PDFs give a document for every page. Joined, sentences and chunks run on over page breaks and an
    answer's page is the page's place in the file. The joined document's ``id_`` is the file's path; of the metadata
    those that all pages share are kept. Other documents stay as they are, in their order.
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
            f"The document {document.id_!r} holds no text (a {document.class_name()}).",
            remedy="Give documents with text: the model reads nothing else.",
        )
    return resource.text
