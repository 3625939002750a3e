"""All such processes of the user: their state, and how to end them."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sharedllm_docs.serving.stay.door import knock
from sharedllm_docs.serving.stay.place import ABOUT, LOCK, candidates, keys, private
from sharedllm_docs.serving.stay.wire import GoneError, receive, send

PATIENCE = 2.0
"""Seconds that a process has to report its state; one that is starting or computing may take longer."""


@dataclass(frozen=True)
class StayingProcess:
    """A process that stays.

    Attributes:
        folder: of its files.
        key: of its settings.
        pid: its number.
        url: of its index, absolute.
        begun: when it was started, in seconds since 1970.
        status: what ``Resident.status`` says; empty where it did not answer in time.
    """

    folder: Path
    key: str
    pid: int
    url: str
    begun: float
    status: dict[str, Any] = field(default_factory=dict)

    def stop(self) -> bool:
        """Tell it to leave after what it has in hand; False where it has gone already or does not answer."""
        return _asked(self.folder, self.key, "stop") is not None


def running() -> list[StayingProcess]:
    """The processes that run, oldest first; files that dead ones left are taken away."""
    found = []
    _sweep()
    for folder, key in keys():
        status = _asked(folder, key, "status")
        if status is None:
            _forget(folder / (key + ABOUT))
            continue
        with contextlib.suppress(OSError, ValueError, KeyError):
            about = json.loads((folder / (key + ABOUT)).read_text(encoding="ascii"))
            found.append(
                StayingProcess(folder, key, int(about["pid"]), str(about["url"]), float(about["begun"]), status)
            )
    return sorted(found, key=lambda one: one.begun)


def _sweep() -> None:
    """Take away locks that nobody holds: of processes that were killed, and of those of earlier versions."""
    from filelock import FileLock, Timeout

    for folder in candidates():
        for place in folder.glob(f"*{LOCK}") if private(folder) else ():
            with contextlib.suppress(OSError, Timeout), FileLock(place, timeout=0, mode=0o600):
                place.unlink(missing_ok=True)


def _forget(about: Path) -> None:
    """Take the note of a process away, unless the process lives: one that lets nobody in just now is not gone."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        pid = int(json.loads(about.read_text(encoding="ascii"))["pid"])
        if os.name != "nt":  # there the call would end it
            os.kill(pid, 0)
            return
    with contextlib.suppress(OSError):
        about.unlink(missing_ok=True)


def _asked(folder: Path, key: str, call: str) -> dict[str, Any] | None:
    """What a process says; {} where it does not answer in time, None where there is none."""
    connection = knock(folder, key)
    if connection is None:
        return None
    with connection:
        connection.settimeout(PATIENCE)
        try:
            send(connection, {"call": call, "arguments": {}, "names": {}})
            return dict(receive(connection).get("result") or {})
        except GoneError:
            return {}
