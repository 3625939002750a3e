"""The process of the server: uvicorn around the app, with limits on what a connection may take."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from sharedllm_docs.errors import ConfigError
from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.settings import Settings


def serve(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        settings: of the server.
        tell: called with the server's address, once it listens.

    Raises:
        ConfigError: it could be reached from other machines without a key, or the address cannot be listened on.
        StoreError: an index cannot be opened.
    """
    log_to_stderr()
    config = config_of(create_app(settings), settings)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    uvicorn.Server(config).run(sockets=[listening])


BACKLOG = 2048
"""Connections that may wait to be accepted, as uvicorn has it."""


def listen(host: str, port: int) -> socket.socket:
    """A socket at an address.

    Raises:
        ConfigError: there is no such address here, or somebody listens there already.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        made = socket.socket(family, socket.SOCK_STREAM)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)  # who is told the address can connect at once
    except OSError as error:
        raise ConfigError(
            f"{host} port {port} cannot be listened on: {error.strerror or error}.",
            remedy="Give another --port (0 for a free one), or --host.",
        ) from error
    made.set_inheritable(True)
    return made


def log_to_stderr() -> None:
    """Have warnings and errors of all libraries on stderr, and nothing less important."""
    handler = logging.StreamHandler()
    handler.setLevel(logging.WARNING)
    logging.basicConfig(format="%(asctime)s %(levelname)s %(name)s: %(message)s", handlers=[handler])


def config_of(app: ASGIApp, settings: Settings) -> uvicorn.Config:
    """How uvicorn runs the app: one process, no websockets, limits on headers, time and connections."""

    class Protocol(TimedProtocol):
        seconds = settings.request_seconds

    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=settings.max_connections,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        http=Protocol,
        ws="none",
        lifespan="on",
        timeout_graceful_shutdown=10,
    )


class TimedProtocol(H11Protocol):
    """uvicorn's protocol, closing connections whose first request's headers do not arrive in time.

    Later requests of a connection are covered by uvicorn's own keep-alive time, bodies by ``limits``.

    Attributes:
        seconds: within which they must.
    """

    seconds = 30.0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._waited: asyncio.TimerHandle = self.loop.call_later(self.seconds, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._waited.cancel()
        super().connection_lost(exc)

    def _too_slow(self) -> None:
        if self.cycle is None and not self.transport.is_closing():
            self.transport.close()
