"""Messages between client and process: JSON, each preceded by its length. No pickle.

A request is ``{"call": name, "arguments": {...}, "names": {...}}``. The responses are
messages of one kind each: ``piece``, ``progress``, ``report`` and ``warning`` during the work, then ``result`` or
``error``. Meanwhile a client may send ``{"cancel": true}``.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from sharedllm_docs import errors
from sharedllm_docs.errors import SharedLLMError

if TYPE_CHECKING:
    from sharedllm_docs.index.views import AddedDocument, DocumentInfo
    from sharedllm_docs.retrieval.answer import Answer

LONGEST = 256 << 20
"""Bytes of the longest message that is taken."""
_LENGTH = struct.Struct(">I")
_KEPT = ("differences", "paths", "code")
"""Attributes that errors and warnings have beside message and remedy."""

Message = dict[str, Any]


class Pipe(Protocol):
    """What a connection offers: a socket."""

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, count: int, /) -> bytes: ...


class GoneError(Exception):
    """The other side has closed the connection, or says what is no message."""


def send(pipe: Pipe, message: Mapping[str, Any]) -> None:
    """Send a message. Raises GoneError where nobody is there to take it."""
    data = json.dumps(message).encode("ascii")
    try:
        pipe.sendall(_LENGTH.pack(len(data)) + data)
    except OSError as error:
        raise GoneError(str(error)) from error


def receive(pipe: Pipe, longest: int = LONGEST) -> Message:
    """The next message, of at most ``longest`` bytes. Raises GoneError where there is none."""
    (length,) = _LENGTH.unpack(_exactly(pipe, _LENGTH.size))
    if length > longest:
        raise GoneError(f"a message of {length:,} bytes")
    try:
        message = json.loads(_exactly(pipe, length))
    except ValueError as error:
        raise GoneError("bytes that are no JSON") from error
    if not isinstance(message, dict):
        raise GoneError("JSON that is no message")
    return message


def _exactly(pipe: Pipe, count: int) -> bytes:
    parts = []
    while count:
        try:
            part = pipe.recv(min(count, 1 << 20))
        except OSError as error:
            raise GoneError(str(error)) from error
        if not part:
            raise GoneError("the connection is closed")
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


# -- errors and warnings ----------------------------------------------------------------------------------------------


def error_message(error: BaseException, rename: Callable[[str], str]) -> Message:
    """An error as a message.

    Args:
        error: any exception.
        rename: gives texts the names that the client knows.
    """
    told: Message = {"type": type(error).__name__, "known": isinstance(error, SharedLLMError)}
    if isinstance(error, SharedLLMError):
        told |= {"message": rename(error.message), "remedy": rename(error.remedy), "exit_code": error.exit_code}
        told |= {name: _plain(getattr(error, name)) for name in _KEPT if hasattr(error, name)}
    else:
        told["message"] = rename(str(error))
    return {"error": told}


def error_of(told: Mapping[str, Any]) -> BaseException:
    """The error in a message: of the same class if it is one of the project's, with the same texts."""
    name = str(told["type"])
    if name == "KeyboardInterrupt":
        return KeyboardInterrupt()
    if not told["known"]:
        foreign: type[Exception] = type(name, (Exception,), {})
        return foreign(told["message"])
    known = getattr(errors, name, None)
    kind: type[SharedLLMError] = (
        known
        if isinstance(known, type) and issubclass(known, SharedLLMError)
        else type(name, (SharedLLMError,), {"exit_code": told["exit_code"]})
    )
    made = kind.__new__(kind)
    SharedLLMError.__init__(made, told["message"], remedy=told["remedy"])
    for kept in _KEPT:
        if kept in told:
            setattr(made, kept, _tuples(told[kept]))
    return made


def warning_message(warning: Warning, rename: Callable[[str], str]) -> Message:
    """A warning of the project as a message."""
    text = rename(str(warning))
    return {"warning": {"type": type(warning).__name__, "text": text, "code": getattr(warning, "code", None)}}


def warning_of(told: Mapping[str, Any]) -> Warning:
    """The warning in a message."""
    kind = getattr(errors, str(told["type"]), UserWarning)
    made: Warning = kind.__new__(kind)
    UserWarning.__init__(made, told["text"])
    if told["code"] is not None:
        made.code = told["code"]  # type: ignore[attr-defined]
    return made


def _plain(value: Any) -> Any:
    """A value for JSON; types that JSON does not have become text."""
    return json.loads(json.dumps(value, default=str))


def _tuples(value: Any) -> Any:
    """Lists as the tuples that they were, also in dictionaries."""
    if isinstance(value, list):
        return tuple(map(_tuples, value))
    return {name: _tuples(one) for name, one in value.items()} if isinstance(value, dict) else value


# -- results ----------------------------------------------------------------------------------------------------------


def answer_of(told: Mapping[str, Any]) -> Answer:
    """The ``Answer`` that ``Answer.to_dict`` gave."""
    from sharedllm_docs.documents.box import Box
    from sharedllm_docs.retrieval.answer import Answer, Citation, Counts, Timings

    def citation(one: Mapping[str, Any]) -> Citation:
        return Citation(**{**_tuples(one), "boxes": tuple(Box(**box) for box in one["boxes"])})

    def citations(name: str) -> tuple[Citation, ...]:
        return tuple(map(citation, told[name]))

    # the names in a JSON object are strings; an earlier version sends no grains
    grains = {int(grain): rows for grain, rows in told["counts"].get("grains", {}).items()}
    parts: dict[str, Any] = {"citations": citations("citations"), "nearest": citations("nearest")}
    parts |= {name: _tuples(told.get(name, [])) for name in ("marks", "documents", "alike")}
    counts = Counts(**{**told["counts"], "grains": grains})
    return Answer(**{**told, **parts, "timings": Timings(**told["timings"]), "counts": counts})


def document_of(told: Mapping[str, Any]) -> DocumentInfo:
    """The ``DocumentInfo`` that ``dataclasses.asdict`` gave."""
    from sharedllm_docs.documents.document import Issue
    from sharedllm_docs.index.views import DocumentInfo

    return DocumentInfo(**{**told, "issues": tuple(Issue(**one) for one in told["issues"])})


def added_of(told: Mapping[str, Any]) -> AddedDocument:
    """The ``AddedDocument`` that ``dataclasses.asdict`` gave."""
    from sharedllm_docs.index.views import AddedDocument

    parts = {
        "document": document_of(told["document"]),
        "replaced": tuple(told["replaced"]),
        "attachments": tuple(map(added_of, told["attachments"])),
        "unread": tuple(map(tuple, told["unread"])),
    }
    return AddedDocument(**{**told, **parts})
