"""Errors as the command line reports them: one line or one JSON object, and an exit code; no traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import typer

from sharedllm_docs.cli.keywords import as_typed
from sharedllm_docs.errors import InterruptedIngestion, SharedLLMError, StoreError

EXIT_USAGE = 2
EXIT_UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
EXIT_UNFINISHED = 75  # EX_TEMPFAIL: the same command continues from there
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


class InterruptedCommandError(SharedLLMError):
    """Ctrl-C outside of ingestion."""

    exit_code = EXIT_INTERRUPTED


@contextmanager
def resumable(kept: str, error: type[SharedLLMError] = InterruptedCommandError) -> Iterator[None]:
    """Within the block, Ctrl-C is an error that says what is kept and how to resume.

    Args:
        kept: sentence without its full stop.
        error: class of the error.

    Raises:
        InterruptedCommandError: or another ``error``, at Ctrl-C.
    """
    try:
        yield
    except KeyboardInterrupt as interrupt:
        raise error(f"Interrupted; {kept}.", remedy="Run the same command again to resume.") from interrupt


def resumable_encoding(url: str) -> AbstractContextManager[None]:
    """``resumable`` for work that encodes into the index at ``url``: raises InterruptedIngestion at Ctrl-C."""
    return resumable(f"what was encoded so far is kept in {url}", InterruptedIngestion)


class PluginError(SharedLLMError):
    """A command of another distribution is not installed, or cannot be imported."""

    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Failure:
    """An error ready to be shown.

    Attributes:
        type: name of the error's class.
        message: what happened.
        remedy: what to do about it, or "".
        exit_code: exit code of the process.
    """

    type: str
    message: str
    remedy: str
    exit_code: int

    @classmethod
    def of(cls, error: BaseException, *, typed: bool = True) -> Failure:
        """Make one of any exception; for an unexpected one, the remedy says how to get its traceback.

        Args:
            error: what went wrong.
            typed: whether options are named in place of Python's keywords (``cli.keywords``).
        """
        if isinstance(error, SharedLLMError):
            message, remedy = error.message, error.remedy
            if typed:
                message, remedy = (as_typed(text, store=isinstance(error, StoreError)) for text in (message, remedy))
            return cls(type(error).__name__, message, remedy, error.exit_code)
        if isinstance(error, (KeyboardInterrupt, typer.Abort)):
            return cls.of(InterruptedCommandError("Interrupted."))
        if hasattr(error, "format_message"):  # what typer raises for wrong arguments; its base class has moved
            return cls("UsageError", error.format_message(), _help_hint(error), EXIT_USAGE)
        what = str(error) or "no message"
        return cls(
            type(error).__name__,
            f"Unexpected {type(error).__name__}: {what}",
            "Run the same command with --debug to see the traceback.",
            EXIT_UNEXPECTED,
        )

    @property
    def line(self) -> str:
        """Message and remedy in one line."""
        end = "" if not self.remedy or self.message.endswith((".", "!", "?", ":", ")")) else "."
        return " ".join(f"{self.message}{end} {self.remedy}".split())

    def to_dict(self) -> dict[str, Any]:
        """The error as JSON-ready values."""
        return {"error": asdict(self)}


def _help_hint(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    return f"Try `{context.command_path} --help`." if context is not None else ""
