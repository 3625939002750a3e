"""Limits on a request's body: how large it may be, and how long each part of it may take to arrive."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sharedllm_docs.errors import RequestTooLargeError, RequestTooSlowError, SharedLLMError
from sharedllm_docs.serving.http.failures import response_to
from sharedllm_docs.serving.http.settings import Settings

UPLOADS = "/api/documents"
SOME = 100_000
"""Bytes of a form around its file."""


class BodyLimits:
    """Refuses bodies that are too large before they are read, and while they are read where they do not say."""

    def __init__(self, app: ASGIApp, settings: Settings, hidden: Mapping[str, str]) -> None:
        self.app, self.settings, self.hidden = app, settings, hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        headers = HTTPConnection(scope).headers
        most = most_bytes(self.settings, scope["path"], scope["method"])
        counted = _Counted(receive, most, self.settings.request_seconds)
        try:
            counted.check_length(headers.get("content-length"))
            await self.app(scope, counted, sending)
        except SharedLLMError as error:
            if started:
                raise
            response = response_to(error, self.hidden)
            response.headers["Connection"] = "close"  # what is left of the body is not read
            await response(scope, receive, send)


def most_bytes(settings: Settings, path: str, method: str = "POST") -> int:
    """Bytes of a request at most: of an upload, and of a tool's call, which may contain a file in base64, more.

    It is the route that counts: what a request says of its content would lift the limit of every route.
    """
    if (method, path) == ("POST", UPLOADS):
        return settings.max_upload_bytes + SOME
    if path == "/mcp":
        return settings.max_upload_bytes * 4 // 3 + SOME
    return settings.max_body_bytes


class _Counted:
    """A request's body as it comes."""

    def __init__(self, receive: Receive, most: int, seconds: float) -> None:
        self._receive, self._most, self._seconds = receive, most, seconds
        self._bytes = 0
        self._complete = False

    def check_length(self, said: str | None) -> None:
        """Raise RequestTooLargeError for a length that is said to be too large."""
        if said is not None and said.isdigit() and int(said) > self._most:
            raise self._too_large(int(said))

    async def __call__(self) -> Message:
        if self._complete:
            return await self._receive()  # waits for the client to go
        try:
            message = await asyncio.wait_for(self._receive(), self._seconds)
        except asyncio.TimeoutError:
            raise RequestTooSlowError(
                f"Nothing of the request arrived for {self._seconds:g} seconds.", remedy="Send it again."
            ) from None
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
            if self._bytes > self._most:
                raise self._too_large(self._bytes)
        return message

    def _too_large(self, size: int) -> RequestTooLargeError:
        return RequestTooLargeError(
            f"The request has {size:,} bytes or more; this server takes {self._most:,}.", remedy="Send less at once."
        )
