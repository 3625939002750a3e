"""One tiny random model for all tests; they run inside the repository, whose tests have it."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from llama_index.core import Document

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT))

PAGES = (
    "The heron stands in the river and waits for fish.",
    "Copper melts at a higher temperature than tin does.",
    "A sonnet has fourteen lines, most often in iambic pentameter.",
)
EASY = {"max_tokens": 8, "budget": 64, "relevance_floor": 0.0}
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
    from tests.tiny_text import tiny_llm

    return tiny_llm()


@pytest.fixture
def index(tmp_path, tiny):
    """A SharedLLMIndex of three pages."""
    from llama_index.llms.sharedllm import SharedLLMIndex

    return SharedLLMIndex.from_documents(page_documents(), persist_dir=tmp_path / "index", llm=tiny)


@pytest.fixture
def slow(tiny, monkeypatch):
    """Every generated token and every encoded chunk takes at least 20 ms."""
    import time

    from sharedllm_docs.injection.generate import Sampler

    def slowed(real):
        def call(*args, **kwargs):
            time.sleep(0.02)
            return real(*args, **kwargs)

        return call

    monkeypatch.setattr(Sampler, "next", slowed(Sampler.next))
    monkeypatch.setattr(tiny.encoder, "encode", slowed(tiny.encoder.encode))


@pytest.fixture
def ticking():
    """Runs a coroutine and returns its result and how often another task ran meanwhile."""

    def run(coroutine):
        async def both():
            ticks = 0

            async def tick():
                nonlocal ticks
                while True:
                    ticks += 1
                    await asyncio.sleep(0.005)

            ticker = asyncio.create_task(tick())
            result = await coroutine
            ticker.cancel()
            return result, ticks

        return asyncio.run(both())

    return run
