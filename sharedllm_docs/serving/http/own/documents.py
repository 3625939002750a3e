"""Routes of documents: upload, list, status, delete."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Depends, File, Form, Response, UploadFile

from sharedllm_docs.documents.document import PAGE_WORDS, UNPAGED_READERS
from sharedllm_docs.errors import (
    DocumentTooLargeError,
    EmptyDocumentError,
    SharedLLMError,
    UnknownFormatError,
)
from sharedllm_docs.index.views import DocumentInfo
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http import state
from sharedllm_docs.serving.http.failures import is_folder, last_part
from sharedllm_docs.serving.http.own.shelf import Shelf, Shelved, may_write
from sharedllm_docs.serving.http.own.uploads import Upload
from sharedllm_docs.serving.http.own.views import (
    DocumentsView,
    DocumentView,
    IndexView,
    IssueView,
    Problem,
    UploadView,
)
from sharedllm_docs.serving.http.settings import Settings

router = APIRouter(tags=["documents"])
LONGEST_NAME = 200
SUFFIX_LENGTH = 12


@router.get("/indexes")
def indexes(desk: Annotated[Desk, Depends(state.desk)]) -> list[IndexView]:
    """The indexes that this server has, and the model of each."""
    found = []
    for name in desk.names:
        index = desk.index(name)
        model = str(index.settings["model"])
        model = last_part(model) if is_folder(model) else model
        found.append(IndexView(name=name, model=model, documents=len(index.documents()), bytes=index.size()))
    return found


@router.get("/limits")
def limits(settings: Annotated[Settings, Depends(state.settings)]) -> dict[str, Any]:
    """What may be uploaded (whether anything may, bytes, pages, endings of names), and tokens of an answer at most."""
    return {
        "writable": settings.docs,
        "bytes": settings.max_upload_bytes,
        "pages": settings.max_upload_pages,
        "types": list(settings.upload_types),
        "answer_tokens": settings.max_answer_tokens,
    }


@router.get("/documents")
def documents(place: Shelved) -> DocumentsView:
    """All documents, oldest first, and the files on their way. Ask again while something is not read."""
    infos = place.index.documents()
    return DocumentsView(
        index=place.name,
        documents=[document_view(place, info) for info in infos],
        uploads=[upload_view(upload) for upload in place.uploads.list()],
    )


@router.post("/documents", status_code=202, dependencies=[Depends(may_write)])
async def upload(
    place: Shelved,
    settings: Annotated[Settings, Depends(state.settings)],
    response: Response,
    file: Annotated[UploadFile, File(description="the document; its name says its format")],
    password: Annotated[str | None, Form(description="of an encrypted document; never stored")] = None,
    pages: Annotated[str | None, Form(description="page range such as `1-20,35`; by default all")] = None,
    replace: Annotated[bool, Form(description="take an earlier version of the same name out")] = True,
    wait: Annotated[bool, Form(description="answer when the document can be asked")] = False,
) -> UploadView:
    """Take a file. It is read in the background; the answer's `id` names it in `/api/uploads`."""
    name = shown_name(file.filename)
    check_type(name, settings.upload_types)
    folder = await asyncio.to_thread(tempfile.TemporaryDirectory, prefix="sharedllm-docs-upload-")
    try:
        path = Path(folder.name) / "file"
        await asyncio.to_thread(copy_within, file.file, path, settings.max_upload_bytes, name)
        options = {"password": password or None, "pages": pages or None, "max_pages": settings.max_upload_pages}
        given = {key: value for key, value in options.items() if value is not None}
        begun, done = place.uploads.start(name, path, folder, {**given, **({} if replace else {"replace": False})})
    except BaseException:
        folder.cleanup()
        raise
    if wait:
        await asyncio.wrap_future(done)
        if begun.error is not None:
            raise begun.error
        response.status_code = 201 if begun.new else 200
    return upload_view(begun)


@router.get("/uploads/{name}")
def upload_status(name: str, place: Shelved) -> UploadView:
    """How far a file is."""
    return upload_view(place.uploads.get(name))


@router.delete("/uploads/{name}", dependencies=[Depends(may_write)])
def take_back(name: str, place: Shelved) -> UploadView:
    """Take a file back that is not read yet, or forget one that failed. A document that is there stays."""
    return upload_view(place.uploads.forget(name))


