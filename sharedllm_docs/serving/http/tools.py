"""The desk as a server of the Model Context Protocol: tools that ask, search, list and add; pages as resources.

Over stdio (``sharedllm-docs mcp``) for programs on this machine, and at ``/mcp`` of the server. A tool accepts the
bytes of a file, never its URL, and a path only inside a folder that was given when the server was started.
"""

from __future__ import annotations

import base64
import binascii
import logging
from asyncio import to_thread, wrap_future
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ResourceError, ResourceNotFoundError, ToolError
from mcp.types import Resource
from pydantic import BaseModel, Field
from starlette.requests import Request

from sharedllm_docs.documents.document import Document
from sharedllm_docs.errors import (
    ConfigError,
    DocumentNotFoundError,
    ForbiddenError,
    RequestTooLargeError,
    SharedLLMError,
)
from sharedllm_docs.index.index import Index
from sharedllm_docs.retrieval.answer import Citation
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http.access import caller_of
from sharedllm_docs.serving.http.answers import usual_tokens
from sharedllm_docs.serving.http.failures import hidden_of, without
from sharedllm_docs.serving.http.own.documents import check_type, shown_name
from sharedllm_docs.serving.http.own.uploads import Uploads
from sharedllm_docs.serving.http.presence import until_gone
from sharedllm_docs.serving.http.settings import Settings
from sharedllm_docs.version import __version__

log = logging.getLogger(__name__)
CALLER = "mcp"
LISTED = 1000
"""Documents listed as resources at most; the tool lists all."""

IndexName = Annotated[str, Field(description="Name of the index; empty for the first one.")]
Documents = Annotated[list[str] | None, Field(description="Names of the documents to search; none for all.")]


class Source(BaseModel):
    """A passage."""

    document: str
    page: int
    place: str
    quote: str
    score: float
    resource: str


class AnswerOfDocuments(BaseModel):
    """An answer with its sources."""

    answer: str
    found: bool
    confidence: float | None
    sources: list[Source]
    nearest: list[Source]
    documents: list[str] = Field([], description="Names of the documents that the answer is based on.")
    alike: list[str] = Field([], description="Names of other documents that fit the question as well, best first.")


class FoundPassages(BaseModel):
    """Passages near to a question, best first."""

    passages: list[Source]


class ListedDocument(BaseModel):
    """A document of an index."""

    index: str
    name: str
    key: str
    pages: int
    tokens: int
    read: bool
    resource: str


class ListedDocuments(BaseModel):
    """The documents of an index, oldest first."""

    documents: list[ListedDocument]


class Added(BaseModel):
    """What came of adding a document."""

    document: ListedDocument
    new: bool
    issues: list[str]


class _Server(MCPServer[Any]):
    """Lists documents as resources as they come and go."""

    def __init__(self, listed: Callable[[], list[Resource]], **options: Any) -> None:
        super().__init__(**options)
        self._listed = listed

    async def list_resources(self) -> list[Resource]:
        """One resource for each document: its first page."""
        return await to_thread(self._listed)


def mcp_server(
    desk: Desk, settings: Settings, files: Path | None = None, uploads: Callable[[str], Uploads] | None = None
) -> MCPServer[Any]:
    """The protocol's server over a desk.

    Args:
        desk: answers the questions.
        settings: limits of uploads, and whether documents may be added.
        files: folder inside which documents may be added by their path; None for no paths.
        uploads: of an index by its name, where files wait for each other; None makes them.
    """
    own = cache(lambda name: Uploads(partial(desk.index, name)))
    shelf = _Tools(desk, settings, files, uploads or own)
    server = _Server(
        shelf.resources,
        name="sharedllm-docs",
        version=__version__,
        log_level="WARNING",
        instructions=f"Answers from documents, with sources. Indexes: {', '.join(desk.names)}.",
    )
    for function in (shelf.ask, shelf.search, shelf.list_documents, *((shelf.add_document,) if settings.docs else ())):
        server.add_tool(function)
    server.resource(
        "pages://{index}/{key}/{page}",
        name="page",
        title="A page's text",
        description="Text of a page: index, key of the document, number of the page from 1.",
        mime_type="text/plain",
    )(shelf.page)
    return server


