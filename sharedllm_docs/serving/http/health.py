"""Health checks: whether the server is alive and ready."""

from __future__ import annotations

from asyncio import to_thread

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sharedllm_docs.errors import SharedLLMError
from sharedllm_docs.serving.http.failures import body_of

router = APIRouter(tags=["server"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready", response_model=None)
async def ready(request: Request) -> Response:
    """Questions can be answered at once: the models are loaded, and the indexes are there.

    503 while the models are loaded, for good if one cannot be, and while an index is away.
    """
    warming = getattr(request.app.state, "warming", None)
    if warming is None or not warming.done():
        return JSONResponse({"status": "loading"}, 503)
    error = warming.exception()
    if error is not None:
        return JSONResponse({"status": "failed", **body_of(error, request.app.state.hidden)}, 503)
    try:
        await to_thread(request.app.state.desk.check_present)
    except SharedLLMError as away:
        return JSONResponse({"status": "away", **body_of(away, request.app.state.hidden)}, 503)
    return JSONResponse({"status": "ready"})
