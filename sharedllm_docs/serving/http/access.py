"""Access control: where the server may listen, API keys, and requests that another site makes a browser send."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

from sharedllm_docs.errors import AccessError, ConfigError, ForbiddenError, SharedLLMError
from sharedllm_docs.serving.http.failures import response_to
from sharedllm_docs.serving.http.keys import let_in
from sharedllm_docs.serving.http.settings import Settings

OPEN = {"/health", "/ready", "/", "/docs"}
"""Paths that need no key: they reveal nothing about documents."""
OPEN_UNDER = ("/page/",)
"""Beginnings of paths that need no key: files of the page, which contain no documents."""


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def check_binding(settings: Settings) -> None:
    """Raise ConfigError where others could reach the server and nothing keeps them out."""
    if is_loopback(settings.host) or settings.api_keys or settings.insecure:
        return
    raise ConfigError(
        f"host={settings.host!r} can be reached from other machines, and everyone there could read the documents.",
        remedy="Add --api-key KEY (`sharedllm-docs api-key` makes one), listen on 127.0.0.1, or say --insecure.",
    )


class Guard:
    """Lets in requests that have a key, where keys are set, name this server, and do not come from another site.

    A browser sends requests of any site to a server on the user's own machine. So a request must name the server by
    a known name (else another site's name could be pointed at it), and what a browser says comes from elsewhere is
    refused, but for links that a person follows; there are no CORS headers either.
    """

    def __init__(self, app: ASGIApp, settings: Settings, hidden: Mapping[str, str]) -> None:
        self.app, self.settings, self.hidden = app, settings, hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return  # no websockets
        try:
            self._check(HTTPConnection(scope))
        except SharedLLMError as error:
            response = response_to(error, self.hidden)
            if has_body(HTTPConnection(scope)):
                response.headers["Connection"] = "close"  # the body is not read
            await response(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _check(self, request: HTTPConnection) -> None:
        self._check_host(request)
        self._check_origin(request)
        path = request.scope["path"]
        if self.settings.api_keys and path not in OPEN and not any(map(path.startswith, OPEN_UNDER)):
            self._check_key(request)

    def _check_host(self, request: HTTPConnection) -> None:
        if self.settings.api_keys or self.settings.insecure:
            return  # a key, or nothing, protects it whatever it is called
        host = _name(request.headers.get("host", ""))
        if not (is_loopback(host) or host in (self.settings.host, *self.settings.allowed_hosts)):
            raise ForbiddenError(
                f"This server is not called {host!r}.", remedy="Address it as localhost, or set allowed_hosts."
            )

    def _check_origin(self, request: HTTPConnection) -> None:
        origin = request.headers.get("origin")
        opened = request.scope["method"] == "GET" and request.headers.get("sec-fetch-mode") == "navigate"
        elsewhere = request.headers.get("sec-fetch-site") in ("cross-site", "same-site") and not opened
        if elsewhere or (origin is not None and urlsplit(origin).netloc != request.headers.get("host", "")):
            raise ForbiddenError(f"Requests from {origin or 'another site'} are refused.", remedy="Use its own page.")

    def _check_key(self, request: HTTPConnection) -> None:
        kind, _, key = request.headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not let_in(key.strip(), self.settings.api_keys):
            raise AccessError(
                "The request has no valid API key.", remedy="Send it as `Authorization: Bearer KEY`, in every request."
            )


def _name(host: str) -> str:
    """The name in a ``Host`` header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def has_body(request: HTTPConnection) -> bool:
    """Whether a request says that it has a body."""
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


def caller_of(request: HTTPConnection) -> str:
    """Who asks, for turns in the queue: the key's owner where keys are checked, else the address."""
    if request.app.state.settings.api_keys:
        return request.headers.get("authorization", "")
    return request.client.host if request.client else ""
