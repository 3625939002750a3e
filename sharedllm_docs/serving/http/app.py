"""The app: routes, checks before them, and the desk behind them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec

from fastapi import FastAPI

from sharedllm_docs.index.index import Index
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http import health
from sharedllm_docs.serving.http.access import Guard, check_binding
from sharedllm_docs.serving.http.failures import answer_errors
from sharedllm_docs.serving.http.headers import SecurityHeaders
from sharedllm_docs.serving.http.settings import Settings
from sharedllm_docs.version import __version__

ROUTERS = ("sharedllm_docs.serving.http.own", "sharedllm_docs.serving.http.page")
"""Modules whose ``router`` is included where they are there."""


def create_app(settings: Settings, desk: Desk | None = None) -> FastAPI:
    """The server as an ASGI app.

    Args:
        settings: of the server; ``Settings.load`` makes them.
        desk: answers the questions; None opens the indexes of the settings.

    Raises:
        ConfigError: it could be reached from other machines without a key.
        StoreError: an index cannot be opened.
    """
    check_binding(settings)
    desk = desk or Desk({name: Index.open(url) for name, url in settings.indexes.items()})
    hidden = {url: name for name, url in settings.indexes.items()}

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await desk.close()

    # the pages of documentation that FastAPI brings fetch scripts from elsewhere
    app = FastAPI(title="sharedllm-docs", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.desk, app.state.settings, app.state.hidden = desk, settings, hidden
    answer_errors(app)
    app.include_router(health.router)
    for name in ROUTERS:
        if find_spec(name):
            app.include_router(import_module(name).router)
    app.add_middleware(Guard, settings=settings, hidden=hidden)
    app.add_middleware(SecurityHeaders)
    return app
