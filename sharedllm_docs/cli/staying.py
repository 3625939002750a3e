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
    from sharedllm_docs.index.index import Index

MEMORY_VARIABLE = "SHAREDLLM_DOCS_STAY_MEMORY"
"""Name of the variable with the bound of a process's memory; without it, half of the machine's."""


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
    *,
    create: bool,
) -> Index:
    """The index in a process that stays, or opened here.

    Args:
        url: of the index, as the user wrote it.
        options: keywords of ``Index.open``.
        alone: opens it here.
        report: called with a sentence before each slow step.
        note: tells why no process stays, where one should.
        stay: what to do about a process.
        create: make the index where there is none.
    """
    if stay is None:
        return alone()
    from sharedllm_docs.serving.stay.client import StayedIndex, find, start
    from sharedllm_docs.serving.stay.settings import Settings, absolute_url, is_local

    settings = Settings.of(url, options)

    def there() -> bool:
        """Whether there is something to open: an index that is missing is told without starting anything."""
        return create or not is_local(url) or os.path.exists(os.path.join(absolute_url(url), "index.json"))

    def connect() -> socket.socket | None:
        connection = find(settings)
        if connection is not None or not stay.start or not there():
            return connection
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
        create=create,
        keep_seconds=stay.seconds,
        report=report,
        meanwhile=_get_ready_to_print,
    )
    return cast("Index", made)


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
