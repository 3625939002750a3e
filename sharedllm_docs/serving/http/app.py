"""The app: routes, the checks before them, and the desk that they use."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from fastapi import APIRouter, FastAPI
from mcp.server import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from starlette.routing import BaseRoute

from sharedllm_docs.index.index import Index
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http import health, metrics, openai
from sharedllm_docs.serving.http.access import Guard, check_binding
from sharedllm_docs.serving.http.failures import LastResort, answer_errors, hidden_of
from sharedllm_docs.serving.http.headers import SecurityHeaders
from sharedllm_docs.serving.http.limits import BodyLimits, most_bytes
from sharedllm_docs.serving.http.settings import Settings
from sharedllm_docs.serving.http.tools import mcp_server
from sharedllm_docs.version import __version__

ROUTERS = ("sharedllm_docs.serving.http.own", "sharedllm_docs.serving.http.page")
"""Modules whose ``router`` is included where they are there."""


def open_desk(settings: Settings, salt: bytes | None = None) -> Desk:
    """The desk over the indexes of the settings.

    Args:
        settings: of the server.
        salt: of the tenant whose indexes they are; None leaves it to the settings.

    Raises:
        StoreError: an index cannot be opened.
        ConfigError: the tenant's salt is missing or unusable.
        ModelError: one is to be made, and the model cannot be loaded.
    """
    opened, whose = Index.open_or_create if settings.create else Index.open, settings.opening(salt)
    return Desk(
        {name: opened(url, **whose) for name, url in settings.indexes.items()},
        max_waiting=settings.max_waiting,
        max_waiting_each=settings.max_waiting_each,
        max_running=settings.max_running,
        answer_seconds=settings.answer_seconds,
    )


def create_app(settings: Settings, desk: Desk | None = None, *, salt: bytes | None = None) -> FastAPI:
    """The server as an ASGI app.

    Args:
        settings: of the server; ``Settings.load`` makes them.
        desk: answers the questions; None opens the indexes of the settings.
        salt: of the tenant whose indexes they are; None leaves it to the settings.

    Raises:
        ConfigError: it could be reached from other machines without a key.
        StoreError: an index cannot be opened.
    """
    check_binding(settings)
    desk = desk or open_desk(settings, salt)
    hidden = hidden_of(settings.indexes, desk.models)
    tools = mcp_server(desk, settings, uploads=lambda name: app.state.shelves[name].uploads)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.warming = asyncio.ensure_future(desk.warm())
        async with tools.session_manager.run():
            yield
        app.state.warming.cancel()
        await desk.close()

    # the pages of documentation that FastAPI brings fetch scripts from elsewhere
    app = FastAPI(title="sharedllm-docs", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None)
    app.state.desk, app.state.settings, app.state.hidden = desk, settings, hidden
    app.state.metrics = metrics.Metrics(desk)
    desk.renewals.append(lambda _name: hidden.update(hidden_of(settings.indexes, desk.models)))
    answer_errors(app)
    for router in (health.router, metrics.router, openai.router, *_present()):
        app.include_router(router)
    app.router.routes += _protocol(tools, settings)
    app.add_middleware(BodyLimits, settings=settings, hidden=hidden)
    app.add_middleware(Guard, settings=settings, hidden=hidden)
    app.add_middleware(LastResort, hidden=hidden)
    app.add_middleware(SecurityHeaders)
    return app


def _present() -> list[APIRouter]:
    return [import_module(name).router for name in ROUTERS if find_spec(name)]


def _protocol(tools: MCPServer[Any], settings: Settings) -> list[BaseRoute]:
    """The routes of MCP, without sessions: each request stands alone, and nothing is kept of it."""
    made = tools.streamable_http_app(
        json_response=True,
        stateless_http=True,
        max_request_body_size=most_bytes(settings, "/mcp"),
        transport_security=TransportSecuritySettings(enable_dns_rebinding_protection=False),  # Guard does it
    )
    return list(made.routes)
