"""Answers sent while they are generated, and ended when the client disconnects."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.serving.desk import Answering
from sharedllm_docs.serving.http.failures import body_of
from sharedllm_docs.serving.http.openai.replies import Reply, afterword, event
from sharedllm_docs.serving.http.presence import while_connected
from sharedllm_docs.serving.http.settings import Settings

log = logging.getLogger(__name__)
DONE = {"data": "[DONE]"}


async def streamed(
    reply: Reply, answering: Answering[Any], request: Request, settings: Settings, *, include_usage: bool
) -> EventSourceResponse:
    """The answer as server-sent events; it starts when the first words are known or a keep-alive comment is due.

    Until then an error is a separate response with its own status; later it is an event. The model stops when the
    client disconnects.
    """
    pieces = aiter(answering)
    first = asyncio.ensure_future(anext(pieces, None))
    try:
        await while_connected(request, asyncio.wait({first}, timeout=settings.keep_alive_seconds))
        if first.done():
            first.result()  # raises what went wrong
    except BaseException:
        first.cancel()
        answering.cancel()
        raise
    events = _events(reply, answering, pieces, first, request, include_usage)
    return EventSourceResponse(events, ping=settings.keep_alive_seconds, sep="\n", ping_message_factory=_sign_of_life)


def _sign_of_life() -> ServerSentEvent:
    return ServerSentEvent(comment="keep-alive")


async def _events(
    reply: Reply,
    answering: Answering[Any],
    pieces: AsyncIterator[str],
    first: asyncio.Future[str | None],
    request: Request,
    include_usage: bool,
) -> AsyncIterator[dict[str, str]]:
    try:
        yield event(reply.piece(await first or "", first=True))
        async for piece in pieces:
            yield event(reply.piece(piece))
        result = answering.result
        if said := afterword(result):
            yield event(reply.piece(said))
        yield event(reply.end(result))
        if include_usage:
            yield event(reply.usage(result))
    except Exception as error:
        if not isinstance(error, SharedLLMError):
            log.error("%s failed while it was streamed", request.url.path, exc_info=error)
        yield event(body_of(error, request.app.state.hidden))
    finally:
        first.cancel()
        answering.cancel()
    yield DONE
