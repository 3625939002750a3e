"""Addresses of places in documents, as answers name them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any
from urllib.parse import quote, urlencode

from sharedllm_docs.retrieval.answer import Citation


def citation_url(base: str, index: str, citation: Citation) -> str:
    """Address at which the page shows a citation: its document at its page, with its characters.

    Args:
        base: address of the server, with its slash.
        index: name of the index.
        citation: of an answer.
    """
    place = urlencode({"page": citation.page, "chars": f"{citation.char_start}-{citation.char_end}"})
    return f"{base}#/{quote(index)}/{citation.document_key}?{place}"


def citation_record(citation: Citation, url: str = "") -> dict[str, Any]:
    """A citation as JSON values: document, page, label, quote, score, and the boxes where they are known."""
    record = {
        "document": citation.document,
        "document_key": citation.document_key,
        "page": citation.page,
        "last_page": citation.last_page,
        "label": citation.page_label,
        "place": citation.place,
        "section": citation.section,
        "quote": citation.quote,
        "score": citation.score,
        "char_start": citation.char_start,
        "char_end": citation.char_end,
    }
    if "boxes" in (known := asdict(citation)):
        record["boxes"] = known["boxes"]
    return {**record, "url": url} if url else record
