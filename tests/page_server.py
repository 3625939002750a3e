"""A real server with the page, around a tiny model, for tests in a browser: it can be stopped and started again."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import uvicorn

from sharedllm_docs import Index, SharedLLM
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http.app import create_app
from sharedllm_docs.serving.http.settings import Settings
from tests.waiting import until


class PageServer:
    """A server on a free port of this machine.

    Args:
        folder: of the index, made if it is not there.
        llm: the model.
        sure: whether its answers count however nonsensical they are.
        settings: of the server.

    Attributes:
        index: the index, opened anew at each start.
        desk: answers the questions; anew at each start.
        url: address of the page.
    """

    def __init__(self, folder: Path, llm: SharedLLM, *, sure: bool = True, **settings: Any) -> None:
        self.folder, self.llm, self.sure, self.settings = folder, llm, sure, settings
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self.start()

    def start(self) -> None:
        """Open the index and serve it."""
        self.index = Index.open_or_create(self.folder, self.llm)
        self.desk = Desk({"docs": self.index})
        if self.sure:  # the tiny model's answers are nonsense, which is seldom likely
            with_options(self.desk, min_confidence=0.0, relevance_floor=0.0)
        settings = Settings.load(indexes={"docs": str(self.folder)}, **self.settings)
        app = create_app(settings, self.desk)
        config = uvicorn.Config(app, port=self.port, log_level="error", ws="none", timeout_graceful_shutdown=1)
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        until(lambda: self._server.started)

    def stop(self) -> None:
        """Stop it; what browsers ask then is refused."""
        self._server.should_exit = True
        self._thread.join(60)
        assert not self._thread.is_alive()


def with_options(desk: Desk, **more: Any) -> None:
    """Have a desk answer every question with these options, where it names no others."""
    really = desk.stream

    def stream(index_name: str, question: str, options: Any = None, **rest: Any) -> Any:
        return really(index_name, question, {**more, **(options or {})}, **rest)

    desk.stream = stream  # type: ignore[method-assign]
