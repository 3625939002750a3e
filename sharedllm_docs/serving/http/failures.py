"""Errors as responses: one JSON object of the same form everywhere, the matching status, and no internal details.

``{"error": {"message", "remedy", "type", "param", "code"}}``, as clients of the OpenAI API expect it.
"""

from __future__ import annotations

import logging
import math
import os
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sharedllm_docs import errors
from sharedllm_docs.errors import BusyError, SharedLLMError
from sharedllm_docs.serving.http.problems import problems_of

log = logging.getLogger(__name__)

STATUS: dict[type[SharedLLMError], int] = {
    errors.BusyError: 429,
    errors.AccessError: 401,
    errors.ForbiddenError: 403,
    errors.UnknownIndexError: 404,
    errors.RequestTooLargeError: 413,
    errors.RequestTooSlowError: 408,
    errors.QuestionCancelledError: 499,
    errors.TookTooLongError: 504,
    errors.DocumentNotFoundError: 404,
    errors.DocumentTooLargeError: 413,
    errors.UnknownFormatError: 415,
    errors.DocumentError: 422,
    errors.ConfigError: 400,
    errors.QuestionError: 400,
    errors.DiskFullError: 507,
    errors.DiskBudgetError: 507,
    errors.IndexLockedError: 503,
    errors.ModelError: 503,
    errors.IndexNotFoundError: 503,
    errors.DamagedIndexError: 500,
    errors.FingerprintMismatchError: 500,
    errors.SchemaError: 500,
    errors.StoreError: 409,
    errors.SharedLLMError: 500,
}
"""Of a class not named here its nearest base class counts."""


SECONDS_BETWEEN = 60.0
"""Within which the same failure is logged once: an index that is away fails at every request."""


class SeldomLog:
    """Logs failures that the project foresees: a line without traceback, the same one seldom.

    Args:
        clock: seconds, for tests.
    """

    _MOST = 100

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: dict[str, float] = {}

    def tell(self, error: SharedLLMError, what: str) -> None:
        """Log why something failed, unless that was said lately.

        Args:
            error: the reason.
            what: failed, as "GET /v1/models".
        """
        said, now = str(error), self._clock()
        if now - self._told.get(said, -math.inf) < SECONDS_BETWEEN:
            return
        if len(self._told) >= self._MOST:
            self._told.clear()
        self._told[said] = now
        log.error("%s failed: %s", what, " ".join(said.split()))


def status_of(error: SharedLLMError) -> int:
    """The status of the response to an error."""
    return next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)


