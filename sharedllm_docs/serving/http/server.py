"""The process of the server: uvicorn around the app."""

from __future__ import annotations

from collections.abc import Callable

import uvicorn

from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.settings import Settings


def serve(settings: Settings, tell: Callable[[str], None]) -> None:
    """Serve until interrupted.

    Args:
        settings: of the server.
        tell: called with the server's address.

    Raises:
        ConfigError: it could be reached from other machines without a key.
        StoreError: an index cannot be opened.
    """
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level="warning",
        server_header=False,
        limit_concurrency=settings.max_connections,
        h11_max_incomplete_event_size=settings.max_header_bytes,
        http="h11",
        ws="none",
        timeout_graceful_shutdown=10,
    )
    tell(f"http://{settings.host}:{settings.port}")
    uvicorn.Server(config).run()
