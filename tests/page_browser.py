"""A headless Chromium for tests that never hangs: what does not come back in time is killed, and started anew.

Playwright waits without a limit for a browser that does not answer: while a script is evaluated, and while a context or
a browser is closed. A test's own time limit ends only the first of these waits, as it comes once. When Chromium is dead
all of them end with an error, so that is how they are ended here.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
from playwright.sync_api import Error, sync_playwright

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
CLOSING = 20.0
"""Seconds that a context or the browser has to close."""
DRIVER = 10.0
"""Seconds after which Playwright's own process is killed as well, if the end of Chromium has ended no wait."""


class Browser:
    """Chromium, started at first use, and again after it was lost.

    Args:
        closing: seconds that a context or the browser has to close.

    Attributes:
        chromium: process group of Chromium; None while there is none.
        driver: process of Playwright, which runs it.
    """

    def __init__(self, closing: float = CLOSING) -> None:
        self.chromium: int | None = None
        self.driver: int | None = None
        self._closing = closing
        self._playwright: Any = None
        self._running: Any = None

    def new_context(self, **options: Any) -> Any:
        """A browser of its own within Chromium, with nothing of others'."""
        if self._running is None or not self._running.is_connected():
            self._start()
        return self._running.new_context(**options)

    def close_context(self, context: Any) -> None:
        """Close a context with its pages; where it does not close in time, all of Chromium is given up."""
        try:
            with self.killed_after(self._closing):
                context.close()
        except Error:
            self.close()

    def close(self) -> None:
        """End Chromium and Playwright; whatever state they are in, nothing of them is left."""
        running, playwright = self._running, self._playwright
        self._running = self._playwright = None
        for end in (running and running.close, playwright and playwright.stop):
            if end:
                with contextlib.suppress(Error), self.killed_after(self._closing):
                    end()
        self.kill()
        self.chromium = self.driver = None

    @contextmanager
    def killed_after(self, seconds: float) -> Iterator[None]:
        """Kill Chromium, and later its driver too, where the block takes longer: all that waits there then fails."""
        timers = [threading.Timer(seconds, self.kill, (False,)), threading.Timer(seconds + DRIVER, self.kill)]
        for timer in timers:
            timer.daemon = True
            timer.start()
        try:
            yield
        finally:
            for timer in timers:
                timer.cancel()

    def kill(self, driver: bool = True) -> None:
        """End Chromium at once, whatever it does, and its driver with it."""
        with contextlib.suppress(OSError):
            if self.chromium is not None:
                os.killpg(self.chromium, signal.SIGKILL)
        with contextlib.suppress(OSError):
            if driver and self.driver is not None:
                os.kill(self.driver, signal.SIGKILL)

    def _start(self) -> None:
        self.close()
        before = {child.pid for child in psutil.Process().children()}
        self._playwright = sync_playwright().start()
        # shared memory is often small in a container, and a page that finds none left stands still
        arguments = ["--disable-dev-shm-usage"]
        if hasattr(os, "geteuid") and os.geteuid() == 0:
            arguments.append("--no-sandbox")
        self._running = self._playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        for child in psutil.Process().children():
            for process in child.children() if child.pid not in before else ():
                self.driver, self.chromium = child.pid, os.getpgid(process.pid)
