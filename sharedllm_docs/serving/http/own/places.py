"""Routes of what stands where: text, boxes, pictures of pages, the file itself."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.retrieval.answer import fold
from sharedllm_docs.serving.http.own.shelf import Shelf, Shelved
from sharedllm_docs.serving.http.own.views import Box, PlaceView, TextView

router = APIRouter(tags=["places"])
LONGEST_QUOTE = 4_000
AROUND = 6_000
"""Characters of text on either side of a place."""


@router.get("/documents/{key}/place")
def place_of(
    key: str,
    place: Shelved,
    start: Annotated[int, Query(ge=0)],
    end: Annotated[int, Query(ge=0)],
) -> PlaceView:
    """Where the characters `start` to `end` of a document stand: page, quote and boxes, as in citations."""
    info = place.index.document(key)
    document = place.index.contents(info.key)
    if not start < end <= len(document.text) or end - start > LONGEST_QUOTE:
        raise ConfigError(
            f"The characters {start} to {end} are not a part of {info.name}, which has {len(document.text)}.",
            remedy=f"Name at most {LONGEST_QUOTE} of them.",
        )
    first, last = document.page_at(start), document.page_at(end - 1)
    section = document.section_at(start)
    return PlaceView(
        document=info.name,
        document_key=info.key,
        page=first.number,
        last_page=last.number,
        page_label=first.label,
        place=place_in_words(document, start, end),
        char_start=start,
        char_end=end,
        quote=fold(document.printed(start, end)),
        section=section.title if section else "",
        boxes=boxes_of(place, info.key, start, end),
    )


@router.get("/documents/{key}/text")
def text(
    key: str,
    place: Shelved,
    at: Annotated[int, Query(ge=0, description="a character near which the text is wanted")] = 0,
) -> TextView:
    """Some text around a place, in whole lines."""
    whole = place.index.contents(key).text
    start = max(0, min(at, len(whole)) - AROUND)
    start = whole.rfind("\n", 0, start) + 1 if start else 0
    end = min(len(whole), max(at, 0) + AROUND)
    line = whole.find("\n", end)
    end = len(whole) if line < 0 or line - end > AROUND else line + 1
    return TextView(start=start, end=end, total=len(whole), text=whole[start:end])


def place_in_words(document: Document, start: int, end: int) -> str:
    """A place as a citation names it: ``page 7``."""
    from sharedllm_docs.retrieval.answer import Citation

    page, last = document.page_at(start), document.page_at(max(start, end - 1))
    citation = Citation(
        document.name, "", page.number, last.number, page.label, start, end, "", "", 0.0, 0, 0, 0,
        document.section_path(start), document.page_word,
    )  # fmt: skip
    return citation.place


def boxes_of(place: Shelf, key: str, start: int, end: int) -> list[Box]:
    """Rectangles of a span of characters; none where the document has no positions."""
    return []
