"""Requests to an S3 bucket through s3fs: repeated with growing, random pauses, in parallel, with typed errors.

Works on objects and their tags; knows nothing of what is in them.
"""

from __future__ import annotations

import asyncio
import reprlib
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any, Final, TypeVar

from sharedllm_docs.errors import ConfigError, SharedLLMError, StoreError

PARALLEL = 48
"""Maximum number of requests of one index at the same time."""
PART = 8 << 20
"""Bytes of one request of a larger read."""
MULTIPART = 64 << 20
"""Bytes from which an object is sent in parts."""
ATTEMPTS = 7
RETRY_SECONDS = 120.0
"""No further attempt is begun after so long."""
LONGEST_PAUSE = 8.0

ANY: Final = "*any*"
"""A write that asks for no condition."""
_CONFLICTS = {"PreconditionFailed", "412"}
_MISSING = {"NoSuchKey", "404"}
_TRANSIENT = {
    "SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "OperationAborted", "Throttling",
    "ThrottlingException", "TooManyRequests", "RequestLimitExceeded", "ConditionalRequestConflict",
    "XAmzContentSHA256Mismatch", "IncompleteBody", "BadDigest",
}  # fmt: skip
_REFUSED = {
    "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
    "AccessDenied", "AllAccessDisabled", "RequestTimeTooSkewed", "Forbidden", "401", "403",
}  # fmt: skip
_NO_CREDENTIALS = {
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError", "TokenRetrievalError",
    "UnauthorizedSSOTokenError", "SSOTokenLoadError", "ProfileNotFound",
}  # fmt: skip

_UNKNOWN = {"NotImplemented", "501", "MethodNotAllowed", "405"}
"""Codes of a server that does not know a kind of request."""

T = TypeVar("T")


@dataclass(frozen=True)
class Listed:
    """An object as a listing shows it.

    Attributes:
        size: in bytes.
        tag: changes with its content.
        age: seconds since it was written, by the server's clock.
    """

    size: int
    tag: str
    age: float


@dataclass(frozen=True)
class Got:
    """Bytes of an object, or of a range of it.

    Attributes:
        data: the bytes.
        tag: of the object as a whole.
        age: seconds since it was written, by the server's clock.
        total: bytes of the whole object.
    """

    data: bytes
    tag: str
    age: float
    total: int


@dataclass(frozen=True)
class Version:
    """A version of an object, present or past, or an upload in parts that was not completed.

    Attributes:
        path: of the object.
        size: in bytes; 0 of a mark that it was deleted, and of an upload.
        version: its number, "null" in a bucket that keeps no versions.
        upload: number of the upload, or "".
        latest: whether it is what a reader gets now.
        mark: whether it only says that the object was deleted.
    """

    path: str
    size: int = 0
    version: str = ""
    upload: str = ""
    latest: bool = False
    mark: bool = False

    @property
    def shown(self) -> str:
        """Its path, and what else tells it from others of the path."""
        if self.upload:
            return f"{self.path}?uploadId={self.upload}"
        return self.path if self.latest and not self.mark else f"{self.path}?versionId={self.version}"


class TooLargeError(Exception):
    """An object has more bytes than it may have; its body was not read."""


def with_defaults(options: Mapping[str, Any]) -> dict[str, Any]:
    """Storage options with this module's timeouts and bounds; what the caller gives stays."""
    own = options.get("config_kwargs", {})
    if not isinstance(own, Mapping):
        raise ConfigError(
            f"config_kwargs={reprlib.repr(own)} is not a mapping.", remedy="Give a dict, or leave it out."
        )
    config = {
        "connect_timeout": 5,
        "read_timeout": 20,
        "max_pool_connections": PARALLEL,
        "retries": {"mode": "standard", "total_max_attempts": 2},
        **own,
    }
    return {**options, "config_kwargs": config}


