"""Whether the server lives and is ready."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from sharedllm_docs.serving.http.failures import body_of

router = APIRouter(tags=["server"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready", response_model=None)
async def ready(request: Request) -> Response:
    """Questions can be answered at once: the models are loaded. Until then 503, and for good if one cannot be."""
    warming = getattr(request.app.state, "warming", None)
    if warming is None or not warming.done():
        return JSONResponse({"status": "loading"}, 503)
    error = warming.exception()
    if error is not None:
        return JSONResponse({"status": "failed", **body_of(error, request.app.state.hidden)}, 503)
    return JSONResponse({"status": "ready"})
