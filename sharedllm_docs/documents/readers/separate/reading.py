"""Reads one document through a process of its own, which is started again where it crashes, hangs or grows."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import fields
from functools import cache
from typing import Any

from sharedllm_docs import errors
from sharedllm_docs.documents.cleaning import RunningLine
from sharedllm_docs.documents.document import Document
from sharedllm_docs.documents.readers.ocr import Word, engines
from sharedllm_docs.documents.readers.options import ReadOptions
from sharedllm_docs.documents.readers.separate.journal import Journal
from sharedllm_docs.documents.readers.separate.parts import number_of_parts, pages_in_parts, processors
from sharedllm_docs.documents.readers.separate.plain import from_plain
from sharedllm_docs.documents.readers.separate.pool import POOL
from sharedllm_docs.documents.readers.separate.process import Died, Message
from sharedllm_docs.documents.readers.source import Source
from sharedllm_docs.errors import DamagedDocumentError, DocumentError, DocumentTooLargeError, SharedLLMError

PROCESS_VARIABLE = "SHAREDLLM_DOCS_PROCESS"
"""Environment variable with the default of ``ReadOptions.process``."""
_BYTES_A_PAGE = 1 << 18  # of a file without steps: as many bytes may take the time of a page
_BYTES_OF_MANY = 1 << 16  # of a file with so many pages that several processes share them
_FRUITLESS = 3  # processes in a row that end before they take the request

Tell = Callable[[int, int], None]


def reads_apart(options: ReadOptions) -> bool:
    """Whether a process of its own is to read."""
    wanted = options.process or os.environ.get(PROCESS_VARIABLE) or "separate"
    if wanted not in ("separate", "own"):
        raise errors.ConfigError(
            f"{PROCESS_VARIABLE} is {wanted!r}, not 'separate' or 'own'.", remedy="Correct it, or leave it out."
        )
    return wanted == "separate" and _can_start()


@cache
def _can_start() -> bool:
    """Whether there is an interpreter to start: programs packed into one file have none."""
    if sys.executable and not getattr(sys, "frozen", False):
        return True
    message = "there is no Python to start a process with, so hostile files are not kept apart; process='own' says so"
    warnings.warn(errors.DocumentWarning("read-in-own-process", message), stacklevel=4)
    return False


def document_apart(
    reader: str,
    source: Source,
    options: ReadOptions,
    tell: Tell,
    *,
    lines: bool = False,
    words: bool = False,
    divisible: bool = False,
) -> tuple[Document, list[RunningLine], dict[int, list[Word]]]:
    """Read a document; also the running lines and the recognised words, where they are wanted.

    ``divisible`` says that the reader can read pages apart from one another (``base.Divisible``): several processes
    then share those of a long document.

    Raises:
        SharedLLMError: as ``Reader.read``; also where the process fails at what reading cannot go without.
    """
    told = -1

    def tell_once(done: int, total: int) -> None:
        nonlocal told
        if done > told:  # a process that was started again begins at page 1
            told = done
            tell(done, total)

    def progress(message: dict[str, Any]) -> None:
        tell_once(value_of(int, message.get("done")), value_of(int, message.get("total")))

    journal = _read_in_parts(reader, source, options, tell_once) if divisible else Journal()
    request = {"kind": "document", "reader": reader, "lines": lines, "words": words}
    message, _ = _answered(source, options, request, progress, journal)
    recognised = value_of(list[tuple[int, list[Word]]], message.get("words"))
    document = value_of(Document, message.get("document"))
    return document, value_of(list[RunningLine], message.get("lines")), dict(recognised)


def _read_in_parts(reader: str, source: Source, options: ReadOptions, tell: Tell) -> Journal:
    """The pages of a long document, read by several processes; nothing where one is as good, or cannot count them."""
    if source.size < _BYTES_OF_MANY or processors() < 2:
        return Journal()
    try:
        message, _ = _answered(source, options, {"kind": "count", "reader": reader}, lambda _: None, Journal())
    except SharedLLMError:
        return Journal()  # reading the document tells why
    pages = value_of(int, message.get("pages"))
    parts = number_of_parts(pages)
    if parts < 2:
        return Journal()

    def ask(request: dict[str, Any], journal: Journal, told: Callable[[int], None]) -> Message:
        def progress(message: dict[str, Any]) -> None:
            told(value_of(int, message.get("done")))

        return _answered(source, options, {**request, "reader": reader}, progress, journal)

    return pages_in_parts(pages, parts, ask, tell)


def embedded_apart(reader: str, source: Source, options: ReadOptions) -> list[tuple[str, bytes]]:
    """The files inside a document, as ``embedded.files_of``."""
    request = {"kind": "embedded", "reader": reader}
    message, blobs = _answered(source, options, request, lambda _: None, Journal())
    return list(zip(value_of(list[str], message.get("names")), blobs, strict=False))


def value_of(kind: Any, value: Any) -> Any:
    """What came back, as a value of that type.

    Raises:
        DamagedDocumentError: it is none.
    """
    try:
        return from_plain(kind, value)
    except (ValueError, TypeError) as error:
        raise DamagedDocumentError(
            f"The process that reads sent what is no answer: {error}.",
            remedy="Check the file; if it opens elsewhere, report this.",
        ) from error


def _answered(
    source: Source,
    options: ReadOptions,
    request: dict[str, Any],
    progress: Callable[[dict[str, Any]], None],
    journal: Journal,
) -> Message:
    """Ask until there is an answer, without the steps at which the process died."""
    fruitless = 0
    while True:
        try:
            return _once(source, options, request, journal, progress)
        except Died as died:
            if died.step is None and fruitless < _FRUITLESS:
                fruitless += 1  # it ended between two documents
                continue
            if died.step is None or not journal.failure(died.step, died.how, died.reason):
                raise failure(f"{source.name} cannot be read", died, "Split it") from died


def answered_once(source: Source, options: ReadOptions, request: dict[str, Any]) -> Message:
    """Ask once. Raises Died where the process dies, and what the process says that it raised."""
    return _once(source, options, request, Journal(), lambda _: None)


def _once(
    source: Source,
    options: ReadOptions,
    request: dict[str, Any],
    journal: Journal,
    progress: Callable[[dict[str, Any]], None],
) -> Message:
    process, answered = POOL.take(), False
    try:
        process.ask({**_request(source, options), **request, **journal.to_message()}, _blobs(source))
        while True:
            message, blobs = process.next()
            kind = message.get("kind")
            if kind == "page":
                journal.pages[value_of(int, message.get("page"))] = message.get("value")
            elif kind == "progress":
                progress(message)
            else:
                answered = kind in ("done", "error")
                if kind == "error":
                    raise _error(message)
                return message, blobs
    finally:
        if answered:
            POOL.give_back(process)
        else:  # it died, or the caller will not wait any longer
            process.end()


def _request(source: Source, options: ReadOptions) -> dict[str, Any]:
    path = None if source.path is None else os.path.abspath(source.path)
    pages = 2 + source.size // _BYTES_A_PAGE
    return {
        "source": {"name": source.name, "size": source.size, "sha256": source.sha256, "path": path},
        "options": {field.name: getattr(options, field.name) for field in fields(options)},
        "recogniser": engines.engine_name(),
        "page_seconds": options.page_seconds,
        "whole_seconds": options.page_seconds * pages,
        "max_memory": options.max_memory,
    }


def _blobs(source: Source) -> list[bytes]:
    return [source.data or b""] if source.path is None else []


def _error(message: dict[str, Any]) -> SharedLLMError:
    """The error that reading raised there."""
    kind = getattr(errors, str(message.get("error")), None)
    text, remedy = value_of(str, message.get("message")), value_of(str, message.get("remedy"))
    if isinstance(kind, type) and issubclass(kind, (DocumentError, errors.ConfigError)):
        return kind(text, remedy=remedy)
    return DocumentError(text, remedy=remedy)


def failure(what: str, died: Died, smaller: str) -> DocumentError:
    """The error for what the process could not do.

    Args:
        what: as in "a.pdf cannot be read".
        died: what happened to the process.
        smaller: how to ask for less, as in "Split the file".
    """
    if died.how == "crash":
        return DamagedDocumentError(
            f"{what}: the process that did it failed, {died.reason}.",
            remedy="Fetch or export the file again; if it opens elsewhere, report this.",
        )
    setting = "page_seconds" if died.how == "time" else "max_memory"
    return DocumentTooLargeError(
        f"{what} within the limits: {died.reason}.",
        remedy=f"{smaller}, or raise {setting} if you trust the file.",
    )
