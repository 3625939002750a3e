"""What routes need of the app: ``Depends(desk)``, ``Depends(settings)``, ``Depends(caller)``."""

from __future__ import annotations

from starlette.requests import Request

from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http.access import caller_of
from sharedllm_docs.serving.http.settings import Settings


def desk(request: Request) -> Desk:
    """The desk that all questions go through."""
    found: Desk = request.app.state.desk
    return found


def settings(request: Request) -> Settings:
    """The server's settings."""
    found: Settings = request.app.state.settings
    return found


def caller(request: Request) -> str:
    """Who asks, for turns in the queue."""
    return caller_of(request)