class _Tools:
    """The tools; their docstrings are what a model reads."""

    def __init__(self, desk: Desk, settings: Settings, files: Path | None, uploads: Callable[[str], Uploads]) -> None:
        self._desk, self._settings, self._uploads = desk, settings, uploads
        self._files = files.resolve() if files is not None else None

    @property
    def _hidden(self) -> Mapping[str, str]:
        return hidden_of(self._settings.indexes, self._desk.models)

    async def ask(
        self,
        context: Context[Any, Any],
        question: Annotated[str, Field(description="In words; each question is answered by itself.")],
        index: IndexName = "",
        documents: Documents = None,
        style: Annotated[
            Literal["short", "sentence", "full"], Field(description="A phrase, one sentence, or several with marks.")
        ] = "short",
    ) -> AnswerOfDocuments:
        """Answer a question from the documents, with the pages and quotes that the answer stands on."""
        with _told(self._hidden):
            name = self._name(index)
            request = context.request_context.request  # none where it is spoken by stdio
            caller = caller_of(request) if isinstance(request, Request) else CALLER
            options: dict[str, Any] = {"documents": documents, "style": style}
            if (tokens := usual_tokens(style, self._settings)) is not None:
                options["max_new_tokens"] = tokens
            answering = self._desk.stream(name, question, options, caller=caller)
            answer = await (until_gone(request, answering) if isinstance(request, Request) else answering.whole())
        return AnswerOfDocuments(
            answer=answer.text,
            found=answer.found,
            confidence=answer.confidence,
            sources=[_source(name, one) for one in answer.citations],
            nearest=[_source(name, one) for one in answer.nearest],
            documents=list(answer.documents),
            alike=list(answer.alike),
        )

    async def search(
        self,
        question: Annotated[str, Field(description="In words.")],
        index: IndexName = "",
        documents: Documents = None,
        k: Annotated[int, Field(ge=1, le=50, description="Number of passages at most.")] = 5,
    ) -> FoundPassages:
        """Find the passages nearest to a question, without writing an answer."""
        with _told(self._hidden):
            name = self._name(index)
            found = await self._desk.search(name, question, k=k, documents=documents)
        return FoundPassages(
            passages=[
                Source(
                    document=one.document,
                    page=one.page,
                    place=f"page {one.page}",
                    quote=one.text,
                    score=one.score,
                    resource=_uri(name, one.document_key, one.page),
                )
                for one in found
            ]
        )

    async def list_documents(self, index: IndexName = "") -> ListedDocuments:
        """List the documents that can be asked."""
        with _told(self._hidden):
            name = self._name(index)
            found = await to_thread(lambda: self._desk.index(name).documents())
        return ListedDocuments(documents=[_listed(name, info) for info in found])

    async def add_document(
        self,
        name: Annotated[str, Field(description="File name with its ending, as answers will show it.")],
        text: Annotated[str, Field(description="The text, of a text or Markdown file.")] = "",
        base64_bytes: Annotated[str, Field(description="The file's bytes in base64, of any other file.")] = "",
        path: Annotated[str, Field(description="Path inside the folder that the server was given, if it was.")] = "",
        index: IndexName = "",
    ) -> Added:
        """Add a document, so that it can be asked. It is read on in the background afterwards."""
        with _told(self._hidden):
            where = self._name(index)
            self._desk.check_name(where)
            source = self._source(text, base64_bytes, path)
            shown = shown_name(name)
            check_type(shown, self._settings.upload_types)
            self._check_size(source)
            pages = self._settings.max_upload_pages
            begun = self._uploads(where).call(
                lambda: self._index(where).add(source, name=shown, encode="background", max_pages=pages)
            )
            added = await wrap_future(begun)
        return Added(
            document=_listed(where, added.document),
            new=added.new,
            issues=[str(issue) for issue in added.document.issues],
        )

    async def page(self, index: str, key: str, page: int) -> str:
        """Text of a page."""
        try:
            document = await to_thread(self._document, index, key)
        except DocumentNotFoundError as error:
            raise ResourceNotFoundError(without(str(error), self._hidden)) from error
        except SharedLLMError as error:
            raise ResourceError(without(str(error), self._hidden)) from error
        except Exception as error:
            log.exception("a resource failed")
            raise ResourceError("The server failed at this; its log says why.") from error
        found = [one.text for one in document.pages if one.number == page]
        if not found:
            raise ResourceNotFoundError(f"{document.name} has no page {page}; it has {len(document.pages)}.")
        return found[0]

    def resources(self) -> list[Resource]:
        """The first pages of all documents."""
        made = []
        for name in self._desk.names:
            for info in self._desk.index(name).documents():
                about = f"{info.name}, {info.pages} pages; replace the last number to read another."
                made.append(
                    Resource(uri=_uri(name, info.key, 1), name=info.name, description=about, mime_type="text/plain")
                )
        return made[:LISTED]

    def _document(self, index: str, key: str) -> Document:
        return self._index(index).contents(key)

    def _index(self, name: str) -> Index:
        return self._desk.index(name)

    def _name(self, index: str) -> str:
        return index or self._desk.names[0]

    def _source(self, text: str, encoded: str, path: str) -> bytes | Path:
        given = [one for one in (text, encoded, path) if one]
        if len(given) != 1:
            raise ConfigError("Give one of text, base64_bytes and path.")
        if text:
            return text.encode("utf-8")
        if path:
            return self._inside(path)
        try:
            return base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError) as error:
            raise ConfigError(f"base64_bytes is not base64: {error}.") from error

    def _check_size(self, source: bytes | Path) -> None:
        size, most = (
            len(source) if isinstance(source, bytes) else source.stat().st_size,
            self._settings.max_upload_bytes,
        )
        if size > most:
            raise RequestTooLargeError(f"The file has {size:,} bytes; this server takes {most:,} at most.")

    def _inside(self, path: str) -> Path:
        """A file in the folder that was named at the start.

        Raises:
            ForbiddenError: there is no such folder, or the path leads out of it.
            DocumentNotFoundError: there is no such file.
        """
        if self._files is None:
            raise ForbiddenError(
                "This server reads no files by their path.",
                remedy="Send the text or the bytes, or start it with --files.",
            )
        found = (self._files / path).resolve()
        if not found.is_relative_to(self._files):
            raise ForbiddenError(f"{path!r} leads out of the folder that this server may read.")
        if not found.is_file():
            raise DocumentNotFoundError(f"There is no file {path!r}.")
        return found


@contextmanager
def _told(hidden: Mapping[str, str]) -> Any:
    """Within the block, the project's errors become errors of a tool: sentences for the model. Others reveal
    nothing."""
    try:
        yield
    except SharedLLMError as error:
        raise ToolError(without(str(error), hidden)) from error
    except Exception as error:
        log.exception("a tool failed")
        raise ToolError("The server failed at this; its log says why.") from error


def _uri(index: str, key: str, page: int) -> str:
    return f"pages://{quote(index)}/{key}/{page}"


def _source(index: str, citation: Citation) -> Source:
    return Source(
        document=citation.document,
        page=citation.page,
        place=citation.place,
        quote=citation.quote,
        score=citation.score,
        resource=_uri(index, citation.document_key, citation.page),
    )


def _listed(index: str, info: Any) -> ListedDocument:
    return ListedDocument(
        index=index,
        name=info.name,
        key=info.key,
        pages=info.pages,
        tokens=info.tokens,
        read=not info.unread_chunks,
        resource=_uri(index, info.key, 1),
    )
