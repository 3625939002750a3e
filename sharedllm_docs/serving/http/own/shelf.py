"""What the routes of one index share: the index, its uploads, its desk. ``Depends(shelf)`` is that of the requested
index."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from fastapi import Depends, Query, Request

from sharedllm_docs.errors import ForbiddenError, SharedLLMError
from sharedllm_docs.index.index import Index
from sharedllm_docs.serving.desk import Desk
from sharedllm_docs.serving.http import state
from sharedllm_docs.serving.http.own.pictures import Pictures
from sharedllm_docs.serving.http.own.sources import Sources
from sharedllm_docs.serving.http.own.uploads import Uploads

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shelf:
    """One index of the server.

    Attributes:
        name: by which requests name it.
        desk: has the index.
        uploads: files on their way into it.
        sources: the files that its documents were read from.
        pictures: of their pages.
    """

    name: str
    desk: Desk
    uploads: Uploads
    sources: Sources
    pictures: Pictures

    @property
    def index(self) -> Index:
        """The index as it is now. Raises as ``Desk.index``."""
        return self.desk.index(self.name)


def shelf(
    request: Request,
    desk: Annotated[Desk, Depends(state.desk)],
    index: Annotated[str | None, Query(description="name of the index; by default the first one")] = None,
) -> Shelf:
    """The shelf of the index that a request names."""
    name = index or desk.names[0]
    desk.check_name(name)
    found: Shelf = request.app.state.shelves[name]
    return found


Shelved = Annotated[Shelf, Depends(shelf)]


def may_write(request: Request) -> None:
    """Refuse changes if the server is configured as read-only.

    Raises:
        ForbiddenError: documents cannot be added or deleted here.
    """
    if not state.settings(request).docs:
        raise ForbiddenError(
            "This server does not take or delete documents.", remedy="Its owner adds them with `sharedllm-docs add`."
        )


@asynccontextmanager
async def lifespan(app: Any) -> AsyncIterator[None]:
    """Continue reading where the last server stopped; at the end wait for the current file."""
    desk: Desk = app.state.desk
    shelves = {name: _shelf(desk, name) for name in desk.names}
    app.state.shelves = shelves

    def renewed(name: str) -> None:
        shelves[name].uploads.in_worker(partial(_read_on, [shelves[name]]))

    desk.renewals.append(renewed)
    reading = asyncio.create_task(asyncio.to_thread(_read_on, list(shelves.values())))
    try:
        yield
    finally:
        await reading
        for one in shelves.values():
            await asyncio.to_thread(one.uploads.close)


def _shelf(desk: Desk, name: str) -> Shelf:
    opened = partial(desk.index, name)
    return Shelf(name, desk, Uploads(opened), Sources(opened), Pictures(opened))


def _read_on(shelves: list[Shelf]) -> None:
    for one in shelves:
        try:
            one.uploads.read_on()
        except SharedLLMError as error:  # a read-only index, a missing model: questions report that too
            log.warning("reading on in %s failed: %s", one.name, error)