class Bucket:
    """Objects below a prefix of a bucket.

    Args:
        fs: an ``s3fs.S3FileSystem``.
        root: bucket and prefix, without a slash at the end.
        url: as the user wrote it, for messages.

    Attributes:
        requests: number of requests made so far, repeated ones included.
    """

    def __init__(self, fs: Any, root: str, url: str) -> None:
        self.fs, self.url = fs, url
        fs.retries = 1  # s3fs pauses equally long in all clients, which would come back together
        self.bucket, self.prefix, _version = fs.split_path(root)
        self.requests = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine, which runs in the thread that s3fs keeps for its connections."""
        from fsspec.asyn import sync

        async def packed() -> list[T]:
            return [await work]  # a result that is an error is a result; by itself ``sync`` would raise it

        result: T = sync(self.fs.loop, packed)[0]
        return result

    async def together(self, works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
        """The results of several, ``PARALLEL`` at a time; the first error, once all have ended."""
        room = asyncio.Semaphore(PARALLEL)

        async def one(work: Coroutine[Any, Any, T]) -> T:
            async with room:
                return await work

        results = await asyncio.gather(*map(one, works), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return [result for result in results if not isinstance(result, BaseException)]

    # -- single objects --------------------------------------------------------------------------------------------

    async def get(self, path: str, start: int = 0, end: int | None = None, limit: int | None = None) -> Got:
        """An object, or a range of its bytes. A range beyond its end is short.

        Raises:
            FileNotFoundError: there is none.
            TooLargeError: the answer has more than ``limit`` bytes.
        """
        ranged = {} if end is None else {"Range": f"bytes={start}-{end - 1}"}

        async def fetch() -> Got:
            reply = await self._call("get_object", Key=self._key(path), **ranged)
            body = reply["Body"]
            try:
                length = int(reply["ContentLength"])
                if limit is not None and length > limit:
                    raise TooLargeError(path)
                data = await body.read()
            finally:
                body.close()
            if len(data) != length:
                raise ConnectionError(f"the answer ended after {len(data):,} of {length:,} bytes")
            total = int(str(reply.get("ContentRange", "")).rpartition("/")[2] or length)
            return Got(data, reply["ETag"], _age(reply, reply["LastModified"]), total)

        try:
            return await self._again(fetch)
        except OSError as error:
            if code_of(error) not in ("InvalidRange", "416"):
                raise
            return Got(b"", "", 0.0, 0)

    async def whole(self, path: str, limit: int | None = None) -> Got:
        """A whole object; a large one in parts, side by side. Raises as ``get``."""
        first = await self.get(path, 0, PART)
        if limit is not None and first.total > limit:
            raise TooLargeError(path)
        if first.total <= len(first.data):
            return first if first.tag else await self.get(path, limit=limit)
        edges = range(PART, first.total, PART)
        parts = await self.together(self.get(path, start, min(start + PART, first.total)) for start in edges)
        if {part.tag for part in parts} != {first.tag}:  # it was replaced on the way
            return await self.get(path, limit=limit)
        return Got(b"".join((first.data, *(part.data for part in parts))), first.tag, first.age, first.total)

    async def put(self, path: str, data: bytes, replaces: str | None = ANY) -> str | None:
        """Write an object, at once as a whole.

        Args:
            path: of the object.
            data: its bytes.
            replaces: the tag that it must have now; None if it must not be there.

        Returns:
            The new tag, "" where it is not told; None if the condition did not hold. An answer may get lost: then the
            condition fails on the second attempt, though the first one wrote.
        """
        condition = {} if replaces == ANY else {"IfNoneMatch": "*"} if replaces is None else {"IfMatch": replaces}
        try:
            if len(data) >= MULTIPART and not condition:
                await self._again(lambda: self._parts(path, data))
                return ""
            call = lambda: self._call("put_object", Key=self._key(path), Body=data, **condition)  # noqa: E731
            return str((await self._again(call))["ETag"])
        except OSError as error:
            missing = replaces not in (ANY, None) and code_of(error) in _MISSING
            if condition and (missing or code_of(error) in _CONFLICTS):
                return None
            raise

    async def _parts(self, path: str, data: bytes) -> None:
        await self.fs._pipe_file(f"{self.bucket}/{self._key(path)}", data, chunksize=PART)

    async def delete(self, path: str) -> None:
        """Delete an object if it is there."""
        await self._again(lambda: self._call("delete_object", Key=self._key(path)))

    async def size(self, path: str) -> int | None:
        """Bytes of an object; None if there is none."""
        try:
            reply = await self._again(lambda: self._call("head_object", Key=self._key(path)))
        except FileNotFoundError:
            return None
        return int(reply["ContentLength"])

    # -- listings --------------------------------------------------------------------------------------------------

    async def listed(self, folder: str) -> dict[str, Listed]:
        """Path -> object of everything below a folder; a large one is listed in sixteen parts side by side."""
        found, more = await self._page(f"{folder}/")
        if not more:
            return found
        # names of documents and shards are hexadecimal, so their first digit parts them evenly
        parts = await self.together(self._pages(f"{folder}/{digit}") for digit in "0123456789abcdef")
        return {path: one for part in parts for path, one in part.items()}

    async def _pages(self, prefix: str) -> dict[str, Listed]:
        found, more = await self._page(prefix)
        while more:
            page, more = await self._page(prefix, more)
            found |= page
        return found

    async def _page(self, prefix: str, token: str = "") -> tuple[dict[str, Listed], str]:
        options = {"ContinuationToken": token} if token else {}
        reply = await self._again(lambda: self._call("list_objects_v2", Prefix=self._key(prefix), **options))
        start = len(self._key(""))
        found = {
            one["Key"][start:]: Listed(int(one["Size"]), one["ETag"], _age(reply, one["LastModified"]))
            for one in reply.get("Contents", ())
        }
        return found, reply.get("NextContinuationToken", "") if reply.get("IsTruncated") else ""

    async def folders(self) -> list[str]:
        """Names of the folders below the prefix."""
        names, more = list[str](), ""
        while True:
            options = {"ContinuationToken": more} if more else {}
            call = partial(self._call, "list_objects_v2", Prefix=self._key(""), Delimiter="/", **options)
            reply = await self._again(call)
            names += [one["Prefix"][len(self._key("")) :].rstrip("/") for one in reply.get("CommonPrefixes", ())]
            more = reply.get("NextContinuationToken", "") if reply.get("IsTruncated") else ""
            if not more:
                return sorted(names)

    async def versions(self) -> list[Version]:
        """All versions of everything below the prefix, and uploads that were not completed.

        A server that does not know versions is asked for objects alone.
        """
        try:
            found = await self._all_versions()
        except OSError as error:
            if code_of(error) not in _UNKNOWN:
                raise
            found = [Version(path, one.size, latest=True) for path, one in (await self._pages("")).items()]
        return [*found, *await self._uploads()]

    async def _all_versions(self) -> list[Version]:
        found, more = list[Version](), dict[str, str]()
        while True:
            call = partial(self._call, "list_object_versions", Prefix=self._key(""), **more)
            reply = await self._again(call)
            for mark, kind in ((False, "Versions"), (True, "DeleteMarkers")):
                for one in reply.get(kind, ()):
                    path, latest = one["Key"][len(self._key("")) :], bool(one.get("IsLatest"))
                    found.append(Version(path, int(one.get("Size", 0)), str(one["VersionId"]), "", latest, mark))
            if not reply.get("IsTruncated"):
                return found
            more = {"KeyMarker": reply["NextKeyMarker"], "VersionIdMarker": reply.get("NextVersionIdMarker", "")}

    async def _uploads(self) -> list[Version]:
        try:
            reply = await self._again(partial(self._call, "list_multipart_uploads", Prefix=self._key("")))
        except OSError as error:
            if code_of(error) not in _UNKNOWN:
                raise
            return []
        return [Version(one["Key"][len(self._key("")) :], upload=one["UploadId"]) for one in reply.get("Uploads", ())]

    async def destroy(self, version: Version) -> None:
        """Delete a version for good, or an upload."""
        key = self._key(version.path)
        if version.upload:
            await self._again(lambda: self._call("abort_multipart_upload", Key=key, UploadId=version.upload))
            return
        named = {"VersionId": version.version} if version.version else {}
        await self._again(lambda: self._call("delete_object", Key=key, **named))

    # -- requests --------------------------------------------------------------------------------------------------

    def _key(self, path: str) -> str:
        return f"{self.prefix}/{path}" if self.prefix else path

    async def _call(self, method: str, **options: Any) -> Any:
        self.requests += 1
        await self._connect()
        return await self.fs._call_s3(method, Bucket=self.bucket, **options)

    async def _connect(self) -> None:
        """Make the client, which is made once. What the settings lack or have wrong is raised as it happens to be."""
        try:
            await self.fs.set_session()
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise StoreError(
                f"The settings for {self.url} cannot be used: {_line(error)}.",
                remedy="Correct storage_options, AWS_ENDPOINT_URL (https://host) or the files of AWS.",
            ) from error

    async def _again(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of a request, which is repeated while the failure may pass; each pause is drawn at random."""
        import tenacity

        attempts = tenacity.AsyncRetrying(
            retry=tenacity.retry_if_exception(may_pass),
            wait=tenacity.wait_random_exponential(multiplier=0.2, max=LONGEST_PAUSE),
            stop=tenacity.stop_after_attempt(ATTEMPTS) | tenacity.stop_after_delay(RETRY_SECONDS),
            reraise=True,
        )

        async def attempt() -> T:
            return await call()

        result: T = await attempts(attempt)
        return result


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later: the server is busy or failed, or the connection was cut."""
    if isinstance(error, (SharedLLMError, TooLargeError, FileNotFoundError, PermissionError)):
        return False
    reply = _reply_of(error)
    if reply is not None:
        status = int(reply.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        return code_of(error) in _TRANSIENT or status >= 500 or status == 429
    names = {kind.__name__ for kind in type(error).__mro__}
    cut = {"HTTPClientError", "ConnectionError", "IncompleteReadError", "ResponseParserError", "ClientError"}
    return isinstance(error, (ConnectionError, TimeoutError, asyncio.TimeoutError)) or bool(names & cut)


def code_of(error: BaseException) -> str:
    """The server's code for an error, such as ``NoSuchKey``; "" where it gave none."""
    reply = _reply_of(error)
    return "" if reply is None else str(reply.get("Error", {}).get("Code", ""))


