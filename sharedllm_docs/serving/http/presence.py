"""Detects when a client disconnects, so that nothing is computed for it any more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from starlette.requests import Request

from sharedllm_docs.errors import QuestionCancelledError
from sharedllm_docs.serving.desk import Answering

T = TypeVar("T")


async def until_gone(request: Request, answering: Answering[T]) -> T:
    """The whole answer; the model stops when the client goes.

    Raises:
        QuestionCancelledError: the client has gone.
    """
    return await while_connected(request, answering.whole())


async def while_connected(request: Request, waited: Awaitable[T]) -> T:
    """What is waited for.

    Raises:
        QuestionCancelledError: the client has gone first.
    """
    wanted, gone = asyncio.ensure_future(waited), asyncio.ensure_future(_disconnect(request))
    try:
        await asyncio.wait({wanted, gone}, return_when=asyncio.FIRST_COMPLETED)
        if wanted.done():
            return wanted.result()
        raise QuestionCancelledError("The client has gone.")
    finally:
        for task in (wanted, gone):
            task.cancel()
        await asyncio.gather(wanted, gone, return_exceptions=True)


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
