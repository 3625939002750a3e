"""What went wrong, as the command line tells it: one line or one JSON object, and an exit code. Never a traceback."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import typer

from sharedllm_docs.errors import SharedLLMError

EXIT_USAGE = 2
EXIT_UNEXPECTED = 70  # EX_SOFTWARE of sysexits.h
EXIT_UNFINISHED = 75  # EX_TEMPFAIL: the same command goes on from there
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells report it
EXIT_BROKEN_PIPE = 141  # 128 + SIGPIPE


class InterruptedCommandError(SharedLLMError):
    """Ctrl-C outside of ingestion."""

    exit_code = EXIT_INTERRUPTED


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
        exit_code: of the process.
    """

    type: str
    message: str
    remedy: str
    exit_code: int

    @classmethod
    def of(cls, error: BaseException) -> Failure:
        """Of any exception; one that nobody foresaw says how to get its traceback."""
        if isinstance(error, SharedLLMError):
            return cls(type(error).__name__, error.message, error.remedy, error.exit_code)
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
        """In one line."""
        end = "" if not self.remedy or self.message.endswith((".", "!", "?", ":", ")")) else "."
        return " ".join(f"{self.message}{end} {self.remedy}".split())

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {"error": asdict(self)}


def _help_hint(error: BaseException) -> str:
    context = getattr(error, "ctx", None)
    return f"Try `{context.command_path} --help`." if context is not None else ""
