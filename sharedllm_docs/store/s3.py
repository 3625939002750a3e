"""The files of an index in a bucket, on any server that speaks the S3 protocol.

In addition to ``RemoteFiles``: conditional writes, which take effect only if nobody else wrote meanwhile (the lock,
manifests), byte ranges fetched in parallel, and a generation number that shows readers whether anything has changed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from sharedllm_docs.errors import DamagedIndexError, IndexLockedError
from sharedllm_docs.store.canonical import seal, unseal
from sharedllm_docs.store.files import LOCK_NAME, Buffers, ByteRange, outside
from sharedllm_docs.store.locks import ConditionalLock, Seen, WriterLock
from sharedllm_docs.store.remote import RemoteFiles
from sharedllm_docs.store.s3_requests import (
    ANY,
    Bucket,
    Got,
    Listed,
    TooLargeError,
    code_of,
    merged,
    typed_errors,
    with_defaults,
)

GENERATION_FILE = "generation.json"
"""Counter of changes to manifests, so that one small request shows a reader that there is nothing new."""
LISTING_SECONDS = 60.0
"""Maximum age of a listing in seconds: a writer that was interrupted has not increased the generation number."""
GAP = 64 << 10
"""Ranges of a file that are no farther apart are fetched by one request: these bytes arrive sooner than a second
response."""

_MANIFEST = "/manifest.json"
_NEVER = '"00000000000000000000000000000000"'
"""A tag that no object has."""
_TRIES = 20


class S3Files(RemoteFiles):
    """An index below ``root`` (bucket and prefix) of an ``s3fs.S3FileSystem``.

    Args:
        fs: the file system.
        root: bucket and prefix.
        url: as the user wrote it.
    """

    package = "s3fs: pip install 'sharedllm-docs[s3]'"

    def __init__(self, fs: Any, root: str, url: str) -> None:
        super().__init__(fs, root, url)
        self._bucket = Bucket(fs, self.root, url)
        self._honoured: bool | None = None
        self._tags = threading.local()
        self._manifests: dict[str, tuple[str, bytes]] = {}
        self._listing: tuple[int, float, dict[str, Listed]] | None = None

    @staticmethod
    def options(given: Mapping[str, Any]) -> dict[str, Any]:
        """Storage options with timeouts and bounds; what the caller gives stays."""
        return with_defaults(given)

    @property
    def requests(self) -> int:
        """Requests made since it was opened, repeated ones included."""
        return self._bucket.requests

    def _do(self, action: str, work: Any) -> Any:
        with typed_errors(action, self._bucket.bucket, self.url):
            return self._bucket.run(work)

    # -- reading ---------------------------------------------------------------------------------------------------

    def read(self, path: str, limit: int | None = None) -> bytes:
        found = self._do(f"Reading {path}", self._read(path, limit))
        if not isinstance(found, Got):
            self._note(path, None if isinstance(found, FileNotFoundError) else ANY)
            raise found
        self._note(path, found.tag)
        return found.data

    def read_many(self, paths: Sequence[str], limit: int | None = None) -> dict[str, bytes | Exception]:
        found = {path: kept for path in paths if (kept := self._kept(path)) is not None}
        missing = [path for path in paths if path not in found]
        if missing:
            works = self._bucket.together([self._read(path, limit) for path in missing])
            found |= dict(zip(missing, self._do(f"Reading {missing[0]}", works), strict=True))
        for path, got in found.items():
            if isinstance(got, Got):
                self._note(path, got.tag)
                if path.endswith(_MANIFEST):
                    self._manifests[path] = got.tag, got.data
        return {path: got.data if isinstance(got, Got) else got for path, got in found.items()}

    def _kept(self, path: str) -> Got | None:
        """A manifest that, by the present listing, has not changed since it was last read."""
        tag, data = self._manifests.get(path, ("", b""))
        listed = None if self._listing is None else self._listing[2].get(path)
        return Got(data, tag, 0.0, len(data)) if listed is not None and listed.tag == tag else None

    async def _read(self, path: str, limit: int | None) -> Got | FileNotFoundError | DamagedIndexError:
        try:
            return await self._bucket.whole(path, limit)
        except TooLargeError:
            return outside(path, f"it has more than {limit:,} bytes, the limit")
        except FileNotFoundError as error:
            if code_of(error) == "NoSuchBucket":
                raise
            return error

    def read_ranges(self, ranges: Sequence[ByteRange]) -> list[bytes]:
        if not ranges:
            return []
        joined = merged(ranges, GAP)
        works = self._bucket.together([self._bucket.get(*one) for one in joined])
        got = [one.data for one in self._do(f"Reading {ranges[0][0]}", works)]
        place = 0
        cut: dict[ByteRange, bytes] = {}
        for path, start, end in sorted(ranges):
            while not (joined[place][0] == path and joined[place][1] <= start and end <= joined[place][2]):
                place += 1
            cut[path, start, end] = got[place][start - joined[place][1] : end - joined[place][1]]
        return [cut[one] for one in ranges]

    def exists(self, path: str) -> bool:
        return self._do(f"Looking for {path}", self._bucket.size(path)) is not None

    # -- listings --------------------------------------------------------------------------------------------------

    def sizes(self, folder: str) -> dict[str, int]:
        listed = self._do(f"Listing {folder}", self._bucket.listed(folder))
        return {path: one.size for path, one in sorted(listed.items())}

    def ages(self, folder: str) -> dict[str, float]:
        return {path: one.age for path, one in self._do(f"Listing {folder}", self._bucket.listed(folder)).items()}

    def named(self, folder: str, name: str) -> list[str]:
        if f"/{name}" != _MANIFEST:
            return super().named(folder, name)
        generation = self._generation()[0]
        kept = self._listing
        if kept is None or kept[0] != generation or time.monotonic() - kept[1] > LISTING_SECONDS:
            begun = time.monotonic()
            listed = self._do(f"Listing {folder}", self._bucket.listed(folder))
            manifests = {path: one for path, one in listed.items() if path.endswith(_MANIFEST)}
            self._listing = kept = generation, begun, manifests
            self._manifests = {path: one for path, one in self._manifests.items() if path in manifests}
        return sorted(kept[2])

    def folders(self) -> list[str]:
        names: list[str] = self._do(f"Listing {self.url}", self._bucket.folders())
        return names

    def everything(self) -> dict[str, int]:
        """Objects, their older versions (as ``path?versionId=...``) and uploads that were never completed."""
        versions = self._do(f"Listing {self.url}", self._bucket.versions())
        return {one.shown: one.size for one in versions}

    def erase(self, keep: Collection[str]) -> None:
        versions = self._do(f"Listing {self.url}", self._bucket.versions())
        gone = [self._bucket.destroy(one) for one in versions if one.path not in keep]
        self._do(f"Deleting {self.url}", self._bucket.together(gone))
        self._listing, self._manifests = None, {}

    # -- writing ---------------------------------------------------------------------------------------------------

    def write(self, path: str, buffers: Buffers) -> None:
        data = b"".join(buffers)
        if not path.endswith(_MANIFEST):
            self._do(f"Writing {path}", self._bucket.put(path, data))
            return
        self._replace(path, data)
        self._count_up()

    def create(self, path: str, buffers: Buffers) -> bool:
        return self._do(f"Writing {path}", self._bucket.put(path, b"".join(buffers), None)) is not None

    def sizes_of(self, paths: Sequence[str]) -> dict[str, int]:
        works = self._bucket.together([self._bucket.size(path) for path in paths])
        sizes = self._do("Looking for shards", works)
        return {path: size for path, size in zip(paths, sizes, strict=True) if size is not None}

    def remove(self, path: str) -> None:
        self._do(f"Removing {path}", self._bucket.delete(path))
        if path.endswith(_MANIFEST):
            self._note(path, None)
            self._count_up()

    def _replace(self, path: str, data: bytes) -> None:
        """Replace a manifest, but only the version that this thread has read."""
        read = getattr(self._tags, "known", {}).get(path, ANY)
        tag = self._do(f"Writing {path}", self._bucket.put(path, data, read))
        if tag is None:
            there = self._do(f"Reading {path}", self._read(path, None))
            if not isinstance(there, Got) or there.data != data:  # else it was this write, whose response was lost
                raise IndexLockedError(
                    f"{path} was changed by another writer meanwhile; nothing was written over it.",
                    remedy="Try again: what was stored is used again.",
                )
            tag = there.tag
        self._note(path, tag)

    def _note(self, path: str, tag: str | None) -> None:
        """Remember what this thread has seen of a manifest (None: there is none)."""
        if path.endswith(_MANIFEST):
            if not hasattr(self._tags, "known"):
                self._tags.known = {}
            self._tags.known[path] = tag

    # -- generations -----------------------------------------------------------------------------------------------

    def _generation(self) -> tuple[int, str | None]:
        """The number of changes so far, and the tag of the object that says so; 0 and None before the first."""
        found = self._do(f"Reading {GENERATION_FILE}", self._read(GENERATION_FILE, 1 << 20))
        if not isinstance(found, Got):
            return 0, None
        try:
            return int(unseal(found.data)["generation"]), found.tag
        except (ValueError, KeyError, TypeError):
            return -1, found.tag  # damaged: any number other than the known one makes readers list again

    def _count_up(self) -> None:
        """Show readers that a manifest has changed. A failure does not fail the write: readers list again later
        anyway."""
        for _ in range(_TRIES):
            number, tag = self._generation()
            data = seal({"generation": max(number, time.time_ns() if number < 0 else 0) + 1})
            if self._do(f"Writing {GENERATION_FILE}", self._bucket.put(GENERATION_FILE, data, tag)) is not None:
                return

    # -- the lock --------------------------------------------------------------------------------------------------

    def lock(self) -> WriterLock:
        return ConditionalLock(self, f"{self.url.rstrip('/')}/{LOCK_NAME}")

    def look(self) -> Seen | None:
        """The lock object as it is now; None if there is none."""
        found = self._do(f"Reading {LOCK_NAME}", self._read(LOCK_NAME, 1 << 20))
        return Seen(found.data, found.tag, found.age) if isinstance(found, Got) else None

    def swap(self, data: bytes, seen: str | None) -> str | None:
        """Write the lock object if it still has the tag ``seen`` (None: is not there); its new tag, None if not."""
        tag: str | None = self._do(f"Writing {LOCK_NAME}", self._bucket.put(LOCK_NAME, data, seen))
        return tag

    def honours_conditions(self, data: bytes) -> bool:
        """Whether the server honours conditions; tested once, by a write of ``data`` that must fail."""
        if self._honoured is None:
            self._honoured = self.swap(data, _NEVER) is None
        return self._honoured
