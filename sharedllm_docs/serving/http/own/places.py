"""Routes for places in documents: text, boxes, pictures of pages, the file itself."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Response
from fastapi.responses import StreamingResponse

from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import BoxesMissingError, ConfigError, SourceMissingError
from sharedllm_docs.retrieval.answer import Citation, fold
from sharedllm_docs.serving.http.own.shelf import Shelved
from sharedllm_docs.serving.http.own.sources import wanted_part
from sharedllm_docs.serving.http.own.views import Box, PageView, PlaceView, TextView

router = APIRouter(tags=["places"])
log = logging.getLogger(__name__)
LONGEST_QUOTE = 4_000
AROUND = 6_000
"""Characters of text on either side of a place."""
LARGEST = 8.0
"""Pixels a point of a page's picture, at most."""
_Password = Annotated[str | None, Header(alias="Document-Password", description="of an encrypted file; never stored")]


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
        quote=fold(document.headed(start, end)),
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


@router.get("/documents/{key}/source", response_class=Response)
def source(key: str, place: Shelved, wanted: Annotated[str | None, Header(alias="Range")] = None) -> Response:
    """The file that the document was read from, or a part of it (`Range`)."""
    info = place.index.document(key)
    with _where_it_was(info.name):
        file = place.sources.get(info.key)
    shown = "inline" if info.reader == "pdf" else "attachment"  # a browser must not run an HTML file here
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": f'"{info.key}"',
        "Content-Disposition": f"{shown}; filename*=UTF-8''{quote(info.name)}",
    }
    try:
        part = wanted_part(wanted, file.size)
    except ValueError:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{file.size}"})
    start, end = part or (0, file.size)
    headers["Content-Length"] = str(end - start)
    if part:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{file.size}"
    kind = "application/pdf" if info.reader == "pdf" else "application/octet-stream"
    return StreamingResponse(file.part(start, end), 206 if part else 200, headers, kind)


@router.get("/documents/{key}/pages/{number}.png", response_class=Response)
def picture(
    key: str,
    number: int,
    place: Shelved,
    scale: Annotated[float, Query(gt=0, le=LARGEST, description="pixels a point")] = 2.0,
    password: _Password = None,
) -> Response:
    """A page of a PDF as a PNG, turned and cropped as viewers show it."""
    with _where_it_was(key):
        image = place.pictures.draw(place.index.find_key(key), number, scale, password)
    return Response(image.png(), media_type="image/png")


@router.get("/documents/{key}/pages/{number}")
def page(key: str, number: int, place: Shelved, password: _Password = None) -> PageView:
    """How a page of a PDF is shown: what is needed to draw boxes on its picture."""
    with _where_it_was(key):
        image = place.pictures.draw(place.index.find_key(key), number, 0.1, password)
    return PageView(page=image.page, rotation=image.rotation, shown=list(image.shown))


# -- what other routes use ------------------------------------------------------------------------------------------


@contextmanager
def _where_it_was(name: str) -> Iterator[None]:
    """Within the block, an error says that a document's file is missing, but not where it was: that is private."""
    try:
        yield
    except SourceMissingError as error:
        log.warning("the file of %s: %s", name, error.message)
        raise SourceMissingError(
            f"The file of {name} is not kept in the index, and is not as it was where it was read from.",
            remedy="Upload the file.",
        ) from error


def place_in_words(document: Document, start: int, end: int) -> str:
    """A place as a citation names it: ``page 7``."""
    page, last = document.page_at(start), document.page_at(max(start, end - 1))
    path, word = document.section_path(start), document.page_word
    citation = Citation(
        document.name, "", page.number, last.number, page.label, start, end, "", "", 0.0, 0, 0, 0, path, word
    )
    return citation.place


def boxes_of(place: Shelved, key: str, start: int, end: int) -> list[Box]:
    """Rectangles of a span of characters; none where the document has no positions."""
    try:
        return [Box.of(box) for box in place.index.boxes(key, start, end)]
    except BoxesMissingError:
        return []
