"""Routes of questions: ask, search, trees."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import StreamingResponse
from fastapi.sse import format_sse_event
from pydantic import BaseModel

from sharedllm_docs.errors import ConfigError, RequestTooLargeError
from sharedllm_docs.index.views import ChunkView, TreeView
from sharedllm_docs.model.messages import Message
from sharedllm_docs.retrieval.answer import Answer, Citation
from sharedllm_docs.serving.desk import Answering, Desk
from sharedllm_docs.serving.http import state
from sharedllm_docs.serving.http.answers import usual_tokens
from sharedllm_docs.serving.http.failures import body_of
from sharedllm_docs.serving.http.own.shelf import Shelf, Shelved
from sharedllm_docs.serving.http.own.views import (
    AnswerView,
    AskBody,
    Box,
    ChunkTree,
    CitationView,
    DocumentTree,
    PassageView,
    SearchBody,
    TreeBody,
    TreeChunk,
    TreeNode,
)
from sharedllm_docs.serving.http.presence import until_gone
from sharedllm_docs.serving.http.settings import Settings

router = APIRouter(tags=["questions"])


@router.post("/ask", response_model=AnswerView)
async def ask(
    body: AskBody,
    request: Request,
    place: Shelved,
    desk: Annotated[Desk, Depends(state.desk)],
    settings: Annotated[Settings, Depends(state.settings)],
    caller: Annotated[str, Depends(state.caller)],
) -> Any:
    """Answer a question, with citations and their places.

    With `stream`, server-sent events: `sources` (citations of what is injected, before the first word), `piece`
    (`{"text": …}`), and `answer`, the whole as without `stream`; or `error`, in the form of every error.
    """
    options, turns = _checked(body, settings)
    answering = desk.stream(place.name, body.question, options, conversation=turns, caller=caller)
    if body.stream:
        events = _events(answering, settings.keep_alive_seconds, request.app.state.hidden)
        return StreamingResponse(events, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})
    return answer_view(await until_gone(request, answering))


@router.post("/search")
def search(body: SearchBody, place: Shelved) -> list[PassageView]:
    """The passages nearest to a question, best first; nothing is generated."""
    found = place.index.search(body.question, k=body.k, documents=body.documents)
    names = PassageView.model_fields
    return [PassageView(**{name: getattr(passage, name) for name in names}) for passage in found]


@router.post("/documents/{key}/tree")
def tree(key: str, body: TreeBody, place: Shelved) -> DocumentTree:
    """A document's chunks, and with a question what is injected of each and at which grain.

    It is a POST because URLs are written to logs, and questions should not be.
    """
    view = _tree(key, body, place)
    return DocumentTree(
        document=view.document.key, question=view.question, chunks=[TreeChunk(**_chunk(one)) for one in view.chunks]
    )


@router.post("/documents/{key}/tree/{chunk}")
def chunk_tree(key: str, chunk: int, body: TreeBody, place: Shelved) -> ChunkTree:
    """One chunk's tree: its nodes, and with a question which branches were taken."""
    view = _tree(key, body, place)
    if not 0 <= chunk < len(view.chunks):
        raise ConfigError(
            f"There is no chunk {chunk} in {view.document.name}, which has {len(view.chunks)}.",
            remedy="Chunks are counted from 0.",
        )
    one = view.chunks[chunk]
    nodes = [TreeNode(**{name: getattr(node, name) for name in TreeNode.model_fields}) for node in one.nodes]
    return ChunkTree(nodes=nodes, **_chunk(one))


def _checked(body: AskBody, settings: Settings) -> tuple[dict[str, Any], list[Message]]:
    """Options and earlier turns of a question, within the server's limits."""
    if len(body.conversation) > settings.max_messages:
        raise RequestTooLargeError(
            f"The conversation has {len(body.conversation)} messages; {settings.max_messages} are taken.",
            remedy="Leave out the oldest.",
        )
    if (body.max_new_tokens or 0) > settings.max_answer_tokens:
        raise RequestTooLargeError(
            f"max_new_tokens={body.max_new_tokens} is above this server's {settings.max_answer_tokens}.",
            remedy="Ask for fewer.",
        )
    options = body.options()
    if body.max_new_tokens is None and (tokens := usual_tokens(body.style, settings)) is not None:
        options["max_new_tokens"] = tokens
    return options, [Message(turn.role, turn.content) for turn in body.conversation]


async def _events(answering: Answering[Answer], alive: float, hidden: dict[str, str]) -> AsyncIterator[bytes]:
    """An answer as server-sent events. If the client closes the connection, the model stops."""
    pieces = aiter(answering)
    told = False
    waiting: asyncio.Future[str] | None = None
    try:
        while True:
            waiting = waiting or asyncio.ensure_future(anext(pieces))
            await asyncio.wait([waiting], timeout=alive)
            if not waiting.done():
                yield format_sse_event(comment="still here")
                continue
            if not told and waiting.exception() is None:
                told = True
                yield _sources(answering)
            try:
                piece = waiting.result()
            except StopAsyncIteration:
                break
            waiting = None
            yield _event("piece", {"text": piece})
        yield _event("answer", answer_view(answering.result))
    except Exception as error:
        yield _event("error", body_of(error, hidden))
    finally:
        answering.cancel()
        if waiting is not None and not waiting.done():
            waiting.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await waiting


def _sources(answering: Answering[Answer]) -> bytes:
    views = [citation_view(one) for one in answering.sources]
    return _event("sources", {"citations": [view.model_dump() for view in views]})


def _event(name: str, data: BaseModel | dict[str, Any]) -> bytes:
    said = data.model_dump_json() if isinstance(data, BaseModel) else json.dumps(data, ensure_ascii=False)
    return format_sse_event(event=name, data_str=said)


def answer_view(answer: Answer) -> AnswerView:
    """An answer as the API returns it."""
    whole = answer.to_dict()
    names = (
        "question",
        "text",
        "found",
        "confidence",
        "relevance",
        "finish_reason",
        "draft",
        "marks",
        "documents",
        "alike",
        "timings",
        "counts",
    )
    return AnswerView(
        citations=[citation_view(one) for one in answer.citations],
        nearest=[citation_view(one) for one in answer.nearest],
        **{name: whole[name] for name in names},
    )


def citation_view(citation: Citation) -> CitationView:
    """A citation as the API returns it."""
    boxes = [Box.of(box) for box in citation.boxes]
    names = set(CitationView.model_fields) - {"boxes"}
    return CitationView(boxes=boxes, **{name: getattr(citation, name) for name in names})


def _tree(key: str, body: TreeBody, place: Shelf) -> TreeView:
    if body.question is None:
        return place.index.tree(key)
    options: dict[str, Any] = {"documents": body.documents}
    if body.style is not None:
        options["style"] = body.style
    return place.index.tree(key, body.question, **options)


def _chunk(one: ChunkView) -> dict[str, Any]:
    injected = [node for node in one.nodes if node.state in ("taken", "coarse")]
    return {
        "index": one.index,
        "start_page": one.start_page,
        "end_page": one.end_page,
        "tokens": one.tokens,
        "section": one.section,
        "score": one.score,
        "selected": one.selected,
        "read": one.read,
        "rows": sum(node.rows for node in injected),
        "grains": {str(grain): count for grain, count in sorted(Counter(node.grain for node in injected).items())},
    }
