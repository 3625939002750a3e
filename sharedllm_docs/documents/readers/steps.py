"""Steps of reading: what a reader is about to do, announced before it is done.

If a separate process reads (``separate``), the process that watches it then knows at which step it crashed or hung. The
restarted reading refuses that step and does not repeat pages that were read. Otherwise steps have no effect.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Protocol, TypeVar

T = TypeVar("T")


class StepFailed(Exception):  # noqa: N818 - it tells of a step that failed before, in a process that is gone
    """The step made the process crash, hang or grow when it was tried; the message says which. Stays in the readers."""


class Watch(Protocol):
    """The receiver of steps."""

    def refused(self, name: str, page: int | None) -> str:
        """Why a step must not be tried again; "" if it may."""
        ...

    def entered(self, name: str, page: int | None) -> None:
        """A step begins."""
        ...

    def left(self) -> None:
        """The step that began last has ended."""
        ...

    def grown(self) -> None:
        """The step that began last ran out of memory; this process may end here."""
        ...

    def known(self, page: int, kind: type[T]) -> T | None:
        """What was read of a page before the process was started again; None if nothing was."""
        ...

    def keep(self, page: int, value: object) -> None:
        """A page is read."""
        ...


_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)


@contextlib.contextmanager
def watched(watch: Watch) -> Iterator[None]:
    """Within the block, steps are announced to ``watch``."""
    token = _watch.set(watch)
    try:
        yield
    finally:
        _watch.reset(token)


@contextlib.contextmanager
def step(name: str, page: int | None = None) -> Iterator[None]:
    """The block is a step that may crash, hang or grow without bound.

    Args:
        name: who does it, such as ``pdfium``.
        page: number of the page, None for the whole file.

    Raises:
        StepFailed: it did so before.
    """
    watch = _watch.get()
    if watch is None:
        yield
        return
    reason = watch.refused(name, page)
    if reason:
        raise StepFailed(reason)
    watch.entered(name, page)
    try:
        yield
    except MemoryError:
        watch.grown()
        raise
    except BaseException:
        watch.left()
        raise
    watch.left()


def page_once(page: int, kind: type[T], make: Callable[[], T], fits: Callable[[T], bool] = lambda _: True) -> T:
    """What ``make`` reads of a page, or what was read of it before: until the process was started again, or by another
    process that read a part of the document. What does not fit is read again.

    Raises:
        StepFailed: reading it failed outside the steps that ``make`` names.
    """
    watch = _watch.get()
    if watch is None:
        return make()
    known = watch.known(page, kind)
    if known is not None and fits(known):
        return known
    with step("page", page):
        value = make()
    watch.keep(page, value)
    return value
