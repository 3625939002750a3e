"""One writer per index. Readers take no lock: what they read never changes in place.

A local index is locked by the operating system, which frees the lock of a dead process. A remote one has an advisory
lock object with its owner and the time it was last renewed; a writer that
has not renewed it for ``STALE_SECONDS`` is considered dead. Where the store supports conditional writes (S3), exactly
one of several writers that take the lock at the same moment gets it; elsewhere they write, wait and read back.
"""

from __future__ import annotations

import math
import os
import random
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol
from uuid import uuid4

from sharedllm_docs.errors import ConfigError, IndexLockedError, StoreError
from sharedllm_docs.store.canonical import seal, unseal

if TYPE_CHECKING:
    from filelock import BaseFileLock

STALE_SECONDS = 900.0
RENEW_SECONDS = 60.0
POLL_SECONDS = 0.1
FREE = b"free\n"
"""Content of a lock object that nobody holds, in stores with conditional writes but no conditional deletes."""

_REMEDY = "Wait until the other process has finished, or raise the timeout."


class WriterLock(ABC):
    """Held by at most one writer at a time."""

    def acquire(self, timeout: float) -> None:
        """Take the lock, waiting at most ``timeout`` seconds.

        Raises:
            IndexLockedError: another writer holds it.
            ConfigError: ``timeout`` is no number, NaN or negative.
        """
        if not isinstance(timeout, (int, float)) or math.isnan(timeout) or timeout < 0:
            raise ConfigError(
                f"timeout={timeout!r} must be a number of seconds, 0 or more.", remedy="Leave it out for the usual one."
            )
        self._acquire(timeout)

    @abstractmethod
    def _acquire(self, timeout: float) -> None:
        """Take the lock, as ``acquire`` says."""

    @abstractmethod
    def release(self) -> None:
        """Give the lock back."""

    @abstractmethod
    def renew(self) -> None:
        """Show that the writer is alive; raises IndexLockedError if the lock was lost. Called before every write."""

    @contextmanager
    def held(self, timeout: float) -> Iterator[None]:
        """Hold the lock for a block."""
        self.acquire(timeout)
        try:
            yield
        finally:
            self.release()


