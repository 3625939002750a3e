"""Requests and responses of the API, as the OpenAPI page describes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from sharedllm_docs.config import MOST_CITATIONS
from sharedllm_docs.documents import box as documents


class Problem(BaseModel):
    """Why something was not done, in words for the person who asked."""

    type: str = Field(description="a stable name: `EncryptedDocumentError`, `ScannedDocumentError`, …")
    message: str = Field(description="what happened, with the value and the bound it broke, and what to do")
    remedy: str = Field("", description="what can be done about it: the end of `message`")


class IndexView(BaseModel):
    """An index that this server has."""

    name: str
    model: str
    documents: int
    bytes: int = Field(description="size on disk")


class IssueView(BaseModel):
    """Something that was lost or guessed while a document was read."""

    code: str
    message: str
    page: int | None = None


class DocumentView(BaseModel):
    """A document. Questions can be asked whatever `pages_read` is: what a question needs is read first."""

    key: str = Field(description="its address in the API: it depends on the content, not on the name")
    name: str
    title: str = ""
    pages: int
    page_word: str = Field(description="what its pages are: `page`, `slide`, `sheet`; empty where it has none")
    tokens: int
    chunks: int
    unread_chunks: int
    pages_read: int = Field(description="pages whose keys and values are stored, by the share of its chunks")
    seconds_left: float | None = Field(None, description="until it is wholly read, as estimated; null: not known")
    bytes: int
    created: str
    reader: str
    issues: list[IssueView] = []
    source: bool = Field(False, description="whether the file itself can be fetched, and pages of a PDF drawn")
    boxes: bool = Field(False, description="whether it is known where the text is printed on the pages")


class UploadView(BaseModel):
    """A file that is being read."""

    id: str
    name: str
    state: Literal["waiting", "reading", "done", "failed"]
    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    seconds_left: float | None = None
    document: str = Field("", description="key of the document, once it can be asked")
    new: bool = True
    replaced: int = Field(0, description="number of earlier versions of the same name that it took the place of")
    error: Problem | None = None


class DocumentsView(BaseModel):
    """All documents of an index, and the files that are on their way into it."""

    index: str
    documents: list[DocumentView]
    uploads: list[UploadView]


class Box(BaseModel):
    """A rectangle on a page, in PDF points of the page's own space: from the left and from the bottom, unrotated."""

    page: int
    left: float
    bottom: float
    right: float
    top: float

    @classmethod
    def of(cls, box: documents.Box) -> Box:
        """The same as the library has it."""
        return cls(page=box.page, left=box.left, bottom=box.bottom, right=box.right, top=box.top)


class CitationView(BaseModel):
    """A passage that an answer is based on, or one that is near to the question."""

    document: str
    document_key: str
    page: int
    last_page: int
    page_label: str
    place: str = Field(description="where to look, in words: `page 7`, `pages 7-8`, `slide 3`")
    char_start: int
    char_end: int
    quote: str
    section: str
    score: float
    chunk: int
    level: int
    node: int
    boxes: list[Box] = []


class AnswerView(BaseModel):
    """An answer, complete."""

    question: str
    text: str
    found: bool = Field(description="false: the documents do not say; `nearest` has the passages nearest to it")
    confidence: float | None
    relevance: float
    finish_reason: str
    citations: list[CitationView]
    nearest: list[CitationView]
    draft: str
    marks: list[tuple[int, int, int]] = Field(
        [], description="start and end of each mark in `text` (`[2]`), and which of `citations` it stands for, from 1"
    )
    documents: list[str] = Field([], description="names of the documents that the answer is based on")
    alike: list[str] = Field([], description="names of other documents that fit the question as well, best first")
    timings: dict[str, float] = Field(description="seconds since the question came in")
    counts: dict[str, int | dict[int, int]] = Field(
        description="rows, bytes, tokens, chunks of this answer; `grains` has the rows by grain"
    )


class Turn(BaseModel):
    """An earlier turn of the conversation."""

    role: Literal["user", "assistant", "system"]
    content: str


class Scope(BaseModel):
    """Where to look."""

    model_config = ConfigDict(extra="forbid")

    question: str
    documents: list[str] | None = Field(None, description="names or keys; null searches all documents of the index")


class AskBody(Scope):
    """A question."""

    conversation: list[Turn] = Field([], description="earlier turns, oldest first")
    style: Literal["short", "sentence", "full"] | None = None
    instructions: str = ""
    max_new_tokens: int | None = None
    max_citations: int | None = Field(None, ge=1, le=MOST_CITATIONS)
    min_confidence: float | None = None
    stream: bool = Field(
        False,
        description="server-sent events `sources`, `piece` (several), `answer`, or `error`; else one answer",
    )

    def options(self) -> dict[str, Any]:
        """Keywords of ``Index.ask``; what was not given is left out."""
        given = self.model_dump(exclude={"question", "conversation", "stream", "instructions"}, exclude_none=True)
        return given | ({"instructions": self.instructions} if self.instructions else {})


class SearchBody(Scope):
    """What to look for."""

    k: int = Field(5, ge=1, le=50)


class PassageView(BaseModel):
    """A passage that was found."""

    document: str
    document_key: str
    text: str
    page: int
    last_page: int
    page_label: str
    char_start: int
    char_end: int
    section: str
    score: float
    relevance: float | None


class TreeBody(BaseModel):
    """A question, or none, whose branches are to be shown."""

    model_config = ConfigDict(extra="forbid")

    question: str | None = None
    documents: list[str] | None = Field(None, description="those the question is put to; null: all of the index")
    style: Literal["short", "sentence", "full"] | None = None


class TreeNode(BaseModel):
    """A node of a chunk's tree."""

    level: int
    index: int
    start_token: int
    end_token: int
    start_page: int
    end_page: int
    grain: int
    rows: int
    score: float | None
    state: str = Field(description="`taken`, `coarse`, `left`, or empty: its chunk was not searched")
    text: str


class TreeChunk(BaseModel):
    """A chunk, with what was taken of it."""

    index: int
    start_page: int
    end_page: int
    tokens: int
    section: str
    score: float | None
    selected: bool
    read: bool
    rows: int = Field(description="rows injected of this chunk")
    grains: dict[str, int] = Field(description="number of its nodes that are injected, by grain")


class DocumentTree(BaseModel):
    """A document's chunks, for one question or none."""

    document: str
    question: str | None
    chunks: list[TreeChunk]


class ChunkTree(TreeChunk):
    """A chunk with all nodes of its tree, from the top level down, left to right."""

    nodes: list[TreeNode]


class TextView(BaseModel):
    """A part of a document's text, as it was read."""

    start: int = Field(description="its first character, counted in the whole text")
    end: int
    total: int
    text: str


class PlaceView(BaseModel):
    """Where a range of characters of a document is printed."""

    document: str
    document_key: str
    page: int
    last_page: int
    page_label: str
    place: str
    char_start: int
    char_end: int
    quote: str
    section: str
    boxes: list[Box]


class PageView(BaseModel):
    """How a page is shown."""

    page: int
    rotation: int = Field(description="degrees clockwise by which it is turned: 0, 90, 180, 270")
    shown: list[float] = Field(description="left, bottom, right, top of what is shown, in the space of `Box`")
