"""What the tests share: the project's own tiny model and embedder, saved to a folder, and pages. All offline."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from langchain_core.documents import Document
from langchain_core.messages import AIMessageChunk

from sharedllm_docs import RetrievalConfig, SharedLLM
from tests.tiny_text import PAGES, save_embedder, save_model, tiny_profile

ALWAYS = RetrievalConfig(relevance_floor=0, budget=128, min_confidence=0)
"""The random embedder's cosines mean nothing: every question is answered."""


def pages(source: str, texts: Sequence[str] = PAGES) -> list[Document]:
    """Pages of a file, as loaders give them."""
    return [
        Document(page_content=text, metadata={"source": source, "page": number, "author": "Ada", "year": 1999})
        for number, text in enumerate(texts)
    ]


@cache
def model_folder() -> Path:
    """Folder with ``model`` and ``embedder`` in it, which exists until the process ends."""
    folder = Path(tempfile.mkdtemp(prefix="tiny-models-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    save_model(folder / "model")
    save_embedder(folder / "embedder")
    return folder


@cache
def tiny_llm() -> SharedLLM:
    """One tiny model for all tests, loaded by name, so that indexes can load it again."""
    folder = model_folder()
    return SharedLLM.from_pretrained(
        folder / "model", profile=tiny_profile(), dtype="float32", embedder=str(folder / "embedder")
    )


def whole(stream) -> AIMessageChunk:
    """All chunks of a stream, added up."""
    pieces = list(stream)
    full = pieces[0]
    for piece in pieces[1:]:
        full = full + piece
    return full
