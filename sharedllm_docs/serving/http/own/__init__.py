"""The project's own HTTP API, ``/api/…``: documents with their progress and places, questions as they are answered,
trees. The page uses nothing else. In: the desk and the settings of the app. Out: ``router``."""

from __future__ import annotations

from fastapi import APIRouter

from sharedllm_docs.serving.http.own import documents, places, questions
from sharedllm_docs.serving.http.own.shelf import lifespan

router = APIRouter(prefix="/api", lifespan=lifespan)
router.include_router(documents.router)
router.include_router(places.router)
router.include_router(questions.router)

__all__ = ["router"]
