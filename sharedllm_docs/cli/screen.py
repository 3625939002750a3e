"""Output: results go to stdout, everything else to stderr; control characters in documents are never printed.

rich is imported when something is printed, so that ``--help`` does not wait for it.
"""

from __future__ import annotations

import io
import json
import os
import re
import sys
import traceback
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from sharedllm_docs.cli.failures import Failure
from sharedllm_docs.cli.keywords import as_typed
from sharedllm_docs.cli.options import OutputOptions
from sharedllm_docs.documents.escapes import without_escapes
from sharedllm_docs.documents.names import shown_name
from sharedllm_docs.errors import DocumentWarning, UnstoredRowsWarning

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

# output that does not go to a terminal is never wrapped: one line stays one line for grep
_UNWRAPPED = 100_000
# control characters, ESC first of all, would let a document drive the terminal
_CONTROLS = {code: None for code in (*range(32), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}

_TAKE_KEYWORDS = ("evaluate", "train", "train-tiny", "data")
"""Commands whose users write keywords themselves, in settings files or after the name of a system."""
_HALF = re.compile("[\ud800-\udfff]")  # bytes of files' names that are no text, which no stream can write

_OWN_WARNINGS = (DocumentWarning, UnstoredRowsWarning)


def clean(text: str) -> str:
    """``text`` without escape sequences, and without control characters other than line break and tab."""
    return without_escapes(_HALF.sub(lambda one: shown_name(one[0]), text)).translate(_CONTROLS)


def one_line(text: str) -> str:
    """``text`` without control characters, white space folded into single blanks."""
    return " ".join(clean(text).split())


def tolerate_any_text() -> None:
    """Let stdout and stderr write what they cannot encode as an escape, instead of ending the program."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


class Screen:
    """The output of one command.

    Attributes:
        json: whether results and errors are JSON.
        quiet: whether progress, notes and warnings are left out.
        debug: whether tracebacks are shown.
        typed: whether errors name options in place of Python's keywords.
    """

    def __init__(self, options: OutputOptions, *, typed: bool = True) -> None:
        self.typed = typed
        self.json, self.quiet, self.debug = options.json, options.quiet, options.debug

    @classmethod
    def of_arguments(cls, arguments: list[str]) -> Screen:
        """A screen for errors that occur before the arguments are parsed."""
        words = arguments[: arguments.index("--")] if "--" in arguments else arguments
        typed = next(iter(words), "") not in _TAKE_KEYWORDS
        return cls(OutputOptions(json="--json" in words, debug="--debug" in words), typed=typed)

    @cached_property
    def out(self) -> Console:
        """Console of stdout."""
        return _console(sys.stdout)

    @cached_property
    def err(self) -> Console:
        """Console of stderr."""
        return _console(sys.stderr)

    @property
    def to_terminal(self) -> bool:
        """Whether results go to a terminal; decided without loading rich, if nothing in the environment requires it."""
        return self.out.is_terminal if _rich_decides() else sys.stdout.isatty()

    @property
    def animated(self) -> bool:
        """Whether progress is drawn."""
        if self.quiet or self.json:
            return False
        return self.err.is_terminal if _rich_decides() else sys.stderr.isatty()

    def print(self, renderable: RenderableType = "", *, style: str | None = None) -> None:
        """Print a result for people."""
        if self.out.is_terminal:
            self.out.print(renderable, style=style)
            return
        with self.out.capture() as captured:
            self.out.print(renderable, style=style)
        # columns are padded to a common width; in a file nobody wants the blanks at the ends
        for line in captured.get().splitlines():
            sys.stdout.write(line.rstrip() + "\n")

    def emit(self, values: Mapping[str, Any]) -> None:
        """Print a result as one line of JSON."""
        plain = not (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
        sys.stdout.write(json.dumps(values, ensure_ascii=plain) + "\n")
        sys.stdout.flush()

    def write(self, text: str) -> None:
        """Print a piece of a result at once, as it is."""
        sys.stdout.write(clean(text))
        sys.stdout.flush()

    def note(self, text: str) -> None:
        """Print a dim line on stderr."""
        if not self.quiet:
            self.err.print(one_line(text), style="dim", soft_wrap=True)

    def report(self, sentence: str) -> None:
        """Print what is being done, before a slow step."""
        if not self.json:
            self.note(f"{sentence.rstrip('.')} ...")

    def fail(self, error: BaseException) -> Failure:
        """Show an error; the program may go on."""
        failure = Failure.of(error, typed=self.typed)
        if self.debug:
            traceback.print_exception(error)
        if self.json:
            self.emit(failure.to_dict())
        else:
            from rich.text import Text

            self.err.print(
                Text("Error: ", style="bold red").append(one_line(failure.line), style="not bold default"),
                soft_wrap=True,
            )
        return failure

    @contextmanager
    def warnings_as_notes(self) -> Iterator[Screen]:
        """Within the block, this project's warnings are notes; those of libraries are shown with ``--debug`` only."""
        with warnings.catch_warnings():
            if not self.debug:
                warnings.simplefilter("ignore")
            for own in _OWN_WARNINGS:
                warnings.simplefilter("always", own)
            show = warnings.showwarning

            def showwarning(
                message: Warning | str,
                category: type[Warning],
                filename: str,
                lineno: int,
                file: TextIO | None = None,
                line: str | None = None,
            ) -> None:
                if issubclass(category, _OWN_WARNINGS):
                    self.note(f"Warning: {as_typed(str(message))}")
                else:
                    show(message, category, filename, lineno, file, line)

            warnings.showwarning = showwarning
            yield self

    @contextmanager
    def waiting(self, text: str) -> Iterator[None]:
        """Within the block, a spinner turns if stderr is a terminal."""
        if not self.animated:
            yield
            return
        with self.err.status(text):
            yield


def _rich_decides() -> bool:
    """Whether environment variables tell rich what counts as a terminal."""
    return any(name.startswith(("FORCE_", "TTY_", "JUPYTER")) for name in os.environ)


def _console(stream: TextIO) -> Console:
    from rich.console import Console

    # no terminal and no COLUMNS: rich would guess 80 and cut tables
    width = None if stream.isatty() or os.environ.get("COLUMNS", "").isdigit() else _UNWRAPPED
    return Console(file=stream, markup=False, emoji=False, highlight=False, width=width)


@contextmanager
def opened(options: OutputOptions) -> Iterator[Screen]:
    """The screen of a command, with document warnings as notes."""
    with Screen(options).warnings_as_notes() as screen:
        yield screen
