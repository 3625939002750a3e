"""The process of the server: uvicorn around the app, with limits on what a connection may take."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn

import h11
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from sharedllm_docs.errors import ConfigError
from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.settings import Settings


def serve(settings: Settings, tell: Callable[[str], None], salt: bytes | None = None) -> None:
    """Serve until interrupted; the process ends with it, at once: taking torch down would only take time.

    SIGINT (Ctrl-C) ends it within ``LEAVING`` seconds. SIGTERM lets answers in hand be finished first. A second signal
    of either kind ends it at once. Whatever is cut off, no index is damaged.

    Args:
        settings: of the server.
        tell: called with the server's address, once it listens.
        salt: of the tenant whose indexes it serves; None leaves it to the settings.

    Raises:
        ConfigError: it could be reached from other machines without a key, or the address cannot be listened on.
        StoreError: an index cannot be opened.
    """
    log_to_stderr()
    server = EndingServer(config_of(create_app(settings, salt=salt), settings))
    for number in LEAVING:  # before anybody knows the address: an exception out of a signal could strike an import
        signal.signal(number, server.handle_exit)
    listening = listen(settings.host, settings.port)
    host, port = listening.getsockname()[:2]
    tell(f"http://{f'[{host}]' if ':' in host else host}:{port}")
    server.run(sockets=[listening])
    leave(server.ended_by)


LEAVING = {signal.SIGINT: 1.5, signal.SIGTERM: 20.0}
"""Seconds after which the process ends that was sent a signal, whatever it is doing."""


class EndingServer(uvicorn.Server):
    """uvicorn's server, in a process that ends in time even while a model is loaded or a chunk is read.

    Attributes:
        ended_by: number of the signal that ended it; 0 for none.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ended_by = 0
        self._told = threading.Event()
        # started here: a signal may come while another thread is being started
        threading.Thread(target=self._leave_in_time, daemon=True).start()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to end; at a second signal end at once."""
        if self.ended_by:
            leave(sig)
        self.ended_by, self.should_exit = sig, True
        self._told.set()

    def _leave_in_time(self) -> None:
        self._told.wait()
        time.sleep(LEAVING[signal.Signals(self.ended_by)])
        leave(self.ended_by)


def leave(number: int) -> NoReturn:
    """End the process as a command does that was sent this signal: 130 after Ctrl-C, 0 if it was asked to end."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(130 if number == signal.SIGINT else 0)


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
        made.listen(BACKLOG)  # clients that learn the address can connect at once
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
    """uvicorn's protocol, closing connections on which a request's headers do not arrive in time.

    An idle connection is covered by uvicorn's own keep-alive time, which ends with the first byte; bodies that are read
    by ``limits``. What is left of a body that nobody reads counts as the next request's headers.

    Attributes:
        seconds: within which they must.
    """

    seconds = 30.0

    def connection_made(self, transport: Any) -> None:
        """Begin to wait."""
        super().connection_made(transport)
        self._waited: asyncio.TimerHandle | None = None
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take bytes; those of a request that is not being answered yet do not restart the timeout."""
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        """Wait for the next request where something of it, or of this one's body, is still to come."""
        super().on_response_complete()
        if self.conn.trailing_data[0] or self.conn.their_state is h11.SEND_BODY:
            self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing to wait for any more."""
        self._rest()
        super().connection_lost(exc)

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        if self._answering():
            self._rest()
        elif self._waited is None:
            self._waited = self.loop.call_later(self.seconds, self._too_slow)

    def _rest(self) -> None:
        if self._waited is not None:
            self._waited.cancel()
            self._waited = None

    def _too_slow(self) -> None:
        if not self._answering() and not self.transport.is_closing():
            self.transport.close()
