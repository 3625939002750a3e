"""Routes of the page's files. They contain no documents, so they need no key."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from fastapi import APIRouter, Request, Response
from starlette.exceptions import HTTPException

ROOT = Path(__file__).parent
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".bcmap": "application/octet-stream",
    ".pfb": "application/octet-stream",
    ".ttf": "font/ttf",
}
"""Of what is sent; nothing else of the folder is."""
PACKED = "vendor/pdfjs-data.zip"
"""What pdf.js fetches when a document needs it (tools/vendor_pdfjs.py), as if it lay unpacked in ``vendor/``."""

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True)
class PageFile:
    """A file of the page.

    Attributes:
        content: its bytes.
        type: its media type.
        tag: changes with the content.
    """

    content: bytes
    type: str
    tag: str


@cache
def names() -> frozenset[str]:
    """Names of all files that are sent: a request can name no other, however it is written."""
    found = {path.relative_to(ROOT).as_posix() for path in ROOT.rglob("*") if path.suffix in TYPES}
    with zipfile.ZipFile(ROOT / PACKED) as packed:
        found |= {f"vendor/{name}" for name in packed.namelist() if Path(name).suffix in TYPES}
    return frozenset(found)


@cache
def page_file(name: str) -> PageFile:
    """A file by its name among ``names()``."""
    path = ROOT / name
    if path.is_file():
        content = path.read_bytes()
    else:
        with zipfile.ZipFile(ROOT / PACKED) as packed:
            content = packed.read(name.removeprefix("vendor/"))
    return PageFile(content, TYPES[Path(name).suffix], f'"{hashlib.sha256(content).hexdigest()[:20]}"')


def _sent(request: Request, name: str) -> Response:
    if name not in names():
        raise HTTPException(404, f"There is no file {name!r}")
    file = page_file(name)
    # asked for again each time, so that a newer version of the server has its own files
    headers = {"ETag": file.tag, "Cache-Control": "no-cache"}
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    return Response(file.content, media_type=file.type, headers=headers)


@router.api_route("/", methods=["GET", "HEAD"])
def index(request: Request) -> Response:
    """The page."""
    return _sent(request, "index.html")


@router.api_route("/docs", methods=["GET", "HEAD"])
def docs(request: Request) -> Response:
    """The API, described by the app's own OpenAPI document."""
    return _sent(request, "docs.html")


@router.api_route("/page/{name:path}", methods=["GET", "HEAD"])
def file(request: Request, name: str) -> Response:
    """A file of the page."""
    return _sent(request, name)
