"""Whether the server lives and is ready."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http import state

router = APIRouter(tags=["server"])


@router.get("/health")
async def health() -> dict[str, str]:
    """The process answers."""
    return {"status": "ok"}


@router.get("/ready")
async def ready(desk: Annotated[Desk, Depends(state.desk)]) -> dict[str, str]:
    """Questions can be answered at once."""
    return {"status": "ready"}