def error_body(
    message: str, kind: str, *, remedy: str = "", param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """The JSON of an error."""
    said = f"{message} {remedy}".strip()
    return {"error": {"message": said, "remedy": remedy, "type": kind, "param": param, "code": code}}


def body_of(error: BaseException, hidden: Mapping[str, str]) -> dict[str, Any]:
    """The JSON of an exception.

    Args:
        error: any; of an unexpected one nothing is revealed.
        hidden: texts that must not leave the server (folders of indexes) and what stands in their place.
    """
    if not isinstance(error, SharedLLMError):
        return error_body("The server failed at this request; its log says why.", "internal_error")
    message, remedy = without(error.message, hidden), without(error.remedy, hidden)
    return error_body(message, type(error).__name__, remedy=remedy, param=getattr(error, "param", None))


def without(text: str, hidden: Mapping[str, str]) -> str:
    """A text in which hidden ones, where they stand alone or begin a path, are replaced."""
    for one in sorted(hidden, key=len, reverse=True):
        text = re.sub(rf"(?<![\w./-]){re.escape(one)}(?![\w-])", hidden[one], text)
    return text


def hidden_of(indexes: Mapping[str, str], models: Iterable[str] = ()) -> dict[str, str]:
    """What must not leave the server: folders as they were named and as they are; in place of it a name.

    Args:
        indexes: folder or URL by name.
        models: what models are loaded by; of those that are folders the last part is shown.
    """
    hidden: dict[str, str] = {}
    for folder in filter(is_folder, models):
        hidden |= dict.fromkeys(_ways(folder), last_part(folder))
    for name, url in indexes.items():
        hidden |= dict.fromkeys((url,) if "://" in url else _ways(url), _told_as(name, url))
    return hidden


def _told_as(name: str, url: str) -> str:
    """What stands for an index's folder in a message: its name, with the dots that a name given by the folder lacks."""
    folder = url.rstrip("/").rpartition("/")[2]
    return folder if folder.lstrip(".") == name else name


def is_folder(model: str) -> bool:
    """Whether what a model is loaded by is a place on this machine, whether it is there or not."""
    return os.path.isabs(model) or model.startswith(("~", ".")) or os.path.exists(model)


def last_part(folder: str) -> str:
    """The name of a folder without where it is."""
    return os.path.basename(os.path.abspath(folder))


def _ways(folder: str) -> tuple[str, ...]:
    """A folder as it was named, from the root, and with its links followed."""
    home = os.path.expanduser(folder)
    return folder, home, os.path.abspath(home), os.path.realpath(home)


def response_to(error: BaseException, hidden: Mapping[str, str]) -> JSONResponse:
    """The response to an exception; see ``body_of``."""
    status = status_of(error) if isinstance(error, SharedLLMError) else 500
    headers = {}
    if isinstance(error, BusyError):
        headers["Retry-After"] = str(error.retry_after)
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(body_of(error, hidden), status, headers)


def answer_errors(app: FastAPI) -> None:
    """Have an app answer the errors of the project, of requests and of routes so; ``LastResort`` does the rest."""

    seldom = SeldomLog()

    async def own(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, SharedLLMError)
        if status_of(error) >= 500:
            seldom.tell(error, f"{request.method} {request.url.path}")
        return response_to(error, request.app.state.hidden)

    async def invalid(_request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)
        found = problems_of(_placed(error.errors()), whole="the body", outer=1)
        message = " ".join(one.message for one in found)
        remedy = " ".join(dict.fromkeys(one.remedy for one in found))
        body = error_body(message, "invalid_request_error", remedy=remedy, param=found[0].where or None)
        return JSONResponse(body, 400)

    async def http(request: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)
        if isinstance(error.__cause__, SharedLLMError):  # raised while the body was read (limits)
            return response_to(error.__cause__, request.app.state.hidden)
        if error.status_code == 400 and error.__cause__ is not None and request.method != "GET":
            message, remedy = unreadable(error.__cause__)
            return JSONResponse(error_body(message, "invalid_request_error", remedy=remedy), 400)
        body = error_body(str(error.detail).rstrip(".") + ".", "invalid_request_error")
        return JSONResponse(body, error.status_code, error.headers)

    app.add_exception_handler(SharedLLMError, own)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)


def unreadable(error: BaseException) -> tuple[str, str]:
    """(message, remedy) for a body that JSON's reader cannot take, by what it raised."""
    if isinstance(error, UnicodeDecodeError):
        byte = error.object[error.start]
        return f"The body is not {error.encoding.upper()}: byte {error.start} is 0x{byte:02x}.", "Send JSON in UTF-8."
    if isinstance(error, RecursionError):
        return "The body is nested too deeply.", "Send lists and objects within few others."
    if isinstance(error, ValueError) and (most := sys.get_int_max_str_digits()):
        return f"The body holds a whole number of more than {most:,} digits.", "Send shorter numbers."
    return "The body cannot be read.", "Send a JSON object in UTF-8."


def _placed(errors: Sequence[Any]) -> list[Mapping[str, Any]]:
    """Errors of a request; of a body that is no JSON the place is a number of a character, which names no field."""
    return [{**one, "loc": one["loc"][:1]} if one["type"] == "json_invalid" else one for one in errors]


class LastResort:
    """Answers what nobody foresaw, as every other error is answered; the log has it, with its traceback."""

    def __init__(self, app: ASGIApp, hidden: Mapping[str, str]) -> None:
        self.app, self.hidden = app, hidden

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = False

        async def sending(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            if scope["type"] != "http" or started:
                raise
            log.error("%s %s failed", scope["method"], scope["path"], exc_info=error)
            await response_to(error, self.hidden)(scope, receive, send)
