"""One tiny random model for all tests; they run inside the repository, whose tests have it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from llama_index.core import Document

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))  # the project's own tests have the models

from tests.tiny_text import PAGES as ALL_PAGES  # noqa: E402
from tests.tiny_text import tiny_llm  # noqa: E402
from tests.waiting import LoopWatch  # noqa: E402

PAGES = ALL_PAGES[:3]

EASY = {"max_tokens": 8, "budget": 64, "relevance_floor": 0.0, "min_confidence": 0.0}
"""Engine options under which a random model always answers."""


def page_documents() -> list[Document]:
    """As a reader of PDFs gives them: a document for every page."""
    return [
        Document(id_=f"birds-{number}", text=text, metadata={"file_path": "birds.pdf", "page_label": str(number)})
        for number, text in enumerate(PAGES, start=1)
    ]


@pytest.fixture(scope="session")
def tiny():
    """A sharedllm_docs.SharedLLM around a random model."""
    return tiny_llm()


@pytest.fixture
def index(tmp_path, tiny):
    """A SharedLLMIndex of three pages."""
    from llama_index.llms.sharedllm import SharedLLMIndex

    return SharedLLMIndex.from_documents(page_documents(), persist_dir=tmp_path / "index", llm=tiny)


@pytest.fixture
def going_on(tiny, monkeypatch):
    """Runs a coroutine; every generated token and encoded chunk waits meanwhile until the event loop comes round.

    Returns its result, and how often the loop came round.
    """
    from sharedllm_docs.injection.generate import Sampler

    watch = LoopWatch()

    def watched(real):
        def call(*args, **kwargs):
            watch()
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(Sampler, "next", watched(Sampler.next))
    monkeypatch.setattr(tiny.encoder, "encode", watched(tiny.encoder.encode))

    def run(coroutine):
        async def watching():
            with watch.watching():
                return await coroutine

        return asyncio.run(watching()), watch.rounds

    return run
