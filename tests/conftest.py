"""What all tests share: how a parallel worker computes, how Hypothesis draws, and fixtures made once.

Fixtures of the whole run are read-only. A test that changes an index or a folder copies it or makes its own.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext

    from sharedllm_docs import SharedLLM
    from sharedllm_docs.store import IndexStore

# One thread for each of several workers, and for the processes their tests start. torch reads this when it is loaded.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ |= {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}

# No test uses a process that stays, or leaves one behind, but those that say so; so do the processes that tests start.
os.environ["SHAREDLLM_DOCS_STAY"] = "0"

# A shell that starts the tests in the background has SIGINT ignored, which they and their processes would inherit; what
# Ctrl-C does is tested as it is in a terminal.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# No test depends on how fast the machine is: an example has no deadline. "ci" draws the same examples in every run.
settings.register_profile("any-machine", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if os.environ.get("CI") else "any-machine"))


def pytest_collection_finish() -> None:
    """Spare the garbage collector what collection has loaded: it stays, and a full pass over it takes a second."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_recognises(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """No text is recognised in pictures, whatever is installed, but in tests marked ``ocr``."""
    from sharedllm_docs.documents.readers.ocr import engines

    if request.node.get_closest_marker("ocr") is None:
        monkeypatch.setattr(engines, "engine_name", lambda: "")
        monkeypatch.setattr(engines, "engine", lambda: None)


@pytest.fixture
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Documents are read in this process: for tests that put something else in a reader's place."""
    monkeypatch.setenv("SHAREDLLM_DOCS_PROCESS", "own")


@pytest.fixture(scope="session")
def llm() -> SharedLLM:
    """The tiny random model with the hash embedder. Read-only."""
    from tests.tiny_text import tiny_llm

    return tiny_llm()


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny ``model``, an ``embedder`` and an ``adapter``, each in its folder. Read-only."""
    from tests.tiny_text import save_embedder, save_model, tiny_adapter, tiny_base

    folder = tmp_path_factory.mktemp("saved")
    save_model(folder / "model")
    save_embedder(folder / "embedder")
    tiny_adapter(tiny_base(), lower=True).save(folder / "adapter")
    return folder


@pytest.fixture(scope="session")
def processes() -> ForkServerContext:
    """Processes that start at once: the server they are forked from has imported what they run."""
    if os.name == "nt":
        pytest.skip("needs fork servers and SIGKILL")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.fault_worker", "tests.store_helpers"])
    return context


@pytest.fixture(params=["local", "memory"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a new index can be made: in a folder, and in fsspec's memory."""
    from tests.store_helpers import new_url

    yield from new_url(request.param, tmp_path)


@pytest.fixture
def store(url: str) -> IndexStore:
    """An empty index of ``tests.store_helpers.tiny_profile``, in a folder and in memory."""
    from sharedllm_docs.store import IndexStore
    from tests.store_helpers import fingerprint_of, tiny_profile

    return IndexStore.create(url, fingerprint_of(tiny_profile()), {"model": "tiny"})