def _reply_of(error: BaseException | None) -> Mapping[str, Any] | None:
    while error is not None:
        reply = getattr(error, "response", None)
        if isinstance(reply, dict):
            return reply
        error = error.__cause__
    return None


def _age(reply: Mapping[str, Any], written: datetime) -> float:
    """Seconds since an object was written, by the clock of the server that says so."""
    date = reply["ResponseMetadata"]["HTTPHeaders"].get("date")
    now = parsedate_to_datetime(date) if date else datetime.now(timezone.utc)
    return max((now - written).total_seconds(), 0.0)


@contextmanager
def typed_errors(action: str, bucket: str, url: str) -> Iterator[None]:
    """Turn what s3fs and botocore raise into typed errors of one line, but FileNotFoundError of a missing object."""
    try:
        yield
    except (SharedLLMError, TooLargeError):
        raise
    except Exception as error:
        code, kinds = code_of(error), {kind.__name__ for kind in type(error).__mro__}
        if code == "NoSuchBucket":
            raise StoreError(
                f"{action} failed: there is no bucket {bucket!r}.", remedy=f"Create it, or correct {url}."
            ) from error
        if isinstance(error, FileNotFoundError):
            raise
        if kinds & _NO_CREDENTIALS:
            raise StoreError(
                f"{action} failed: there are no usable credentials for {url} ({_line(error)}).",
                remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, or give storage_options.",
            ) from error
        if code in _REFUSED or isinstance(error, PermissionError):
            raise StoreError(
                f"{action} failed: {url} refuses these credentials ({code or _line(error)}).",
                remedy="Check the credentials, and what they may do in this bucket.",
            ) from error
        if may_pass(error):
            raise StoreError(
                f"{action} failed after several attempts: {_line(error)}.",
                remedy="Check the connection and AWS_ENDPOINT_URL, then try again: what was stored is used again.",
            ) from error
        if not isinstance(error, OSError) and not _of_client(kinds, error):
            raise
        raise StoreError(
            f"{action} failed: {_line(error)}.", remedy="Check the URL and the storage options, then try again."
        ) from error


def _of_client(kinds: set[str], error: BaseException) -> bool:
    """Whether an error that is no OSError comes from the client libraries, rather than from a fault of ours."""
    return "BotoCoreError" in kinds or type(error).__module__.split(".")[0] in ("botocore", "aiobotocore", "aiohttp")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__


def merged(ranges: Sequence[tuple[str, int, int]], gap: int) -> list[tuple[str, int, int]]:
    """Ranges (path, start, end), those of a path joined that are at most ``gap`` bytes apart, within ``PART`` each."""
    joined: list[tuple[str, int, int]] = []
    for path, start, end in sorted(ranges):
        if joined:
            before, first, last = joined[-1]
            if path == before and start - last <= gap and max(end, last) - first <= PART:
                joined[-1] = path, first, max(end, last)
                continue
        joined.append((path, start, end))
    return joined
