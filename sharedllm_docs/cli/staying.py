"""Whether a command uses a process that stays, and the index in it (``serving/stay``)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from sharedllm_docs.cli.options import DEFAULT_STAY, STAY_VARIABLE, StayOptions
from sharedllm_docs.cli.units import parse_duration, parse_size
from sharedllm_docs.errors import ConfigError

if TYPE_CHECKING:
    import socket

    from sharedllm_docs.cli.screen import Screen
    from sharedllm_docs.cli.tenancy import Place
    from sharedllm_docs.documents.readers.options import ReadOptions
    from sharedllm_docs.index.index import Index

MEMORY_VARIABLE = "SHAREDLLM_DOCS_STAY_MEMORY"
"""Name of the variable with the bound of a process's memory; without it, half of the machine's."""


class Soon(NamedTuple):
    """A file that will be added to an index as soon as that is open: reading it may begin meanwhile.

    Attributes:
        file: its path.
        options: how it is to be read.
    """

    file: str
    options: ReadOptions


class Stay(NamedTuple):
    """What a command does about a process that stays.

    Attributes:
        start: start one where none runs.
        seconds: time without a question after which it leaves; None leaves that to the one that runs.
    """

    start: bool
    seconds: float | None


def stay_of(options: StayOptions, screen: Screen, place: Place) -> Stay | None:
    """What a command does about a process that stays; None where it has nothing to do with one.

    On a terminal it uses one and starts one. Elsewhere it uses one that runs. ``--debug`` shows tracebacks, which are
    those of this process.

    Raises:
        ConfigError: a time that is none, both options at once, or a tenant for whom a process should stay.
    """
    if options.no_stay:
        if options.stay is not None:
            raise ConfigError("--stay and --no-stay exclude each other.", remedy="Leave one out.")
        return None
    name, text = (
        ("--stay", options.stay) if options.stay is not None else (STAY_VARIABLE, os.environ.get(STAY_VARIABLE))
    )
    seconds = parse_duration(text, name) if text else None
    if options.stay is not None and seconds and place.tenant is not None:
        why = "no process keeps a tenant's salt"
        raise ConfigError(f"--stay cannot apply with --tenant: {why}.", remedy="Leave it out.")
    if seconds == 0 or screen.debug:
        return None
    return Stay(start=seconds is not None or sys.stdout.isatty(), seconds=seconds)


def stayed(
    url: str,
    options: Mapping[str, Any],
    alone: Callable[[], Index],
    report: Callable[[str], None],
    note: Callable[[str], None],
    stay: Stay | None,
    soon: Soon | None,
) -> Index:
    """The index in a process that stays, or opened here.

    Args:
        url: of the index, as the user wrote it.
        options: keywords of ``Index.open``.
        alone: opens it here.
        report: called with a sentence before each slow step.
        note: says why no process stays, if one should.
        stay: what to do about a process.
        soon: the file that will be added next; the index is made where there is none.
    """
    if stay is None:
        return alone()
    from sharedllm_docs.serving.stay.client import StayedIndex, find, start
    from sharedllm_docs.serving.stay.settings import Settings

    settings = Settings.of(url, options)

    def connect() -> socket.socket | None:
        connection = find(settings)
        if connection is not None or not stay.start or (soon is None and not may_be_there(url)):
            return connection  # a missing index is reported without starting anything
        keep = parse_duration(DEFAULT_STAY, "--stay") if stay.seconds is None else stay.seconds
        from sharedllm_docs.errors import SharedLLMError

        try:
            return start(settings, keep_seconds=keep, max_memory=most_memory())
        except SharedLLMError as error:
            note(f"No process stays: {error}")
            return None

    made = StayedIndex(
        url,
        connect,
        alone,
        create=soon is not None,
        ahead=None if soon is None or may_be_there(url) else soon,
        keep_seconds=stay.seconds,
        report=report,
        meanwhile=_get_ready_to_print,
    )
    return cast("Index", made)


def may_be_there(url: str) -> bool:
    """Whether there is an index to open; True where it takes a connection to find out."""
    from sharedllm_docs.serving.stay.settings import absolute_url, is_local

    return not is_local(url) or os.path.exists(os.path.join(absolute_url(url), "index.json"))


def _get_ready_to_print() -> None:
    """Import what prints an answer, while the process computes it."""
    import sharedllm_docs.cli.render
    import sharedllm_docs.retrieval.answer  # noqa: F401


def most_memory() -> int | None:
    """Bytes of memory of its own above which a process leaves; None where nothing is known and nothing asked for.

    Raises:
        ConfigError: the variable holds no size.
    """
    text = os.environ.get(MEMORY_VARIABLE)
    if text:
        return parse_size(text, MEMORY_VARIABLE)
    from sharedllm_docs.serving.memory import machine_memory

    return machine_memory() // 2 or None
