"""URLs of places in documents, for answers."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from dataclasses import asdict
from typing import Any

from sharedllm_docs.retrieval.answer import Citation


def citation_url(base: str, index: str, question: str, text: str, citation: Citation) -> str:
    """Address at which the page shows a citation: its document at its page, with the cited lines lit.

    What follows ``#`` is not sent to the server; it is read by the page (``page/js/state.js``).

    Args:
        base: address of the server, with its slash.
        index: name of the index.
        question: as asked.
        text: the answer.
        citation: of the answer, or of the passages nearest to the question.
    """
    place = [citation.document_key, citation.char_start, citation.char_end, citation.score, citation.chunk]
    turn = {"q": question, "t": text, "f": True, "c": None, "i": [place], "n": [], "d": None, "s": ""}
    view = {"key": citation.document_key, "page": citation.page, "turn": 0, "citation": 0}
    shown = {"v": 1, "x": index, "p": "source", "d": None, "s": "", "t": [turn], "w": view}
    written = json.dumps(shown, ensure_ascii=False)
    shown["id"] = hashlib.sha256(written.encode()).hexdigest()[:12]
    packer = zlib.compressobj(9, wbits=-zlib.MAX_WBITS)  # without header, as the page's DecompressionStream takes it
    packed = packer.compress(json.dumps(shown, ensure_ascii=False).encode()) + packer.flush()
    return f"{base}#{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"


def citation_record(citation: Citation, url: str = "") -> dict[str, Any]:
    """A citation as JSON values: document, page, label, boxes, quote, score; an address where one is given."""
    record = {
        "document": citation.document,
        "document_key": citation.document_key,
        "page": citation.page,
        "last_page": citation.last_page,
        "label": citation.page_label,
        "place": citation.place,
        "boxes": [asdict(box) for box in citation.boxes],
        "section": citation.section,
        "quote": citation.quote,
        "score": citation.score,
        "char_start": citation.char_start,
        "char_end": citation.char_end,
    }
    return {**record, "url": url} if url else record
