"""The program without its commands: how it parses and runs, and every error as one line (or JSON) with an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from sharedllm_docs.cli.failures import EXIT_BROKEN_PIPE, InterruptedCommandError
from sharedllm_docs.cli.options import NAME
from sharedllm_docs.cli.plugins import PluginGroup
from sharedllm_docs.cli.screen import Screen, tolerate_any_text
from sharedllm_docs.version import __version__


class ReaderGoneError(Exception):
    """The program that read stdout has ended."""


class Program(PluginGroup):
    """The group of commands, and the only place where exceptions are caught for good."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; make Ctrl-C and a closed pipe errors like others instead of typer's silent exits."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:
            raise InterruptedCommandError("Interrupted.") from error
        except BrokenPipeError as error:
            raise ReaderGoneError from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        windows_expand_args: bool = True,
        **extra: Any,
    ) -> Any:
        """Parse, run and exit."""

        def run() -> Any:
            return super(Program, self).main(
                args=args,
                prog_name=prog_name,
                complete_var=complete_var,
                standalone_mode=False,
                windows_expand_args=windows_expand_args,
                **extra,
            )

        if not standalone_mode:
            return run()
        sys.exit(exit_code_of(run, list(sys.argv[1:] if args is None else args)))


def exit_code_of(run: Callable[[], Any], arguments: list[str]) -> int:
    """Run the program, show its error if there is one, and return the exit code."""
    tolerate_any_text()
    try:
        result = run()
        sys.stdout.flush()
    except (ReaderGoneError, BrokenPipeError):
        # the reader went away: Python must not try to flush again at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_BROKEN_PIPE
    except Exception as error:
        return Screen.of_arguments(arguments).fail(error).exit_code
    return result if isinstance(result, int) else 0


def new_program() -> typer.Typer:
    """A program that has no commands yet."""
    app = typer.Typer(
        name=NAME,
        cls=Program,
        rich_markup_mode=None,  # plain help is there in half the time, and fits any width
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 100},
    )
    app.callback(invoke_without_command=True)(program)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"{NAME} {__version__}")
        raise typer.Exit


def program(
    ctx: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Ask questions of long documents: each is read once into an index, which answers with page numbers."""
    if ctx.invoked_subcommand is None:
        typer.echo(ctx.get_help())