@router.get("/documents/{key}")
def document(key: str, place: Shelved) -> DocumentView:
    """One document, by key, the beginning of its key, or name."""
    return document_view(place, place.index.document(key))


@router.delete("/documents/{key}", dependencies=[Depends(may_write)])
async def delete(key: str, place: Shelved) -> DocumentView:
    """Take a document out of the index; its disk space is free soon afterwards."""
    view = await asyncio.to_thread(lambda: document_view(place, place.index.document(key)))
    # one after the other with the uploads: both write
    await asyncio.wrap_future(place.uploads.in_worker(lambda: place.index.remove(view.key)))
    place.sources.forget(view.key)
    place.uploads.in_worker(place.index.prune)
    return view


# -- what the routes use --------------------------------------------------------------------------------------------


def shown_name(given: str | None) -> str:
    """A file's name as it is shown; never a path, and never used as one."""
    name = PureWindowsPath(PurePosixPath(given or "").name).name
    name = " ".join("".join(char if char.isprintable() else " " for char in name).split())
    if not name.strip(". "):
        raise UnknownFormatError("The file has no name.", remedy="Name it, with the ending of its format.")
    stem, dot, suffix = name.rpartition(".")
    if dot and len(suffix) <= SUFFIX_LENGTH:
        return f"{stem[: LONGEST_NAME - len(suffix) - 1]}.{suffix}"
    return name[:LONGEST_NAME]


def check_type(name: str, allowed: tuple[str, ...]) -> None:
    """Raise UnknownFormatError for a name whose ending is not taken."""
    suffix = PurePosixPath(name).suffix.lower()
    if suffix not in allowed:
        raise UnknownFormatError(
            f"{name}: files ending in {suffix or 'nothing'} are not taken.", remedy=f"Taken are {', '.join(allowed)}."
        )


def copy_within(source: BinaryIO, target: Path, limit: int, name: str) -> None:
    """Copy an upload to its place.

    Raises:
        DocumentTooLargeError: it has more bytes than ``limit``.
        EmptyDocumentError: it has none.
    """
    source.seek(0, 2)
    size = source.tell()
    if size > limit:
        raise DocumentTooLargeError(
            f"{name} has {size:,} bytes; this server takes {limit:,} at most.", remedy="Split it, or raise the limit."
        )
    if not size:
        raise EmptyDocumentError(f"{name} is empty.", remedy="Choose a file with content.")
    source.seek(0)
    with target.open("wb") as out:
        shutil.copyfileobj(source, out, 1 << 20)


def document_view(place: Shelf, info: DocumentInfo) -> DocumentView:
    """A document as the API returns it."""
    unpaged = info.pages == 1 and info.reader in UNPAGED_READERS
    left = place.uploads.seconds_left(info)
    return DocumentView(
        key=info.key,
        name=info.name,
        title=info.title,
        pages=info.pages,
        page_word="" if unpaged else PAGE_WORDS.get(info.reader, "page"),
        tokens=info.tokens,
        chunks=info.chunks,
        unread_chunks=info.unread_chunks,
        pages_read=int(info.pages * place.uploads.share_read(info)) if info.unread_chunks else info.pages,
        seconds_left=None if left is None else round(left, 1),
        bytes=info.bytes,
        created=info.created,
        reader=info.reader,
        issues=[IssueView(code=one.code, message=one.message, page=one.page) for one in info.issues],
        source=bool(info.source),
        boxes=info.boxes,
    )


def upload_view(upload: Upload) -> UploadView:
    """An upload as the API returns it."""
    left = upload.pace.seconds_left(time.monotonic()) if upload.state == "reading" else None
    return UploadView(
        id=upload.id,
        name=upload.name,
        state=upload.state,
        stage=upload.stage,
        done=upload.done,
        total=upload.total,
        unit=upload.unit,
        seconds_left=None if left is None else round(left, 1),
        document=upload.document,
        new=upload.new,
        replaced=upload.replaced,
        error=None if upload.error is None else problem(upload.error),
    )


def problem(error: SharedLLMError) -> Problem:
    """An error as a part of a view."""
    return Problem(type=type(error).__name__, message=str(error), remedy=error.remedy)