class LocalLock(WriterLock):
    """A lock of the operating system on an empty file, which is not deleted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: BaseFileLock | None = None

    def _acquire(self, timeout: float) -> None:
        from filelock import FileLock, Timeout

        # thread_local=False: the writer's background thread and a later release in another thread see the same lock
        lock = FileLock(self.path, timeout=timeout, thread_local=False)
        try:
            lock.acquire(poll_interval=min(POLL_SECONDS, 0.05))
        except Timeout as error:
            raise IndexLockedError(
                f"Another process is writing to {self.path.parent}; waited {timeout:g} s.", remedy=_REMEDY
            ) from error
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be locked: {error.strerror or error}.",
                remedy="Check the permissions of the folder.",
            ) from error
        self._lock = lock

    def release(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def renew(self) -> None:
        """The operating system knows whether the writer lives."""


class RemoteLock(WriterLock):
    """An object with owner and time of the last renewal, sealed like every JSON file of the store.

    Object stores have no common compare-and-swap operation, so two writers could both believe that they hold the lock.
    Each therefore waits ``settle`` seconds after writing its name and reads it back, which is enough for any store that
    makes a write visible to others within that time.

    Args:
        read: returns the object's bytes, None where there is none.
        write: replaces the object.
        remove: deletes it.
        name: the object's name, for messages.
        clock: current time in seconds, the same for all writers.
    """

    settle = 0.05

    def __init__(
        self,
        read: Callable[[], bytes | None],
        write: Callable[[bytes], None],
        remove: Callable[[], None],
        name: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._read, self._write, self._remove = read, write, remove
        self._name, self._clock = name, clock
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}"
        self._renewed = 0.0

    def _acquire(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not self._try():
            if time.monotonic() >= deadline:
                raise IndexLockedError(
                    f"{self._name} belongs to {self._holder() or 'another writer'}; waited {timeout:g} s.",
                    remedy=f"{_REMEDY} If that writer is gone, delete {self._name} or wait {STALE_SECONDS:g} s.",
                )
            time.sleep(POLL_SECONDS)

    def _try(self) -> bool:
        holder = self._holder()
        if holder is not None and holder != self.owner:
            return False
        self._put()
        time.sleep(self.settle)
        return self._holder() == self.owner

    def _put(self) -> None:
        self._renewed = self._clock()
        self._write(seal({"owner": self.owner, "time": self._renewed}))

    def _holder(self) -> str | None:
        """The owner of the lock; None if nobody holds it, or its owner has been silent for too long."""
        data = self._read()
        if data is None:
            return None
        try:
            content = unseal(data)
        except ValueError:
            return "an unknown writer (the lock is unreadable)"
        return str(content["owner"]) if self._clock() - content["time"] < STALE_SECONDS else None

    def release(self) -> None:
        if self._holder() == self.owner:
            self._remove()

    def renew(self) -> None:
        if self._clock() - self._renewed < RENEW_SECONDS:
            return
        if self._holder() not in (self.owner, None):
            raise IndexLockedError(
                f"The lock {self._name} was lost to {self._holder()}.",
                remedy="Add the document again when that writer has finished: what was stored is used again.",
            )
        self._put()


@dataclass(frozen=True)
class Seen:
    """A lock object as it was read.

    Attributes:
        data: its bytes; ``FREE`` while nobody holds the lock.
        tag: changes with every write.
        age: seconds since it was written, by the store's clock.
    """

    data: bytes
    tag: str
    age: float


class Cell(Protocol):
    """One object of a store with conditional writes: an ``S3Files``."""

    def look(self) -> Seen | None:
        """The object; None if there is none."""

    def swap(self, data: bytes, seen: str | None) -> str | None:
        """Write it if its tag is ``seen`` (None: if there is none); returns the new tag, None if it was not."""

    def honours_conditions(self, data: bytes) -> bool:
        """Whether a write whose condition does not hold fails, as it must."""


class ConditionalLock(RemoteLock):
    """The lock object of a store with conditional writes: of several writers at once, one gets it.

    When the lock is released, the object stays, with the bytes ``FREE``. How long a writer has been silent is judged by
    the store's clock, so the clocks of the writers may differ.

    Args:
        cell: the object.
        name: its name, for messages.
        clock: seconds of this process alone, for renewing.
    """

    def __init__(self, cell: Cell, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(lambda: None, lambda _data: None, lambda: None, name, clock)  # it reads and writes by ``cell``
        self._cell = cell
        self._tag: str | None = None

    def _acquire(self, timeout: float) -> None:
        deadline = time.monotonic() + timeout
        pause = POLL_SECONDS
        while not self._try():
            if time.monotonic() >= deadline:
                raise IndexLockedError(
                    f"{self._name} belongs to {self._holder() or 'another writer'}; waited {timeout:g} s.",
                    remedy=f"{_REMEDY} A writer that is gone is given up after {STALE_SECONDS:g} s.",
                )
            # otherwise many workers that commit at the same time would keep asking at the same moments
            time.sleep(min(pause * random.random(), max(deadline - time.monotonic(), 0)))
            pause = min(pause * 1.5, 2.0)

    def _try(self) -> bool:
        seen = self._cell.look()
        if self._owner(seen) not in (None, self.owner):
            return False
        if not self._swap(None if seen is None else seen.tag):
            return False
        if not self._cell.honours_conditions(self._sealed()):
            time.sleep(self.settle)
            return self._holder() == self.owner
        return True

    def _swap(self, seen: str | None) -> bool:
        """Write our name over what was seen. If the response to a write is lost, our name may be there all the same."""
        self._renewed = self._clock()
        tag = self._cell.swap(self._sealed(), seen)
        if tag is None:
            there = self._cell.look()
            if there is None or self._owner(there) != self.owner:
                return False
            tag = there.tag
        self._tag = tag
        return True

    def _sealed(self) -> bytes:
        return seal({"owner": self.owner, "time": time.time()})

    def _holder(self) -> str | None:
        return self._owner(self._cell.look())

    def _owner(self, seen: Seen | None) -> str | None:
        if seen is None or seen.data == FREE or seen.age >= STALE_SECONDS:
            return None
        try:
            return str(unseal(seen.data)["owner"])
        except (ValueError, KeyError):
            return "an unknown writer (the lock is unreadable)"

    def release(self) -> None:
        if self._tag is not None:
            self._cell.swap(FREE, self._tag)  # fails if the lock was lost; then it belongs to another writer
            self._tag = None

    def renew(self) -> None:
        if self._clock() - self._renewed >= RENEW_SECONDS and not self._swap(self._tag):
            raise IndexLockedError(
                f"The lock {self._name} was lost to {self._holder() or 'another writer'}.",
                remedy="Add the document again when that writer has finished: what was stored is used again.",
            )
