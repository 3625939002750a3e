"""Adding one file with bars, and Ctrl-C that leaves a state to resume from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sharedllm_docs.cli.progress import bars
from sharedllm_docs.cli.screen import Screen
from sharedllm_docs.errors import InterruptedIngestion

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.index.views import AddedDocument


@contextmanager
def resumable(url: str) -> Iterator[None]:
    """Within the block Ctrl-C is an error that says how to go on.

    Raises:
        InterruptedIngestion: at Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise InterruptedIngestion(
            f"Interrupted; what was encoded so far is kept in {url}.", remedy="Run the same command again to resume."
        ) from error


def add_file(screen: Screen, index: Index, source: str, **settings: Any) -> AddedDocument:
    """``Index.add`` with a progress bar where there is a terminal."""
    with bars(screen, source.replace("\\", "/").rstrip("/").rpartition("/")[2] or source) as progress:
        return index.add(source, progress=progress, **settings)
