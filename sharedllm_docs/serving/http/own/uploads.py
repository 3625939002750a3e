"""Uploaded files on their way into an index: one is read at a time, in a thread; its progress can be queried meanwhile.

Uploads are kept in memory: a restarted server knows the documents that were committed and continues reading them, but
not the files that were not read yet.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sharedllm_docs.errors import BusyError, DocumentNotFoundError, ServingError, SharedLLMError
from sharedllm_docs.serving.http.own.progress import Pace

if TYPE_CHECKING:
    from sharedllm_docs.index.index import Index
    from sharedllm_docs.index.ingest import Progress
    from sharedllm_docs.index.views import AddedDocument, DocumentInfo

log = logging.getLogger(__name__)
State = Literal["waiting", "reading", "done", "failed"]
WAITING = 100
"""Maximum number of waiting files, which are on disk meanwhile."""
CALLS = 4
"""Maximum number of files that wait in memory: those of MCP tools, which are part of the calls."""
KEPT = 200
"""Number of finished uploads that are remembered; the oldest are forgotten first."""


class _Cancelled(Exception):  # noqa: N818 - not an error: the upload was cancelled
    """Raised from the reading of an upload that was cancelled."""


@dataclass
class Upload:
    """One file.

    Attributes:
        id: a random name.
        name: the file's, as shown.
        path: where its bytes are, until it is read.
        folder: removed with everything in it once it is read.
        options: keywords of ``Index.add``.
        state: ``waiting`` for others, ``reading``, ``done`` (it can be asked) or ``failed``.
        stage: what is being done, as ``Progress`` names it.
        done: amount done of the stage.
        total: the whole amount.
        unit: of both.
        document: key of the document, once it can be asked.
        new: whether it was not in the index before.
        replaced: number of earlier versions that it replaced.
        error: why it failed.
        cancelled: whether it was cancelled.
        pace: of the stage.
        reading: pace of reading on, once it can be asked.
        thread: the thread that adds it.
    """

    id: str
    name: str
    path: Path
    folder: Any
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    state: State = "waiting"
    stage: str = ""
    done: int = 0
    total: int = 0
    unit: str = ""
    document: str = ""
    new: bool = True
    replaced: int = 0
    error: SharedLLMError | None = None
    cancelled: bool = False
    pace: Pace = field(default_factory=Pace, repr=False)
    reading: Pace = field(default_factory=Pace, repr=False)
    thread: int = 0


class Uploads:
    """Reads files into one index and knows how far its documents are read. Safe to use from several threads.

    Args:
        opened: returns the index that they are added to, as it is now.
        clock: seconds, for the time left.
    """

    def __init__(self, opened: Callable[[], Index], clock: Callable[[], float] = time.monotonic) -> None:
        self._opened = opened
        self._clock = clock
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="sharedllm-docs-upload")
        self._uploads: dict[str, Upload] = {}
        self._paces: dict[str, Pace] = {}
        self._calls = 0
        self._lock = threading.Lock()

    def start(self, name: str, path: Path, folder: Any, options: Mapping[str, Any]) -> tuple[Upload, Future[None]]:
        """Queue a file.

        Args:
            name: display name.
            path: of its bytes.
            folder: temporary folder that contains them; its ``cleanup`` is called afterwards.
            options: keywords of ``Index.add``.

        Raises:
            BusyError: too many files wait.

        Returns:
            the upload, and a future that is done when the document can be asked or reading it has failed.
        """
        upload = Upload(secrets.token_hex(8), name, path, folder, options)
        with self._lock:
            waiting = sum(one.state == "waiting" for one in self._uploads.values())
            if waiting >= WAITING:
                raise BusyError(f"{waiting} files wait to be read.", retry_after=60, remedy="Send it again later.")
            over = [one.id for one in self._uploads.values() if one.state in ("done", "failed")][: -KEPT or None]
            for old in over:
                del self._uploads[old]
            self._uploads[upload.id] = upload
        return upload, self._worker.submit(self._add, upload)

    def list(self) -> list[Upload]:
        """All uploads that are remembered, oldest first."""
        with self._lock:
            return list(self._uploads.values())

    def get(self, name: str) -> Upload:
        """An upload by its ``id``.

        Raises:
            DocumentNotFoundError: no such upload, or one of a server that was stopped since.
        """
        with self._lock:
            found = self._uploads.get(name)
        if found is None:
            raise DocumentNotFoundError(f"There is no upload {name!r}.", remedy="Upload the file again.")
        return found

    def forget(self, name: str) -> Upload:
        """Cancel an upload if it is not read yet, and forget it; an existing document stays.

        Raises:
            DocumentNotFoundError: no such upload.
        """
        upload = self.get(name)
        upload.cancelled = True
        with self._lock:
            self._uploads.pop(name, None)
        return upload

    def read_on(self) -> None:
        """Read the rest of all documents that are not completely read, in the background."""
        index = self._opened()
        for info in index.documents():
            if info.unread_chunks:
                index.read_in_background(info.key, progress=self._reporter(info.key))

    def in_worker(self, work: Callable[[], Any]) -> Future[Any]:
        """Run something after the files that are queued: it writes to the index, as they do."""
        return self._worker.submit(work)

    def call(self, work: Callable[[], Any]) -> Future[Any]:
        """Run something that adds a file from memory, after the files that are queued.

        Raises:
            BusyError: too many such wait.
        """
        with self._lock:
            if self._calls >= CALLS:
                raise BusyError(f"{self._calls} files wait to be read.", retry_after=60, remedy="Send it again later.")
            self._calls += 1
        future = self._worker.submit(work)
        future.add_done_callback(self._called)
        return future

    def _called(self, _future: Future[Any]) -> None:
        with self._lock:
            self._calls -= 1

    def seconds_left(self, info: DocumentInfo) -> float | None:
        """Estimated seconds until a document is completely read; None if that is not known yet."""
        pace = self._paces.get(info.key)
        return pace.seconds_left(self._clock()) if pace is not None and info.unread_chunks else None

    def share_read(self, info: DocumentInfo) -> float:
        """Share of a document that is read, 0 to 1: from its progress while it is being read, else from its
        manifest."""
        noted = 1 - info.unread_chunks / max(1, info.chunks)
        pace = self._paces.get(info.key)
        return max(noted, pace.share) if pace is not None else noted

    def close(self) -> None:
        """Cancel what waits, and wait for the current file to notice."""
        for upload in self.list():
            upload.cancelled = True
        self._worker.shutdown(wait=True, cancel_futures=True)
        for upload in self.list():
            upload.folder.cleanup()

    def _add(self, upload: Upload) -> None:
        """Read one file. Nothing is raised: what went wrong is in the upload."""
        try:
            if upload.cancelled:
                raise _Cancelled
            upload.state, upload.thread = "reading", threading.get_ident()
            with upload.path.open("rb") as stream:
                added = self._opened().add(
                    stream,
                    name=upload.name,
                    encode="background",
                    progress=lambda progress: self._told(upload, progress),
                    **upload.options,
                )
            self._added(upload, added)
        except _Cancelled:
            upload.error, upload.state = _is_cancelled(upload), "failed"
        except SharedLLMError as error:
            upload.error, upload.state = error, "failed"
        except Exception as error:
            log.exception("reading %s failed", upload.name)
            upload.error = SharedLLMError(
                f"{upload.name} cannot be read: {type(error).__name__}.", remedy="The server's log says more."
            )
            upload.state = "failed"
        finally:
            upload.options = {}  # the password
            upload.folder.cleanup()

    def _added(self, upload: Upload, added: AddedDocument) -> None:
        upload.document, upload.new = added.document.key, added.new
        self._paces[upload.document] = upload.reading
        upload.replaced, upload.state = len(added.replaced), "done"

    def _told(self, upload: Upload, progress: Progress) -> None:
        """Note progress: of adding the file, which this may end, or of reading on, in another thread."""
        now = self._clock()
        if threading.get_ident() != upload.thread:
            if progress.stage == "encode":  # the vectors that are made before take little time
                upload.reading.note(progress.done, progress.total, now)
            return
        if upload.cancelled:
            raise _Cancelled
        if progress.stage != upload.stage:
            upload.pace = Pace()
        upload.stage, upload.unit = progress.stage, progress.unit
        upload.done, upload.total = progress.done, progress.total
        upload.pace.note(progress.done, progress.total, now)

    def _reporter(self, key: str) -> Callable[[Progress], None]:
        def report(progress: Progress) -> None:
            if progress.stage != "encode":
                return
            self._paces.setdefault(key, Pace()).note(progress.done, progress.total, self._clock())

        return report


def _is_cancelled(upload: Upload) -> SharedLLMError:
    return ServingError(f"{upload.name} was taken back before it was read.", remedy="Send it again if it is wanted.")
