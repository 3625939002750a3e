"""One tiny model for all tests; those that are not marked ``e2e`` reach no network."""

from __future__ import annotations

import pytest
from langchain_sharedllm import ChatSharedLLM, SharedLLMIndex
from pytest_socket import disable_socket, enable_socket
from tiny_models import ALWAYS, pages, tiny_llm


@pytest.fixture(autouse=True)
def _offline(request):
    if request.node.get_closest_marker("e2e"):
        yield
        return
    disable_socket(allow_unix_socket=True)  # event loops make a pair of those
    yield
    enable_socket()


@pytest.fixture(scope="session")
def llm():
    return tiny_llm()


@pytest.fixture
def loaded_pages():
    """Pages as a PDF loader gives them: one document each, counted from 0."""
    return pages("birds.pdf")


@pytest.fixture
def index(tmp_path, llm, loaded_pages):
    made = SharedLLMIndex(tmp_path / "index", llm=llm)
    made.add_documents(loaded_pages)
    return made


@pytest.fixture
def chat(index):
    """Answers from the index with random words."""
    return ChatSharedLLM(index=index, retrieval=ALWAYS, max_tokens=12)


@pytest.fixture
def plain(llm):
    """Answers without documents."""
    return ChatSharedLLM(llm=llm, max_tokens=12)
