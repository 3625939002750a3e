"""Pictures of pages; one that cannot be drawn is tried only once, because that may take half a minute of a core."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING

from sharedllm_docs.errors import DamagedDocumentError, DocumentError, DocumentTooLargeError

if TYPE_CHECKING:
    from sharedllm_docs.documents.page_image import PageImage
    from sharedllm_docs.index.index import Index

KEPT = 1000
"""Number of pages whose failure is remembered; the oldest are forgotten first."""


class Pictures:
    """Draws pages of the documents of one index. Safe to use from several threads.

    A page that crashed the process that drew it, or took more time or memory than it may, is not tried again at this
    scale or a larger one: until the server is started again, or the file has another digest (so another key).

    Args:
        opened: gives the index, as it is now.
    """

    def __init__(self, opened: Callable[[], Index]) -> None:
        self._opened = opened
        self._failed: OrderedDict[tuple[str, int, bool], tuple[float, DocumentError]] = OrderedDict()
        self._lock = threading.Lock()

    def draw(self, key: str, number: int, scale: float, password: str | None) -> PageImage:
        """A page as a picture; arguments and errors as for ``Index.page_image``, the key whole."""
        page = (key, number, bool(password))
        with self._lock:
            known = self._failed.get(page)
        if known is not None and scale >= known[0]:
            raise _again(known[1])
        try:
            return self._opened().page_image(key, number, scale=scale, password=password)
        except (DamagedDocumentError, DocumentTooLargeError) as error:
            with self._lock:
                self._failed[page] = (scale, error)
                while len(self._failed) > KEPT:
                    self._failed.popitem(last=False)
            raise


def _again(error: DocumentError) -> DocumentError:
    """The same error, to be raised once more: one exception that several threads raise would gather their traces."""
    return type(error)(error.message, remedy=error.remedy)
